//! The words about exports.

use lorakeet_core::protocol::ExportForm;

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
    /// What came of it: its name, and the step of its weights with whether that is the best one.
    pub taken: fn(&str, Option<(u64, bool)>) -> String,
    /// The button that downloads the model card.
    pub card: &'static str,
    /// Above the commands that use it.
    pub use_it: &'static str,
}

/// The English words.
pub static ENGLISH: ExportWords = ExportWords {
    about: "Choose a form. Nothing leaves this computer: the files are made here.",
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
    taken: |name, step| match step {
        Some((step, true)) => format!("已导出为 {name}。权重来自第 {step} 步（评分最好）。"),
        Some((step, false)) => format!("已导出为 {name}。权重来自第 {step} 步（最后一步）。"),
        None => format!("已导出为 {name}。"),
    },
    card: "下载模型卡",
    use_it: "使用方法：",
};
