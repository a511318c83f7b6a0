//! English.

use super::Words;
use super::tasks;
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

    device_unknown: "Looking for a device…",
    device_switch: "Device",
    device_choice: |choice| match choice {
        DeviceChoice::Auto => "Best device",
        DeviceChoice::Gpu => "GPU",
        DeviceChoice::Cpu => "CPU",
    },
    device: "Runs on",
    device_cpu: "CPU",
    engine_loading: |share, bytes| match share {
        Some(share) => format!("Loading the engine: {share}% of its code"),
        None => format!("Loading the engine: {bytes}"),
    },
    engine_starting: "Starting the engine…",
    engine_failed: "The engine stopped",
    engine_failed_remedy: "Restart it: the model and the data are loaded again. An adapter that was not downloaded is lost.",
    restart_engine: "Restart the engine",

    tasks: &tasks::ENGLISH,

    model: "Model",
    data: "Data",
    settings: "Settings",
    train: "Train",
    try_it: "Try it",
    take_home: "Take it home",
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
    model_small: "A small model from fresh weights",
    model_small_about: "For tables of numbers, time series and short texts with labels. It knows nothing yet; every weight is trained.",
    small_model: |name| {
        match name {
            "small_mlp" => "Perceptron (small_mlp)",
            "small_vit" => "Vision transformer (small_vit)",
            "small_series" => "Transformer over a time series (small_series)",
            "small_rnn" => "Recurrent network (small_rnn)",
            "small_lstm" => "LSTM (small_lstm)",
            "small_gru" => "GRU (small_gru)",
            other => other,
        }
        .into()
    },
    model_bundled: "The tiny model of this page",
    model_bundled_about: "A Llama-shaped model with a few million weights that has read Jane Austen's novels and nothing \
        else. Small enough to change before your eyes.",
    model_drop: "Drop a GGUF file here, or a Hugging Face folder",
    model_drop_hint: "A folder needs config.json, tokenizer.json and its .safetensors files. Llama, SmolLM2, Qwen2, Qwen3, \
        GPT-2, BERT, RoBERTa, DistilBERT, MiniLM and T5 are understood. The files stay on this machine.",
    choose_files: "Choose files",
    choose_folder: "Choose a folder",
    architecture: "Architecture",
    parameters: "Parameters",
    weights_memory: "Weights in memory",
    tab_memory: "Engine in the tab",
    weights_memory_value: |bytes, each| format!("{bytes} ({each} bytes a parameter)"),
    storage: "Stored as",
    shape: "Shape",
    shape_value: |layers, width| format!("{layers} layers, {width} wide"),
    vocabulary: "Vocabulary",
    longest_row: "Longest text",
    tokens: |n| format!("{n} tokens"),
    chat_template: "Chat template",
    yes: "yes",
    no: "no",

    data_none: "Choose what it should learn from",
    data_loading: "Reading the data…",
    data_summary: |rows, form| match rows.as_str() {
        "1" => format!("1 row, {form}"),
        _ => format!("{rows} rows, {form}"),
    },
    data_form: |form| {
        match form {
            "text" => "plain text",
            "alpaca" => "instructions and answers",
            "messages" | "sharegpt" => "conversations",
            "prompt_completion" => "prompts and completions",
            "numbers" => "rows of numbers",
            other => other,
        }
        .into()
    },
    data_bundled: "Texts that come with this page",
    data_drop: "Drop a .txt, .jsonl, .json, .csv or .ts file here",
    data_drop_hint: "Plain text, or rows with prompt and completion, instruction and output, or messages; text and label; query, document \
        and grade; prompt, chosen and rejected; columns of numbers and a label. Images in the IDX format: their file and that of \
        their labels, both at once.",
    validation_file: "Validation file (optional)",
    validation_drop: "Drop a validation file here",
    validation_hint: "Without one, a part of the training data is held out (val_size). A file of the same form is scored in its \
        place.",
    validation_given: "The run is scored on this file. Nothing of the training data is held out: val_size has no effect.",
    validation_problem: "This file cannot be scored in this run",
    validation_wanted: |name| format!("The run file names a validation file, {name}: give it in step 3."),
    remove: "Remove",
    val_size_idle: "No effect: a validation file is given in step 3.",
    columns: "Columns",
    source: "Source",
    preview: "As the model will see it",
    preview_legend: "Underlined tokens are learnt from; the others are only read.",
    preview_trained: "learnt from",
    preview_read: "only read",
    preview_none: "The first examples appear here, token by token, once a model and data are loaded.",
    example: |n| format!("Example {n}"),
    example_tokens: |all, trained| format!("{all} tokens, {trained} learnt from"),
    truncated: "cut at cutoff_len",

    memory: |peak, base, each| match peak {
        Some(peak) => format!(
            "The run will take about {peak} of memory at its peak, of which the base {base} ({each} bytes a parameter)."
        ),
        None => format!(
            "The base will take {base} of memory ({each} bytes a parameter). What a run takes at its peak is not known for \
             this model."
        ),
    },
    memory_too_much: |available| {
        format!(
            "That is more than the {available} that this device can give. Lower per_device_train_batch_size or cutoff_len, or \
             take a smaller model."
        )
    },
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
        Group::Output => "Reports",
    },
    more_settings: "More settings",
    reset_settings: "Back to the start values",
    default_value: |value| format!("Start value: {value}"),
    not_set: "not set",
    run_file: "Run file",
    run_file_hint: "The same run for the command line: lorakeet train run.yaml. Edit it here and press Apply, or open one of yours.",
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
    sample_prompt: "Text to continue",
    sample_prompt_hint: "The model continues this before, during and after training, so that the change can be read.",
    status_loading: "Getting ready…",
    status_need_model: "Choose a model in step 2.",
    status_need_data: "Choose data in step 3.",
    status_bad_settings: "One of the settings in step 4 cannot be used.",
    status_ready: "Ready. Press Train and watch the loss fall.",
    status_starting: "Preparing the run…",
    status_running: "Training",
    status_evaluating: "Scoring the validation texts…",
    status_pausing: "Pausing after this step…",
    status_paused: |step| format!("Paused after step {step}"),
    status_stopping: "Stopping after this step…",
    status_done: |steps, time| format!("Done: {steps} steps in {time}"),
    status_stopped: |steps| format!("Stopped after step {steps}. The adapter so far is kept."),
    status_failed: "The run ended with an error.",
    status_generating: "Writing…",
    change: |before, after| format!("Validation loss {before} → {after}"),
    trainable: |some, all| format!("{some} of {all} weights are trained"),
    split: |train, eval| format!("{train} examples to learn from, {eval} held out"),

    steps: |n| format!("{n} steps"),
    epochs: |n| format!("{n} epochs"),
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
    chart_empty: "The loss is drawn here, step by step. Lower is better.",
    training: "Training",
    validation: "Validation",
    chart_summary: |steps, first, last, eval| {
        let eval = eval.map_or(String::new(), |eval| format!(" The validation loss is {eval}."));
        format!("After {steps} steps the training loss went from {first} to {last}.{eval}")
    },

    samples: "The same beginning, continued",
    before: "Before",
    now: |step| format!("Now, step {step}"),
    after: |step| format!("After {step} steps"),
    afterwards: "After",
    sample_none: "What the untouched model writes appears here.",
    sample_waiting: "What the trained model writes appears here, and changes as it learns.",
    sample_slider: "Look back through the steps",

    prompt: "Prompt",
    temperature: "Temperature",
    temperature_hint: "0 always takes the likeliest token",
    top_p: "Top-p",
    top_p_hint: "keep the likeliest tokens up to this sum",
    max_tokens: "Tokens",
    max_tokens_hint: "at most",
    as_chat: "As a chat message",
    generate: "Write",
    cancel: "Stop writing",
    base_model: "Base model",
    tuned_model: "Tuned model",
    base_empty: "Press Write to see what the untouched model says.",
    tuned_empty: "Train first; then the tuned model answers here.",
    tuned_ready: "Press Write to compare.",
    try_busy: "The device is busy training. Writing is possible when the run is over.",
    try_none: "Needs a model",
    try_base_only: "Base model only, until you train",
    try_both: "Base and tuned, side by side",
    generated: |tokens, speed| format!("{tokens} tokens, {speed} tokens/s"),

    home_none: "Your adapter, once you have trained",
    home_ready: "Your adapter is ready",
    download_adapter: "Download the adapter",
    home_about: "A LoRA adapter in PEFT's format: the few weights that were trained, and a file that says where they belong.",
    home_use: "Unpack it into a folder, then:",
    home_files: "Or one by one:",
    home_busy: "Collecting the weights…",

    error_title: |kind| match kind {
        Kind::Config => "This setting cannot be used",
        Kind::File => "A file could not be read",
        Kind::Format => "This file is not what its format promises",
        Kind::Data => "This data cannot be used",
        Kind::Model => "This model cannot be used",
        Kind::Device => "The device cannot be used",
        Kind::OutOfMemory => "The memory is not enough",
        Kind::Diverged => "The training diverged",
        Kind::Internal => "Something broke in the engine",
    },
    error_remedy: |kind| match kind {
        Kind::Config => "Correct it in step 4, or go back to the start values.",
        Kind::File => "Choose the file again; it may have been moved or changed.",
        Kind::Format => "Download the file again, or choose another one.",
        Kind::Data => "Correct the file, or choose another one in step 3.",
        Kind::Model => "Choose another model in step 2.",
        Kind::Device => "Close other tabs that use the GPU, then restart the engine.",
        Kind::OutOfMemory => "Use a smaller batch size or cutoff_len, or a smaller model.",
        Kind::Diverged => "Use a lower learning rate and train again.",
        Kind::Internal => "Restart the engine. If it happens again, please report it with the text above.",
    },
    error_place: |file, row, field| {
        let row = row.map(|row| format!("row {row}"));
        let parts: Vec<&str> = [file, row.as_deref(), field].into_iter().flatten().collect();
        parts.join(", ")
    },
    dismiss: "Dismiss",
    note: "Note",
    privacy: "Everything happens in this tab. Models, texts and adapters never leave this machine.",
    credits: "The bundled texts are in the public domain.",
};
