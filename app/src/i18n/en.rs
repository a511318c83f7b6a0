//! English.

use super::{
    Words, advice, audit, chart, counted, export, files, history, hub, inside, judge, moments, runs, share, storage,
    sweep, tasks,
};
use lorakeet_core::config::Group;
use lorakeet_core::error::Kind;
use lorakeet_core::protocol::DeviceChoice;

/// The English words.
pub static WORDS: Words = Words {
    tagline: "Fine-tune a small language model in this tab, on your own GPU. Nothing is installed, nothing is uploaded.",
    language: "Language",
    theme: "Theme",
    theme_auto: "System",
    theme_light: "Light",
    theme_dark: "Dark",
    skip_to_train: "Skip to training",

    share: "Share",
    sharing: &share::ENGLISH,
    newer_version: "A newer version of this page is ready.",
    take_version: "Update now",
    version_elsewhere: "This page is open in another tab or frame. Close it there, then update.",
    runs: &runs::ENGLISH,
    sweep: &sweep::ENGLISH,
    history: &history::ENGLISH,
    stored: &storage::ENGLISH,
    export: &export::ENGLISH,
    files: &files::ENGLISH,
    judge: &judge::ENGLISH,
    moments: &moments::ENGLISH,
    hub: &hub::ENGLISH,
    advice: &advice::ENGLISH,
    inside: &inside::ENGLISH,
    link_problems: "Not all of the link could be used",

    device_unknown: "Detecting the device…",
    device_switch: "Device",
    device_choice: |choice| match choice {
        DeviceChoice::Auto => "Best device",
        DeviceChoice::Gpu => "GPU",
        DeviceChoice::Cpu => "CPU",
    },
    device: "Device",
    device_cpu: "CPU",
    measure: "Measure its speed",
    measuring: "Measuring…",
    measured: |[gflops, gigabytes, read, launch]| {
        format!("Measured: {gflops} GFLOP/s, {gigabytes} GB/s, {read} ms per read, {launch} µs per launch")
    },
    engine_loading: |share, bytes| match share {
        Some(share) => format!("Downloading the engine: {share}%"),
        None => format!("Downloading the engine: {bytes}"),
    },
    engine_starting: "Starting the engine…",
    engine_failed: "The engine stopped",
    engine_failed_remedy: "Restart it: the model and the data are loaded again, and an interrupted run can be continued from its last checkpoint.",
    restart_engine: "Restart the engine",
    use_cpu: "Use the CPU",

    audit: &audit::ENGLISH,
    tasks: &tasks::ENGLISH,

    model: "Model",
    data: "Data",
    settings: "Settings",
    train: "Train",
    try_it: "Try it",
    export_title: "Export",
    step_ready: "done",
    step_busy: "working",
    step_waiting: "not yet",
    step_failed: "failed",

    model_none: "Choose a model",
    model_loading: |share| match share {
        Some(share) => format!("Loading: {share}%"),
        None => "Loading…".into(),
    },
    model_summary: |name, parameters, memory| format!("{name}: {parameters} parameters, {memory}"),
    model_small: "A small model trained from scratch",
    model_small_about: "For tables of numbers, images, time series and short texts with labels. All weights start random and are trained.",
    small_model: |name| {
        match name {
            "small_mlp" => "Multi-layer perceptron (small_mlp)",
            "small_vit" => "Vision transformer (small_vit)",
            "small_series" => "Time-series transformer (small_series)",
            "small_rnn" => "Recurrent network (small_rnn)",
            "small_lstm" => "LSTM (small_lstm)",
            "small_gru" => "GRU (small_gru)",
            other => other,
        }
        .into()
    },
    model_bundled: "The bundled tiny model",
    model_bundled_about: "A Llama with a few million parameters, pretrained on Jane Austen's novels only. Small enough to see it \
        change within a minute.",
    model_drop: "Drop a GGUF file here, or a Hugging Face folder",
    model_drop_hint: "A folder needs config.json, tokenizer.json and .safetensors files. Llama, SmolLM2, Qwen2, Qwen3, \
        GPT-2, Mistral, Gemma 2 and 3, BERT, RoBERTa, XLM-RoBERTa, DistilBERT, MiniLM, ModernBERT and T5 are supported. \
        The files stay on this machine.",
    choose_files: "Choose files",
    choose_folder: "Choose a folder",
    architecture: "Architecture",
    parameters: "Parameters",
    weights_memory: "Weights in memory",
    tab_memory: "Engine memory in this tab",
    weights_memory_value: |bytes, each| format!("{bytes} ({each} bytes per parameter)"),
    storage: "Weight format",
    shape: "Shape",
    shape_value: |layers, width| format!("{layers} layers, hidden size {width}"),
    vocabulary: "Vocabulary",
    longest_row: "Context length",
    tokens: |n| counted(n.as_str(), "token"),
    chat_template: "Chat template",
    yes: "yes",
    no: "no",

    data_none: "Choose the training data",
    data_loading: "Reading the data…",
    data_summary: |rows, form| format!("{}, {form}", counted(rows.as_str(), "row")),
    data_form: |form| {
        match form {
            "text" => "plain text",
            "alpaca" => "instructions and answers",
            "messages" | "sharegpt" => "conversations",
            "prompt_completion" => "prompts and completions",
            "numbers" => "rows of numbers",
            "table" => "a table",
            other => other,
        }
        .into()
    },
    data_bundled: "Bundled data sets",
    data_drop: "Drop a .txt, .jsonl, .json, .csv, .xlsx or .parquet file here, or a zip or folder of texts",
    data_drop_hint: "Plain text, or rows with prompt and completion, instruction and output, or messages; text and label; query, document \
        and grade; prompt, chosen and rejected; columns of numbers and a label. Images in the IDX format: the images file and the \
        labels file together.",
    validation_file: "Validation file (optional)",
    validation_drop: "Drop a validation file here",
    validation_hint: "Without one, part of the training data is held out (val_size).",
    validation_given: "This file is used for validation. No training data is held out: val_size has no effect.",
    validation_problem: "This file cannot be used for validation",
    validation_wanted: |name| format!("The run file names the validation file {name}: add it in step 3."),
    remove: "Remove",
    val_size_idle: "Ignored: step 3 has a validation file.",
    columns: "Columns",
    source: "Source",
    preview: "Tokenized preview",
    preview_legend: "Underlined tokens count in the loss; the others are context.",
    preview_trained: "in the loss",
    preview_read: "context",
    preview_none: "The first examples appear here, token by token, once a model and data are loaded.",
    example: |n| format!("Example {n}"),
    example_tokens: |all, trained| format!("{}, {trained} in the loss", counted(all, "token")),
    truncated: "truncated at cutoff_len",

    memory: |peak, base, each| match peak {
        Some(peak) => {
            format!("Estimated peak memory: {peak}, of which {base} for the base model ({each} bytes per parameter).")
        }
        None => format!(
            "The base model takes {base} of memory ({each} bytes per parameter). Peak memory cannot be estimated for this run."
        ),
    },
    memory_too_much: |available| {
        format!(
            "This device has only {available}. Set gradient_checkpointing, lower per_device_train_batch_size or cutoff_len, or use a smaller model."
        )
    },
    step_time: |time| format!("Estimated time of a step on this device: {time}."),
    settings_summary: |rate, rank, length| match rank {
        Some(rank) => format!("learning rate {rate}, rank {rank}, {length}"),
        None => format!("learning rate {rate}, all weights, {length}"),
    },
    group: |group| match group {
        Group::Model => "Model",
        Group::Data => "Data",
        Group::Adapter => "Adapter",
        Group::Training => "Training",
        Group::Schedule => "Schedule",
        Group::Output => "Logging, evaluation and saving",
    },
    more_settings: "More settings",
    reset_settings: "Reset to defaults",
    default_value: |value| format!("Default: {value}"),
    not_set: "not set",
    run_file: "Run file",
    run_file_hint: "The same run on the command line: lorakeet train run.yaml. Edit it here and press Apply, or open your own.",
    copy: "Copy",
    copied: "Copied",
    save_file: "Save as run.yaml",
    apply: "Apply",
    import: "Open a run file",
    applied: "Applied",

    train_now: "Train",
    train_again: "Train again",
    pause: "Pause",
    resume: "Resume",
    stop: "Stop",
    sample_prompt: "Sample prompt",
    sample_prompt_hint: "The model continues this prompt before, during and after training.",
    status_loading: "Getting ready…",
    status_need_model: "Choose a model in step 2.",
    status_need_data: "Choose data in step 3.",
    status_bad_settings: "A setting in step 5 is invalid.",
    status_ready: "Ready to train.",
    status_starting: "Preparing the run…",
    status_running: "Training",
    status_evaluating: "Evaluating…",
    status_compiling: "Compiling the GPU's kernels…",
    status_compiled: |kernels, all| match all {
        0 => format!("Kernels compiled so far: {kernels}. Later steps are faster."),
        _ => format!("Kernels compiled: {kernels} of {all}."),
    },
    status_pausing: "Pausing after this step…",
    status_paused: |step| format!("Paused after step {step}"),
    status_stopping: "Stopping after this step…",
    status_done: |steps, time| format!("Done: {} in {time}", counted(steps, "step")),
    status_stopped: |steps| format!("Stopped after step {steps}. The adapter so far is kept."),
    status_failed: "Training failed.",
    status_generating: "Generating…",
    change: |before, after| format!("Validation loss {before} → {after}"),
    trainable: |some, all| format!("{some} of {all} parameters are trainable"),
    split: |train, eval| format!("{}, {eval} held out", counted(train, "training example")),

    steps: |n| counted(n, "step"),
    epochs: |n| counted(n, "epoch"),
    step: "Step",
    loss: "Loss",
    validation_loss: "Validation",
    learning_rate: "Learning rate",
    grad_norm: "Gradient norm",
    speed: "Speed",
    tokens_per_second: "tokens/s",
    nats: "nats",
    time_left: "Time left",
    duration: |seconds| {
        let seconds = seconds.max(0.0).round() as u64;
        match seconds {
            0..60 => format!("{seconds} s"),
            60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
            _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        }
    },

    chart: "Loss while training",
    chart_empty: "The training loss appears here. Lower is better.",
    training: "Training",
    validation: "Validation",
    chart_summary: |steps, first, last, eval| {
        let eval = eval.map_or(String::new(), |eval| format!(" The validation loss is {eval}."));
        let steps = counted(steps, "step");
        format!("After {steps} the training loss went from {first} to {last}.{eval}")
    },
    charts: &chart::ENGLISH,

    samples: "Samples",
    before: "Before",
    now: |step| format!("Now, step {step}"),
    after: |step| format!("After {}", counted(step, "step")),
    afterwards: "After",
    sample_none: "Output of the base model.",
    sample_waiting: "Output of the fine-tuned model, updated during training.",
    sample_slider: "Samples by step",

    prompt: "Prompt",
    temperature: "Temperature",
    temperature_hint: "0: greedy decoding",
    top_p: "Top-p",
    top_p_hint: "nucleus sampling",
    max_tokens: "Max new tokens",
    max_tokens_hint: "length limit",
    as_chat: "As a chat message",
    generate: "Generate",
    cancel: "Stop generating",
    base_model: "Base model",
    tuned_model: "Fine-tuned model",
    base_empty: "Press Generate to see the output of the base model.",
    tuned_empty: "Train first to see the output of the fine-tuned model.",
    tuned_ready: "Press Generate to compare.",
    try_busy: "Generation is available after training.",
    try_none: "Load a model first",
    try_base_only: "Base model only until you train",
    try_both: "Base and fine-tuned side by side",
    generated: |tokens, speed| format!("{}, {speed} tokens/s", counted(tokens, "token")),

    export_none: "Available after training",
    export_ready: "Ready to export",

    error_title: |kind| match kind {
        Kind::Config => "Invalid setting",
        Kind::File => "A file could not be read",
        Kind::Format => "Invalid file",
        Kind::Data => "Invalid data",
        Kind::Model => "Unsupported model",
        Kind::Device => "Device error",
        Kind::OutOfMemory => "Out of memory",
        Kind::Diverged => "Training diverged",
        Kind::Stopped => "Stopped",
        Kind::Internal => "Internal error",
    },
    error_remedy: |kind| match kind {
        Kind::Config => "Correct it in step 5, or reset to defaults.",
        Kind::File => "Choose the file again; it may have been moved or changed.",
        Kind::Format => "Download the file again, or choose another one.",
        Kind::Data => "Correct the file, or choose another one in step 3.",
        Kind::Model => "Choose another model in step 2.",
        Kind::Device => "Close other tabs that use the GPU, then restart the engine.",
        Kind::OutOfMemory => "Use a smaller batch size or cutoff_len, or a smaller model.",
        Kind::Diverged => "Use a lower learning rate and train again.",
        Kind::Stopped => "Start it again when you are ready.",
        Kind::Internal => "Restart the engine. If it happens again, please report it with the text above.",
    },
    colon: ": ",
    dismiss: "Dismiss",
    note: "Note",
    privacy: "Everything runs in this tab. Models, data and adapters never leave this machine; a model from a hub is fetched only when \
        you ask for it by name.",
    credits: "The bundled texts are in the public domain.",
};
