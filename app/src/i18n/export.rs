//! The words about exports.

use lorakeet_core::protocol::{ExportForm, ExportScore, ReadBack, TensorError};

/// The words about exports, in one language.
pub struct ExportWords {
    /// Above the forms.
    pub about: &'static str,
    /// A form: what it is, and what it is for.
    pub form: fn(ExportForm) -> [&'static str; 2],
    /// Between what a form is and how large it is, by the size.
    pub size: fn(&str) -> String,
    /// The button that downloads.
    pub download: &'static str,
    /// The button that asks where to.
    pub save: &'static str,
    /// Ends the export under way.
    pub cancel: &'static str,
    /// How much is written, and of how much, where that is known.
    pub busy: fn(Option<[&str; 2]>) -> String,
    /// How much is read back, and of how much, where that is known.
    pub reading: fn(Option<[&str; 2]>) -> String,
    /// While validation rows are scored with what was read back.
    pub scoring: &'static str,
    /// The button that asks in which forms the loaded model itself can be exported, and what stands above it.
    pub model: &'static str,
    /// As above.
    pub model_hint: &'static str,
    /// Summary while that is all that there is.
    pub after_training: &'static str,
    /// Label of the number formats.
    pub format: &'static str,
    /// The number format of the base's files.
    pub as_base: &'static str,
    /// Label of the licence, and what is written without one.
    pub license: &'static str,
    /// As above.
    pub license_hint: &'static str,
    /// Behind a form whose base has the numbers that the run computed with.
    pub dequantized: &'static str,
    /// What reading back came to.
    pub read_back: fn(&ReadBack) -> String,
    /// The loss of what was read back beside the run's own.
    pub score: fn(&ExportScore) -> String,
    /// What came of it: its name, and the step of its weights with whether that is the best one.
    pub taken: fn(&str, Option<(u64, bool)>) -> String,
    /// The button that downloads the model card.
    pub card: &'static str,
    /// Above the commands that use it.
    pub use_it: &'static str,
}

/// The largest difference, and what is expected, in percent.
fn percents(found: &ReadBack) -> [String; 2] {
    let (relative, expected) = found
        .worst
        .as_ref()
        .map_or((0.0, 0.0), |worst| (worst.relative, worst.expected));
    [relative, expected].map(|share| match 100.0 * share {
        percent if percent < 0.01 => format!("{percent:.0e} %"),
        percent => format!("{percent:.2} %"),
    })
}

/// The run's loss, the export's, how far they lie apart, and how far they may.
fn losses(score: &ExportScore) -> [String; 4] {
    let (run, export) = (score.loss_of_run, score.loss_of_export);
    [run, export, (export - run).abs(), score.tolerance].map(|loss| format!("{loss:.4}"))
}

/// The English words.
pub static ENGLISH: ExportWords = ExportWords {
    about: "Choose a format. Nothing leaves this computer: the files are made here.",
    form: |form| match form {
        ExportForm::Peft => ["PEFT adapter", "The adapter for PEFT and transformers."],
        ExportForm::GgufAdapter => [
            "GGUF adapter",
            "The adapter for llama.cpp and Ollama, used together with the base model as GGUF.",
        ],
        ExportForm::Gguf => [
            "GGUF model",
            "One file with base model and adapter for llama.cpp and Ollama.",
        ],
        ExportForm::Mlx => ["MLX adapter", "The adapter for mlx-lm on Apple computers."],
        ExportForm::Merged => [
            "Merged model",
            "The whole model for transformers and what reads safetensors.",
        ],
        ExportForm::SentenceTransformers => [
            "Model for sentence-transformers",
            "The whole model with its pooling, for text embeddings.",
        ],
    },
    size: |size| format!(", about {size}"),
    download: "Download",
    save: "Save to…",
    cancel: "Cancel",
    busy: |bytes| match bytes {
        Some([done, total]) => format!("Writing: {done} of {total}"),
        None => "Preparing the files…".to_owned(),
    },
    reading: |bytes| match bytes {
        Some([done, total]) => format!("Reading the files back: {done} of {total}"),
        None => "Reading the files back…".to_owned(),
    },
    scoring: "Scoring validation rows with the files…",
    model: "Convert the loaded model",
    model_hint: "Nothing is trained yet. The loaded model can be converted to another format.",
    after_training: "After training, or the model as it is",
    format: "Number format",
    as_base: "as the base's files",
    license: "Licence for the model card",
    license_hint: "Default: the licence of the base model, if its files or its hub name one; else the card says that it is unknown.",
    dequantized: ", base dequantized as the run computed with it",
    read_back: |found| {
        let count = found.tensors;
        match (&found.worst, found.is_close()) {
            (None, _) => format!("Read back: {count} tensors."),
            (Some(worst), _) if worst.relative == 0.0 => {
                format!("Read back: {count} tensors, every number as trained.")
            }
            (Some(TensorError { name, storage, .. }), true) => {
                let [found, expected] = percents(found);
                format!(
                    "Read back: {count} tensors. The largest difference is {found} of {name}; {storage} rounds up to \
                     {expected}."
                )
            }
            (Some(TensorError { name, storage, .. }), false) => {
                let [found, expected] = percents(found);
                format!(
                    "Read back: {count} tensors. {name} differs by {found}, and {storage} should round no more than \
                     {expected}."
                )
            }
        }
    },
    score: |score| {
        let [run, export, difference, tolerance] = losses(score);
        let rows = match score.rows == score.held_out {
            true => format!("{} validation rows", score.rows),
            false => format!("the first {} of {} validation rows", score.rows, score.held_out),
        };
        let verdict = match score.is_close() {
            true => "within",
            false => "beyond",
        };
        format!(
            "Loss on {rows}: {export} with the files, {run} in this page. The difference of {difference} is {verdict} the \
             {tolerance} that is expected."
        )
    },
    taken: |name, step| match step {
        Some((step, true)) => format!("Exported as {name}. Weights of step {step}, which scored best."),
        Some((step, false)) => format!("Exported as {name}. Weights of step {step}, the last."),
        None => format!("Exported as {name}."),
    },
    card: "Download the model card",
    use_it: "Use it with:",
};

/// 中文文案。
pub static CHINESE: ExportWords = ExportWords {
    about: "请选择形式。文件在本机生成，不会上传。",
    form: |form| match form {
        ExportForm::Peft => ["PEFT 适配器", "用于 PEFT 和 transformers 的适配器。"],
        ExportForm::GgufAdapter => [
            "GGUF 适配器",
            "用于 llama.cpp 和 Ollama 的适配器，需与 GGUF 格式的基座模型一起使用。",
        ],
        ExportForm::Gguf => [
            "GGUF 模型",
            "基座模型与适配器合并为一个文件，用于 llama.cpp 和 Ollama。",
        ],
        ExportForm::Mlx => ["MLX 适配器", "用于苹果电脑上 mlx-lm 的适配器。"],
        ExportForm::Merged => [
            "合并后的模型",
            "完整模型，用于 transformers 和其他读取 safetensors 的程序。",
        ],
        ExportForm::SentenceTransformers => ["sentence-transformers 模型", "完整模型，并包含生成文本向量所需的模块。"],
    },
    size: |size| format!("，约 {size}"),
    download: "下载",
    save: "保存到…",
    cancel: "取消",
    busy: |bytes| match bytes {
        Some([done, total]) => format!("正在写入：{done} / {total}"),
        None => "正在准备文件…".to_owned(),
    },
    reading: |bytes| match bytes {
        Some([done, total]) => format!("正在读回文件：{done} / {total}"),
        None => "正在读回文件…".to_owned(),
    },
    scoring: "正在用导出的文件在验证样本上评估…",
    model: "转换已加载的模型",
    model_hint: "还没有训练。可以将已加载的模型按原样写成其他形式和数值格式。",
    after_training: "训练之后可导出，也可转换原模型",
    format: "数值格式",
    as_base: "与基座文件相同",
    license: "模型卡中的许可证",
    license_hint: "留空时，若基座模型的文件或其所在平台注明了许可证，则使用该许可证；否则模型卡会注明许可证未知。",
    dequantized: "，基座按训练时的数值反量化",
    read_back: |found| {
        let count = found.tensors;
        match (&found.worst, found.is_close()) {
            (None, _) => format!("已读回：{count} 个张量。"),
            (Some(worst), _) if worst.relative == 0.0 => format!("已读回：{count} 个张量，所有数值与训练结果一致。"),
            (Some(TensorError { name, storage, .. }), true) => {
                let [found, expected] = percents(found);
                format!("已读回：{count} 个张量。最大差异为 {name} 的 {found}；{storage} 的舍入不超过 {expected}。")
            }
            (Some(TensorError { name, storage, .. }), false) => {
                let [found, expected] = percents(found);
                format!("已读回：{count} 个张量。{name} 的差异为 {found}，而 {storage} 的舍入应不超过 {expected}。")
            }
        }
    },
    score: |score| {
        let [run, export, difference, tolerance] = losses(score);
        let rows = match score.rows == score.held_out {
            true => format!("{} 行验证数据", score.rows),
            false => format!("前 {} 行验证数据（共 {} 行）", score.rows, score.held_out),
        };
        let verdict = match score.is_close() {
            true => "在",
            false => "超出",
        };
        let within = match score.is_close() {
            true => "以内",
            false => "",
        };
        format!(
            "{rows}上的损失：导出的文件为 {export}，本页面中为 {run}。差异 {difference} {verdict}预期的 {tolerance}{within}。"
        )
    },
    taken: |name, step| match step {
        Some((step, true)) => format!("已导出为 {name}。权重来自第 {step} 步（评分最好）。"),
        Some((step, false)) => format!("已导出为 {name}。权重来自第 {step} 步（最后一步）。"),
        None => format!("已导出为 {name}。"),
    },
    card: "下载模型卡",
    use_it: "使用方法：",
};
