//! Rows, columns, labels and the files that they come from.

use crate::message::messages;

messages! { "data";
    // batch.rs
    ValSizeUnusable { got } = "must be 0, a share below 1, or a number of examples, got {got}",
        "必须是 0、小于 1 的比例或样本条数，实际为 {got}";
    NoneLeftToTrain { held_out, examples } = "{held_out} of {examples} examples held out leave none to train on",
        "{examples} 条样本中留出 {held_out} 条后，没有剩下可用于训练的样本";
    GiveShare = "Give a share like 0.1, or more data.", "请给出比例（如 0.1），或增加数据。";

    // encoding.rs
    NotTextFile { what } = "this is {what}, not a text file", "这是{what}，不是文本文件";
    ZipOrSpreadsheet = "a zip archive or a spreadsheet", "一个 zip 压缩包或电子表格";
    GzipArchive = "a gzip archive", "一个 gzip 压缩包";
    ZstdArchive = "a zstd archive", "一个 zstd 压缩包";
    Bzip2Archive = "a bzip2 archive", "一个 bzip2 压缩包";
    XzArchive = "an xz archive", "一个 xz 压缩包";
    ParquetFile = "a Parquet file", "一个 Parquet 文件";
    Pdf = "a PDF", "一个 PDF 文件";
    OfficeDocument = "an old Office document", "旧版 Office 文档";
    SqliteDatabase = "a SQLite database", "一个 SQLite 数据库";
    GgufModel = "a GGUF model", "一个 GGUF 模型";
    Picture = "a picture", "一张图片";
    UnpackOrSaveSheet = "Unpack it, or save the sheet as .csv.", "请先解压，或将表格另存为 .csv。";
    Unpack = "Unpack it first.", "请先解压。";
    SaveAsJsonlOrCsv = "Save it as .jsonl or .csv.", "请另存为 .jsonl 或 .csv。";
    SaveTextAsTxt = "Save its text as .txt.", "请将其中的文本另存为 .txt。";
    SaveAsTxtOrCsv = "Save it as .txt or .csv.", "请另存为 .txt 或 .csv。";
    ExportTable = "Export the table as .csv.", "请将数据表导出为 .csv。";
    DropAsModel = "Drop it where the model goes; this is the place for data.",
        "请将它拖放到模型的位置；这里用于放置数据。";
    ChooseTextFile = "Choose a text file.", "请选择文本文件。";
    NulByte { line } = "the file holds a NUL byte in line {line}, so it is not a text file",
        "文件第 {line} 行含有 NUL 字节，因此不是文本文件";
    SaveAsText = "Save it as text in UTF-8, or name its encoding: `encoding: utf-16`.",
        "请以 UTF-8 保存为文本，或指定编码：`encoding: utf-16`。";
    OnlyWhiteSpace = "the file holds nothing but white space", "文件中只有空白字符";
    ChooseFileWithText = "Choose a file with text in it.", "请选择含有文本的文件。";
    NotInEncoding { byte, line, encoding } = "byte {byte} of the file, in line {line}, is not {encoding}",
        "文件的第 {byte} 个字节（第 {line} 行）不是 {encoding}";
    NoEncodingFits { byte, line } =
        "byte {byte} of the file, in line {line}, is not UTF-8, and the file looks like no other encoding that is read",
        "文件的第 {byte} 个字节（第 {line} 行）不是 UTF-8，整个文件也不像其他可读取的编码";
    ReadAs { encoding } =
        "The file is read as {encoding}. If letters look wrong, name its encoding: `encoding` is utf-8, utf-16, gb18030 or \
         cp1252.",
        "文件按 {encoding} 读取。若出现乱码，请用 `encoding` 指定编码：utf-8、utf-16、gb18030 或 cp1252。";
    MarkDecides { marked_as, given } =
        "The file begins with the byte order mark of {marked_as} and is read so, not as {given}, which `encoding` says.",
        "文件以 {marked_as} 的字节顺序标记（BOM）开头，因此按 {marked_as} 读取，而不是按 `encoding` 指定的 {given}。";
    LooksBinary = "This looks like a binary file; choose a text file.", "这看起来是二进制文件；请选择文本文件。";
    SaveAsUtf8 =
        "Save the file as UTF-8 (in a text editor: Save as, Encoding), or name its encoding with `encoding`: gb18030 reads GBK, \
         cp1252 Latin-1.",
        "请将文件保存为 UTF-8（在文本编辑器中：另存为，编码），或用 `encoding` 指定编码：gb18030 可读 GBK，cp1252 可读 Latin-1。";
    OddUtf16 = "the file is read as UTF-16 but has an odd number of bytes", "文件按 UTF-16 读取，但字节数为奇数";
    HalfCharacter { line } = "the file is read as UTF-16 but holds half a character in line {line}",
        "文件按 UTF-16 读取，但第 {line} 行含有不完整的字符";
    Damaged = "The file is damaged; save it again as UTF-8.", "文件已损坏；请重新保存为 UTF-8。";

    // opened.rs
    NotAsOpened = "the file begins like one that was opened here, and is not", "文件的开头像是在此打开过的文件，但内容不符";

    // header.rs
    FirstRowIsData { columns } =
        "The first row is read as data, since it looks like those below; the columns are called {columns}. `header: true` takes \
         it as their names.",
        "第一行与其下各行相似，因此按数据读取；各列命名为 {columns}。设置 `header: true` 可将其作为列名。";

    // examples.rs
    CutoffTooSmall { got } = "must be at least 2, got {got}", "必须至少为 2，实际为 {got}";
    NoEndOfText = "The tokenizer has no end-of-text token: the model will not learn where a text ends.",
        "分词器没有文本结束 token：模型学不到文本在哪里结束。";
    NoChatTemplate = "The model has no chat template: the rows are laid out as plain text.",
        "模型没有对话模板：数据按纯文本排列。";
    ThinkingWithoutEffect = "enable_thinking has no effect: the model's chat template does not ask for it.",
        "enable_thinking 不起作用：模型的对话模板没有用到它。";
    TemplateDate =
        "The chat template can write the date: it always gets 26 July 2024, so that a run can be repeated.",
        "对话模板会用到日期：为使训练可以复现，日期始终设为 2024 年 7 月 26 日。";
    CutsWithinTexts { megabytes, cuts } =
        "Cuts within texts where the tokenizer allows none, because it is given {megabytes} MB at most: {cuts}. A \
         token or two at each may be others.",
        "分词器一次最多处理 {megabytes} MB，因此在它不允许切分的位置切开了文本，共 {cuts} 处；\
         每处可能有一两个 token 与原来不同。";
    LeftOutAtEnd { left, block } = "Left out at the end: {left} of the {block} tokens that a block takes.",
        "末尾舍去 {left} 个 token，不足一个块所需的 {block} 个。";
    CutRows { tokens, cut, rows, longest } =
        "Cut at {tokens} tokens: {cut} of {rows} rows; the longest has {longest}.",
        "{rows} 条数据中有 {cut} 条在 {tokens} 个 token 处截断；最长的一条有 {longest} 个 token。";
    DroppedBlocks { dropped, first } =
        "Dropped blocks without a part of an answer: {dropped}; the first is at row {first}.",
        "舍弃了 {dropped} 个不含答案的块；第一个位于第 {first} 条数据。";
    DroppedRows { dropped, first } =
        "Dropped rows with nothing of the answer within cutoff_len: {dropped}; the first is at row {first}.",
        "舍弃了 {dropped} 条在 cutoff_len 之内没有答案的数据；第一条是第 {first} 条。";
    AnswersBeyond { tokens } = "in every row the answer starts beyond the first {tokens} tokens",
        "每条数据的答案都在前 {tokens} 个 token 之后才开始";
    RaiseCutoffAbove { needed, longest } =
        "Raise cutoff_len to well above {needed}, or shorten the prompts; the longest row has {longest} tokens.",
        "请将 cutoff_len 调到明显大于 {needed}，或缩短提示词；最长的一条数据有 {longest} 个 token。";
    NothingToTrain = "no token is left to train on", "没有剩下可用于训练的 token";
    CheckAnswers = "Check that the answers are not empty, or set completion_only_loss to false.",
        "请检查答案是否为空，或将 completion_only_loss 设为 false。";
    ChatWithoutTemplate = "a conversation was laid out without a template", "在没有模板的情况下排列了对话";

    // form.rs
    TakenAsText { column } = "The column '{column}' is taken as the text.", "列 '{column}' 被用作文本。";
    TakenAsPair { prompt, completion } =
        "No column has a known name: '{prompt}' is taken as the prompt and '{completion}' as the completion.",
        "没有名称已知的列：'{prompt}' 被用作提示词，'{completion}' 被用作回答。";
    LabelledByNames { text, label } =
        "By the columns' names, '{label}' is taken as the label and '{text}' as its text; label_columns and text_columns name others.",
        "根据列名，'{label}' 被用作标签，'{text}' 被用作文本；可用 label_columns 和 text_columns 指定其他列。";
    LabelledByValues { text, label } =
        "No column has a known name: by what stands in them, '{label}' is taken as the label and '{text}' as its text; \
         label_columns and text_columns name others.",
        "没有名称已知的列：根据内容，'{label}' 被用作标签，'{text}' 被用作文本；可用 label_columns 和 text_columns 指定其他列。";
    PromptWithoutCompletion = "prompt_columns and system_column need it: the column of the answer that is learnt",
        "使用 prompt_columns 或 system_column 时必须指定它：要学习的回答所在的列";
    ColumnIsTwoThings = "is given twice among prompt_columns, system_column and completion_column",
        "在 prompt_columns、system_column 和 completion_column 中出现了两次";
    WeightNeitherZeroNorOne { got } = "is {got}, and only 0 and 1 have a meaning here", "为 {got}，而这里只支持 0 和 1";
    WeighZeroOrOne = "Write 1 (or nothing) for an answer that is learnt, 0 for one that is only read.",
        "要学习的回答请写 1（或不写），只作为上文的回答请写 0。";
    WeightOfOther { role } = "is of a message of {role}, and only answers of the assistant are learnt",
        "属于 {role} 的消息，而只有 assistant 的回答会被学习";
    LeaveWeightOut = "Leave weight out.", "请去掉 weight。";
    AllWeightsZero = "every answer of the assistant has a weight of 0", "assistant 的所有回答的 weight 都是 0";
    WeighOne = "Give one of them a weight of 1, or delete the row.", "请将其中一条的 weight 设为 1，或删除这条数据。";
    WeightsUnclear = "the chat template does not say which answer is which", "对话模板没有标明各条回答的范围";
    WeightsStayHere = "an answer has a weight of 0, and other trainers would learn it",
        "有回答的 weight 为 0，而其他训练程序会学习它";
    NoKnownColumns { columns } = "no known columns among: {columns}", "以下各列中没有已知的列：{columns}";
    NameColumns =
        "Name them text; or prompt and completion; or instruction, input and output; or messages (role, content); \
         or conversations (from, value). Numbers go into a list called values.",
        "请将列命名为 text；或 prompt 和 completion；或 instruction、input 和 output；或 messages（role、content）；\
         或 conversations（from、value）。数字请放在名为 values 的列表中。";
    EveryRowEmpty = "every row is empty", "每条数据都是空的";
    ChooseRowsOfText = "Choose a file with text in its rows.", "请选择数据中含有文本的文件。";
    NumbersAsText = "a row of numbers is no text", "由数字组成的数据不是文本";
    IsEmpty = "is empty", "为空";
    FillIn = "Fill it in, or delete the row.", "请补上，或删除这条数据。";
    NotText { kind } = "must be a text, but is {kind}", "必须是文本，实际是{kind}";
    ConversationsElsewhere = "Conversations belong into a column named messages.", "对话请放在名为 messages 的列中。";
    NotPairs = "must be a list of pairs [question, answer]", "必须是由 [问题，回答] 组成的列表";
    CorrectOrLeaveOut = "Correct it, or leave it out.", "请改正，或去掉它。";
    Is { kind } = "is {kind}", "是{kind}";
    IsTextNotTurns = "is a text, not a list of turns", "是一段文本，不是对话轮次的列表";
    ListOfTurns = "It must be a list of turns, like [{{\"role\": \"user\", \"content\": \"…\"}}, …].",
        "必须是对话轮次的列表，例如 [{{\"role\": \"user\", \"content\": \"…\"}}, …]。";
    NoAnswerOfAssistant = "the conversation has no answer of the assistant", "对话中没有 assistant 的回答";
    AddAnswer = "Add a turn with the role assistant, or delete the row.",
        "请添加一个角色为 assistant 的轮次，或删除这条数据。";
    IsNoJson = "is no JSON", "不是 JSON";
    NotFunctions = "must be a list of functions, or its JSON text", "必须是函数的列表，或该列表的 JSON 文本";
    WriteFunctions = "Write them as JSON: [{{\"type\": \"function\", \"function\": {{\"name\": …}}}}].",
        "请写成 JSON：[{{\"type\": \"function\", \"function\": {{\"name\": …}}}}]。";
    NotObject { kind } = "must be an object, but is {kind}", "必须是对象，实际是{kind}";
    WriteNames = "Write it like {{\"enable_thinking\": false}}.", "请按此格式书写：{{\"enable_thinking\": false}}。";
    NotTextOrParts = "must be a text or a list of parts, but is an object", "必须是文本或片段的列表，实际是一个对象";
    PartOfOtherType { part, kind } = "part {part} is of type '{kind}'; only texts can be learnt",
        "第 {part} 个片段的类型是 '{kind}'；只能学习文本";
    PartWithoutText { part } = "part {part} has no text", "第 {part} 个片段没有文本";
    WriteParts = "Write a text, or parts like [{{\"type\": \"text\", \"text\": \"…\"}}].",
        "请写成文本，或片段的列表，例如 [{{\"type\": \"text\", \"text\": \"…\"}}]。";
    NoFunctionCall = "is no function call", "不是函数调用";
    WriteCall = "Write it as JSON: {{\"name\": \"…\", \"arguments\": {{…}}}}, or a list of such.",
        "请写成 JSON：{{\"name\": \"…\", \"arguments\": {{…}}}}，或由它们组成的列表。";
    UnknownRole { role } = "the role '{role}' is unknown", "角色 '{role}' 无法识别";
    KnownRoles =
        "Roles are system, user, assistant and tool (sharegpt: system, human, gpt, function_call, observation).",
        "可用的角色有 system、user、assistant 和 tool（sharegpt：system、human、gpt、function_call、observation）。";

    // frame.rs
    NoRoomForText { cutoff_len, own } = "{cutoff_len} tokens leave no room for text beside {own} of the model's own",
        "{cutoff_len} 个 token 除去模型自身的 {own} 个，放不下文本";
    RaiseIt = "Raise it.", "请调大该值。";

    // idx.rs
    LabelsWithoutImages = "holds labels, and the images to which they belong are missing",
        "其中是标签，但缺少与之对应的图像";
    GiveImages = "Give the file of the images (idx3-ubyte) together with it.", "请同时提供图像文件（idx3-ubyte）。";
    LabelsForImages { labels, images } = "has {labels} labels for {images} images",
        "有 {labels} 个标签，而图像有 {images} 张";
    OfOneSet = "Are both of one set?", "两个文件是否属于同一数据集？";
    WrongStart { start, count, code } =
        "begins with {start}, where {count} dimensions of bytes begin with 00 00 08 {code}",
        "以 {start} 开头，而 {count} 维的字节数据应以 00 00 08 {code} 开头";
    EndsInHeader = "ends within its header", "在文件头之内就结束了";
    DimensionOfZero = "holds nothing: one of its dimensions is 0", "没有内容：有一个维度为 0";
    BytesUnlikeHeader { bytes, sizes } = "has {bytes} bytes after its header, which states {sizes}",
        "文件头之后有 {bytes} 个字节，而文件头声明的大小为 {sizes}";
    TakeImages = "Take images (idx3-ubyte) and their labels (idx1-ubyte), unpacked.",
        "请使用已解压的图像（idx3-ubyte）及其标签（idx1-ubyte）。";

    // json.rs
    NotJson { reason, place } = "this is not JSON: {reason}, at {place}", "这不是 JSON：{reason}（{place}）";
    InColumn { column } = "column {column}", "第 {column} 列";
    InLineAndColumn { line, column } = "line {line}, column {column}", "第 {line} 行第 {column} 列";
    ExpectedBracket = "expected [", "此处应为 [";
    ExpectedValue = "expected a value", "此处应有一个值";
    ExpectedKey = "expected a key in double quotes", "此处应为双引号中的键";
    ExpectedColon = "expected : after the key", "键之后应为冒号 :";
    NestedTooDeep { most } = "more than {most} lists within each other", "列表嵌套超过 {most} 层";
    EndsEarly = "it ends too early", "文本过早结束";
    TextBehindValue = "more text after the value", "值之后还有多余的文本";
    KeyTwice = "the key is there twice", "该键出现了两次";
    TakeOneOut = "Remove one of them, or give it another name.", "请去掉其中一个，或给它另取名称。";

    // label_values.rs
    NotOneClass { kind, value } = "must be one class, but is {kind}: {value}", "必须是一个类别，实际是{kind}：{value}";
    GiveOneClass = "Give each row one class, or set task: multi_label.",
        "请为每条数据给出一个类别，或设置 task: multi_label。";
    IgnoredAsClass = "-100 marks what is not learnt, and is no class of a row",
        "-100 标记不参与学习的内容，不能作为一条数据的类别";
    DeleteOrGiveClass = "Delete the row or give it its class; if -100 is a quantity, set task: regression.",
        "请删除这条数据，或给出它的类别；如果 -100 是数值，请设置 task: regression。";
    NoListThough { text } = "begins like a list, but is not one: {text}", "开头像列表，但不是列表：{text}";
    WriteLabels = "Write labels like [\"a\", \"b\"] or ['a', 'b'], or with commas between and no brackets.",
        "请将标签写成 [\"a\", \"b\"] 或 ['a', 'b']，或用逗号分隔且不加括号。";
    NoNumber { got } = "must be a number, got {got}", "必须是数字，实际为 {got}";
    CorrectOrClassify = "Correct it, or set task: classification.", "请改正，或设置 task: classification。";
    TooLarge { value } = "{value} is too large for a number of 32 bits", "{value} 超出了 32 位浮点数的范围";
    OtherUnit = "Correct it, or write the column in another unit: the largest is 3.4e38.",
        "请改正，或为该列换用其他单位：最大为 3.4e38。";
    LabelMissing = "the label is missing", "缺少标签";

    // labelled.rs
    TextWithoutRows = "a text has no rows with labels", "纯文本中没有带标签的数据";
    TakeTextAndLabel = "Take a csv, tsv, json or jsonl file with a column text and a column label.",
        "请使用含有 text 列和 label 列的 csv、tsv、json 或 jsonl 文件。";
    NumbersForTexts = "the file holds numbers, and this model reads texts", "文件中是数字，而该模型读取文本";
    TakeModelOfNumbers =
        "Take a model of numbers, such as model: small_mlp, or name columns with text in text_columns.",
        "请使用读取数字的模型，例如 model: small_mlp，或在 text_columns 中指定含有文本的列。";
    NoSuchColumn { column, columns } = "the file has no column '{column}', only {columns}",
        "文件中没有列 '{column}'，只有 {columns}";
    Correct { key } = "Correct {key}.", "请改正 {key}。";
    NoTextColumn { columns } = "no column with a text among: {columns}", "以下各列中没有文本列：{columns}";
    NameText = "Name it text, or say which it is with text_columns.", "请将其命名为 text，或用 text_columns 指定。";
    NotOneOrTwoTexts { got } = "a row is one text or a pair of them, got {got} columns",
        "一条数据是一段文本或一对文本，实际给出了 {got} 列";
    TextAndLabel = "cannot be both the text and the label", "不能既是文本又是标签";

    // labels.rs
    UnknownClass { class, known } = "the class '{class}' is not among the trained ones: {known}",
        "类别 '{class}' 不在学过的类别之中：{known}";
    CorrectOrTrain = "Correct it, or put rows of this class among the training data.",
        "请改正，或在训练数据中加入该类别的数据。";
    TwoSpellings { one, other } = "'{one}' and '{other}' are two spellings of one class",
        "'{one}' 和 '{other}' 是同一类别的两种写法";
    SpellAlike = "Write it the same in every row.", "请在每条数据中使用同一种写法。";
    TooManyClasses { most } = "there are more than {most} classes", "类别超过 {most} 个";
    RightColumn =
        "Is it the right column? Name the one with the classes in label_columns, or, of numbers, set task: regression.",
        "是否选对了列？请在 label_columns 中指定类别所在的列；如果是数值，请设置 task: regression。";
    AlikeClasses { one, other } = "'{one}' and '{other}' are taken for different classes.",
        "'{one}' 和 '{other}' 被视为不同的类别。";
    OtherPlaces { found, first } = "has {found} places, and the first row {first}",
        "有 {found} 个位置，而第一条数据有 {first} 个";
    PlacesOrNames =
        "A list of 0 and 1 has a place for each label; labels that apply can also be listed by their names.",
        "由 0 和 1 组成的列表中，每个标签占一个位置；也可以按名称列出适用的标签。";
    OneClassOnly { class } = "every row has the class '{class}', so there is nothing to learn",
        "每条数据的类别都是 '{class}'，没有可学习的内容";
    TooManyInRow { most } = "there are more than {most} of them a row", "每条数据中的数量超过 {most} 个";
    LabelsBeyondMemory { rows, labels } = "{rows} rows times {labels} labels are more than fit into memory",
        "{rows} 条数据乘以 {labels} 个标签，内存放不下";
    FewerRowsOrLabels = "Take fewer rows, or fewer labels.", "请减少数据或标签。";
    NoLabels = "no row has a label, so there is nothing to learn", "所有数据都没有标签，没有可学习的内容";
    ImagesWithoutLabels = "the images came without their labels", "图像没有附带标签";
    GiveLabels { labels } =
        "Give {labels} together with them: choose both files at once, or put one beside the other.",
        "请同时提供 {labels}：一次选择两个文件，或将它们放在一起。";
    GiveLabelsFile = "Give the file of their labels (idx1-ubyte) together with them: choose both at once.",
        "请同时提供标签文件（idx1-ubyte）：一次选择两个文件。";
    NoLabelColumn = "no column with labels", "没有标签列";
    NameLabel = "Name it label, or say which it is with label_columns.",
        "请将其命名为 label，或用 label_columns 指定。";
    NoFlag { got } = "must be 0 or 1, got {got}", "必须是 0 或 1，实际为 {got}";
    NumbersForTargets { numbers, targets } = "{numbers} numbers, and there are {targets} targets",
        "有 {numbers} 个数字，而目标有 {targets} 个";
    PlacesForLabels { places, labels } = "{places} places, and there are {labels} labels",
        "有 {places} 个位置，而标签有 {labels} 个";

    // mod.rs
    FileEmpty = "the file is empty", "文件为空";
    FileTooLarge { gigabytes, most } = "the file is {gigabytes} GB; at most {most} MB fit into memory",
        "文件为 {gigabytes} GB；内存最多可容纳 {most} MB";
    ChoosePart = "Choose a part of it: a few megabytes already teach a small model.",
        "请选取其中一部分：几 MB 数据就足以微调小模型。";
    NotImages { one, other } = "two files, {one} and {other}, are not images with their labels",
        "{one} 和 {other} 这两个文件不是图像及其标签";
    OneFileOfRows =
        "Give one file of rows. Of images, give them (idx3-ubyte) and their labels (idx1-ubyte), unpacked.",
        "请提供一个数据文件。如果是图像，请提供已解压的图像（idx3-ubyte）及其标签（idx1-ubyte）。";

    // numeric.rs
    FieldsUnlikeFirst { found, first } = "the row has {found} fields, the first one has {first}",
        "这条数据有 {found} 个字段，而第一条有 {first} 个";
    RowsOfOneLength = "All rows must be of one length.", "所有数据的长度必须相同。";
    NoHeader = "The first line is numbers, so there is no header: each row's first number is its label.",
        "第一行是数字，因此没有表头：每行的第一个数字是其标签。";
    CorrectOrLeaveColumnOut = "Correct it, or leave the column out with text_columns.",
        "请改正，或用 text_columns 排除该列。";
    CorrectOrDelete = "Correct it, or delete the row.", "请改正，或删除这条数据。";
    DecimalPoint = "Write numbers with a decimal point, not a comma.", "请使用小数点而不是逗号书写小数。";
    NumberMissing = "the number is missing", "缺少数字";
    TextForNumbers = "the file is a text, and this model reads numbers", "文件是文本，而该模型读取数字";
    TakeNumbers = "Take a csv or tsv with columns of numbers, a jsonl with lists of them, IDX images, or a .ts.",
        "请使用含有数字列的 csv 或 tsv、含有数字列表的 jsonl、IDX 图像，或 .ts 文件。";
    OnlyLabelColumn = "there is no column beside the label", "除标签外没有其他列";
    GiveNumberColumns = "Give columns of numbers.", "请提供数字列。";
    NumberAndLabel = "cannot be both a number that goes in and the label", "不能既是输入的数字又是标签";
    SizeUnlikeFirst { found, first } = "the row has {found}, the first one has {first}",
        "这条数据有 {found}，而第一条有 {first}";
    Numbers { count } = "{count} numbers", "{count} 个数字";
    StepsOfNumbers { steps, channels } = "{steps} steps of {channels} numbers", "{steps} 步（每步 {channels} 个数字）";
    CutOrFillUp = "All rows must be of one length: cut them or fill them up.", "所有数据的长度必须相同：请截断或补齐。";
    ChooseRowsOfNumbers = "Choose a file with numbers in its rows.", "请选择数据中含有数字的文件。";
    TargetGoesIn = "must be one of the columns that go in", "必须是输入的列之一";
    TheyAre { columns } = "They are {columns}.", "输入的列有：{columns}。";
    NoWindow { rows, length } = "{rows} rows hold no window of {length} with a row after it",
        "{rows} 条数据容不下长度为 {length} 且其后还有一条数据的窗口";
    ShorterOrMoreRows = "Take a shorter one, or more rows.", "请缩短窗口，或增加数据。";
    WindowsBeyondMemory { length, rows } =
        "windows of {length} out of {rows} rows are more numbers than fit into memory",
        "从 {rows} 条数据中取长度为 {length} 的窗口，数字过多，内存放不下";
    ShorterOrFewerRows = "Take a shorter one, or fewer rows.", "请缩短窗口，或减少数据。";
    NoTimeTable = "a forecast needs a table whose rows follow each other in time",
        "时间序列预测需要各行按时间先后排列的表格";
    TakeTimeTable =
        "Take a csv or tsv with a header and columns of numbers, or remove forecast_window.",
        "请使用带有表头和数字列的 csv 或 tsv，或去掉 forecast_window。";
    UnlikeSteps = "the steps of a list must be alike: numbers, or lists of so many of them",
        "列表的各步必须一致：都是数字，或都是同样长的数字列表";
    ListEmpty = "the list is empty", "列表为空";

    // parse.rs
    RowIsNoObject { kind } = "the row is {kind}, not an object", "这条数据是{kind}，不是对象";
    RowsAreObjects = "Every row must be an object with named fields, like {{\"text\": \"…\"}}.",
        "每条数据必须是带有字段名的对象，例如 {{\"text\": \"…\"}}。";
    TwoKeysOfColumn = "two keys of the row name this column, small and capital letters apart",
        "这条数据有两个键指同一列（不区分大小写）";
    UnknownEnding = "the file extension is not known", "无法识别文件的扩展名";
    RenameFile = "Rename it to .txt, .md, .jsonl, .json, .csv or .tsv, whichever it is.",
        "请按实际格式将其改名为 .txt、.md、.jsonl、.json、.csv 或 .tsv。";
    NoRows = "the file has no rows", "文件中没有数据";
    ChooseTwoRows = "Choose a file with at least two rows.", "请选择至少有两条数据的文件。";
    RenameToJson = "The file looks like one JSON array: rename it to .json.",
        "文件看起来是一个 JSON 数组：请改名为 .json。";
    LinesAreObjects =
        "Every line must be one whole JSON object, like {{\"prompt\": \"…\", \"completion\": \"…\"}}.",
        "每行必须是一个完整的 JSON 对象，例如 {{\"prompt\": \"…\", \"completion\": \"…\"}}。";
    OneArray = "The file must be one JSON array of objects: [{{…}}, {{…}}].",
        "文件必须是一个由对象组成的 JSON 数组：[{{…}}, {{…}}]。";
    ReadAsLines = "The file holds one JSON object a line (.jsonl) and was read so.",
        "文件每行是一个 JSON 对象（.jsonl），已按此读取。";
    SingleValue = "the file holds a single value, not rows", "文件中只有一个值，不是多条数据";
    RowsOfKey { key } = "The rows are those of the key '{key}'.", "数据取自键 '{key}'。";
    AlikeColumns { one, other } = "'{one}' and '{other}' are taken for one column.",
        "'{one}' 和 '{other}' 被视为同一列。";
    ANumber = "a number", "一个数字";
    AText = "a text", "一段文本";
    AList = "a list", "一个列表";
    AnObject = "an object", "一个对象";
    NotUsed { columns } = "Not used: {columns}.", "未使用的列：{columns}。";
    RowHas { row } = "Row {row} has", "第 {row} 条数据";
    RowsHave { row, more } = "Row {row} and {more} more have", "第 {row} 条及另外 {more} 条数据";
    EmptyRowSkipped { number } = "One empty row was skipped: number {number}.", "跳过了一条空数据：第 {number} 条。";
    EmptyRowsSkipped { count, first } = "{count} empty rows were skipped; the first is number {first}.",
        "跳过了 {count} 条空数据；第一条是第 {first} 条。";
    EmptyLineSkipped { number } = "One empty line was skipped: number {number}.", "跳过了一个空行：第 {number} 行。";
    EmptyLinesSkipped { count, first } = "{count} empty lines were skipped; the first is number {first}.",
        "跳过了 {count} 个空行；第一个是第 {first} 行。";

    // preference.rs
    NoPreferences { columns } = "no columns of preferences among: {columns}", "以下各列中没有偏好数据的列：{columns}";
    NamePreferences = "Name them prompt, chosen and rejected.", "请将列命名为 prompt、chosen 和 rejected。";
    SameAsChosen = "is the same as the chosen answer", "与 chosen 的回答相同";
    DeleteRow = "Delete the row.", "请删除这条数据。";
    PreferencesBeyond = "in every row the answers start beyond cutoff_len", "每条数据的回答都在 cutoff_len 之后才开始";
    RaiseCutoff = "Raise cutoff_len.", "请调大 cutoff_len。";
    NoAnswerAtEnd = "the conversation does not end with an answer of the assistant", "对话没有以 assistant 的回答结尾";

    // ranking.rs
    NoRanking { columns } = "no columns of a ranking among: {columns}", "以下各列中没有排序数据的列：{columns}";
    NameRanking = "Name them query, positive and negative, or query, document and grade.",
        "请将列命名为 query、positive 和 negative，或 query、document 和 grade。";
    ChooseRowsOfQueries = "Choose a file with queries in its rows.", "请选择数据中含有查询的文件。";
    CrowdedQueries { rows, most } =
        "{rows} a query with more than {most} documents, those with the lowest grades are left out.",
        "{rows}的查询有超过 {most} 个文档，其中分数最低的已舍去。";
    NoGrade { got } = "a grade must be a number from 0, got {got}", "相关性分数必须是不小于 0 的数字，实际为 {got}";
    NoPositive = "no query has a document that belongs to it", "所有查询都没有与之相关的文档";

    // seq2seq.rs
    OneTextForAnswer = "the row is one text, and this model answers a text with another",
        "这条数据只有一段文本，而该模型需要输入文本和目标文本";
    GiveTwoColumns = "Give two columns, such as source and target.", "请提供两列，例如 source 和 target。";

    // series.rs
    NoLabelBehindColon = "the row has no label after a colon", "这条数据的冒号之后没有标签";
    StepsOfChannels { steps, channels } = "{steps} steps of {channels} channels", "{steps} 步（{channels} 个通道）";
    SeriesOfOneLength = "All series must be of one length.", "所有序列的长度必须相同。";
    NoSeries = "there is no series after @data", "@data 之后没有序列";
    ChooseRows = "Choose a file with rows in it.", "请选择含有数据的文件。";
    TimeStamps = "series with time stamps are not read", "不支持带有时间戳的序列";
    NumbersAlone = "Save the numbers alone, at equal distances in time.", "请只保存时间间隔相等的数字。";
    NoLineWithAt = "this is before @data and is not a line with @", "此行位于 @data 之前，但不以 @ 开头";
    NoDataLine = "the file has no line @data", "文件中没有 @data 行";
    ChooseTs = "Choose a .ts file of sktime or timeseriesclassification.com.",
        "请选择来自 sktime 或 timeseriesclassification.com 的 .ts 文件。";
    StepsUnlikeFirst { steps, first } = "has {steps} steps, and the first channel has {first}",
        "有 {steps} 步，而第一个通道有 {first} 步";

    // similarity_pairs.rs
    OneTextForTwo = "a row is one text, and likeness is between two", "一条数据只有一段文本，而相似度需要两段";
    NamePair = "Name two columns sentence1 and sentence2, or say which they are.",
        "请将两列命名为 sentence1 和 sentence2，或指定是哪两列。";
    NoCosine { got } = "a likeness is compared with a cosine, from -1 to 1, got {got}",
        "相似度要与余弦值比较，应在 -1 到 1 之间，实际为 {got}";
    DivideColumn = "Divide the column by its largest value.", "请将该列除以其最大值。";

    // table.rs
    SepLine = "The first line, sep=, says what separates the columns.", "第一行 sep= 指定了列的分隔符。";
    SeparatedBySemicolons = "The columns are separated by semicolons.", "各列以分号分隔。";
    SeparatedByTabs = "The columns are separated by tabs.", "各列以制表符分隔。";
    TooManyFields { line, found, header } = "the row (line {line}) has {found} fields, the header has {header}",
        "该行（在文件的第 {line} 行）有 {found} 个字段，而表头有 {header} 个";
    QuoteFields = "Put texts with commas, quotes or line breaks in double quotes.",
        "请把含有逗号、引号或换行的文本放在双引号中。";
    SaveAsCsv = "A text cannot hold a tab or a line break here; save the table as .csv.",
        "此处的文本不能含有制表符或换行；请将表格另存为 .csv。";
    FewerFields { rows } = "{rows} fewer fields than the header; those that are missing are empty.",
        "{rows}的字段少于表头；缺少的字段视为空。";
    QuotedFields { rows } =
        "{rows} texts in double quotes, which belong to the text in a .tsv; if they only enclose it, rename the file \
         to .csv.",
        "{rows}含有双引号括起的文本，在 .tsv 中双引号属于文本本身；如果只是用来括住文本，请将文件改名为 .csv。";
    NoColumnNames = "no column has a name", "所有列都没有名称";
    FirstRowNames = "The first row must name the columns, like prompt,completion.",
        "第一行必须是列名，例如 prompt,completion。";
    UnnamedColumn { column } =
        "A column without a name is called '{column}', and is used only where a run names it.",
        "没有名称的列被称为 '{column}'，只有在配置中指定时才会使用。";
    UnnamedColumns { columns } =
        "Columns without a name are called {columns}, and are used only where a run names them.",
        "没有名称的列被称为 {columns}，只有在配置中指定时才会使用。";
    SameNames { columns } =
        "Several columns have the same name, small and capital letters apart: the later ones are called {columns}.",
        "多个列同名（不区分大小写）：后面的列被称为 {columns}。";
    TableUnreadable { error } = "the table cannot be read: {error}", "无法读取表格：{error}";
    SaveAgainAsCsv = "Save it again as .csv in UTF-8.", "请以 UTF-8 重新保存为 .csv。";
    QuoteNeverClosed { line } = "the quote opened in line {line} is never closed", "第 {line} 行开始的引号没有结束";
    CloseQuote = "Close it; a quote inside a quoted text is written twice.",
        "请补上结束的引号；引号括起的文本中，引号要写两次。";
    TextBehindQuote { opened, closed, text } =
        "the quote opened in line {opened} is closed in line {closed}, and text follows: {text}",
        "第 {opened} 行开始的引号在第 {closed} 行结束，但其后还有文本：{text}";
    QuoteWhole =
        "A text that begins with a quote stands in quotes as a whole, and quotes in it are written twice: \
         \"\"\"No\"\", she said\".",
        "以引号开头的文本要整体放在引号中，其中的引号要写两次：\"\"\"No\"\", she said\"。";

    // token_classification.rs
    NoWords { columns } = "no column with words among: {columns}", "以下各列中没有词语列：{columns}";
    NameTokens = "Name it tokens, or say which it is with text_columns.",
        "请将其命名为 tokens，或用 text_columns 指定。";
    ChooseRowsOfWords = "Choose a file with words in its rows.", "请选择数据中含有词语的文件。";
    ClassesForWords { classes, words } = "{classes} classes for {words} words",
        "有 {classes} 个类别，而词语有 {words} 个";
    GiveEachWordClass = "Give each word one class.", "请为每个词语给出一个类别。";
    NotAList = "It must be a list, like [\"a\", \"b\"].", "必须是列表，例如 [\"a\", \"b\"]。";
    OneClassOfWords = "every word has the same class, so there is nothing to learn",
        "所有词语的类别都相同，没有可学习的内容";
    NoTags = "no column with the words' classes", "没有词语类别的列";
    NameTags = "Name it tags, or say which it is with label_columns.", "请将其命名为 tags，或用 label_columns 指定。";
    WordsBeyond { rows } = "{rows} words of which the model reads no token within cutoff_len.",
        "{rows}中有些词语在 cutoff_len 之内没有模型读取的 token。";
    RowsWithoutClasses { rows } = "{rows} no word with a class that the model reads: left out.",
        "{rows}中没有模型读取的带类别的词语，已舍去。";
    NoWordWithClass = "no row has a word with a class that the model reads", "所有数据中都没有模型读取的带类别的词语";
    GiveWordsClasses = "Give words classes, or raise cutoff_len.", "请为词语给出类别，或调大 cutoff_len。";

    // value.rs
    FieldsBeyondMemory { millions } =
        "the file has too many fields to fit into memory: more than {millions} million, a row counted as two more",
        "文件的字段过多，内存放不下：超过 {millions}00 万个（每条数据另计两个）";
    ChooseRowsOrColumns =
        "Choose a part of its rows, or leave out columns: a few megabytes already teach a small model.",
        "请选取部分数据，或去掉一些列：几 MB 数据就足以微调小模型。";

    // places of errors
    Channel { channel } = "channel {channel}", "第 {channel} 个通道";
    ChannelAndStep { channel, step } = "channel {channel}, step {step}", "第 {channel} 个通道的第 {step} 步";
}
