//! The words about files that are looked into or compared, and about adapters that no run here trained.

use super::counted;
use lorakeet_core::protocol::FileKind;

/// The words about files, in one language.
pub struct FileWords {
    /// Title of the section.
    pub title: &'static str,
    /// What it is for, one line.
    pub about: &'static str,
    /// Heading, drop zone and hint of looking into files.
    pub inspect: [&'static str; 3],
    /// What files are.
    pub kind: fn(FileKind) -> &'static str,
    /// Names of facts: kind, number of tensors, stored as, files, other files.
    pub facts: [&'static str; 5],
    /// What is stored in a number format: its name, tensors, numbers, bytes.
    pub stored_as: fn(&str, usize, &str, &str) -> String,
    /// Names of an adapter's facts: modules, rank, alpha, scale, DoRA, saved whole, base.
    pub adapter_facts: [&'static str; 7],
    /// The modules that an adapter is on: how many, and their names.
    pub modules: fn(usize, &str) -> String,
    /// A number that only some of the modules have.
    pub of_modules: fn(&str, usize) -> String,
    /// Title of the fold with settings and metadata.
    pub said: &'static str,
    /// Title of the fold with tensors.
    pub tensors: fn(usize) -> String,
    /// Columns of that table: name, count, shape, number format, size.
    pub tensor_columns: [&'static str; 5],
    /// Whether each tensor is a row.
    pub each: &'static str,
    /// So many rows are left out.
    pub more: fn(usize) -> String,

    /// Heading of the comparison, and what it does.
    pub compare: [&'static str; 2],
    /// Drop zones of both sides.
    pub sides: [&'static str; 2],
    /// What may be dropped there.
    pub side_hint: &'static str,
    /// While files are compared.
    pub comparing: &'static str,
    /// Ends it.
    pub cancel: &'static str,
    /// Nothing differs.
    pub same: &'static str,
    /// All in one: relative, distance, both norms.
    pub total: fn(&str, &str, [&str; 2]) -> String,
    /// Captions of the tables: by layer, by module of adapters or tensor of models.
    pub by: [&'static str; 3],
    /// The column of names, for each of these tables.
    pub part: [&'static str; 3],
    /// What is in no layer.
    pub no_layer: &'static str,
    /// A change of what was 0.
    pub from_zero: &'static str,
    /// Only one side has these: which side, the names.
    pub only_in: fn(&str, &str) -> String,
    /// Why a tensor is not compared: its name and both shapes, or its number format and whether the bytes are the same.
    pub other_shapes: fn(&str, &str, &str) -> String,
    /// As above.
    pub no_floats: fn(&str, &str, bool) -> String,

    /// Heading, drop zone and hint of an adapter for the loaded model.
    pub adapter: [&'static str; 3],
    /// While it is loaded.
    pub loading: &'static str,
    /// What the model can be used for now.
    pub is_on: &'static str,
    /// Names of facts: head, labels.
    pub head: [&'static str; 2],
    /// Scores it.
    pub score: &'static str,
    /// Takes it away.
    pub take_away: &'static str,
}

/// The English words.
pub static ENGLISH: FileWords = FileWords {
    title: "Files",
    about: "Inspect or compare models and adapters",
    inspect: [
        "Look into files",
        "Drop a model, an adapter, a checkpoint or a GGUF file",
        "The headers are read, and the whole of an adapter: architecture, tensors, number formats, rank and scale.",
    ],
    kind: |kind| match kind {
        FileKind::Model => "a model in Hugging Face's layout",
        FileKind::Gguf => "a model as a GGUF file",
        FileKind::Adapter => "an adapter of PEFT",
        FileKind::GgufAdapter => "an adapter of llama.cpp (GGUF)",
        FileKind::MlxAdapter => "an adapter of mlx-lm",
        FileKind::Tensors => "tensors without a config.json",
    },
    facts: ["What it is", "Tensors", "Stored as", "Files", "Other files"],
    stored_as: |format, tensors, numbers, bytes| {
        format!("{format}: {bytes}, {} of {numbers} numbers", counted(tensors, "tensor"))
    },
    adapter_facts: [
        "Adapter on",
        "Rank",
        "Alpha",
        "Scale (alpha / rank)",
        "DoRA",
        "Saved whole",
        "Base",
    ],
    modules: |count, names| format!("{}: {names}", counted(count, "module")),
    of_modules: |value, modules| format!("{value} ({})", counted(modules, "module")),
    said: "Settings and metadata",
    tensors: |count| format!("Tensors ({count})"),
    tensor_columns: ["Name", "Count", "Shape", "Format", "Size"],
    each: "List each tensor",
    more: |count| format!("{count} more are not shown."),
    compare: [
        "Compare",
        "Two adapters, or two models, with the largest changes first. Adapters are compared by what they add to their base (s·B·A).",
    ],
    sides: ["Drop A", "Drop B"],
    side_hint: "All files of it together, or its folder.",
    comparing: "Comparing…",
    cancel: "Cancel",
    same: "Nothing differs.",
    total: |relative, distance, [a, b]| {
        format!("‖B−A‖/‖A‖ = {relative} over all: ‖B−A‖ = {distance}, ‖A‖ = {a}, ‖B‖ = {b}.")
    },
    by: [
        "Changes by layer",
        "Modules, the largest changes first",
        "Tensors, the largest changes first",
    ],
    part: ["Layer", "Module", "Tensor"],
    no_layer: "in no layer",
    from_zero: "from 0",
    only_in: |side, names| format!("Only in {side}: {names}."),
    other_shapes: |name, a, b| format!("{name} is not compared: its shapes are {a} and {b}."),
    no_floats: |name, format, is_same| match is_same {
        true => format!("{name} is {format} and has the same bytes."),
        false => format!("{name} is {format} and has different bytes."),
    },
    adapter: [
        "Adapter",
        "Drop an adapter for this model",
        "From PEFT (adapter_config.json and its weights), llama.cpp (GGUF) or mlx-lm; with its config.json if it has a head.",
    ],
    loading: "Loading the adapter…",
    is_on: "It is loaded: try it in step 8, continue training it in step 6 (with its own rank and modules), export it in step 9.",
    head: ["Head", "Labels"],
    score: "Score it on the loaded rows",
    take_away: "Remove the adapter",
};

/// The Chinese words.
pub static CHINESE: FileWords = FileWords {
    title: "文件",
    about: "查看模型或适配器，比较两个文件",
    inspect: [
        "查看文件",
        "拖入模型、适配器、检查点或 GGUF 文件",
        "只读取文件头，适配器会全部读取：架构、张量、数值格式、秩和缩放系数。",
    ],
    kind: |kind| match kind {
        FileKind::Model => "Hugging Face 格式的模型",
        FileKind::Gguf => "GGUF 格式的模型",
        FileKind::Adapter => "PEFT 适配器",
        FileKind::GgufAdapter => "llama.cpp 适配器（GGUF）",
        FileKind::MlxAdapter => "mlx-lm 适配器",
        FileKind::Tensors => "没有 config.json 的张量",
    },
    facts: ["类型", "张量", "存储格式", "文件", "其他文件"],
    stored_as: |format, tensors, numbers, bytes| format!("{format}：{bytes}，{tensors} 个张量，共 {numbers} 个数值"),
    adapter_facts: [
        "作用于",
        "秩（rank）",
        "alpha",
        "缩放系数（alpha / rank）",
        "DoRA",
        "整体保存的模块",
        "基座模型",
    ],
    modules: |count, names| format!("{count} 个模块：{names}"),
    of_modules: |value, modules| format!("{value}（{modules} 个模块）"),
    said: "设置与元数据",
    tensors: |count| format!("张量（{count}）"),
    tensor_columns: ["名称", "数量", "形状", "格式", "大小"],
    each: "逐个列出张量",
    more: |count| format!("还有 {count} 项未显示。"),
    compare: [
        "比较",
        "比较两个适配器或两个模型，变化最大的排在前面。适配器按其对基座的改变量（s·B·A）比较。",
    ],
    sides: ["拖入 A", "拖入 B"],
    side_hint: "请一次选择它的所有文件，或其文件夹。",
    comparing: "正在比较…",
    cancel: "取消",
    same: "没有差异。",
    total: |relative, distance, [a, b]| {
        format!("总体 ‖B−A‖/‖A‖ = {relative}：‖B−A‖ = {distance}，‖A‖ = {a}，‖B‖ = {b}。")
    },
    by: ["各层的变化", "各模块的变化（从大到小）", "各张量的变化（从大到小）"],
    part: ["层", "模块", "张量"],
    no_layer: "不属于任何层",
    from_zero: "原为 0",
    only_in: |side, names| format!("仅 {side} 有：{names}。"),
    other_shapes: |name, a, b| format!("{name} 未比较：形状分别为 {a} 和 {b}。"),
    no_floats: |name, format, is_same| match is_same {
        true => format!("{name} 为 {format}，字节相同。"),
        false => format!("{name} 为 {format}，字节不同。"),
    },
    adapter: [
        "适配器",
        "拖入适用于此模型的适配器",
        "支持 PEFT（adapter_config.json 及其权重）、llama.cpp（GGUF）和 mlx-lm；带任务头的适配器请连同其 config.json 一起选择。",
    ],
    loading: "正在加载适配器…",
    is_on: "适配器已加载：可在第 8 步试用，在第 6 步继续训练（沿用其秩和目标模块），在第 9 步导出。",
    head: ["任务头", "标签"],
    score: "在已加载的数据上评估",
    take_away: "移除适配器",
};
