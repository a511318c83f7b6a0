//! 简体中文。

use super::Words;
use super::tasks;
use lorakeet_core::config::Group;
use lorakeet_core::error::Kind;
use lorakeet_core::protocol::DeviceChoice;

/// 中文文案。
pub static WORDS: Words = Words {
    tagline: "在这个标签页里，用你自己的显卡微调小语言模型。无需安装，也不上传任何东西。",
    language: "语言",
    theme: "外观",
    theme_auto: "跟随系统",
    theme_light: "浅色",
    theme_dark: "深色",
    skip_to_train: "跳到训练",

    device_unknown: "正在查找设备…",
    device_switch: "设备",
    device_choice: |choice| match choice {
        DeviceChoice::Auto => "最佳设备",
        DeviceChoice::Gpu => "GPU",
        DeviceChoice::Cpu => "CPU",
    },
    device: "运行于",
    device_cpu: "CPU",
    engine_loading: |share, bytes| match share {
        Some(share) => format!("正在加载引擎：代码已下载 {share}%"),
        None => format!("正在加载引擎：{bytes}"),
    },
    engine_starting: "正在启动引擎…",
    engine_failed: "引擎已停止",
    engine_failed_remedy: "请重新启动：模型和数据会再次载入。尚未下载的适配器会丢失。",
    restart_engine: "重新启动引擎",

    tasks: &tasks::CHINESE,

    model: "模型",
    data: "数据",
    settings: "设置",
    train: "训练",
    try_it: "试一试",
    take_home: "带走成果",
    step_ready: "已完成",
    step_busy: "进行中",
    step_waiting: "尚未开始",
    step_failed: "失败",

    model_none: "请选择模型",
    model_loading: |share| match share {
        Some(share) => format!("正在载入：{share}%"),
        None => "正在载入…".into(),
    },
    model_summary: |name, parameters, memory| format!("{name}：{parameters} 个参数，{memory}"),
    model_small: "从零开始的小模型",
    model_small_about: "适合数值表格、时间序列和带标签的短文本。它起初一无所知，所有权重都参与训练。",
    small_model: |name| {
        match name {
            "small_mlp" => "感知机（small_mlp）",
            "small_vit" => "视觉 Transformer（small_vit）",
            "small_series" => "时间序列 Transformer（small_series）",
            "small_rnn" => "循环网络（small_rnn）",
            "small_lstm" => "LSTM（small_lstm）",
            "small_gru" => "GRU（small_gru）",
            other => other,
        }
        .into()
    },
    model_bundled: "本页自带的小模型",
    model_bundled_about: "一个 Llama 结构的模型，只有几百万个权重，只读过简·奥斯汀的小说。小到可以当面看着它改变。",
    model_drop: "把 GGUF 文件或 Hugging Face 文件夹拖到这里",
    model_drop_hint: "文件夹需要 config.json、tokenizer.json 和 .safetensors 文件。支持 Llama、SmolLM2、Qwen2、Qwen3、GPT-2、BERT、RoBERTa、DistilBERT、MiniLM 和 T5。文件不会离开这台电脑。",
    choose_files: "选择文件",
    choose_folder: "选择文件夹",
    architecture: "结构",
    parameters: "参数量",
    weights_memory: "权重占用内存",
    tab_memory: "标签页内引擎占用",
    weights_memory_value: |bytes, each| format!("{bytes}（每个参数 {each} 字节）"),
    storage: "存储类型",
    shape: "形状",
    shape_value: |layers, width| format!("{layers} 层，宽 {width}"),
    vocabulary: "词表",
    longest_row: "最长文本",
    tokens: |n| format!("{n} 个词元"),
    chat_template: "对话模板",
    yes: "有",
    no: "无",

    data_none: "请选择要学习的内容",
    data_loading: "正在读取数据…",
    data_summary: |rows, form| format!("{rows} 行，{form}"),
    data_form: |form| {
        match form {
            "text" => "纯文本",
            "alpaca" => "指令与回答",
            "messages" | "sharegpt" => "对话",
            "prompt_completion" => "提示与续写",
            "numbers" => "数值行",
            other => other,
        }
        .into()
    },
    data_bundled: "本页自带的文本",
    data_drop: "把 .txt、.jsonl、.json、.csv 或 .ts 文件拖到这里",
    data_drop_hint: "纯文本；或每行含有 prompt 与 completion、instruction 与 output、messages；text 与 label；query、document 与 grade；prompt、chosen 与 rejected；或数值列加一个标签列。",
    columns: "列",
    source: "来源",
    preview: "模型看到的样子",
    preview_legend: "带下划线的词元用于学习，其余只用于阅读。",
    preview_trained: "用于学习",
    preview_read: "只阅读",
    preview_none: "载入模型和数据后，这里会逐个词元显示前几条样本。",
    example: |n| format!("样本 {n}"),
    example_tokens: |all, trained| format!("{all} 个词元，其中 {trained} 个用于学习"),
    truncated: "已在 cutoff_len 处截断",

    memory: |peak, base, each| match peak {
        Some(peak) => format!("这次训练的内存峰值约为 {peak}，其中基础模型 {base}（每个参数 {each} 字节）。"),
        None => format!("基础模型将占用 {base} 内存（每个参数 {each} 字节）。这个模型的训练内存峰值未知。"),
    },
    memory_too_much: |available| {
        format!(
            "这超过了此设备能提供的 {available}。请减小 per_device_train_batch_size 或 cutoff_len，或换用更小的模型。"
        )
    },
    settings_summary: |rate, rank, length| match rank {
        Some(rank) => format!("学习率 {rate}，秩 {rank}，{length}"),
        None => format!("学习率 {rate}，全部权重，{length}"),
    },
    group: |group| match group {
        Group::Model => "模型",
        Group::Data => "数据",
        Group::Adapter => "适配器",
        Group::Training => "训练",
        Group::Schedule => "学习率进程",
        Group::Output => "记录与评估",
    },
    more_settings: "更多设置",
    reset_settings: "恢复初始值",
    default_value: |value| format!("初始值：{value}"),
    not_set: "未设置",
    run_file: "运行文件",
    run_file_hint: "在命令行里跑同样的训练：lorakeet train run.yaml。可以在这里修改后按“应用”，也可以打开你自己的文件。",
    copy: "复制",
    copied: "已复制",
    save_file: "保存为 run.yaml",
    apply: "应用",
    import: "打开运行文件",
    applied: "已应用",

    train_now: "开始训练",
    train_again: "再次训练",
    pause: "暂停",
    resume: "继续",
    stop: "停止",
    sample_prompt: "让模型续写的开头",
    sample_prompt_hint: "训练前、训练中和训练后，模型都会续写这段话，变化一目了然。",
    status_loading: "正在准备…",
    status_need_model: "请先在第 2 步选择模型。",
    status_need_data: "请先在第 3 步选择数据。",
    status_bad_settings: "第 4 步里有一项设置无法使用。",
    status_ready: "一切就绪。按下“开始训练”，看损失下降。",
    status_starting: "正在准备训练…",
    status_running: "训练中",
    status_evaluating: "正在评估验证集…",
    status_pausing: "本步结束后暂停…",
    status_paused: |step| format!("已在第 {step} 步之后暂停"),
    status_stopping: "本步结束后停止…",
    status_done: |steps, time| format!("完成：{steps} 步，用时 {time}"),
    status_stopped: |steps| format!("已在第 {steps} 步之后停止，适配器已保留。"),
    status_failed: "训练因错误而结束。",
    status_generating: "正在书写…",
    change: |before, after| format!("验证损失 {before} → {after}"),
    trainable: |some, all| format!("{all} 个权重中训练 {some} 个"),
    split: |train, eval| format!("{train} 条用于学习，{eval} 条留作验证"),

    steps: |n| format!("{n} 步"),
    epochs: |n| format!("{n} 轮"),
    step: "步数",
    loss: "损失",
    validation_loss: "验证",
    learning_rate: "学习率",
    grad_norm: "梯度范数",
    speed: "速度",
    tokens_per_second: "词元/秒",
    nats: "奈特",
    time_left: "剩余时间",
    duration: |seconds| {
        let seconds = seconds.max(0.0).round() as u64;
        match seconds {
            0..60 => format!("{seconds} 秒"),
            60..3600 => format!("{} 分 {:02} 秒", seconds / 60, seconds % 60),
            _ => format!("{} 小时 {:02} 分", seconds / 3600, seconds / 60 % 60),
        }
    },

    chart: "训练中的损失",
    chart_empty: "损失会在这里逐步画出，越低越好。",
    training: "训练",
    validation: "验证",
    chart_summary: |steps, first, last, eval| {
        let eval = eval.map_or(String::new(), |eval| format!("验证损失为 {eval}。"));
        format!("经过 {steps} 步，训练损失从 {first} 变为 {last}。{eval}")
    },

    samples: "同一个开头，不同的续写",
    before: "训练前",
    now: |step| format!("现在，第 {step} 步"),
    after: |step| format!("{step} 步之后"),
    afterwards: "训练后",
    sample_none: "这里显示未训练的模型写出的文字。",
    sample_waiting: "这里显示训练后的模型写出的文字，会随学习而变化。",
    sample_slider: "回看各步的续写",

    prompt: "提示",
    temperature: "温度",
    temperature_hint: "0 表示总取最可能的词元",
    top_p: "Top-p",
    top_p_hint: "保留累计概率以内的词元",
    max_tokens: "词元数",
    max_tokens_hint: "最多",
    as_chat: "作为对话消息",
    generate: "书写",
    cancel: "停止书写",
    base_model: "原模型",
    tuned_model: "微调后",
    base_empty: "按“书写”看看原模型怎么说。",
    tuned_empty: "请先训练，微调后的模型会在这里回答。",
    tuned_ready: "按“书写”进行比较。",
    try_busy: "设备正在训练，训练结束后才能书写。",
    try_none: "需要先有模型",
    try_base_only: "训练之前只有原模型",
    try_both: "原模型与微调后并排比较",
    generated: |tokens, speed| format!("{tokens} 个词元，每秒 {speed} 个"),

    home_none: "训练之后，这里有你的适配器",
    home_ready: "你的适配器已就绪",
    download_adapter: "下载适配器",
    home_about: "PEFT 格式的 LoRA 适配器：训练得到的少量权重，以及说明它们位置的文件。",
    home_use: "解压到一个文件夹，然后：",
    home_files: "或者单独下载：",
    home_busy: "正在收集权重…",

    error_title: |kind| match kind {
        Kind::Config => "这项设置无法使用",
        Kind::File => "无法读取文件",
        Kind::Format => "文件内容与其格式不符",
        Kind::Data => "这份数据无法使用",
        Kind::Model => "这个模型无法使用",
        Kind::Device => "设备无法使用",
        Kind::OutOfMemory => "内存不足",
        Kind::Diverged => "训练发散了",
        Kind::Internal => "引擎内部出错",
    },
    error_remedy: |kind| match kind {
        Kind::Config => "请在第 4 步改正，或恢复初始值。",
        Kind::File => "请重新选择文件；它可能被移动或修改了。",
        Kind::Format => "请重新下载该文件，或换一个文件。",
        Kind::Data => "请修正文件，或在第 3 步换一份数据。",
        Kind::Model => "请在第 2 步换一个模型。",
        Kind::Device => "请关闭其他占用显卡的标签页，然后重新启动引擎。",
        Kind::OutOfMemory => "请减小批大小或 cutoff_len，或换更小的模型。",
        Kind::Diverged => "请降低学习率后再次训练。",
        Kind::Internal => "请重新启动引擎。如果再次发生，请附上以上文字反馈。",
    },
    error_place: |file, row, field| {
        let row = row.map(|row| format!("第 {row} 行"));
        let parts: Vec<&str> = [file, row.as_deref(), field].into_iter().flatten().collect();
        parts.join("，")
    },
    dismiss: "知道了",
    note: "提示",
    privacy: "一切都在这个标签页里进行。模型、文本和适配器都不会离开这台电脑。",
    credits: "自带文本均属公有领域。",
};
