//! Architectures, their config.json and their tensors.

use crate::message::messages;

messages! { "models";
    // models/registry.rs
    UnknownArchitecture { name } =
        "the architecture {name} is not supported",
        "不支持模型架构 {name}";
    UnknownGgufArchitecture { name } =
        "is {name}, which is not supported",
        "为 {name}，不受支持";
    Supported { names } = "Supported here: {names}.", "支持的架构：{names}。";
    SupportedNear { near, names } =
        "Did you mean {near}? Supported here: {names}.",
        "你是不是想写 {near}？支持的架构：{names}。";

    // models/text_part.rs
    UnknownTextPart { name, whole } =
        "the text part of {whole} is {name}, an architecture that is not supported",
        "{whole} 的文本部分为 {name}，不支持这种架构";
    TextPart { whole, name, class } =
        "The model, {whole}, has several parts: only its text part, {name}, is read, trained and exported. transformers reads \
         that part, and adapters on it, as {class}.",
        "模型 {whole} 由多个部分组成：只读取、训练和导出其中的文本部分 {name}。在 transformers 中，该部分及其适配器以 {class} 加载。";
    TextPartOnly { whole, name, class, left } =
        "The model, {whole}, has several parts: only its text part, {name}, is read, trained and exported. transformers reads \
         that part, and adapters on it, as {class}. Not used of config.json: {left}.",
        "模型 {whole} 由多个部分组成：只读取、训练和导出其中的文本部分 {name}。在 transformers 中，该部分及其适配器以 {class} 加载。\
         config.json 中未使用：{left}。";

    // models/activation.rs
    UnknownActivation { name } =
        "the activation {name} is not supported for this architecture",
        "此架构不支持激活函数 {name}";

    // models/adapters.rs
    FullTrainingTakesNoAdapter =
        "a model in full training takes no adapter",
        "全参数训练的模型不能挂适配器";
    OtherRank { shape, module, rank } =
        "has shape {shape}, but adapter_config.json gives {module} a rank of {rank}",
        "形状为 {shape}，而 adapter_config.json 中 {module} 的秩为 {rank}";
    IsItOfThisModel =
        "Is it an adapter of this very model?",
        "请确认它是这个模型的适配器。";
    OtherShape { shape, needed } =
        "has shape {shape}, the model needs {needed}",
        "形状为 {shape}，而模型需要 {needed}";
    NoPlaceForTensor =
        "the adapter has a tensor that this model has no place for",
        "适配器中有一个张量在此模型中没有对应的位置";
    OnlyLoraIsRead =
        "Only LoRA on linear layers is read; is it an adapter of this very model?",
        "只能读取线性层上的 LoRA；请确认它是这个模型的适配器。";
    AdapterOfOtherArchitecture { found, base } =
        "is {found}, which is not the form of the base, {base}, in GGUF",
        "为 {found}，而基座 {base} 在 GGUF 中不是这种形式";
    AdapterOnSharedTable =
        "is on the embedding, which is the base's output matrix as well: the program that wrote it changes both, and PEFT the \
         embedding alone",
        "位于词嵌入上，而该词嵌入同时也是基座的输出矩阵：写出它的程序会同时改变两者，PEFT 则只改变词嵌入";
    MergeElsewhere =
        "Merge it into its base with the program that wrote it, and use the merged model.",
        "请用写出它的程序将其合并到基座，再使用合并后的模型。";
    LeftOutBySettings =
        "is on a module that keys or num_layers in adapter_config.json leave out",
        "所在的模块被 adapter_config.json 中的 keys 或 num_layers 排除在外";
    CheckKeysAndLayers =
        "Check that both files are of the same training.",
        "请确认两个文件来自同一次训练。";
    NoAdapter = "the model has no adapter", "模型没有适配器";
    NoLoraOnOutput =
        "low-rank adapters on the output matrix lm_head are not supported",
        "不支持在输出矩阵 lm_head 上使用低秩适配器";
    SaveOutputWhole =
        "Name lm_head in modules_to_save, which trains all of it.",
        "请把 lm_head 写在 modules_to_save 中，这样会训练整个矩阵。";
    NoTokenTable = "this model has no embedding whose rows can be trained", "此模型没有可以按行训练的词嵌入";
    NoSuchTable { name } = "{name} is no embedding and no output matrix of this model", "{name} 不是此模型的词嵌入或输出矩阵";
    TableNamedTwice { module } = "{module} is meant twice", "{module} 被指定了两次";
    SharedOutputRows =
        "the output matrix is the embedding: its rows are those of the embedding",
        "输出矩阵与词嵌入共享：两者的行相同";
    NameEmbeddingAlone = "Name the embedding alone.", "请只指定词嵌入。";
    RowsTrainedTwice { module } =
        "{module} is trained whole or carries an adapter as well",
        "{module} 同时又整体训练或带有适配器";
    NameItOnce =
        "Remove it from modules_to_save and target_modules, or remove this setting.",
        "请将其从 modules_to_save 和 target_modules 中去掉，或去掉此项。";
    MaskedOutputRows { module } =
        "{module} is the output of a masked language model, too, whose bias PEFT leaves out with trained rows",
        "{module} 同时是掩码语言模型的输出矩阵，PEFT 按行训练时会丢掉它的偏置";
    TokenTwice { token } = "token {token} is named twice", "token {token} 被指定了两次";
    NoTokensNamed { module } = "no token is named for {module}", "没有为 {module} 指定 token";
    TokenBeyondTable { token, module, rows } =
        "there is no token {token}: {module} has {rows} rows, counted from 0",
        "没有 token {token}：{module} 共有 {rows} 行，从 0 编号";
    NoSuchModule { name } =
        "{name} is no linear, embedding or head of this model",
        "此模型的线性层、嵌入和任务头中都没有 {name}";
    ModelHas { names } = "It has: {names}.", "模型中有：{names}。";
    AdapterLacksTensor = "the adapter lacks this tensor", "适配器缺少这个张量";

    // models/bert.rs, models/gpt2.rs, models/small/patches.rs
    HeadsDoNotDivide { heads, width } =
        "{heads} heads do not divide a width of {width}",
        "宽度 {width} 不能被 {heads} 个注意力头整除";
    NoPositionLeft { id, places } =
        "is {id}, and positions count from the one after it: of {places} none is left",
        "为 {id}，而位置从它的下一个开始计数：{places} 个位置一个也不剩";

    // models/bitsandbytes.rs
    NoQuantState { why } =
        "is no quant_state of bitsandbytes: {why}",
        "不是 bitsandbytes 的 quant_state：{why}";
    NoBlocksize = "no blocksize", "没有 blocksize";
    NoShape = "no shape of two sizes", "没有含两个数的 shape";
    InfiniteNestedOffset = "nested_offset is no finite number", "nested_offset 不是有限数";
    OtherNestedBlocksize = "nested_blocksize is not 256", "nested_blocksize 不是 256";
    OtherQuantMap = "is not the table of its format", "不是其格式的码表";
    OtherNestedQuantMap = "is not the signed dynamic map", "不是有符号动态码表";
    ScalesOfBlocks { found, wanted } =
        "has {found} scales, its shape and block size want {wanted}",
        "有 {found} 个缩放系数，而按其形状和块大小应有 {wanted} 个";
    ScalesOfRows { found, rows } =
        "has {found} scales for {rows} rows",
        "有 {found} 个缩放系数，而矩阵有 {rows} 行";

    // models/gemma.rs, models/llama.rs
    HeadsNotShared { heads, width, shared } =
        "{heads} heads of width {width} do not share {shared} key/value heads evenly",
        "{heads} 个宽度为 {width} 的注意力头不能均分 {shared} 个键/值头";
    WindowIsNull =
        "is null, but config.json has layers with a window",
        "为 null，但 config.json 中有使用滑动窗口的层";
    CallAllLayersFull =
        "Call all layers full_attention in layer_types.",
        "请在 layer_types 中把所有层都写成 full_attention。";
    NoWindowForLayers =
        "names layers with a window, but config.json has no window for them",
        "列出了使用滑动窗口的层，但 config.json 没有给出窗口大小";
    SetWindow =
        "Set use_sliding_window: true and sliding_window in it, or call the layers full_attention.",
        "请在其中设置 use_sliding_window: true 和 sliding_window，或把这些层写成 full_attention。";

    // models/limits.rs
    CutAtPositions { cutoff_len, tokens } =
        "cutoff_len is {cutoff_len}, but this model has positions for {tokens} tokens: rows are cut there.",
        "cutoff_len 为 {cutoff_len}，但此模型只有 {tokens} 个 token 的位置：数据会在该长度处截断。";
    ClassBeyond { label, classes } =
        "a token has class {label}, and there are {classes} classes, from 0",
        "有一个 token 的类别为 {label}，而类别共 {classes} 个，从 0 开始编号";
    TokenBeyond { token, id, rows } =
        "the tokenizer gives the token {token} the id {id}, and the model's word embedding has {rows} rows, from 0",
        "分词器给 token {token} 的 id 是 {id}，而模型的词嵌入只有 {rows} 行，从 0 开始编号";
    TakeTokenizerOrResize =
        "Take the tokenizer.json that belongs to the weights, or give the token a row: in transformers, \
         model.resize_token_embeddings(len(tokenizer)), then save both again.",
        "请使用与权重配套的 tokenizer.json，或为这个 token 增加一行：在 transformers 中执行 \
         model.resize_token_embeddings(len(tokenizer))，然后重新保存两者。";
    TypeBeyond { id, rows } =
        "the tokenizer gives a token the type {id}, and the model's table of token types has {rows} rows, from 0",
        "分词器给某个 token 的类型是 {id}，而模型的 token 类型表只有 {rows} 行，从 0 开始编号";
    TakeTokenizer =
        "Take the tokenizer.json that belongs to the weights.",
        "请使用与权重配套的 tokenizer.json。";

    // models/load/config.rs
    MoreLayersThanTensors { layers, tensors } =
        "is {layers}, but the files have {tensors} tensors",
        "为 {layers}，但文件中只有 {tensors} 个张量";
    MoreHeadsThanWidth { heads, width } =
        "is {heads}, more than the width {width} that they divide",
        "为 {heads}，超过了它们要划分的宽度 {width}";
    NotPositiveWhole { got } = "must be a positive whole number, got {got}", "必须是正整数，实际为 {got}";
    AboveMost { most, got } = "must be at most {most}, got {got}", "不能超过 {most}，实际为 {got}";
    SideTooLarge { sizes } =
        "makes a matrix with a side of {sizes}, which is too large",
        "使矩阵的一边达到 {sizes}，过大";
    BelowZero { got } = "must be 0 or above, got {got}", "不能小于 0，实际为 {got}";
    NotBoolean { got } = "must be true or false, got {got}", "必须是 true 或 false，实际为 {got}";
    NotTokenId { got } = "must be a token's number, got {got}", "必须是 token 的编号，实际为 {got}";
    NotNames { got } = "must be a list of names, got {got}", "必须是名称列表，实际为 {got}";
    NotList { got } = "must be a list, got {got}", "必须是列表，实际为 {got}";
    LayerTypesCount { found, layers } =
        "names {found} layers, the model has {layers}",
        "列出了 {found} 层，而模型有 {layers} 层";
    UnknownLayerType { kind } =
        "layers of the type {kind} are not supported for this architecture",
        "此架构不支持类型为 {kind} 的层";
    NotName { got } = "must be a name, got {got}", "必须是名称，实际为 {got}";
    NotObject { got } = "must be an object, got {got}", "必须是对象，实际为 {got}";
    MissingKey = "this key is missing", "缺少这个键";

    // models/load/init.rs
    FreshWeightsTooLarge { gib } =
        "config.json asks for new weights of more than {gib} GiB",
        "config.json 要求的随机初始化权重超过 {gib} GiB";
    AreSizesMeant =
        "Are its sizes the ones that were meant? Else add the model's weights.",
        "请确认其中的各项大小是否写对；若没有写错，请加入模型的权重文件。";

    // models/load/tensors.rs, models/bitsandbytes.rs
    MissingTensor = "the model's files lack this tensor", "模型文件中缺少这个张量";
    AreAllShardsThere =
        "Are all shards there, and does config.json belong to them?",
        "请确认所有分片是否齐全，以及 config.json 是否与它们配套。";
    NotPromisedShape { shape, promised } =
        "has shape {shape}, config.json promises {promised}",
        "形状为 {shape}，而按 config.json 应为 {promised}";
    OutputDiffersFromEmbedding { name } =
        "The files hold an output matrix, {name}, that differs from the embedding, although config.json shares \
         the two (tie_word_embeddings): the files' own is computed with.",
        "文件中有输出矩阵 {name}，它与嵌入矩阵不同，而 config.json 让两者共用（tie_word_embeddings）：\
         计算时使用文件中的输出矩阵。";
    EmbeddingStandsIn { name } =
        "The model was saved without an output matrix ({name}), as those for embeddings are: its embedding \
         stands in where tokens are predicted. Classes and rankings do not need it.",
        "此模型保存时没有输出矩阵（{name}），嵌入模型通常如此：预测 token 时用嵌入矩阵代替。分类和排序不需要它。";
    MissingOutput =
        "the model's files lack the output matrix, and config.json says that it is not the embedding",
        "模型文件中缺少输出矩阵，而 config.json 表明它不是嵌入矩阵";
    AreAllShardsThereOrTie =
        "Are all shards there? tie_word_embeddings: true in config.json makes it predict by its embedding.",
        "请确认所有分片是否齐全。在 config.json 中设置 tie_word_embeddings: true，模型就会用嵌入矩阵来预测。";
    TensorTooLarge { shape } =
        "of shape {shape} is too large for this machine",
        "形状为 {shape}，对这台机器来说过大";

    // models/mod.rs
    OtherFeatures { numbers, wanted } =
        "a row has {numbers} numbers, and the model takes {wanted}",
        "每条数据有 {numbers} 个数值，而模型需要 {wanted} 个";
    TextsWanted =
        "the model reads texts, and the rows are numbers",
        "模型读取的是文本，而数据是数值";
    TakeDataOfModelsSize =
        "Take data of the model's own size, or start a model of the data's.",
        "请使用与模型大小相符的数据，或按数据的大小新建模型。";
    UnexpectedElementType { error } = "unexpected element type: {error}", "意外的元素类型：{error}";

    // models/modernbert.rs
    HeadsDoNotDivideEvenly { heads, width } =
        "{heads} heads do not divide a width of {width} evenly",
        "宽度 {width} 不能被 {heads} 个注意力头平分为偶数宽度";
    HeadsTooWide { width, most } =
        "makes heads of a width of {width}; at most {most} is supported",
        "使注意力头的宽度达到 {width}；最多支持 {most}";
    NotClsOrMean { got } = "must be cls or mean, got {got}", "必须是 cls 或 mean，实际为 {got}";

    // models/names.rs
    TwoModels { one, other } = "{one} and {other} are both there", "{one} 和 {other} 同时存在";
    KeepOneModel =
        "There is no telling which of them is meant. Keep the tensors of one model only.",
        "无法判断该用哪一个。请只保留一个模型的张量。";
    ScalesWeight { weight } =
        "scales {weight}, and weights of this form are not read",
        "是 {weight} 的缩放系数，而这种形式的权重无法读取";
    TakeOwnWeights =
        "Take the model's own weights, or a GGUF file.",
        "请使用模型的原始权重，或 GGUF 文件。";
    UnusedTensors { names } =
        "Tensors of the files that this model does not use: {names}.",
        "文件中有此模型不使用的张量：{names}。";

    // models/rope.rs
    NeedsObjectPerLayerKind { value } =
        "is {value}: of this architecture each kind of layer has an object of its own",
        "为 {value}：在此架构中，每种层都有各自的对象";
    ThetaTooExtreme { theta } =
        "a theta of {theta} gives angles that are no numbers",
        "theta 为 {theta} 时，算出的角度不是有效数值";
    RopeGivenTwice =
        "is there beside rope_parameters, which says the same",
        "与 rope_parameters 同时存在，而两者作用相同";
    NotNumberAboveZero { got } = "must be a number above 0, got {got}", "必须是大于 0 的数，实际为 {got}";
    HighNotAboveLow { high, low } =
        "is {high}, not above low_freq_factor, {low}",
        "为 {high}，没有大于 low_freq_factor（{low}）";
    UnknownRope { name } = "the rotary embedding {name} is not supported", "不支持旋转位置编码 {name}";
    UnsupportedHere { value } =
        "is {value}, which is not supported for this architecture",
        "为 {value}，此架构不支持";
    IdleRopeKeys { key, names } =
        "Keys of {key} in config.json that have no effect: {names}.",
        "config.json 的 {key} 中有不起作用的键：{names}。";

    // models/small.rs
    SmallCannotDoTask { kind } = "a {kind} model cannot do this task", "{kind} 模型不能完成这个任务";
    CanBeTrainedFor { tasks } = "It can be trained for: {tasks}.", "它支持的任务：{tasks}。";

    // models/small/patches.rs
    PatchesDoNotFill { patch, key, length } =
        "patches of {patch} do not fill {key} {length}",
        "大小为 {patch} 的图块不能铺满 {key} {length}";

    // models/small/sizes.rs
    SizeIsGiven { value } =
        "cannot be {value}: the model has weights already",
        "不能是 {value}：模型已有权重";
    TakeItOutOrStartSmall =
        "Remove it, or start a small model by its name, such as model: small_mlp.",
        "请删去这一项，或按名称新建小模型，例如 model: small_mlp。";
    ImagesNotSquare { height, width } =
        "the images are {height} × {width}, and small_vit takes squares",
        "图像大小为 {height} × {width}，而 small_vit 只接受正方形图像";
    RowsNotSquare { numbers } =
        "rows of {numbers} numbers are no square images, which small_vit takes",
        "每条 {numbers} 个数值的数据不能构成正方形图像，而 small_vit 只接受正方形图像";
    TakeOtherSmall =
        "Take small_mlp, small_series or small_lstm.",
        "请使用 small_mlp、small_series 或 small_lstm。";

    // models/t5.rs
    UnsupportedClass { class } = "{class} is not supported", "不支持 {class}";
    OnlyWholeT5 =
        "Of T5, the whole encoder-decoder is read: T5ForConditionalGeneration.",
        "T5 只支持读取完整的编码器-解码器：T5ForConditionalGeneration。";
    BucketsDoNotCover { buckets, distance } =
        "{buckets} buckets do not cover distances up to {distance}",
        "{buckets} 个桶不能覆盖最大为 {distance} 的距离";
    FormContradicted { form } =
        "is {form}, which is_gated_act and dense_act_fn contradict",
        "为 {form}，与 is_gated_act 和 dense_act_fn 矛盾";
    IdBeyondVocabulary { id, tokens } =
        "is {id}, but the model has {tokens} tokens only, counted from 0",
        "为 {id}，但模型只有 {tokens} 个 token，从 0 开始编号";
    NotTwoStacks = "two stacks are loaded", "应加载两个堆栈";
}
