//! Run files and settings.

use crate::message::messages;

messages! { "config";
    // config.rs
    GivenTwice { first } = "appears here a second time, after line {first}", "在第 {first} 行之后又出现了一次";
    ValuesDiffer { knob, value, spelling, line, other } =
        "gives {knob} the value {value}, but {spelling} in line {line} gives it {other}",
        "把 {knob} 设为 {value}，而第 {line} 行的 {spelling} 把它设为 {other}";
    NeededByRun = "is not given, and a run needs it", "没有设置，而训练需要它";
    GiveModel =
        "Give a folder with config.json and safetensors, a GGUF file, a model of a hub as ORG/NAME, or a small model's name such as \
         small_mlp.",
        "请给出含有 config.json 和 safetensors 的文件夹、GGUF 文件、模型仓库中的 组织/名称，或小模型的名称，如 small_mlp。";
    GiveTrainFile = "Give a csv, tsv, jsonl, json or txt file.", "请给出 csv、tsv、jsonl、json 或 txt 文件。";
    LastRateTooHigh { rate, got } =
        "must be below learning_rate ({rate}), got {got}",
        "必须小于 learning_rate（{rate}），实际为 {got}";
    PackedWeightsFull =
        "cannot be trained with finetuning_type full: packed weights stay as they are",
        "不能与 finetuning_type full 一起使用：量化后的权重不会被训练";
    UseLora { field } =
        "Use finetuning_type lora, or remove {field}.",
        "请改用 finetuning_type lora，或去掉 {field}。";
    TaskOfLabels { of_labels, task } =
        "says that labels are for {of_labels}, and task says {task}",
        "表示标签用于 {of_labels}，而 task 为 {task}";
    TwoFormats =
        "the base is held in one format, and quantization_bit names another",
        "基座模型只能以一种格式存放，而 quantization_bit 指定了另一种";
    TakeOneOut = "Remove one of the two.", "请去掉其中一个。";
    NoKnob { name } = "no knob {name}", "没有超参数 {name}";
    TableDisagrees { name } = "the table and the field of {name} disagree", "{name} 在表中的类型与字段不一致";
    Also { errors } = "Also: {errors}", "此外：{errors}";
    NoEffect { what, reason } = "{what} has no effect: {reason}", "{what} 不起作用：{reason}。";
    EvalStepsMissing =
        "eval_strategy steps without eval_steps scores the validation split before and after the run only.",
        "eval_strategy 为 steps 但没有设置 eval_steps，因此只在训练前后评估验证集。";
    OnlyRestartsHaveWaves =
        "only lr_scheduler_type cosine_with_restarts has waves",
        "只有 lr_scheduler_type 为 cosine_with_restarts 时才有周期";
    OnlyPolynomialHasPower =
        "only lr_scheduler_type polynomial has a power",
        "只有 lr_scheduler_type 为 polynomial 时才有幂次";
    OnlyPolynomialHasLastRate =
        "only lr_scheduler_type polynomial has a last rate",
        "只有 lr_scheduler_type 为 polynomial 时才有最终学习率";
    ConstantHasNoWarmup =
        "lr_scheduler_type constant has no warm-up (constant_with_warmup has)",
        "lr_scheduler_type 为 constant 时没有预热（constant_with_warmup 才有）";
    ReplacedBy { name } = "{name} replaces it", "已由 {name} 取代";
    IsGiven { name } = "{name} is given", "已设置 {name}";
    IsNotGiven { name } = "{name} is not given", "没有设置 {name}";
    IsNotSteps { strategy } = "{strategy} is not steps", "{strategy} 不是 steps";
    NoHiddenLayer =
        "the head has no hidden layer (classifier_hidden_size is 0)",
        "输出头没有隐藏层（classifier_hidden_size 为 0）";
    NotScoredOnTheWay =
        "the run is not scored on its way (eval_strategy, eval_steps)",
        "训练过程中不评估（eval_strategy、eval_steps）";
    FullHasNoAdapters = "finetuning_type full has no adapters", "finetuning_type 为 full 时没有适配器";

    // head_start.rs
    ZeroStepsKeepProbe =
        "Set max_steps to a number of steps, or to -1 for num_train_epochs. 0 keeps the linear probe as the model, with head_init: probe.",
        "请把 max_steps 设为步数，或设为 -1 以使用 num_train_epochs。与 head_init: probe 一起使用时，0 表示以线性探针作为模型。";
    ProbeBelowHiddenLayer { size } =
        "must be random where classifier_hidden_size is {size}: the probe would read a hidden layer of random weights",
        "在 classifier_hidden_size 为 {size} 时必须是 random：否则探针读取的是随机权重的隐藏层";
    ProbeWithoutHiddenLayer = "Remove classifier_hidden_size, or set head_init: random.",
        "请去掉 classifier_hidden_size，或设置 head_init: random。";

    // check.rs
    MustBe { allowed, got } = "must be {allowed}, got {got}", "必须是{allowed}，实际值：{got}";
    TakesKeys { known, key, value } =
        "takes {known}, got {key}: {value}",
        "只接受 {known}，实际为 {key}: {value}";
    HappensAnyway = "it is what happens anyway", "本来就是这样";
    AllowedOnly { reason, allowed, got } =
        "{reason}; allowed is only {allowed}, got {got}",
        "{reason}；只允许 {allowed}，实际值：{got}";
    TakeLineOut = "Remove the line.", "请去掉这一行。";
    UnknownDropWord { got, known } = "must be names of audit findings ({known}), got {got}", "必须是数据检查中的问题名称（{known}），实际为 {got}";
    UnknownKey { value } = "there is no such key, got {value}", "没有这个键，其值：{value}";
    ListEveryKey =
        "`lorakeet check` with an empty file lists every key.",
        "对空文件运行 `lorakeet check` 可列出所有键。";
    // How a value is written; in every language the same.
    Pair { key, value } = "{key}: {value}", "{key}: {value}";
    InBrackets { items } = "[{items}]", "[{items}]";
    InBraces { items } = "{{{items}}}", "{{{items}}}";
    Then { before, item } = "{before}, {item}", "{before}, {item}";
    EmptyList = "an empty list", "空列表";

    // knob.rs: what a knob takes.
    IntegerFrom { min } = "a whole number from {min}", "不小于 {min} 的整数";
    IntegerBetween { min, max } = "a whole number from {min} to {max}", "介于 {min} 和 {max} 之间的整数";
    NumberFrom { low } = "a number {low}", "{low} 的数";
    NumberBetween { low, high } = "a number {low} and {high}", "{low} 且{high} 的数";
    Above { bound } = "above {bound}", "大于 {bound}";
    AtLeast { bound } = "of at least {bound}", "不小于 {bound}";
    Below { bound } = "below {bound}", "小于 {bound}";
    AtMost { bound } = "at most {bound}", "不大于 {bound}";
    StepsOrNone = "a whole number from 1, or -1 for none", "不小于 1 的整数，或 -1（表示没有）";
    StepsOrShare { min } =
        "a whole number from {min}, or a share of the run above 0 and below 1",
        "不小于 {min} 的整数，或大于 0 且小于 1 的全程比例";
    ShareOrCount =
        "a share of at least 0 and below 1, or a whole number from 1",
        "不小于 0 且小于 1 的比例，或不小于 1 的整数";
    OneOf { words } = "one of {words}", "以下之一：{words}";
    Text = "text", "文本";
    Modules = "all-linear, a list of module names, or one pattern", "模块名列表、单个匹配模式或 all-linear";
    ModuleNames = "a list of module names", "模块名列表";
    IntegersFrom0 = "a list of whole numbers from 0", "由不小于 0 的整数组成的列表";
    TokenIds { example } =
        "a list of token ids, or lists by module, as in {example}",
        "token id 列表，或按模块给出的列表，如 {example}";
    Names = "a name or a list of names", "一个名称或名称列表";
    Map { example } = "a map, as in {example}", "映射，如 {example}";
    IntegersByPattern { example } =
        "whole numbers from 1 by module pattern, as in {example}",
        "按模块匹配模式给出的不小于 1 的整数，如 {example}";
    NumbersByPattern { example } =
        "numbers above 0 by module pattern, as in {example}",
        "按模块匹配模式给出的大于 0 的数，如 {example}";

    // read.rs
    RunFileTooLong { bytes, most } =
        "has {bytes} bytes, and a run file has at most {most}",
        "有 {bytes} 字节，而运行文件最多 {most} 字节";
    IsItTrainingData =
        "Is this the training data? Give it as train_file.",
        "这是训练数据吗？请用 train_file 指定它。";
    NotOneValue { text } = "is not one list or map: {text}", "不是单个列表或映射：{text}";
    NotLinesOfKeys = "a run file holds lines of the form `key: value`", "运行文件的每一行应为 `key: value` 的形式";
    SecondDocument =
        "a run file holds one document, and a second one starts here",
        "运行文件只能有一个文档，而这里开始了第二个";
    OneFileForEachRun = "Put each run into its own file.", "请把每次训练写入单独的文件。";
    InvalidYaml { error } = "is not valid YAML: {error}", "不是有效的 YAML：{error}";
    OneKeyEachLine =
        "Write one `key: value` a line, with a space after the colon and no tabs before it.",
        "请每行写一个 `key: value`，冒号后加空格，行首不要用制表符。";
    AnchorOrTag =
        "YAML anchors (&name, *name) and tags (!name) are not read in run files",
        "运行文件不支持 YAML 锚点（&name、*name）和标签（!name）";
    WriteValueItself =
        "Write the value itself; put text that begins with & * or ! in quotes.",
        "请直接写值；以 &、* 或 ! 开头的文本请加引号。";
    KeyNotWord = "a key must be a word", "键必须是一个词";
    NestedTooDeeply = "is nested too deeply", "嵌套过深";
    ValueMissing = "a value is missing", "缺少值";
    InvalidJson { error } = "is not valid JSON: {error}", "不是有效的 JSON：{error}";

    // unsupported_keys.rs: why a key has no effect, or takes one value only.
    NotAvailableYet = "is not available yet", "尚不支持";
    TrainedIn32Bits =
        "the adapters are trained in 32 bits on every device",
        "在所有设备上，适配器都以 32 位精度训练";
    ChangesMemoryOnly =
        "it changes memory, not results, and is not used here",
        "它只影响显存，不影响结果，这里没有采用";
    PackedStayApart =
        "packed examples never see each other, and those that fit are kept whole",
        "拼接在一起的样本互不可见，放得下的样本也不会被切开";
    ComputedIn32Bits = "all of it is computed in 32 bits", "全部以 32 位精度计算";
    OneDevice =
        "a run uses one device, chosen when it starts, and its own kernels",
        "训练只使用启动时选定的一个设备，并使用自带的计算内核";
    NoWorkersNoCache =
        "data is read and tokenized again for each run, without workers or a cache",
        "每次训练都重新读取数据并分词，没有工作进程，也没有缓存";
    NoCodeIsRun = "no code from a model is ever run", "从不运行模型附带的代码";
    AlwaysReported = "losses, rates and tokens are always reported", "损失、学习率和 token 数总会报告";
    ReportsToOwnLog =
        "a run reports to the screen and to its own log only",
        "训练只在屏幕和自己的日志中报告";
    NothingLeavesMachine = "nothing leaves this machine", "任何内容都不会离开本机";
    OnlySftAndPt =
        "only sft and pt are known here; write task: preference for dpo",
        "这里只支持 sft 和 pt；dpo 请写 task: preference";
    TrainingAlwaysOn =
        "cannot be switched off in a run file; use `lorakeet eval` to score a model",
        "不能在运行文件中关闭；评估模型请用 `lorakeet eval`";
    ScoredByStrategy =
        "eval_strategy and val_size decide when and on what the model is scored",
        "何时评估、用哪些数据评估由 eval_strategy 和 val_size 决定";
    NotPartOfRun = "is not part of a run; use `lorakeet predict`", "不属于训练；请用 `lorakeet predict`";
    FollowsFromTask =
        "follows from the task; write task: classification and the like",
        "由任务决定；请写 task: classification 等";
    OwnChatTemplate = "the model's own chat template is used", "使用模型自带的对话模板";
    ListsDataSets =
        "train_file is a path of its own; only a dataset that is no path is looked up there, in dataset_info.json, by the command",
        "train_file 本身就是完整路径；只有当 dataset 不是路径时，命令行才会在其中的 dataset_info.json 里查找";
    TrainFileIsPath = "train_file is a path of its own", "train_file 本身就是完整路径";
    AlwaysSafetensors =
        "checkpoints are always safetensors, and each step's has a folder of its own",
        "检查点总是 safetensors 格式，且每一步的检查点有单独的文件夹";
    CheckpointsHoldAdapter = "checkpoints hold the adapter", "检查点保存的是适配器";
    GoesOnWithNextRow =
        "a resumed run continues with the next row",
        "继续训练时总是从下一条数据开始";
    FollowsFromMetric =
        "whether more is better follows from the metric",
        "指标越大越好还是越小越好由指标本身决定";
    ReadFromModel = "it is read from the model", "它从模型中读取";
    ColumnsByForm =
        "columns are recognised by the data's form, and scoring yields the loss only",
        "列按数据的形式识别，评估只给出损失";
    AveragedOverTokens =
        "the loss is always averaged over all target tokens of a step",
        "损失总是对一步中的所有目标 token 取平均";
    ProductsIn32Bits = "products are computed in 32 bits", "乘积以 32 位精度计算";
    RepeatableFromSeed = "a run is repeatable from its seed", "相同的种子即可复现训练";

    // trainers/reading.rs
    FileOfTrainer { program } =
        "The file is read as one of {program}; what it does not give has the defaults of this program, which `lorakeet check` shows.",
        "该文件按 {program} 的运行文件读取；未给出的设置采用本程序的默认值，可用 `lorakeet check` 查看。";
    FullWithoutSwitch { program, switch } =
        "Without {switch} {program} trains every weight, and so does this run: finetuning_type is full.",
        "没有 {switch} 时 {program} 训练全部权重，本次训练也如此：finetuning_type 为 full。";
    OwnPadding = "the model's own padding token is used, and no loss depends on it", "使用模型自带的填充 token，它不影响损失";
    NotDataSets = "must be a list of one data set with a path", "必须是含一个数据集的列表，且该数据集有 path";
    SeveralDataSets { found } = "names {found} data sets, and a run reads one", "列出了 {found} 个数据集，而一次训练只读取一个";
    NameOneFile = "Join the rows in one file, and name it as path.", "请把数据合并到一个文件中，并用 path 指定。";
    NoSuchAdapterKind { found } = "is '{found}', which is no kind of adapter here", "为 '{found}'，这里没有这种适配器";
    LoraOrQlora = "Use lora or qlora, or nothing to train every weight.", "请使用 lora 或 qlora；留空则训练全部权重。";
    NotTimesPerEpoch = "must be a whole number of times from 0", "必须是不小于 0 的整数次数";

    // page_query.rs
    LinkTooLong { bytes, most } = "the link has {bytes} bytes, and at most {most} are read", "链接有 {bytes} 字节，最多读取 {most} 字节";
    OtherLinkVersion { got, known } = "the link is of version '{got}', and this page knows {known}",
        "链接的版本为 '{got}'，而本页面只支持 {known}";
    CopyLinkAgain = "Copy the link again from a page of this version.", "请从相同版本的页面重新复制链接。";
    TwiceInLink = "is in the link twice", "在链接中出现了两次";
    ShortenLink = "Shorten the prompt or the lists in the settings.", "请缩短提示词或设置中的列表。";
}
