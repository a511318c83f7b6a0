//! What was trained, as files for other programs.

use crate::message::messages;

messages! { "export";
    NoBaseWeights = "there are no weights to put the adapter into", "没有可供合并适配器的权重";
    NameBase = "Name the base model's files with --base.", "请用 --base 指定基座模型的文件。";
    HeadNeedsConfig = "The adapter brings a head: its config.json must lie beside it.",
        "该适配器带有任务头：其 config.json 须放在同一文件夹中。";
    SharedEmbedding = "is shared with the embedding, which was trained beside it; this architecture has no form without the sharing",
        "与词嵌入共享权重，而词嵌入参与了训练；此架构没有不共享的形式";
    WithoutEmbedding = "Use the adapter with PEFT as it is, or train without the embedding in target_modules and modules_to_save.",
        "请用 PEFT 直接加载适配器，或在 target_modules 和 modules_to_save 中去掉词嵌入后重新训练。";
    NotReadable { storage } = "is stored as {storage}, which cannot be read", "以 {storage} 格式存储，无法读取";
    NoAdapterToExport { form } = "there is no adapter that could be exported as {form}", "没有可导出为 {form} 的适配器";
    ExportWhole = "Export the whole model: merged or gguf.", "请导出整个模型：merged 或 gguf。";
    DtypeNotOfForm { dtype, form } = "{dtype} is no number format of {form}", "{form} 不支持数值格式 {dtype}";
    FloatsOnly = "Use float32, float16 or bfloat16; formats in blocks are for gguf.",
        "请使用 float32、float16 或 bfloat16；分块量化格式仅用于 gguf。";
    PeftIsFloat32 = "Leave it out: the adapter is written in float32, as it was trained.", "请去掉该选项：适配器以训练时的 float32 写出。";
    SmallModel { model_type, form } = "{model_type} is a small model of this program alone; {form} has no such architecture",
        "{model_type} 是本程序自有的小模型；{form} 没有这种架构";
    SmallStaysHere = "Export it as merged: its safetensors can be read anywhere.", "请导出为 merged：其 safetensors 可在任何地方读取。";
    NoArchitecture { model_type, form, names } = "{model_type} cannot be exported as {form}; that has {names}",
        "{model_type} 不能导出为 {form}；可导出的有 {names}";
    ExportMerged = "Export it as merged and convert that with the program's own tools.", "请导出为 merged，再用该程序自带的工具转换。";
    TrainedWhole { form } =
        "was trained whole or by rows (a head, modules_to_save, trainable_token_indices), and {form} holds low-rank matrices only",
        "是整体或按行训练的（任务头、modules_to_save 或 trainable_token_indices），而 {form} 只能存放低秩矩阵";
    SharedTable { form } = "is the output matrix, too, to which {form} would apply the adapter as well",
        "同时也是输出矩阵，{form} 会把适配器也用在输出上";
    ExportMergedModel = "Export the merged model instead.", "请改为导出合并后的模型。";
    NoDora { form } = "has DoRA's magnitudes, which {form} has no place for", "含有 DoRA 的幅值向量，{form} 中没有它的位置";
    OtherNamesOfPart { form } = "is the text part of a larger model, whose modules {form} calls by other names",
        "是更大模型的文本部分，{form} 对其中模块的命名不同";
    NoGgufName { architecture } = "GGUF has no name for this tensor of {architecture}", "GGUF 中没有 {architecture} 这个张量的名称";
    NoHeadInGguf = "is part of a head for classes or numbers, which GGUF has no place for here",
        "属于分类或回归任务头，此处的 GGUF 没有它的位置";
    OnlyTied { architecture } = "differs from the embedding, and llama.cpp has no {architecture} with an output matrix of its own",
        "与词嵌入不同，而 llama.cpp 的 {architecture} 没有独立的输出矩阵";
    ConfigLacks { key } = "has no {key}, which GGUF needs", "缺少 GGUF 需要的 {key}";
    NotInLlamaCpp { found, architecture } = "is {found}, which llama.cpp does not compute for {architecture}",
        "为 {found}，llama.cpp 的 {architecture} 不支持这种计算";
    OtherTask { task, form } = "was trained for {task}, and {form} holds models that make vectors of texts",
        "是为 {task} 训练的，而 {form} 只用于生成文本向量的模型";
    NoVectors { form } = "is not said to make vectors of texts, which {form} is for; a run's output_dir says what it was trained for",
        "没有说明用于生成文本向量，而 {form} 只用于这类模型；训练的 output_dir 中记录了任务";
    PadsWith { token } = "The tokenizer names no padding token; the export's settings name {token}.",
        "分词器没有填充 token；导出的设置中以 {token} 作为填充 token。";
    OwnClass { file } = "transformers has no class with this head: {file} in the folder has it. Load the folder with trust_remote_code=True.",
        "transformers 没有带这种输出头的类：文件夹中的 {file} 提供了它。加载时请设置 trust_remote_code=True。";
    NoTokenizer = "The base has no tokenizer.json, so the folder has none either.", "基座没有 tokenizer.json，因此导出的文件夹中也没有。";
    NoTokenizerForGguf = "has no tokenizer, which a GGUF file holds", "没有分词器，而 GGUF 文件需要包含分词器";
    AddTokenizer = "Put the model's tokenizer.json beside its weights.", "请将模型的 tokenizer.json 放在权重旁边。";
    NoTokenizerName { found } = "is {found}, which llama.cpp has no name for", "为 {found}，llama.cpp 中没有对应的名称";
    NothingToExport = "holds neither an adapter nor a model", "其中既没有适配器也没有模型";
    NameRun = "Name a run's output_dir, a checkpoint, an adapter's folder or a model.",
        "请指定训练的 output_dir、检查点、适配器文件夹或模型。";
    BaseUnknown = "does not say where its base model is", "没有说明其基座模型的位置";
    BaseNotThere { base } = "names the base model {base}, which is not there", "其中的基座模型 {base} 不存在";
    FolderHolds { file } = "holds {file} already", "其中已有 {file}";
    NewFolderForExport = "Choose a new folder for the export.", "请为导出选择新的文件夹。";
    NoSize { got } = "must be a size such as 5GB or 500MB, got {got}", "必须是 5GB、500MB 这样的大小，实际为 {got}";
    ExportStopped = "the export was stopped; what is there of it is incomplete", "导出已停止；已写出的部分不完整";
    DiffersByBase = "The run computed with a base of fewer bits than the one that the weights were put into, so the loss is another.",
        "训练时使用的基座位数低于合并所用的基座，因此损失不同。";
    DiffersByBlocks { dtype } = "{dtype} rounds every weight; a format with more bits loses less.",
        "{dtype} 会舍入每个权重；位数更多的格式损失更小。";
    DiffersForNoReason =
        "Nothing explains that: the data or the base may have changed since the run. Compare the answers before you use the files.",
        "没有可解释的原因：数据或基座可能在训练之后有变化。使用前请对比输出。";
    LacksTensor = "is missing in the files that were written", "在写出的文件中缺失";
    TensorTooMany = "is in the files that were written, and was not meant to be", "写出的文件中多出了这一项";
    OtherBytes = "has other bytes in the files that were written", "在写出的文件中字节不同";
    ExportAgain = "Do not use these files: export again, and report it if that happens twice.", "请勿使用这些文件：请重新导出；若再次出现，请反馈。";
    RoundedByMore { storage } =
        "{storage} usually rounds less than that: compare the answers before you use the files, or take a format with more bits.",
        "{storage} 的舍入误差通常没有这么大：使用前请对比输出，或改用位数更多的格式。";
    NoRunOfWeights = "no finished run belongs to these weights", "这些权重不属于已完成的训练";
    RunDataGone = "the data of the run are no longer what is loaded", "当前加载的数据已不是该次训练的数据";
    TooLargeToScore { size, most } =
        "its weights would take {size} MB beside the loaded model, and up to {most} MB are scored here; lorakeet export scores it natively",
        "其权重需要在已加载的模型之外再占用 {size} MB，而此处最多评分 {most} MB；可用 lorakeet export 在本机评分";
    NotChecked { why } = "The export was not scored: {why}", "未对导出结果评分：{why}";
    NoRunToCompare = "these files do not name their run", "这些文件没有说明来自哪次训练";
    NoDataToCompare { file } = "{file} is not there", "{file} 不存在";
    DataChanged { file } = "{file} is not what the run was made with", "{file} 与训练时的文件不同";
    NothingHeldOut = "the run holds no rows out", "该训练没有留出验证行";
    ComparesWithBase = "the loss of preferences compares with the model that the run started from, which is gone: every weight was trained",
        "偏好训练的损失需要与训练起点的模型比较，而全部权重都参与了训练，起点已不存在";
    NoBaseInForm { form } = "{form} holds the adapter alone", "{form} 只包含适配器";
    MergedHasBase = "Use it with merged, sentence-transformers or gguf.", "请用于 merged、sentence-transformers 或 gguf。";
    NotRounded = "the run has neither quantization_bit nor fp8: it computed with the base's own numbers",
        "该训练没有使用 quantization_bit 或 fp8：计算时用的就是基座自身的数值";
    QuantizesModels = "holds an adapter, and a model is quantized as a whole", "其中是适配器，而量化针对整个模型";
    MergeFirst = "Merge it first with lorakeet merge, or use lorakeet export --to gguf --dtype.",
        "请先用 lorakeet merge 合并，或使用 lorakeet export --to gguf --dtype。";
    NoLinearToPack = "has no linear of its layers that could be packed", "各层中没有可以量化的线性层";
    ExportCalledOff = "the export was called off", "导出已取消";
    RoundedAlready { storage } =
        "The model is stored as {storage}, so its numbers are rounded a second time; one with 16 or 32 bits loses less.",
        "该模型以 {storage} 格式存储，其数值会被再次舍入；使用 16 位或 32 位的模型损失更小。";
    AdapterIsNoModel { form } = "holds an adapter, and {form} a whole model, in which the base's numbers are others",
        "其中是适配器，而 {form} 是完整模型，合并会改变基座的数值";
    MergeInstead = "Merge it with lorakeet merge or lorakeet export, or convert it to peft, gguf-adapter or mlx.",
        "请用 lorakeet merge 或 lorakeet export 合并，或转换为 peft、gguf-adapter 或 mlx。";
    ConvertWhole = "Convert the whole model: to safetensors or gguf.", "请转换整个模型：safetensors 或 gguf。";
    IsGgufAlready = "is a GGUF file already", "已经是 GGUF 文件";
    QuantizeInstead = "lorakeet quantize writes it in another number format.", "如需其他数值格式，请使用 lorakeet quantize。";
    NotCompared { why } = "The result was not compared with its source: {why}", "未将写出的文件与原文件对比：{why}";
    LargestPart = "Use the largest size of one file.", "请填写单个文件的最大大小。";
    // For a cluster.
    FullNotInScript = "the script trains an adapter, and not every weight", "该脚本训练适配器，而不是全部权重";
    UseLoraForScript = "Set finetuning_type: lora, or export the model as merged.", "请设置 finetuning_type: lora，或将模型导出为 merged。";
    SmallNotInScript { model_type } = "{model_type} is a small model of this program alone, which transformers does not have",
        "{model_type} 是本程序自有的小模型，transformers 中没有";
    UseHubModel = "Use a model with an architecture of transformers.", "请使用 transformers 支持的模型架构。";
    NoStepsToExport = "must be above 0: a run without steps trains nothing elsewhere", "必须大于 0：没有训练步数的任务在别处也不会训练";
    TrainHere = "Run it here and export the model as peft or merged, or set max_steps.",
        "请在本程序中运行并导出为 peft 或 merged，或设置 max_steps。";
    KnobNotInScript { knob } = "{knob} is not carried over into the script.", "{knob} 没有写入脚本。";
    BaseIsGguf = "The base is a GGUF file: export it as merged with --dtype float32, and name that folder with train.py --model.",
        "基座是 GGUF 文件：请用 --dtype float32 导出为 merged，再用 train.py --model 指定该文件夹。";
    MomentsStartAnew = "The optimizer's moments start from zero: 8-bit ones are not carried over.",
        "优化器的动量从零开始：8 位动量不会带过去。";
    OtherDropoutMasks = "Dropout draws other masks there: losses agree exactly with lora_dropout: 0 alone.",
        "那里的 dropout 掩码不同：只有 lora_dropout 为 0 时损失才完全一致。";
    OtherEightBits = "bitsandbytes rounds the inputs of its 8-bit linears as well: losses differ a little.",
        "bitsandbytes 还会对 8 位线性层的输入取整：损失略有差别。";
    KnobNotInProgram { knob, program } = "{program} has no key for {knob}, which has no effect there.",
        "{program} 没有与 {knob} 对应的设置，该设置在那里不起作用。";
    OtherSplitAndOrder { program } = "{program} holds out and orders rows by its own random numbers.",
        "{program} 按自己的随机数划分和排列数据。";
    TaskNotInProgram { task, program } = "{task} is not written for {program}, whose fine-tuning continues texts",
        "{task} 任务不能为 {program} 导出，它的微调只做文本续写";
    ExportScript = "Export it as script instead, which trains every task.", "请改为导出 script，它支持所有任务。";
    NoRunFile = "has no run.yaml, so how to train is not known", "没有 run.yaml，无法得知训练设置";
    NameRunFile = "Name a run file, a run's output_dir or a checkpoint in it.", "请指定运行文件、训练的 output_dir 或其中的检查点。";
    NoLicense { got } = "{got} is not the name of a licence", "{got} 不是许可证名称";
    NameLicense = "Name one, such as apache-2.0, or leave --license out to take that of the base.",
        "请填写许可证名称，如 apache-2.0；去掉 --license 则采用基座模型的许可证。";
    FlagWithoutMeaning { form } = "has no meaning for {form}", "对 {form} 没有意义";
    LeaveFlagOut = "Leave it out.", "请去掉该选项。";
    RunIsDone { step } = "The run is done after step {step}: it is exported from its beginning.", "训练已在第 {step} 步完成：从头导出。";
    GoesOnFrom { step } = "The run is exported from the checkpoint after step {step} on.", "从第 {step} 步之后的检查点开始导出。";
}
