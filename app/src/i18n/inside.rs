//! The words about pictures that explain; their titles, sentences and tables are `lorakeet_lab::pictures`'.

use lorakeet_core::protocol::PictureKind;

/// The words about pictures, in one language.
pub struct InsideWords {
    /// Heading.
    pub title: &'static str,
    /// What is there.
    pub hint: &'static str,
    /// A picture's name.
    pub name: fn(PictureKind) -> &'static str,
    /// What it shows.
    pub about: fn(PictureKind) -> &'static str,
    /// When it can be made.
    pub condition: fn(PictureKind) -> &'static str,
    /// There is no model yet.
    pub no_model: &'static str,
    /// There is no adapter yet.
    pub no_adapter: &'static str,
    /// A run is under way.
    pub under_way: &'static str,
    /// Drawn during a run only.
    pub run_only: &'static str,
    /// The button.
    pub draw: &'static str,
    /// While the engine works on it.
    pub drawing: &'static str,
    /// The checkbox.
    pub follow: &'static str,
    /// Label of a field.
    pub text: &'static str,
    /// Label of a field.
    pub module: &'static str,
    /// What can be written there.
    pub module_hint: &'static str,
    /// Label of a field.
    pub layer: &'static str,
    /// Label of a field.
    pub head: &'static str,
    /// Label of a field.
    pub format: &'static str,
    /// Label of the slider through the steps.
    pub slider: &'static str,
    /// The place of a picture, for the slider: its step, or as the model is now.
    pub at: fn(Option<usize>) -> String,
}

/// The English words.
pub static ENGLISH: InsideWords = InsideWords {
    title: "Look inside",
    hint: "Pictures of what the model computes and of what training changes. Nothing is computed until you ask for it.",
    name: |kind| match kind {
        PictureKind::Tokens => "Token probabilities",
        PictureKind::LoraUpdate => "LoRA update",
        PictureKind::Attention => "Attention",
        PictureKind::LossSurface => "Loss surface",
        PictureKind::PackedWeights => "Quantized weights",
        PictureKind::Units => "Hidden units",
        PictureKind::LayerUpdates => "LoRA updates by layer",
    },
    about: |kind| match kind {
        PictureKind::Tokens => {
            "How likely each token of a sentence is given those before it: base model against tuned model."
        }
        PictureKind::LoraUpdate => {
            "What the adapter adds to one weight matrix, ΔW = s·B·A. It is zero before training."
        }
        PictureKind::Attention => {
            "How much each token of a sentence attends to the tokens before it, in one head of one layer."
        }
        PictureKind::LossSurface => "The loss over the two weights of a model, and the path of the optimizer.",
        PictureKind::PackedWeights => "A corner of a weight matrix beside the same weights in fewer bits.",
        PictureKind::Units => "The activation of each hidden unit over the inputs.",
        PictureKind::LayerUpdates => {
            "How much the adapters have changed each weight matrix, ‖ΔW‖ / ‖W‖, by layer and module: where the model learns most."
        }
    },
    condition: |kind| match kind {
        PictureKind::Tokens => "Needs a decoder that generates text, such as the bundled model.",
        PictureKind::LoraUpdate | PictureKind::LayerUpdates => "Needs finetuning_type: lora.",
        PictureKind::Attention => "Needs a language model; the small models have no attention over a text.",
        PictureKind::LossSurface => {
            "Needs a model of exactly two weights: small_mlp with num_hidden_layers: 0, on one column of numbers \
            with one number to predict."
        }
        PictureKind::PackedWeights => "The loaded model has no linear layers.",
        PictureKind::Units => "Needs small_mlp with a hidden layer, on one or two columns of numbers.",
    },
    no_model: "Load a model first.",
    no_adapter: "Train first: there is no adapter yet.",
    under_way: "During a run, only pictures that follow it are drawn.",
    run_only: "Drawn at the start and at the end of a run that follows it.",
    draw: "Draw now",
    drawing: "Drawing…",
    follow: "Follow during the next run",
    text: "Sentence",
    module: "Module",
    module_hint: "A module's path or its end: q_proj is the first one, layers.1.self_attn.q_proj that of the second layer.",
    layer: "Layer",
    head: "Head",
    format: "Format",
    slider: "Step of the run",
    at: |step| match step {
        Some(0) => "Before training".into(),
        Some(step) => format!("After step {step}"),
        None => "Now".into(),
    },
};

/// 中文文案。
pub static CHINESE: InsideWords = InsideWords {
    title: "观察模型内部",
    hint: "用图展示模型的计算过程，以及训练改变了什么。只有在你要求时才会计算。",
    name: |kind| match kind {
        PictureKind::Tokens => "token 概率",
        PictureKind::LoraUpdate => "LoRA 更新量",
        PictureKind::Attention => "注意力",
        PictureKind::LossSurface => "损失曲面",
        PictureKind::PackedWeights => "量化权重",
        PictureKind::Units => "隐藏单元",
        PictureKind::LayerUpdates => "各层的 LoRA 更新量",
    },
    about: |kind| match kind {
        PictureKind::Tokens => "给定前文时，句子中每个 token 的概率：基座模型与微调后的模型对比。",
        PictureKind::LoraUpdate => "适配器给一个权重矩阵加上了什么：ΔW = s·B·A。训练前为零。",
        PictureKind::Attention => "在某一层的某个注意力头中，句子里的每个 token 对前面各 token 的注意力权重。",
        PictureKind::LossSurface => "模型的两个权重上的损失，以及优化器走过的路径。",
        PictureKind::PackedWeights => "权重矩阵的一角，以及同样的权重用更少位数表示的结果。",
        PictureKind::Units => "每个隐藏单元在不同输入下的激活值。",
        PictureKind::LayerUpdates => {
            "适配器使每个权重矩阵改变了多少（‖ΔW‖ / ‖W‖），按层和模块显示：看模型主要在哪里学习。"
        }
    },
    condition: |kind| match kind {
        PictureKind::Tokens => "需要能生成文本的解码器模型，例如自带的模型。",
        PictureKind::LoraUpdate | PictureKind::LayerUpdates => "需要 finetuning_type: lora。",
        PictureKind::Attention => "需要语言模型；小模型没有对文本的注意力。",
        PictureKind::LossSurface => {
            "需要恰好只有两个权重的模型：num_hidden_layers: 0 的 small_mlp，数据为一列数字，预测一个数字。"
        }
        PictureKind::PackedWeights => "已加载的模型没有线性层。",
        PictureKind::Units => "需要带隐藏层的 small_mlp，数据为一列或两列数字。",
    },
    no_model: "请先加载模型。",
    no_adapter: "请先训练：目前还没有适配器。",
    under_way: "训练进行中，只绘制已选择跟踪的图。",
    run_only: "在训练开始和结束时绘制，需先选择跟踪。",
    draw: "立即绘制",
    drawing: "正在绘制…",
    follow: "在下次训练中跟踪",
    text: "句子",
    module: "模块",
    module_hint: "模块的路径或其结尾：q_proj 表示第一个，layers.1.self_attn.q_proj 表示第二层的那个。",
    layer: "层",
    head: "注意力头",
    format: "格式",
    slider: "训练步数",
    at: |step| match step {
        Some(0) => "训练前".into(),
        Some(step) => format!("第 {step} 步后"),
        None => "现在".into(),
    },
};
