//! The one table of knobs: struct, defaults, parsing, flags, URL parameters and the page's hints all come from it. One file of 600
//! lines, because it is read as one table.
//!
//! Each entry is a field of [`RunConfig`] and a row of [`KNOBS`] at once, so the two cannot disagree. A field's
//! documentation is the knob's `what_en`. Words on what to choose rest on published recipes: transformers, PEFT,
//! LLaMA-Factory and Unsloth defaults, the QLoRA paper, and 'LoRA Without Regret'.

use super::knob::{
    Group, InScript, InSweep, Kind, Knob, OnResume, SEED, UNBOUNDED, Unit, above, below, choice, from, within,
};
use super::setting::Setting;
use super::{
    DivergenceAction, Encoding, FinetuningType, Fp8Format, Fp8Scale, HeadActivation, HeadInit, HeadPooling, Interval,
    Optimizer, ProblemType, QuantType, ScaleInputs, SchedulerType, TargetModules, TokenIndices,
};
use crate::task::Task;

/// What a row gives, else the default.
macro_rules! or {
    ($default:expr;) => {
        $default
    };
    ($default:expr; $given:expr) => {
        $given
    };
}

/// A row is a name, its type and default, the kind of its values, then `aliases`, `unit`, `essential`, `resume`, `sweep` and `script`
/// where it has them, then what it does, in English and in Chinese, and how to choose it, in both. Without `resume` a change makes
/// another run, without `sweep` a sweep tries it, and without `script` the script for a cluster leaves it out.
macro_rules! knobs {
    ($($group:ident { $(
        $name:ident: $type:ty = $default:expr, $kind:expr
            $(, aliases: [$($alias:literal),*])? $(, unit: $unit:ident)? $(, essential: $essential:literal)?
            $(, resume: $resume:ident)? $(, sweep: $sweep:ident)? $(, script: $script:ident)?,
            $what_en:literal, $what_zh:literal, $guidance_en:literal, $guidance_zh:literal;
    )* })*) => {
        /// Every knob of a run, resolved and valid; see [`KNOBS`] for what each takes and how to choose it.
        #[derive(Debug, Clone, PartialEq)]
        pub struct RunConfig { $($(
            #[doc = $what_en]
            pub $name: $type,
        )*)* }

        impl Default for RunConfig {
            fn default() -> Self {
                Self { $($($name: $default,)*)* }
            }
        }

        /// All knobs, group by group, in the order in which they are shown and written.
        pub static KNOBS: &[Knob] = &[ $($(
            Knob {
                name: stringify!($name),
                aliases: or!(&[]; $(&[$($alias),*])?),
                kind: $kind,
                unit: or!(None; $(Some(Unit::$unit))?),
                what_en: $what_en,
                what_zh: $what_zh,
                guidance_en: $guidance_en,
                guidance_zh: $guidance_zh,
                essential: or!(false; $($essential)?),
                group: Group::$group,
                on_resume: or!(OnResume::Refused; $(OnResume::$resume)?),
                in_sweep: or!(InSweep::Tried; $(InSweep::$sweep)?),
                in_script: or!(InScript::LeftOut; $(InScript::$script)?),
                read: |config| config.$name.to_value(),
                write: |config, value| match Setting::from_value(value) {
                    Some(value) => {
                        config.$name = value;
                        true
                    }
                    None => false,
                },
            },
        )*)* ];
    };
}

