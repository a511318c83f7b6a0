//! Files of models: safetensors, GGUF, PEFT's adapters, and packed number formats.

use crate::message::messages;

messages! { "formats";
    // Several files.
    IsThereTwice = "is there twice", "出现了两次";
    TooLarge = "is too large", "过大";
    NotJson { error } = "is not JSON: {error}", "不是 JSON：{error}";
    IsNotSupported { found } = "is {found}, which is not supported", "为 {found}，不受支持";
    OnlyIsSupported { found, only } = "is {found}; only {only} is supported", "为 {found}；只支持 {only}";
    DownloadAgain = "Download or copy it again.", "请重新下载或复制该文件。";
    CheckAndDownloadAgain =
        "Check that it is the right file, and download it again.",
        "请确认选对了文件，然后重新下载。";
    UseSafetensors =
        "Use the model's safetensors and tokenizer.json instead.",
        "请改用该模型的 safetensors 和 tokenizer.json。";

    // mod.rs
    SeveralGgufFiles { files } = "there are several GGUF files: {files}", "有多个 GGUF 文件：{files}";
    ChooseOneFile = "Choose one of them.", "请选择其中一个。";
    UnreadableDecoded = "storage that is not readable was decoded", "解码了不可读取的存储格式";
    NotAMatrix { shape } =
        "has shape {shape}, but only a matrix is read by rows",
        "形状为 {shape}，但只有矩阵才能按行读取";
    NoSuchRows { rows, start, end } =
        "has {rows} rows, but rows {start} to {end} were wanted",
        "共有 {rows} 行，却要读取第 {start} 到 {end} 行";
    NoSuchTensor = "the model's files have no such tensor", "模型文件中没有这个张量";
    FilesOfOneModel =
        "Check that the files belong to one model and are complete.",
        "请确认这些文件属于同一个模型且完整无缺。";
    ConfigMissing = "config.json is missing", "缺少 config.json";
    ChooseWithConfig =
        "Choose it together with the model's other files: config.json, *.safetensors, tokenizer.json.",
        "请将它与模型的其他文件一起选择：config.json、*.safetensors、tokenizer.json。";
    TwiceInFiles = "is in the files twice", "在所选文件中出现了两次";
    FilesOfOneModelOnly = "Choose the files of one model only.", "请只选择一个模型的文件。";

    // files.rs
    EmptyFile = "is empty (0 bytes)", "是空文件（0 字节）";
    LfsPointer = "is a Git LFS pointer, not the file itself", "是 Git LFS 指针，而不是文件本身";
    PullFromLfs =
        "Run `git lfs pull`, or download the file from the model's page.",
        "请运行 `git lfs pull`，或从模型页面下载该文件。";
    WebPage =
        "is a web page, not a model file: its download was answered with a page",
        "是网页而不是模型文件：下载时返回的是一个网页";
    LogInToDownload =
        "Download it again; if the model asks for a login, log in first.",
        "请重新下载；如果该模型要求登录，请先登录。";
    NotGgufDespiteName = "is not a GGUF file, whatever its name says", "虽有 GGUF 的文件名，却不是 GGUF 文件";
    MissingOrNoObject = "is missing, or is not an object", "缺失，或不是对象";
    ShardIsNoFileName =
        "maps a tensor to something that is not a file name",
        "将某个张量映射到了不是文件名的内容";
    NamedFilesMissing { files } = "names files that are not there: {files}", "列出的文件不存在：{files}";
    ChooseAllParts = "Choose all parts of the model together.", "请同时选择模型的所有分片。";
    PytorchWeights =
        "the weights are in PyTorch's .bin format, which can hold programs and is not fetched",
        "权重为 PyTorch 的 .bin 格式，这种格式可能包含程序，因此不会下载";
    OtherTorchFiles { files } =
        "there are no safetensors, and PyTorch's files are not called pytorch_model.bin: {files}",
        "没有 safetensors 文件，PyTorch 文件也不叫 pytorch_model.bin：{files}";
    NameTorchFile =
        "Convert the weights to safetensors, or give the file that holds them that name.",
        "请将权重转换为 safetensors，或把存放权重的文件改为这个名称。";
    FromTorchFiles { files } =
        "The weights are those of {files}, files of torch.save: tensors are read of it, and nothing in it is run.",
        "权重来自 torch.save 写出的文件 {files}：只读取其中的张量，不运行其中的任何内容。";
    ConvertToSafetensors = "Convert them to safetensors.", "请将其转换为 safetensors。";
    NoWeights = "there are no weights among the files (found: nothing)", "所选文件中没有权重（未找到任何文件）";
    NoWeightsAmong { found } =
        "there are no weights among the files (found: {found})",
        "所选文件中没有权重（找到：{found}）";
    ChooseModelFiles =
        "Choose a GGUF file, or config.json, *.safetensors and tokenizer.json together.",
        "请选择一个 GGUF 文件，或同时选择 config.json、*.safetensors 和 tokenizer.json。";
    ListHasNoTokenId { found } = "a list of token numbers has {found}", "token 编号列表中有 {found}";
    NotATokenId { found } = "must be a token's number, but is {found}", "必须是 token 的编号，实际为 {found}";
    NotUtf8 = "is not UTF-8 text", "不是 UTF-8 文本";

    // sentence.rs
    NoListOfModules = "is no list of modules with a type each", "不是由带 type 的模块组成的列表";
    ModulesNotRead { modules } =
        "has {modules}, which is not computed here: vectors would be without it",
        "含有 {modules}，此处不支持这种计算，得到的向量会缺少这一步";
    PoolingNotRead { mode } =
        "pools tokens by {mode}; cls, mean and lasttoken are computed here",
        "按 {mode} 对 token 池化；此处支持 cls、mean 和 lasttoken";
    SetPooling =
        "Set classifier_pooling, or remove modules.json from the folder: vectors are the mean of the tokens then.",
        "请设置 classifier_pooling，或从文件夹中移除 modules.json（此时向量取 token 的平均）。";
    WithoutModules =
        "Remove modules.json from the folder to train vectors that are the mean of the tokens.",
        "从文件夹中移除 modules.json，即可训练取 token 平均的向量。";
    PoolingUnknown { file } =
        "modules.json names a pooling whose {file} is not among the files: vectors are the mean of the tokens.",
        "modules.json 指定了池化方式，但所选文件中没有 {file}：向量取 token 的平均。";
    PoolsBy { mode, file } =
        "Vectors are pooled by {mode}, as {file} says.",
        "向量按 {mode} 池化，由 {file} 指定。";

    // quant/ggml.rs
    NotWritten { count, storage } = "{count} numbers cannot be written as {storage}", "无法将 {count} 个数写为 {storage}";
    TooLargeForHalf { value } =
        "holds {value}, which is too large for a 16-bit float",
        "含有 {value}，超出 16 位浮点数的范围";
    TooLargeForScale { value, storage } =
        "holds {value}, which is too large for the 16-bit scales of {storage}",
        "含有 {value}，超出 {storage} 的 16 位缩放系数的范围";
    UseBfloat16 = "Export with the dtype bfloat16 or float32.", "请以 bfloat16 或 float32 导出。";

    // blocks.rs
    StorageNotRead { storage } =
        "is stored as {storage}, which is not read here",
        "以 {storage} 格式存储，这种格式不支持读取";
    UseReadableFile =
        "Use a file in F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q5_0, Q5_1, Q4_K, Q4_0 or Q4_1.",
        "请使用 F32、F16、BF16、Q8_0、Q6_K、Q5_K、Q5_0、Q5_1、Q4_K、Q4_0 或 Q4_1 格式的文件。";
    NotWholeBlocks { bytes, storage } =
        "{bytes} bytes are not whole blocks of {storage}",
        "{bytes} 字节不是 {storage} 块大小的整数倍";

    // safetensors.rs
    HeaderTooLong { bytes } =
        "is not a safetensors file: it would start with a header of {bytes} bytes",
        "不是 safetensors 文件：按其开头，文件头应有 {bytes} 字节";
    HeaderIsNoJson { error } =
        "has a header that is not safetensors' JSON: {error}",
        "文件头不是 safetensors 的 JSON：{error}";
    UnknownStorage { storage } =
        "is stored as {storage}, which is not known here",
        "以 {storage} 格式存储，无法识别这种格式";
    ImpossibleShape { shape } = "has an impossible shape {shape}", "形状 {shape} 不可能存在";
    WrongLength { begin, end, storage, shape, bytes } =
        "lies at bytes {begin} to {end}, but {storage} {shape} takes {bytes} bytes",
        "位于第 {begin} 到 {end} 字节，但 {storage} {shape} 需要 {bytes} 字节";
    Overlaps { other } = "lies on bytes of {other}", "与 {other} 的字节重叠";
    DownloadOrConvertAgain = "Download or convert it again.", "请重新下载或转换该文件。";
    CutOff { found, needed } =
        "is cut off: it has {found} bytes, but needs at least {needed}",
        "不完整：只有 {found} 字节，而至少需要 {needed} 字节";
    ShapeNotFilled { bytes, shape, error } =
        "{bytes} bytes do not fill {shape}: {error}",
        "{bytes} 字节与形状 {shape} 不符：{error}";
    CannotWriteTensors { error } = "the tensors cannot be written: {error}", "无法写出张量：{error}";

    // gguf.rs
    MetadataTooLong { most } = "has metadata of more than {most} bytes", "元数据超过 {most} 字节";
    UnknownValueType { kind } = "has a metadata value of unknown type {kind}", "有类型 {kind} 未知的元数据值";
    UnsupportedArrayType { kind } =
        "has a metadata array of unsupported type {kind}",
        "有类型 {kind} 不受支持的元数据数组";
    TooManyElements { most } =
        "has metadata arrays with more than {most} elements",
        "元数据数组的元素超过 {most} 个";
    NotGguf = "is not a GGUF file", "不是 GGUF 文件";
    BigEndianGguf = "is a big-endian GGUF file", "是大端序的 GGUF 文件";
    UnknownGgufVersion { version } =
        "is a GGUF file of version {version}; versions 2 and 3 are read",
        "是版本 {version} 的 GGUF 文件；只支持读取版本 2 和 3";
    ConvertWithLlamaCpp =
        "Convert the model again with a current llama.cpp.",
        "请用最新的 llama.cpp 重新转换该模型。";
    NotAPowerOfTwo { found } = "must be a power of two, got {found}", "必须是 2 的幂，实际为 {found}";
    TooManyAxes { axes } = "has {axes} axes; GGUF allows 4", "有 {axes} 个维度；GGUF 最多允许 4 个";
    UnknownStorageType { kind } =
        "is stored as type {kind}, which is not known here",
        "以类型 {kind} 存储，无法识别这种类型";
    UseAnotherQuantization = "Use a Q8_0 or Q4_1 file.", "请使用 Q8_0 或 Q4_1 文件。";
    ShapeNotOfStorage { shape, storage } =
        "has a shape {shape} that {storage} cannot have",
        "形状为 {shape}，{storage} 不可能有这种形状";
    NotAligned { start, alignment } =
        "starts at {start}, which is not a multiple of {alignment}",
        "起始于 {start}，不是 {alignment} 的整数倍";

    // gguf_config.rs
    NotAPositiveNumber =
        "is missing from the metadata, or is not one positive number",
        "元数据中缺少该键，或其值不是单个正数";
    MissingInMetadata = "is missing from the metadata", "元数据中缺少该键";
    OnlyEncoders =
        "is true, but of BERT only encoders are supported, which see both sides",
        "为 true，但 BERT 只支持双向编码器";
    NotRoberta { kind } =
        "is {kind}: of this architecture only BERT is read from GGUF, not RoBERTa",
        "为 {kind}：此架构从 GGUF 只能读取 BERT，不能读取 RoBERTa";
    NotDistilBert =
        "is missing: of this architecture only BERT is read from GGUF, not DistilBERT",
        "缺失：此架构从 GGUF 只能读取 BERT，不能读取 DistilBERT";
    MoreLayersThanTensors { layers, tensors } =
        "is {layers}, but the file has {tensors} tensors",
        "为 {layers}，但文件只有 {tensors} 个张量";
    WrongWindowPattern =
        "is neither a number nor one truth value a layer",
        "既不是一个数，也不是每层一个布尔值";
    LayersDiffer =
        "is not one positive number: models whose layers differ are not supported",
        "不是单个正数：不支持各层不同的模型";
    AText = "a text", "文本";
    AList = "a list", "列表";
    UnknownRopeFactors =
        "does not hold Llama 3's RoPE scaling, so it is not supported",
        "不是 Llama 3 的 RoPE 缩放，因此不受支持";

    // gguf_names.rs
    SplitGguf =
        "is one part of a model that is split over several GGUF files",
        "只是拆分成多个 GGUF 文件的模型的一部分";
    JoinParts =
        "Join the parts with llama.cpp's llama-gguf-split --merge.",
        "请用 llama.cpp 的 llama-gguf-split --merge 合并各部分。";
    AdapterNotModel = "is an adapter, not a model", "是适配器，不是模型";
    ChooseBaseGguf = "Choose the base model's GGUF file.", "请选择基座模型的 GGUF 文件。";
    NoCounterpart { architecture } =
        "has no counterpart in {architecture}, so this variant is not supported",
        "在 {architecture} 中没有对应的张量，因此不支持这种变体";
    RowsAreNoHeads { rows, heads } =
        "has {rows} rows, which are not {heads} heads",
        "共有 {rows} 行，无法划分为 {heads} 个注意力头";

    // gguf_tokenizer.rs
    KindMissing = "is \"missing\", which is not supported", "缺失，因此不受支持";
    UnknownMerge { merge } =
        "has a merge of tokens that are not in the vocabulary: {merge}",
        "有一条合并规则的 token 不在词表中：{merge}";
    ScoresMissing = "is missing, or has not one score a token", "缺失，或不是每个 token 一个分数";
    ScoreIsNoNumber = "has a score that is no number", "有一个分数不是数";
    TooManyMergeWays { most } =
        "can be merged in more than {most} ways a token",
        "平均每个 token 的合并方式超过 {most} 种";
    UseModelsOwnFile = "Use the model's own file.", "请使用该模型自带的文件。";
    NotATokenizer { error } = "is not a tokenizer: {error}", "不是分词器：{error}";
    LacksToken { token } = "has no {token}", "没有 {token}";

    // adapter_files.rs
    ModelNotAdapter = "is a model, not an adapter", "是模型，不是适配器";
    ChooseAdapter =
        "Choose an adapter: PEFT's or mlx-lm's two files, or a GGUF file of llama.cpp's.",
        "请选择适配器：PEFT 或 mlx-lm 的两个文件，或 llama.cpp 的 GGUF 文件。";
    OtherHalfMissing =
        "is one half of a low-rank matrix, and the other half is missing",
        "是低秩矩阵的一半，缺少另一半";
    HalvesDiffer { a_shape, b_shape } =
        "the halves of a low-rank matrix do not go together: A is {a_shape}, B is {b_shape}",
        "低秩矩阵的两半不匹配：A 为 {a_shape}，B 为 {b_shape}";
    NoLowRankMatrix = "is not a matrix of a LoRA, and nothing else is read", "不是 LoRA 的矩阵，其他张量不支持读取";
    NotAFiniteNumber = "is not a number that can be used here", "不是此处可用的数";
    UnknownLoraParameter = "is not a known setting of mlx-lm's LoRA", "不是 mlx-lm 的 LoRA 的已知设置";
    NoListOfNames = "is not a list of names", "不是名称列表";
    OtherRankThanSettings { found, rank } =
        "has a rank of {found}, but adapter_config.json gives {rank}",
        "秩为 {found}，而 adapter_config.json 中为 {rank}";

    // inspect.rs, diff.rs
    InspectThese =
        "Name a safetensors or GGUF file, or the folder of a model or of an adapter.",
        "请指定 safetensors 或 GGUF 文件，或者模型、适配器的文件夹。";
    OnlyOneIsGguf =
        "the two adapters call their modules by other names: GGUF's of one architecture, and those of others",
        "两个适配器对模块的命名不同：一个使用某架构的 GGUF 名称，另一个不是";
    NameBaseOfBoth = "Name the base of both with --base.", "请用 --base 指定两者的基座模型。";
    StoppedComparing = "stopped while the files were compared", "已停止（正在比较文件）";
    ModelAndAdapter = "one is a model and the other an adapter", "一个是模型，另一个是适配器";
    CompareAlike =
        "Compare two adapters or two models; an adapter becomes a model by exporting it as merged.",
        "请比较两个适配器或两个模型；导出为 merged 可将适配器变为模型。";

    // stored_zip.rs, pickle.rs, torch_file.rs
    NoArchive = "is not a whole ZIP archive, as torch.save writes them", "不是 torch.save 所写的完整 ZIP 归档";
    NoTorchArchive = "is not an archive of torch.save: it has not one data.pkl", "不是 torch.save 的归档：其中没有唯一的 data.pkl";
    EntryNotStored = "is compressed or encrypted, which torch.save does not do", "经过压缩或加密，而 torch.save 不会这样做";
    SaveAgain =
        "Save it again with a current PyTorch, or convert it to safetensors.",
        "请用当前版本的 PyTorch 重新保存，或转换为 safetensors。";
    OldTorchFile =
        "is in the format of PyTorch before 1.6, which is not read",
        "采用 PyTorch 1.6 之前的格式，不支持读取";
    BrokenPickle { at } =
        "is not a pickle of tensors by name: at byte {at} it has something else",
        "不是按名称存放张量的 pickle：第 {at} 字节处是其他内容";
    PickleNamesProgram { name } =
        "names {name}, which is part of a program: only tensors are read, and nothing is run",
        "引用了 {name}，它属于程序：只读取张量，不运行任何内容";
    TooManyValues { most } = "has more than {most} values", "值的个数超过 {most}";
    NoDictOfTensors = "does not hold tensors by name", "其中不是按名称存放的张量";
    PickledIsNoTensor = "is not a tensor", "不是张量";
    SaveStateDict =
        "Save the model's state_dict() alone, or convert it to safetensors.",
        "请只保存模型的 state_dict()，或转换为 safetensors。";
    OutsideStorage { shape } =
        "of shape {shape} reaches past the end of its storage",
        "形状为 {shape}，超出了其存储区的末尾";

    // peft.rs
    ChooseLoraConfig = "Choose the adapter_config.json of a LoRA.", "请选择 LoRA 的 adapter_config.json。";
    ChangesBase { start } =
        "is {start}, which changes the base's weights; this is not supported",
        "为 {start}，会改变基座模型的权重；不受支持";
    ConvertToPlainLora =
        "Convert it to a plain LoRA: save_pretrained with path_initial_model_for_weight_conversion.",
        "请将其转换为普通 LoRA：调用 save_pretrained 时使用 path_initial_model_for_weight_conversion。";
    WrongType { error } = "has a value of the wrong type: {error}", "有一个值的类型不对：{error}";
    ChooseBoth { config, tensors } = "Choose {config} and {tensors} together.", "请同时选择 {config} 和 {tensors}。";
    NoTensors = "holds no tensors", "不包含任何张量";

    // peft/chosen.rs
    LayersWithPattern =
        "cannot be combined with a pattern in target_modules",
        "不能与 target_modules 中的正则表达式同时使用";
    ListModulesOrPutLayers =
        "Name the modules in a list, or put the layers into the pattern.",
        "请用列表列出模块，或把层号写进正则表达式。";
    MatchesNone { written } = "{written} matches none of these modules", "{written} 与这些模块都不匹配";
    ThereAre { names } = "There are: {names}.", "可用的有：{names}。";
    NoSuchLayer { layer } =
        "there is no layer {layer} with a module of target_modules",
        "没有哪个含有 target_modules 模块的层的层号是 {layer}";
    LayersFromZero =
        "Layers are counted from 0; leave out the numbers that the model does not have.",
        "层号从 0 开始；请去掉模型中不存在的层号。";
    LeavesOutAll { wanted } =
        "leaves out everything that {wanted} chooses",
        "排除了 {wanted} 选中的全部模块";
    NoModuleInLayers { wanted } =
        "{wanted} matches no module in the chosen layers",
        "{wanted} 在所选的层中没有匹配到任何模块";
    NoModule { wanted } = "{wanted} matches no module of this model", "{wanted} 在该模型中没有匹配到任何模块";
    ModelHas { names } = "The model has: {names}. Or use all-linear.", "模型中有：{names}。也可以使用 all-linear。";

    // peft/patterns.rs
    TooManyExpressions { found, most } =
        "has {found} regular expressions; at most {most} are supported",
        "有 {found} 个正则表达式；最多支持 {most} 个";
    NameModules =
        "Name the modules, or match several with one expression.",
        "请直接写出模块名，或用一个正则表达式匹配多个模块。";
    UnusableExpression { written, why } =
        "{written} is not a regular expression that can be used here: {why}",
        "{written} 不是此处可用的正则表达式：{why}";
    UseNamesOrPattern =
        "Use names, as in [q_proj, v_proj], or a pattern without look-around.",
        "请使用模块名，例如 [q_proj, v_proj]，或不含环视（look-around）的正则表达式。";

    // quant
    WrongBlockSize { found } = "must be 64, 128 or 256, got {found}", "必须是 64、128 或 256，实际为 {found}";
    CannotPack { value, at } =
        "is {value} at {at}, which cannot be packed",
        "在位置 {at} 的值为 {value}，无法打包";
    WrongCount { found, wanted } =
        "has {found} entries, but {wanted} are needed",
        "有 {found} 个元素，但需要 {wanted} 个";
    NotRowsOfColumns { found, rows, columns } =
        "has {found} entries, which are not {rows} rows of {columns}",
        "有 {found} 个元素，不等于 {rows} 行 × {columns} 列";
    NoNegativeCodes { value, at } =
        "is {value} at {at}, but the unsigned map has no negative codes",
        "在位置 {at} 的值为 {value}，但无符号映射没有负数编码";
    NotSignedBlocksOf256 { block, map } =
        "must be blocks of 256 over the signed map, are {block} {map}",
        "必须是有符号映射、每块 256 个数，实际为 {block} {map}";
    OffsetTooLarge { offset } =
        "is {offset}, with which the scales are not finite",
        "为 {offset}，会使缩放系数不再是有限的数";
    EmptyBlock { rows, columns } =
        "must be 1 by 1 or more, is {rows} by {columns}",
        "至少为 1 × 1，实际为 {rows} × {columns}";
    UnusableScale = "holds one from which no weights can be restored", "其中有一个无法用来还原权重";
    NoNumberAt { value, at } = "is {value} at {at}", "在位置 {at} 的值为 {value}";
    UnusableScaleAt { value, at } =
        "is {value} at {at}, from which no weights can be restored",
        "在位置 {at} 的值为 {value}，无法还原权重";
    NoPackedFormat { storage } =
        "{storage} has no packed format on the device",
        "{storage} 在设备上没有对应的打包格式";
    RowsAreNoBlocks { columns, storage } =
        "has rows of {columns}, which are not whole blocks of {storage}",
        "每行有 {columns} 个数，不是 {storage} 块大小的整数倍";

    // store.rs
    FileTooLong { found, most } =
        "is {found} bytes long, which is more than the {most} that such a file may have",
        "长 {found} 字节，超过此类文件允许的 {most} 字节";
    CheckFile = "Check that it is the right file.", "请确认选对了文件。";
    CannotOpen = "cannot be opened", "无法打开";
    CannotRead = "cannot be read", "无法读取";
    CannotWrite = "cannot be written", "无法写入";
    CannotRemove = "cannot be removed", "无法删除";
    CannotRename = "cannot be renamed", "无法重命名";
    NoSuchFolder = "there is no such folder", "没有这个文件夹";
    NewNameTaken = "there is one of the new name already", "已有同名的文件夹";
    NotARelativePath =
        "a file was to be written at a path that is not a plain relative one",
        "要写入的文件路径不是普通的相对路径";
    IsAFolder = "is a folder, not a file", "是文件夹，不是文件";
    IsAPipe = "is a pipe or a device, not a file", "是管道或设备，不是文件";
    WriteIntoFile =
        "Write what comes from it into a file, and name that.",
        "请先将其输出写入文件，再指定该文件。";
    ChangedWhileRead = "was changed while it was read", "在读取过程中被修改";
    LeaveFilesAlone = "Do not change files during a run.", "运行期间请不要修改文件。";
    FolderInUse = "another run writes into this folder", "另一个任务正在写入此文件夹";
    FolderInUseBy { process } = "another run (process {process}) writes into this folder",
        "另一个任务（进程 {process}）正在写入此文件夹";
    FolderInUseOnHost { process, host } = "another run (process {process} on {host}) writes into this folder",
        "另一个任务（{host} 上的进程 {process}）正在写入此文件夹";
    ChooseAnotherOrWait =
        "Choose another output_dir, or wait until that run has ended.",
        "请另选 output_dir，或等待那个任务结束。";
    NoSuchFile = "there is no such file", "没有这个文件";
    CheckPath = "Check the path.", "请检查路径。";
    PermissionDenied = "permission denied", "没有权限";
    CheckPermissions =
        "Check the file's and the folder's permissions.",
        "请检查文件和文件夹的权限。";
    DiskFull = "the disk is full", "磁盘已满";
    FreeSpace = "Free some space, or choose another output_dir.", "请释放一些空间，或另选 output_dir。";
    DiskReadOnly = "the disk is read-only", "磁盘为只读";
    ChooseAnotherFolder = "Choose another output_dir.", "请另选 output_dir。";
    BecameShorter = "it became shorter while it was read", "文件在读取过程中变短了";
}
