//! Tokenizers and chat templates.

use crate::message::messages;

messages! { "text";
    // tokenizer.rs
    GetsAnotherId { token, id, got } =
        "the token {token} has the id {id}, but in this order of tokens it gets {got}",
        "token {token} 的 ID 为 {id}，但按此 token 顺序，其 ID 为 {got}";
    GetsNoId { token, id } =
        "the token {token} has the id {id}, but in this order of tokens it gets none",
        "token {token} 的 ID 为 {id}，但按此 token 顺序，它没有 ID";
    IdTooLarge { token, id, most } =
        "the token {token} has the id {id}; ids below {most} are read",
        "token {token} 的 ID 为 {id}；只读取小于 {most} 的 ID";
    FillIdGaps =
        "Ids of added tokens follow those of the vocabulary without a gap: put the missing ones in, or save the \
         tokenizer again with transformers.",
        "新增 token 的 ID 必须紧接词表的 ID，中间不留空缺：请补上缺少的 token，或用 transformers 重新保存分词器。";
    NoTokenizerJson { error } = "the tokenizer is no JSON: {error}", "无法将分词器写成 JSON：{error}";
    UseModelsTokenizer =
        "Use the tokenizer.json that belongs to the model.",
        "请使用与该模型配套的 tokenizer.json。";
    NamesUnknownToken { token } =
        "names {token}, which is not in tokenizer.json",
        "指定了 {token}，但它不在 tokenizer.json 中";
    TokenizerRefuses { error } = "the tokenizer refuses: {error}", "分词器拒绝处理：{error}";

    // tokenizer/structure.rs
    TokenizerIsNoObject = "is not a tokenizer: it is no object", "不是分词器：它不是 JSON 对象";
    NotAnObjectWithType = "must be an object with a type", "必须是带有 type 的对象";
    HasNoType = "has no type", "没有 type";
    TooManyParts { most } =
        "has more than {most} parts, or nests them too deeply",
        "组成部分超过 {most} 个，或嵌套过深";
    SequenceWithoutList { parts } = "is a Sequence without a list of {parts}", "是没有 {parts} 列表的 Sequence";
    IsNull = "is null", "为 null";
    UnknownType { kind } = "is of type {kind}, which is not known", "类型为 {kind}，无法识别";
    GrowsTooMuch { most } = "makes a text more than {most} times longer", "会使文本变长到 {most} 倍以上";
    NotBase64 = "is not a text of base64", "不是 base64 文本";
    NotAboveZero = "must be a number above 0", "必须是大于 0 的数";
    NotAShortText { most } = "must be a text of at most {most} characters", "必须是不超过 {most} 个字符的文本";
    CutsEnds =
        "must be 0: cutting the ends of tokens is not supported",
        "必须为 0：不支持裁剪 token 的末尾";
    MustNotBeEmpty = "must not be empty", "不能为空";
    MightMatchNothing =
        "might match between two characters, which is not supported",
        "可能匹配两个字符之间的空位，不受支持";
    NotAPattern = "must be a String or a Regex", "必须是 String 或 Regex";
    TooManyPieces { most } = "has more than {most} pieces", "片段超过 {most} 个";
    UnknownSpecialToken { token } =
        "has the special token {token}, which is not among special_tokens",
        "含有特殊 token {token}，但它不在 special_tokens 中";
    TooManyTokens { most, token } = "has more than {most} tokens for {token}", "{token} 对应的 token 超过 {most} 个";
    NotAnObject = "must be an object", "必须是对象";
    IsUnknown { found } = "is {found}, which is not known", "为 {found}，无法识别";
    DropoutOff =
        "The tokenizer's dropout is switched off: a text has the same tokens each time, so that a run can be repeated.",
        "分词器的 dropout 已关闭：同一文本每次都得到相同的 token，以便运行结果可以复现。";
    TooManyMerges { merges, tokens } =
        "has {merges} merges for {tokens} tokens",
        "{tokens} 个 token 却有 {merges} 条合并规则";
    MergeLacksPrefix { prefix } =
        "has a merge whose right part does not begin with {prefix}",
        "有一条合并规则的右半部分不以 {prefix} 开头";
    NotACharsmap =
        "is not a table of SentencePiece's normalizer",
        "不是 SentencePiece 规范化器的映射表";

    // chat.rs
    NoCharacters =
        "a message contains U+FDD0 or U+FDD1, which are not characters",
        "有一条消息含有 U+FDD0 或 U+FDD1，它们不是字符";
    RemoveFromData = "Remove them from the data.", "请将它们从数据中删除。";
    InLine { what, line } = "{what} (line {line})", "{what}（第 {line} 行）";
    UnreadableTemplate = "is not a template that can be read", "不是可以读取的模板";
    UseAnotherOrPlainText =
        "Use another chat_template, or plain text instead of conversations.",
        "请使用其他 chat_template，或用纯文本代替对话。";
    NotItsOwnType = "a value is not its own type", "值的类型与其自身不符";
    TemplateDoesNotEnd =
        "does not end, or takes far too many steps, too much memory or too long a text",
        "没有结束，或步数过多、占用内存过大、生成的文本过长";
    UseAnotherTemplate = "Use another chat_template.", "请使用其他 chat_template。";
    RefusesConversation = "refuses the conversation", "拒绝处理该对话";
    CheckRoles =
        "Check the roles and their order (most templates want user and assistant in turns), or use another template.",
        "请检查角色及其顺序（多数模板要求 user 与 assistant 交替出现），或使用其他模板。";
    NestedGeneration = "has nested {{% generation %}} blocks", "含有嵌套的 {{% generation %}} 块";
    UndefinedIn { place } = "undefined value in '{place}'", "'{place}' 中有未定义的值";
    AnswerUnclear { message } =
        "message {message} is the assistant's, but where it stands in the laid-out conversation cannot be told",
        "第 {message} 条消息是 assistant 的，但无法确定它在套用模板后的对话中的位置";
    UseWholeOrMarks =
        "Train on the whole conversation (completion_only_loss: false), or use a template with {{% generation %}} \
         marks.",
        "请在整个对话上训练（completion_only_loss: false），或使用带有 {{% generation %}} 标记的模板。";

    // chat/builtins.rs and chat/texts.rs
    IndentTooLong { most } = "tojson takes an indent of at most {most}", "tojson 的 indent 最多为 {most}";
    SeparatorsAreTwo = "tojson takes two texts as separators", "tojson 的 separators 必须是两个文本";
    EndlessValue = "has values in values without end", "值的嵌套没有尽头";
    NotAJsonKey { kind } = "a value of type {kind} is no key of JSON", "类型为 {kind} 的值不能作为 JSON 的键";
    NotJson { kind } = "a value of type {kind} has no JSON", "类型为 {kind} 的值无法写成 JSON";
    TakesName { name } = "takes the name {name}", "占用了名称 {name}";
    NestedNamespace =
        "has a namespace in another value, which is not supported",
        "在其他值中含有 namespace，不受支持";
    JoinsNoText { kind } = "joins a value of type {kind}", "连接了类型为 {kind} 的值";
    SplitsAtNothing = "splits a text at nothing", "用空文本来分割文本";

    // chat/source.rs
    TemplateTooLong { bytes, most } =
        "has {bytes} bytes; at most {most} are read of a template",
        "有 {bytes} 字节；模板最多读取 {most} 字节";
    UnopenedBracket = "a bracket is closed that was not opened", "有一个括号在没有打开的情况下被关闭";
    ExpressionTooLong =
        "has an expression that is far too long or too deep",
        "含有过长或嵌套过深的表达式";
    UselessTag { tag } =
        "has {{% {tag} %}}, which chat templates have no use for",
        "含有 {{% {tag} %}}，对话模板用不到它";
    BlocksTooDeep = "has blocks in blocks in far too many blocks", "块的嵌套层数过多";
}