knobs! {
Model {
    model_name_or_path: String = String::new(), Kind::Text,
        aliases: ["model", "model_name", "model_path", "base_model", "base_model_name_or_path"], resume: Silent,
        sweep: Refused, script: Files,
        "The model: a Hugging Face folder, a GGUF file, ORG/NAME on a hub, or a small model to train from scratch.",
        "要微调的模型：Hugging Face 文件夹、GGUF 文件、模型仓库中的 组织/名称，或从零训练的小模型的名称。",
        "Model and data set the floor, tuning is the last mile. Take the smallest model that can already nearly do the task.",
        "模型和数据决定下限，微调只是最后一公里。选一个已经差不多能完成任务的最小模型。";
    adapter_name_or_path: Option<String> = None, Kind::Text, aliases: ["adapter", "adapter_path"], resume: Silent,
        sweep: Unoffered, script: Files,
        "A PEFT adapter to continue training from.",
        "在这个 PEFT 适配器的基础上继续训练。",
        "Leave empty to start a fresh adapter, which changes nothing until it is trained.",
        "留空则新建适配器；新适配器在训练之前不改变模型输出。";
    quantization_bit: Option<u8> = None, choice(&["4", "8"]), unit: Bits, essential: true, script: Setting,
        "Quantize the frozen linear layers to 4 or 8 bits; not given: keep the file's format.",
        "把冻结的线性层量化为 4 或 8 比特；不填则保持文件原有的格式。",
        "Only where memory is short: 4 bits need about 0.5 GB a billion weights instead of 2 GB, at a small cost in accuracy.",
        "仅在显存不足时使用：每十亿参数 4 比特约 0.5 GB，而半精度约 2 GB，精度略有损失。";
    bnb_4bit_quant_type: QuantType = QuantType::Nf4, QuantType::KIND, aliases: ["quantization_type"], script: Setting,
        "4-bit data type: nf4 (quantiles of a normal distribution) or fp4 (a 4-bit float).",
        "4 比特数据类型：nf4（正态分布的分位数）或 fp4（4 比特浮点数）。",
        "nf4: trained weights are nearly normal, and QLoRA's paper measured better scores with it than with fp4.",
        "用 nf4：训练好的权重接近正态分布，QLoRA 论文的实验中它优于 fp4。";
    bnb_4bit_use_double_quant: bool = true, Kind::Flag, aliases: ["double_quantization"], script: Setting,
        "Quantize the scales of 4-bit blocks to 8 bits as well: 4.13 instead of 4.5 bits per weight.",
        "把 4 比特分块的缩放系数也量化为 8 比特：每个权重占 4.13 比特，而不是 4.5 比特。",
        "On: QLoRA measured no loss from it.",
        "建议开启：QLoRA 的实验中没有精度损失。";
    fp8: Option<Fp8Format> = None, Fp8Format::KIND,
        "Store the frozen linear layers as 8-bit floats instead of quantization_bit.",
        "用 8 比特浮点数存放冻结的线性层，代替 quantization_bit。",
        "e4m3 for weights: a bit more of fraction. e5m2 has a wider range, which scaled weights do not need.",
        "权重用 e4m3，尾数多一位；e5m2 范围更大，但带缩放的权重用不到。";
    fp8_scale: Fp8Scale = Fp8Scale::Row, Fp8Scale::KIND,
        "Granularity of the 8-bit scales: one per tensor, per row, or per block of 128 x 128.",
        "8 比特缩放系数的粒度：每个张量一个、每行一个，或每个 128 x 128 的块一个。",
        "row: as small as tensor, and one large row does not cost the others their accuracy.",
        "用 row：大小与 tensor 相近，且某一行数值偏大不会影响其他行的精度。";
    hidden_size: Option<usize> = None, Kind::Integer { min: 1, max: 4096 },
        "Hidden size of a small model trained from scratch (small_mlp, small_vit, small_lstm and so on).",
        "从零训练的小模型（small_mlp、small_vit、small_lstm 等）的隐藏层宽度。",
        "32 to 128 for a few thousand rows. Wider fits more and overfits sooner.",
        "几千行数据取 32 到 128。越宽拟合能力越强，也越早过拟合。";
    num_hidden_layers: Option<usize> = None, Kind::Integer { min: 0, max: 64 },
        "Layers of a small model trained from scratch.",
        "从零训练的小模型的层数。",
        "1 or 2 for a recurrent network, 2 to 4 for the others. 0 makes small_mlp linear: compare with the linear probe.",
        "循环网络取 1 或 2，其余取 2 到 4。small_mlp 取 0 时就是线性模型，可与线性探针比较。";
    hidden_act: Option<String> = None, choice(&["relu", "gelu", "silu", "tanh", "sigmoid"]),
        "Activation of a small model trained from scratch; fixed for small_lstm and small_gru.",
        "从零训练的小模型的激活函数；small_lstm 和 small_gru 的激活函数是固定的。",
        "relu or gelu. sigmoid and tanh flatten large inputs, so that deep layers learn slowly.",
        "用 relu 或 gelu。sigmoid 和 tanh 会压平较大的输入，层数多时学得慢。";
    hidden_dropout_prob: Option<f64> = None, below(0.0, 1.0),
        "Dropout after each layer of a small model.",
        "小模型每层之后的 dropout 概率。",
        "0 at first; 0.1 to 0.3 where validation loss rises while training loss falls.",
        "先取 0；训练损失下降而验证损失上升时取 0.1 到 0.3。";
    patch_size: Option<usize> = None, from(1), aliases: ["patch_length"],
        "Patch size of small_vit in pixels; patch length of small_series in time steps.",
        "small_vit 的图像块边长（像素）；small_series 的序列段长度（时间步）。",
        "Not given, at most 7 patches a side, or 32 of a series. Smaller patches see more and cost the square of their number.",
        "不填则图像每边最多 7 块，序列最多 32 段。块越小看得越细，但代价随块数平方增长。";
    classifier_pooling: Option<HeadPooling> = None, HeadPooling::KIND, aliases: ["head_pooling"], script: Files,
        "Pooling of a new head or of texts' vectors: cls, or mean over tokens; not given: as the model's files have it.",
        "新输出头或文本向量的池化方式：cls 或对所有 token 取平均；不填则按模型文件，文件未说明时与 transformers 相同。",
        "mean for sentence encoders such as MiniLM, which were trained for it; export it as a merged model.",
        "MiniLM 等句子编码器用 mean，它们就是这样训练的；请导出为合并模型。";
    classifier_hidden_size: usize = 0, Kind::Integer { min: 0, max: 65536 }, aliases: ["head_hidden_size"],
        script: Files,
        "Hidden layer of a new classification or regression head; 0: none.",
        "新的分类头或回归头的隐藏层宽度；0 表示没有隐藏层。",
        "0 to begin: the model below does the work. Try 64 to 256 where the base is frozen and small.",
        "先用 0：主要工作由下面的模型完成。基座冻结且较小时可试 64 到 256。";
    classifier_activation: HeadActivation = HeadActivation::Gelu,
        HeadActivation::KIND, aliases: ["head_activation"], script: Files,
        "Activation after the head's hidden layer.",
        "输出头隐藏层之后的激活函数。",
        "gelu or relu; tanh keeps the numbers within ±1, as BERT's own heads do. With none, two layers equal one.",
        "用 gelu 或 relu；tanh 把数值限制在 ±1 之间，与 BERT 自带的头一致。取 none 时两层等于一层。";
    classifier_dropout: f64 = 0.0, below(0.0, 1.0), aliases: ["head_dropout"], script: Files,
        "Dropout before each layer of the head.",
        "输出头每层之前的 dropout 概率。",
        "0.1 for a few hundred rows, as BERT has; 0 where there are many.",
        "样本只有几百条时取 0.1（BERT 的默认值），样本多时取 0。";
    head_init: HeadInit = HeadInit::Random, HeadInit::KIND, script: Files,
        "What a new classification or regression head starts from: random weights, or the linear probe.",
        "新的分类头或回归头的初始值：random（随机权重）或 probe（线性探针）。",
        "probe where rows are few or the linear probe scores well: tuning begins there. With max_steps: 0 the probe is the model.",
        "数据少或线性探针得分高时用 probe，训练从其水平开始；再设 max_steps: 0 则探针本身就是模型。";
}
Data {
    task: Option<Task> = None,
        choice(&["generation", "classification", "multi_label", "token_classification", "regression", "ranking",
            "embedding", "preference"]), sweep: Refused, script: Files,
        "The training task; not given: detected from the model's head and the data.",
        "训练任务；不填则根据模型的输出头和数据自动判断。",
        "Choose the task before the model: a class, a number, a text and an order need other data and other scores.",
        "先定任务再选模型：类别、数值、文本和排序所需的数据与指标各不相同。";
    problem_type: Option<ProblemType> = None,
        ProblemType::KIND, sweep: Refused, script: Files,
        "transformers' problem_type of the labels; not given: detected from the data.",
        "标签的 problem_type，与 transformers 相同；不填则根据数据判断。",
        "Set it where whole numbers are quantities and not classes, as in ratings from 1 to 5.",
        "当整数标签表示数量而非类别时请设置，例如 1 到 5 的评分。";
    scale_targets: bool = true, Kind::Flag, sweep: Refused, script: Files,
        "Standardise regression targets for training; predictions are scaled back.",
        "训练时对回归目标做标准化；预测时再还原。",
        "On: a fresh head starts near 0, and prices in thousands would take it long to reach.",
        "建议开启：新的输出层从 0 附近开始，目标值若以千计会很难学到。";
    scale_inputs: Option<ScaleInputs> = None, ScaleInputs::KIND,
        "Standardise numeric inputs: columns (by the training rows' mean and deviation), rows (each by its own), none.",
        "数值输入的标准化：columns（按训练数据中各列的均值和标准差）、rows（每行按自身）或 none（不做）。",
        "Not given: rows for classes of series, none for images (0 to 1 already), else columns. Saved with the model.",
        "不填：序列分类用 rows，图像用 none（已在 0 到 1 之间），其余用 columns。随模型一起保存。";
    train_file: String = String::new(), Kind::Text,
        aliases: ["dataset", "train_data", "train_dataset", "data_path"], resume: Silent, sweep: Refused, script: Files,
        "Training data: csv, tsv, jsonl, json or txt; of numbers also IDX images and .ts series.",
        "训练数据：csv、tsv、jsonl、json 或 txt；数值数据还支持 IDX 图像和 .ts 序列。",
        "A few hundred clean examples beat thousands of noisy ones. Read the preview before training.",
        "几百条干净的样本胜过几千条嘈杂的样本。训练前先看预览。";
    validation_file: Option<String> = None, Kind::Text,
        aliases: ["eval_dataset", "eval_file", "val_file", "validation_data"], resume: Silent, sweep: Refused,
        script: Files,
        "Validation data; without it val_size of the training data is held out.",
        "验证数据；不填则从训练数据中留出 val_size。",
        "Give one where near-duplicates could fall on both sides of a random split, or its loss is too good.",
        "若随机划分会让近似重复的样本落在两边，请单独提供验证集，否则验证损失会偏乐观。";
    encoding: Option<Encoding> = None, Encoding::KIND, sweep: Refused, script: Files,
        "Encoding of the data files, by Python's name; not given: told from the bytes.",
        "数据文件的编码，用 Python 的名称；不填则根据字节判断。",
        "Give it where a note names the wrong one, or texts look garbled. gb18030 reads GBK, cp1252 Latin-1.",
        "提示的编码不对或文本出现乱码时请指定。gb18030 可读 GBK，cp1252 可读 Latin-1。";
    header: Option<bool> = None, Kind::Flag, sweep: Refused, script: Files,
        "Whether the first row of a .csv, .tsv or .xlsx names its columns; not given: told from the rows.",
        ".csv、.tsv 或 .xlsx 的第一行是否为列名；不填则根据各行内容判断。",
        "false where the table begins with a row like the others: its columns are then called column_1, column_2 and so on.",
        "若表格没有表头，请设为 false：各列将命名为 column_1、column_2 等。";
    sheet: Option<String> = None, Kind::Text, aliases: ["sheet_name"], sweep: Refused, script: Files,
        "Sheet of a .xlsx by its name; not given: the first one with rows.",
        "读取 .xlsx 的哪个工作表（填名称）；不填则使用第一个有内容的工作表。",
        "A note names the others. A validation file that is a workbook needs a sheet of the same name.",
        "提示中会列出其他工作表。验证文件若也是工作簿，需有同名的工作表。";
    drop_rows: Vec<String> = Vec::new(), Kind::Names, sweep: Refused, script: Files,
        "Rows that are left out: findings of the audit by name, such as empty_rows, exact_duplicates or exact_leakage.",
        "不参与的数据：填数据检查中的问题名称，如 empty_rows、exact_duplicates、exact_leakage。",
        "Audit first (step 3, or `lorakeet audit`), and look at the rows. The file itself stays as it is.",
        "请先做数据检查（第 3 步，或 `lorakeet audit`）并查看相应的数据。文件本身不会改动。";
    mask_personal: Vec<String> = Vec::new(), Kind::Names, sweep: Refused, script: Files,
        "Personal data read as placeholders: email_addresses, phone_numbers, ibans, payment_cards, resident_ids.",
        "用占位符代替：email_addresses、phone_numbers、ibans、payment_cards、resident_ids。",
        "The model then learns that there is an address, but not which. Labels and the file itself stay as they are.",
        "这样模型只会学到此处有地址，而不会记住具体内容。标签和文件本身不会改动。";
    prompt_columns: Vec<String> = Vec::new(), Kind::Names, aliases: ["prompt_column", "question_column"],
        sweep: Refused, script: Files,
        "Columns of the prompt, or of an instruction and its input; not given: found by their names.",
        "提示词所在的列，或指令列和输入列；不填则按列名查找。",
        "Give them with completion_column where the columns have names of their own. Two are read as instruction and input.",
        "列名不常见时，请与 completion_column 一起指定；指定两列时分别作为指令和输入。";
    completion_column: Option<String> = None, Kind::Text, aliases: ["response_column", "answer_column"], sweep: Refused,
        script: Files,
        "Column of the answer that is learnt; without prompt_columns, of the text that is continued.",
        "要学习的回答所在的列；没有 prompt_columns 时为要续写的文本。",
        "With it a model that writes is trained to write, whatever other columns there are.",
        "指定后，生成模型就按生成任务训练，不受其他列影响。";
    system_column: Option<String> = None, Kind::Text, sweep: Refused, script: Files,
        "Column of the system prompt of each row; not given: one called system.",
        "每条数据的系统提示词所在的列；不填则使用名为 system 的列。",
        "It needs prompt_columns and completion_column. Rows without one have no system prompt.",
        "需要同时指定 prompt_columns 和 completion_column；该列为空的数据不带系统提示词。";
    text_columns: Vec<String> = Vec::new(), Kind::Names,
        aliases: ["text_column", "text_column_name", "text_column_names"], sweep: Refused, script: Files,
        "Columns with the text, the two texts of a pair, or numeric inputs; not given: found by their names.",
        "文本列、句对的两列文本或数值输入列；不填则按列名查找。",
        "Give them where a table has several texts: two columns are read as a pair. Of numbers, all columns but the label are used.",
        "表中有多列文本时请指定；指定两列则作为句对读取。数值数据默认使用标签以外的所有列。";
    label_columns: Vec<String> = Vec::new(), Kind::Names,
        aliases: ["label_column", "label_column_name", "label_column_names"], sweep: Refused, script: Files,
        "Label columns; not given: found by names such as label, target or score.",
        "标签列；不填则按 label、target、score 等列名查找。",
        "Several columns are several labels (0 and 1 in each) or several numbers.",
        "多列表示多个标签（每列为 0 或 1）或多个数值目标。";
    forecast_window: Option<usize> = None, from(1), unit: Rows, sweep: Refused,
        "Forecasting: from this many time steps (rows), predict the next one's label column (else the last column).",
        "时间序列预测：根据这么多个时间步（行）预测下一步的标签列（未指定标签列时为最后一列）。",
        "As many as a season has: 12 of months, 24 of hours. The end of the table is held out, not a random part.",
        "取一个周期的长度：月度数据取 12，小时数据取 24。留作验证的是表格末尾，而不是随机抽取。";
    val_size: f64 = 0.1, Kind::ShareOrCount, aliases: ["validation_split"], sweep: Refused, script: Files,
        "Share (below 1) or number (1 and above) of examples held out for validation.",
        "留作验证集的样本：小于 1 为比例，1 及以上为条数。",
        "0.1 is usual; 0 trains on everything, and then nothing shows overfitting.",
        "通常取 0.1；取 0 则用全部数据训练，但看不出过拟合。";
    max_samples: Option<usize> = None, from(1), aliases: ["max_train_samples"], unit: Examples, sweep: Refused,
        script: Files,
        "Use only this many examples from the start of the training data.",
        "只使用训练数据开头的这么多条样本。",
        "For a quick trial: a run on 100 examples shows in a minute whether data and settings make sense.",
        "用于快速试跑：先用 100 条样本，一分钟内就能看出数据和设置是否合理。";
    cutoff_len: usize = 512, Kind::Integer { min: 2, max: 1 << 20 },
        aliases: ["max_seq_length", "max_length", "block_size", "max_seq_len", "model_max_length", "sequence_len"],
        unit: Tokens, sweep: Refused, script: Files,
        "Truncate rows to this many tokens.",
        "把每条数据截断到这么多个 token。",
        "Memory grows with it. Set it just above your longest row; a run tells how many rows were cut.",
        "显存随之增长。略大于最长样本即可；训练开始时会提示有多少条被截断。";
    packing: Option<bool> = None, Kind::Flag, aliases: ["sample_packing"], sweep: Refused, script: Files,
        "Pack examples into rows of at most cutoff_len tokens; none sees another. Not given: plain text is packed.",
        "把多个样本拼接成不超过 cutoff_len 个 token 的一行，样本之间互不可见（同 neat_packing）；不填则只拼接纯文本。",
        "Saves padding where rows are short. A step then has more examples: lower the batch size to keep as many.",
        "样本较短时可减少填充。拼接后每步包含更多样本；要保持不变，请调小 batch size。";
    completion_only_loss: bool = true, Kind::Flag,
        aliases: ["completion_only", "train_on_responses_only", "assistant_only_loss"], sweep: Refused, script: Files,
        "Train on the answers only, not on the prompts.",
        "只训练回答部分，不训练提示部分。",
        "On for instructions and chats: the model learns to answer, not to ask. The preview colours what is trained on.",
        "指令和对话数据应开启：让模型学回答而不是学提问。预览会标出参与训练的 token。";
    enable_thinking: Option<bool> = None, Kind::Flag, sweep: Refused, script: Files,
        "enable_thinking of the chat template, where a row does not say it; not given: the template's default.",
        "传给对话模板的 enable_thinking（数据自带的取值优先）；不填则用模板的默认值。",
        "false for answers without a thinking block, as Qwen3's template has it; ask the model later as it was trained.",
        "若回答中没有思考块，请设为 false（如 Qwen3 的模板）；之后提问时也应与训练时一致。";
    data_seed: Option<u64> = None, SEED, sweep: Refused, script: Files,
        "Seed of the split and of the order of examples; not given: seed.",
        "划分数据和打乱样本顺序的随机种子；不填则用 seed。",
        "Keep it fixed while you change other seeds, so that runs see the same data in the same order.",
        "更换其他种子时保持不变，使各次运行看到相同的数据与顺序。";
}
Adapter {
    finetuning_type: FinetuningType = FinetuningType::Lora, FinetuningType::KIND, script: Setting,
        "What is trained: lora (low-rank adapters) or full (every weight).",
        "训练哪些权重：lora（低秩适配器）或 full（全部权重）。",
        "lora nearly always; full needs about four times the memory and a learning rate ten times smaller.",
        "几乎总用 lora；full 约需四倍显存，学习率要小十倍。";
    lora_r: usize = 8, Kind::Integer { min: 1, max: 4096 }, aliases: ["lora_rank", "r", "rank"], essential: true,
        script: Files,
        "Rank of the adapters (their capacity).",
        "适配器的秩（容量）。",
        "4, 8 or 16 by the task's complexity. 8 to begin; smaller trains faster but holds less. Too large overfits small data.",
        "按任务复杂度取 4、8 或 16，先用 8；越小训练越快但容量越小，过大则在小数据上过拟合。";
    lora_alpha: f64 = 16.0, above(0.0, 1e6), essential: true, script: Files,
        "Scaling of the adapters: alpha / r.",
        "适配器的缩放：alpha / r。",
        "About 2 × r, the value taken where only r is given. Larger acts much like a larger learning rate.",
        "约为 2 × r，只给出 r 时即取此值。调大的效果近似于提高学习率。";
    lora_dropout: f64 = 0.05, below(0.0, 1.0), essential: true, script: Files,
        "Dropout on the adapters' inputs.",
        "适配器输入上的 dropout 概率。",
        "0.05 to begin; 0 for short runs, 0.1 where validation loss rises while training loss falls.",
        "先用 0.05；短训练可取 0；若训练损失下降而验证损失上升，可取 0.1。";
    target_modules: TargetModules = TargetModules::Pattern("all-linear".into()), Kind::Modules,
        aliases: ["lora_target", "lora_target_modules"], script: Files,
        "Linear layers that get an adapter: all-linear, default (what PEFT adapts), names, or one pattern.",
        "添加适配器的线性层：all-linear、default（PEFT 的默认模块）、若干名称，或一个匹配模式。",
        "all-linear: attention alone does worse even at a higher rank (torchtune: 0.508 at r 8 against 0.475 on q and v).",
        "建议 all-linear：只训练注意力层即使提高秩也更差（torchtune 实测 r=8：全部层 0.508，仅 q、v 0.475）。";
    exclude_modules: Option<TargetModules> = None, Kind::Modules, script: Files,
        "Linears that get none although target_modules names them.",
        "即使被 target_modules 选中也不添加适配器的线性层。",
        "Rarely needed. Use it to remove one layer from all-linear.",
        "很少需要。用于从 all-linear 中排除个别层。";
    layers_to_transform: Option<Vec<usize>> = None, Kind::List, script: Files,
        "Layers that get adapters, counted from 0; not given: all.",
        "添加适配器的层，从 0 开始编号；不填则为全部层。",
        "Fewer layers save memory and time; all layers learn best.",
        "减少层数可省显存和时间；全部层效果最好。";
    rank_pattern: Vec<(String, usize)> = Vec::new(), Kind::Patterns { whole: true }, script: Files,
        "Ranks of single modules that differ from lora_r.",
        "个别模块与 lora_r 不同的秩。",
        "Rarely needed: one rank everywhere is a good start.",
        "很少需要：所有层用同一个秩即可。";
    alpha_pattern: Vec<(String, f64)> = Vec::new(), Kind::Patterns { whole: false }, script: Files,
        "Alphas of single modules that differ from lora_alpha.",
        "个别模块与 lora_alpha 不同的 alpha。",
        "Set it together with rank_pattern, so that alpha / r stays what you mean.",
        "与 rank_pattern 一起设置，以保持 alpha / r 符合预期。";
    use_rslora: bool = false, Kind::Flag, aliases: ["use_rs_lora"], script: Files,
        "Scale by alpha / √r instead of alpha / r.",
        "用 alpha / √r 而不是 alpha / r 进行缩放。",
        "For ranks of 32 and more, whose step alpha / r makes too small; it also forgets more (PEFT's benchmark at r 64).",
        "秩在 32 以上时使用，否则 alpha / r 会使步长过小；但遗忘也更多（PEFT 基准，r=64）。";
    use_dora: bool = false, Kind::Flag, script: Files,
        "DoRA: train magnitude and direction of each weight vector separately.",
        "DoRA：分别训练每个权重向量的大小和方向。",
        "Try it where r must be small: its paper reports 1 to 4 points over LoRA on commonsense tasks. Steps take longer.",
        "秩必须取小时可一试：其论文在常识任务上比 LoRA 高 1 到 4 个百分点。每步更慢。";
    loraplus_lr_ratio: Option<f64> = None, above(0.0, 1e6), script: Setting,
        "LoRA+: learning rate of B divided by that of A; not given: 1.",
        "LoRA+：B 与 A 的学习率之比；不填则为 1。",
        "16 is PEFT's example, more for harder tasks; lower learning_rate to match, and watch the first losses.",
        "PEFT 示例取 16，任务越难可越大；请相应降低 learning_rate，并留意最初的损失。";
    loraplus_lr_embedding: f64 = 1e-6, above(0.0, 1.0), script: Setting,
        "With loraplus_lr_ratio, the learning rate of adapters on embeddings.",
        "设置了 loraplus_lr_ratio 时，词嵌入上适配器的学习率。",
        "Leave at 1e-6 unless embeddings are the point of the run.",
        "除非重点就是训练词嵌入，否则保持 1e-6。";
    modules_to_save: Option<TargetModules> = None, Kind::ModuleNames, aliases: ["additional_target"], script: Files,
        "Linear layers, embeddings or lm_head to train in full and save with the adapter.",
        "完整训练并随适配器一起保存的线性层、词嵌入或 lm_head。",
        "A classifier's head is among them anyway. embed_tokens and lm_head for new tokens; they are large.",
        "分类头总是包含在内。新增 token 时可加 embed_tokens 和 lm_head，但它们很大。";
    trainable_token_indices: Option<TokenIndices> = None, Kind::TokenIds, script: Files,
        "Token ids whose rows of the embedding are trained, the others frozen; by module: {embed_tokens: [5, 6]}.",
        "训练词嵌入中这些 token（按 id）的行，其余行冻结；也可按模块指定：{embed_tokens: [5, 6]}。",
        "For a few new or special tokens, instead of all of embed_tokens. A shared output matrix follows.",
        "用于少量新增或特殊 token，不必训练整个 embed_tokens；与词嵌入共享的输出矩阵随之更新。";
}
Training {
    per_device_train_batch_size: usize = 2, Kind::Integer { min: 1, max: 65536 },
        aliases: ["batch_size", "train_batch_size", "micro_batch_size"], unit: Rows, essential: true, script: Setting,
        "Rows per forward pass in training.",
        "训练时每次前向计算的数据条数。",
        "1, 2, 4, 8 or 16: too small wastes compute, too large wastes memory. Out of memory: halve it, double accumulation.",
        "1、2、4、8 或 16：太小浪费算力，太大浪费显存。显存不足时减半，并把梯度累积加倍。";
    per_device_eval_batch_size: usize = 8, Kind::Integer { min: 1, max: 65536 },
        aliases: ["eval_batch_size", "micro_eval_batch_size"], unit: Rows, resume: Said, script: Setting,
        "Rows per forward pass in evaluation; affects speed and memory only.",
        "评估时每次前向计算的数据条数；只影响速度和显存。",
        "Scoring keeps no gradients, so it can be larger than the training batch.",
        "评估不保存梯度，可以比训练批次更大。";
    gradient_accumulation_steps: usize = 4, Kind::Integer { min: 1, max: 65536 },
        aliases: ["accumulation_steps", "gradient_accumulation"], unit: Batches, essential: true, script: Setting,
        "Batches whose gradients are accumulated before each optimizer step.",
        "优化器每更新一步所累积梯度的批次数。",
        "Batch × accumulation is the effective batch: 8 to 32 suits LoRA. It costs time, no memory.",
        "批大小 × 累积步数 = 有效批大小，LoRA 取 8 到 32 合适。只费时间，不费显存。";
    gradient_checkpointing: bool = false, Kind::Flag, resume: Said, script: Setting,
        "Keep only the inputs of layers for the backward pass, and compute the layers anew there.",
        "反向传播只保留各层的输入，届时重新计算各层。",
        "On for long rows or large models: far less memory, steps up to half longer, the same numbers. Small models: no effect.",
        "数据较长或模型较大时开启：显存大幅减少，每步最多慢一半，结果相同。小模型不受影响。";
    learning_rate: f64 = 2e-4, above(0.0, 1.0), aliases: ["lr"], essential: true, script: Setting,
        "Peak learning rate.",
        "学习率的峰值。",
        "2e-4 for LoRA, 2e-5 for full tuning; usual range 1e-5 to 5e-3. Loss jumps or NaN: halve it. Barely falls: double it.",
        "LoRA 取 2e-4，全参数约 2e-5，常用范围 1e-5 到 5e-3。损失跳动或出现 NaN 就减半，几乎不降就加倍。";
    num_train_epochs: f64 = 3.0, above(0.0, 1e6), aliases: ["epochs", "num_epochs"], essential: true, resume: Length,
        script: Setting,
        "Number of passes over the training data.",
        "遍历训练数据的轮数。",
        "3 to begin, 1 for large data. Stop when validation loss turns up while training loss still falls.",
        "先用 3 轮，数据多时 1 轮。训练损失仍降而验证损失回升时就该停。";
    max_steps: i64 = -1, Kind::StepsOrNone, aliases: ["max_train_steps"], unit: Steps, resume: Length, script: Files,
        "Optimizer steps; above 0 it overrides num_train_epochs, -1 does not.",
        "优化器步数；大于 0 时取代 num_train_epochs，-1 则不取代。",
        "For trials: 10 to 50 steps show whether the loss falls. The schedule shrinks with it. 0 goes with head_init: probe.",
        "用于试跑：10 到 50 步就能看出损失是否下降，学习率曲线会随之缩短。0 只用于 head_init: probe。";
    loss: Option<String> = None, Kind::Text, sweep: Refused, script: Setting,
        "Training loss: one loss, or a weighted sum like 0.7*focal(gamma=2) + 0.3*mse.",
        "训练损失：一种损失，或加权和，如 0.7*focal(gamma=2) + 0.3*mse。",
        "Not given, it follows the task: cross_entropy, bce, mse, ranknet, infonce or dpo. focal where classes are unequal.",
        "不填则随任务而定：cross_entropy、bce、mse、ranknet、infonce 或 dpo。类别不均衡时用 focal。";
    optim: Optimizer = Optimizer::AdamwTorch, Optimizer::KIND, aliases: ["optimizer"], script: Setting,
        "Optimizer: AdamW with 32-bit or 8-bit moments.",
        "优化器：动量为 32 位或 8 位的 AdamW。",
        "adamw_torch for LoRA, whose averages are small. In full training adamw_8bit saves three quarters of their memory.",
        "LoRA 用 adamw_torch，其状态很小。全参数训练时 adamw_8bit 可省去约四分之三的优化器状态。";
    weight_decay: f64 = 0.0, within(0.0, 1.0), script: Setting,
        "Decoupled weight decay; not applied to biases and norms.",
        "解耦的权重衰减；不作用于偏置和归一化层。",
        "0 to 0.01. With LoRA it pulls the change back to zero, a mild guard against overfitting.",
        "0 到 0.01。在 LoRA 中它把改动拉回零，可轻微抑制过拟合。";
    adam_beta1: f64 = 0.9, below(0.0, 1.0), script: Setting,
        "Decay rate of AdamW's first moment.",
        "AdamW 一阶矩的衰减率。",
        "Leave at 0.9.",
        "保持 0.9。";
    adam_beta2: f64 = 0.999, below(0.0, 1.0), script: Setting,
        "Decay rate of AdamW's second moment.",
        "AdamW 二阶矩的衰减率。",
        "Leave at 0.999; 0.95 to 0.99 where the loss shows spikes.",
        "保持 0.999；损失出现尖峰时可取 0.95 到 0.99。";
    adam_epsilon: f64 = 1e-8, above(0.0, 1.0), script: Setting,
        "AdamW's epsilon.",
        "AdamW 的 epsilon。",
        "Leave at 1e-8.",
        "保持 1e-8。";
    max_grad_norm: f64 = 1.0, within(0.0, UNBOUNDED), aliases: ["gradient_clipping"], script: Setting,
        "Clip gradients to this global norm; 0: no clipping.",
        "把梯度的全局范数裁剪到此值；0 表示不裁剪。",
        "1.0, or 0.3 as in QLoRA. Watch the norm: if it is always above, the learning rate is too high.",
        "1.0，QLoRA 用 0.3。观察梯度范数：若总高于此值，说明学习率过大。";
    divergence: DivergenceAction = DivergenceAction::Warn, DivergenceAction::KIND, resume: Said,
        "When the loss stays above its start, or the gradient explodes or is 0: warn, stop the run, or off.",
        "损失持续高于起始值，或梯度爆炸、为 0 时：warn（提醒）、stop（停止训练）或 off（不检查）。",
        "warn; stop for unattended runs. A loss of NaN ends the run in any case.",
        "建议 warn；无人看管时用 stop。损失变为 NaN 时训练总会停止。";
    seed: u64 = 42, SEED, script: Setting,
        "Random seed of adapter initialisation, dropout and, without data_seed, split and order.",
        "随机种子：用于适配器初始化和 dropout；没有 data_seed 时也用于数据划分和顺序。",
        "The same seed repeats a run. Before you believe a small gain, run three seeds.",
        "相同的种子可复现训练。相信微小提升之前，先跑三个种子。";
}
Schedule {
    lr_scheduler_type: SchedulerType = SchedulerType::Cosine,
        SchedulerType::KIND, aliases: ["lr_scheduler", "scheduler"], essential: true, script: Setting,
        "Learning-rate schedule after warm-up.",
        "预热之后的学习率曲线。",
        "cosine: high while it learns, near 0 at the end, which calms the oscillation. linear does nearly as well.",
        "cosine：学习期保持较高，末尾接近 0 以减小振荡。linear 效果相近。";
    warmup_ratio: f64 = 0.1, within(0.0, 1.0), essential: true, script: Files,
        "Share of the steps used for linear warm-up from 0.",
        "学习率从 0 线性预热所占的步数比例。",
        "0.03 to 0.1. Without it the first steps can blow up, because AdamW's averages are still empty.",
        "0.03 到 0.1。没有预热，AdamW 的统计量尚未建立，前几步可能发散。";
    warmup_steps: usize = 0, Kind::StepsOrRatio("warmup_ratio"), aliases: ["num_warmup_steps"], unit: Steps,
        script: Files,
        "Steps over which the rate rises from 0; above 0 it replaces warmup_ratio.",
        "学习率从 0 升至峰值的步数；大于 0 时取代 warmup_ratio。",
        "Prefer warmup_ratio, which follows the length of the run.",
        "优先使用 warmup_ratio，它会随训练长度变化。";
    num_cycles: f64 = 1.0, above(0.0, 1e6), script: Setting,
        "Cycles of cosine_with_restarts.",
        "cosine_with_restarts 的周期数。",
        "1 to 4; each restart moves the model out of its current minimum.",
        "1 到 4；每次重启都会让模型跳出当前位置。";
    power: f64 = 1.0, above(0.0, 100.0), aliases: ["lr_power"], script: Setting,
        "Power of the polynomial schedule; 1 is a straight line.",
        "polynomial 曲线的幂次；1 为直线。",
        "2 falls fast at first and slowly at the end.",
        "取 2 时先快后慢。";
    lr_end: f64 = 1e-7, within(0.0, 1.0), script: Setting,
        "Final learning rate of the polynomial schedule.",
        "polynomial 曲线的最终学习率。",
        "Leave it far below learning_rate.",
        "应远小于 learning_rate。";
}
Output {
    output_dir: String = "output".into(), Kind::Text, aliases: ["output"], resume: Silent, sweep: Refused,
        script: Files,
        "Folder for the adapter, checkpoints and the log.",
        "存放适配器、检查点和日志的文件夹。",
        "One folder a run, so that runs can be compared.",
        "每次训练用一个单独的文件夹，便于比较。";
    overwrite_output_dir: bool = false, Kind::Flag, resume: Silent, sweep: Refused, script: Files,
        "Start over in an output_dir that holds another run: its checkpoints are removed, its files replaced.",
        "在已有其他训练结果的 output_dir 中重新开始：删除其中的检查点，替换其中的文件。",
        "Off: without it such a folder is refused. Prefer a new folder, or resume_from_checkpoint to continue.",
        "建议关闭：关闭时会拒绝已有训练结果的文件夹。最好换新文件夹，或用 resume_from_checkpoint 继续训练。";
    resume_from_checkpoint: Option<String> = None, Kind::PathOrNewest, resume: Silent, sweep: Refused, script: Files,
        "Continue from this checkpoint-N folder; true takes the newest complete one in output_dir.",
        "从 checkpoint-N 文件夹继续训练；true 表示 output_dir 中最新的完整检查点。",
        "Leave the run file unchanged: the run continues exactly, and refuses changed settings or data.",
        "其余设置保持不变：训练会精确地继续；若设置或数据有改动则会拒绝。";
    logging_strategy: Interval = Interval::Steps, Interval::KIND, resume: Said, script: Files,
        "When to log: every logging_steps steps, each epoch, or never.",
        "何时记录日志：每 logging_steps 步、每轮，或从不记录。",
        "steps, so that trouble shows early.",
        "建议 steps，便于及早发现问题。";
    logging_steps: f64 = 1.0, Kind::StepsOrShare { min: 1 }, unit: Steps, resume: Said, script: Files,
        "Report every so many steps; below 1, every such share of the run.",
        "每隔多少步报告一次；小于 1 则为全程的比例。",
        "1 for short runs; 10 where a run has thousands of steps.",
        "短训练取 1；上千步的训练取 10。";
    eval_strategy: Interval = Interval::Steps, Interval::KIND, aliases: ["evaluation_strategy"], resume: Said,
        sweep: Refused, script: Files,
        "When to evaluate during training; evaluation always runs before and after.",
        "训练过程中何时评估；训练前后总会评估。",
        "epoch is enough for short runs.",
        "短训练用 epoch 即可。";
    eval_steps: f64 = 0.0, Kind::StepsOrShare { min: 0 }, unit: Steps, resume: Said, script: Files,
        "Score the validation split every so many steps, or such a share of the run; 0 only before and after.",
        "每隔多少步（或全程的多大比例）在验证集上评估一次；0 表示只在训练前后评估。",
        "About ten times a run: often enough to see overfitting, seldom enough not to slow it down.",
        "整个训练约评估十次：足以看出过拟合，又不拖慢训练。";
    save_strategy: Interval = Interval::Steps, Interval::KIND, resume: Said, sweep: Unoffered, script: Files,
        "When to save a checkpoint; the end is always saved.",
        "何时保存检查点；结束时总会保存。",
        "steps; epoch where epochs are short.",
        "建议 steps；每轮很短时用 epoch。";
    save_steps: f64 = 500.0, Kind::StepsOrShare { min: 0 }, unit: Steps, resume: Said, sweep: Unoffered, script: Files,
        "Save a checkpoint every so many steps, or such a share of the run; 0 only at the end.",
        "每隔多少步（或全程的多大比例）保存一次检查点；0 表示只在结束时保存。",
        "As many steps as you can afford to lose.",
        "取可以承受丢失的步数。";
    predict_with_generate: bool = false, Kind::Flag, sweep: Refused,
        "Generate answers to validation rows and score them against the references (ROUGE-L, chrF).",
        "为验证集生成回答，并与参考答案比较评分（ROUGE-L、chrF）。",
        "On if answers have one right wording; each costs as much time as generating it in a chat.",
        "答案措辞固定时可开启以检查效果；每条回答的耗时与聊天中生成一次相同。";
    max_predict_samples: Option<usize> = None, from(1), unit: Rows, sweep: Refused,
        "Number of validation rows to generate for (the first ones; not given: 32 in a run, all in `predict`).",
        "生成回答的验证数据条数（取最前面的；不填则训练中为 32 条，`predict` 时为全部）。",
        "Leave it out: 32 are enough to see what goes wrong.",
        "一般留空：32 条足以看出问题。";
    max_new_tokens: usize = 128, from(1), unit: Tokens, sweep: Refused,
        "Maximum length of a generated answer.",
        "生成回答的最大长度。",
        "A little more than the longest right answer.",
        "略长于最长的标准答案。";
    metric_for_best_model: Option<String> = None, Kind::Text, sweep: Refused,
        "Metric that compares checkpoints and judges the run; not given: the task's default.",
        "用于比较检查点和评判训练的指标；不填则用任务的默认指标。",
        "accuracy misleads where classes are unequal: take f1_macro or mcc there. loss works for every task.",
        "类别不均衡时准确率会误导，请用 f1_macro 或 mcc。loss 适用于所有任务。";
    load_best_model_at_end: bool = false, Kind::Flag,
        "Load the weights with the best validation score at the end, instead of the last ones.",
        "结束时加载验证得分最好的权重，而不是最后的权重。",
        "On where the run is scored on its way (eval_steps): it undoes the overfitting of the last epochs.",
        "训练中有评估（eval_steps）时建议开启：可撤销最后几轮的过拟合。";
    early_stopping_patience: usize = 0, from(0), aliases: ["early_stopping_steps"], unit: Scores, resume: Said,
        "Stop after this many evaluations without improvement; 0: never.",
        "连续这么多次评估没有改善就停止；0 表示从不提前停止。",
        "3 with eval_steps at a tenth of the run, and load_best_model_at_end to keep the best weights.",
        "取 3，eval_steps 取全程的十分之一，并开启 load_best_model_at_end 以保留最好的权重。";
    early_stopping_threshold: f64 = 0.0, within(0.0, UNBOUNDED), resume: Said,
        "Minimum improvement that counts for early stopping.",
        "提前停止所要求的最小改善幅度。",
        "0 to begin; 0.001 of an accuracy or a loss leaves out what is chance.",
        "先用 0；准确率或损失取 0.001 可忽略偶然的波动。";
    save_total_limit: Option<usize> = None, from(1), unit: Checkpoints, resume: Said, sweep: Unoffered,
        "Keep this many checkpoints, the newest; not given: all.",
        "只保留最新的这么多个检查点；不填则全部保留。",
        "3 keeps the disk from filling up.",
        "取 3 可避免占满磁盘。";
}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_task_are_the_names_of_all_tasks() {
        let kind = super::super::find("task").map(|knob| knob.kind);
        let Some(Kind::Choice { words, .. }) = kind else {
            panic!("{kind:?}");
        };
        assert_eq!(words, Task::ALL.map(Task::name));
    }
}
