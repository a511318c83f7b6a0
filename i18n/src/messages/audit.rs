//! The audit of data: what was found, what it does to a training, what to do.

use crate::message::messages;

messages! { "audit";
    NumbersAreNotAudited = "the rows are numbers, and texts are audited", "数据是数字，而检查只针对文本";
    AuditTexts = "Choose a file with texts in its rows.", "请选择数据中含有文本的文件。";
    NoRowsToClean = "there are no rows with columns to choose from", "没有带列的数据可供筛选";
    CleanTable = "Choose a csv, tsv, json or jsonl file.", "请选择 csv、tsv、json 或 jsonl 文件。";
    NoRowsToDrop = "there are no rows of texts in columns that could be left out", "没有按列存放的文本数据可供舍去";
    NoTextsToMask = "there are no texts in which personal data could be replaced", "没有可替换个人信息的文本";
    NoTextsInImages = "these are images: no rows of texts are left out or changed", "这些是图像，没有可舍去或替换的文本";
    TakeDropOut = "Remove words from drop_rows, or choose another file.", "请减少 drop_rows 中的词，或选择其他文件。";
    RowsMasked { count } = "Rows in which mask_personal put placeholders: {count}.", "按 mask_personal 替换为占位符的数据：{count} 条。";
    NothingLeft = "drop_rows leaves no row", "按 drop_rows 舍去后没有剩下数据";
    RowsLeftOut { count, kind } = "Rows left out by drop_rows: {count} ({kind}).", "按 drop_rows 舍去的数据：{count} 条（{kind}）。";
    NothingStays = "every row is empty, so that no row would be written", "每条数据都是空的，没有可写出的数据";

    ExactLeakage { count } = "Held-out rows whose text is trained on, too: {count}.", "与训练数据文本相同的验证数据：{count} 条。";
    NearLeakage { count } = "Held-out rows that are nearly the same as one that is trained on: {count}.",
        "与训练数据近似重复的验证数据：{count} 条。";
    ScoresFlatter = "The validation scores are too good: memorized rows count as understood.",
        "验证分数会偏高：记住的样本也算作答对。";
    TakeOutOfOne = "Remove these rows from one of the two files.", "请从两个文件之一中删去这些数据。";
    CleanBeforeSplit = "Set `drop_rows: [exact_duplicates]`, write a file without duplicates (in the command: --write), or give a validation_file \
         of its own.",
        "请设置 `drop_rows: [exact_duplicates]`，或写出去重后的文件（命令行用 --write），或单独提供 validation_file。";
    SplitByOrigin = "Give a validation_file whose rows come from other documents, authors or days.",
        "请提供来自其他文档、作者或日期的 validation_file。";

    ConflictingLabels { count } = "Rows whose text has another label in an earlier row: {count}.",
        "文本与前面某条数据相同而标签不同的数据：{count} 条。";
    LearnsNeither = "The model can learn neither label, and one of the two always counts as an error.",
        "模型两个标签都学不好，其中一个总会被算作错误。";
    DecideLabels = "Decide which label is right, or remove these rows (drop_rows); if both are, make it a multi_label task.",
        "请确定正确的标签，或删去这些数据（drop_rows）；若两者都对，请改用 multi_label 任务。";
    MissingLabels { count } = "Rows with a text and no label: {count}.", "有文本而没有标签的数据：{count} 条。";
    RunRefusesLabels = "A run refuses the file at the first of them.", "训练会在遇到第一条时拒绝该文件。";
    FillLabels = "Fill the labels in, or delete the rows.", "请补上标签，或删除这些数据。";
    ProbablyMislabelled { count } =
        "Rows that are probably mislabelled, by the words of the other rows: {count}. Shown are the label → what the words say, with its \
         probability.",
        "从其他数据的用词看，标签可能有误的数据：{count} 条。显示为：原标签 → 用词所对应的标签（概率）。";
    TeachesWrongAnswer = "A wrong label teaches a wrong answer, and among the held-out rows it counts a right one as an error.",
        "错误的标签会教出错误的回答；若在验证数据中，正确的回答会被算作错误。";
    ReadAndCorrect =
        "Read these rows, and correct the labels that are wrong. A linear model of words judged them in a 5-fold cross-validation \
         (confident learning, Northcutt et al., 2021); it does not see what words mean, and it changes nothing.",
        "请阅读这些数据并改正错误的标签。判断来自词的线性模型在 5 折交叉验证中的预测（confident learning，Northcutt 等，2021）；它不理解词义，也不会自动修改任何内容。";
    FirstLabelsJudged { rows, all } = "Labels were compared with the words of the first {rows} of {all} rows only.",
        "只对 {all} 条数据中的前 {rows} 条比较了标签与用词。";
    RareClasses { count } = "Classes with fewer than 5 rows: {count}.", "少于 5 条数据的类别：{count} 个。";
    HardlyLearnt = "They are hardly learnt, and their scores mean nothing.", "它们几乎学不到，其分数也没有意义。";
    JoinClasses = "Collect more rows of them, or join them with another class.", "请收集更多数据，或与其他类别合并。";
    Imbalance { largest, most, smallest, fewest } = "The class '{largest}' has {most} rows, '{smallest}' has {fewest}.",
        "类别 '{largest}' 有 {most} 条数据，'{smallest}' 只有 {fewest} 条。";
    AccuracyFlatters = "Always predicting the largest class gives a good accuracy.", "总是回答最大的类别也会有不错的准确率。";
    JudgeByF1 = "Set metric_for_best_model: f1_macro; loss: focal(gamma=2) gives rare classes more weight.",
        "请设置 metric_for_best_model: f1_macro；loss: focal(gamma=2) 可提高稀有类别的权重。";

    EmptyRows { count } = "Rows without a text, or without an answer: {count}.", "没有文本或没有回答的数据：{count} 条。";
    RunRefusesEmpty = "A run skips rows that are empty as a whole, and refuses the file where only a part of one is.",
        "训练会跳过整条为空的数据；若只有一部分为空，则拒绝该文件。";
    WriteClean = "`drop_rows` leaves them out of a run; in the command, --write CLEAN.jsonl writes the file without them.",
        "`drop_rows` 可在训练中舍去它们；命令行用 --write CLEAN.jsonl 可写出不含它们的文件。";
    AllMasked { count, cutoff } = "Rows whose answer begins beyond cutoff_len ({cutoff} tokens): {count}.",
        "回答在 cutoff_len（{cutoff} 个 token）之后才开始的数据：{count} 条。";
    PerhapsAllMasked { count, cutoff } =
        "Rows whose answer seems to begin beyond cutoff_len ({cutoff} tokens): {count}. Estimated from letters; with a \
         model's tokenizer tokens are counted.",
        "回答似乎在 cutoff_len（{cutoff} 个 token）之后才开始的数据：{count} 条。这是按字数估算的；载入模型的分词器后则会统计 token。";
    NothingLearnt = "Nothing of them is trained on: a run drops them.", "其中没有任何内容参与训练：训练会舍弃它们。";
    TooLong { count, cutoff } = "Rows longer than cutoff_len ({cutoff} tokens): {count}.",
        "长于 cutoff_len（{cutoff} 个 token）的数据：{count} 条。";
    PerhapsTooLong { count, cutoff } =
        "Rows that seem longer than cutoff_len ({cutoff} tokens): {count}. Estimated from letters; with a model's tokenizer \
         tokens are counted.",
        "似乎长于 cutoff_len（{cutoff} 个 token）的数据：{count} 条。这是按字数估算的；载入模型的分词器后则会统计 token。";
    EndsAreCut = "Their ends are cut off, and with them what is learnt or decides the label.",
        "它们的结尾会被截断，其中可能有要学习或决定标签的内容。";
    RaiseCutoffOrShorten = "Raise cutoff_len, or shorten the texts.", "请调大 cutoff_len，或缩短文本。";

    Mojibake { count } = "Rows with text that was read in the wrong encoding: {count}.", "以错误编码读取而出现乱码的数据：{count} 条。";
    ReplacementCharacters { count } = "Rows with U+FFFD, where a character was lost: {count}.",
        "含有 U+FFFD（字符已丢失）的数据：{count} 条。";
    ControlCharacters { count } = "Rows with control characters: {count}.", "含有控制字符的数据：{count} 条。";
    LearnsGarbage = "The model learns to write them, and words with them are other tokens than without.",
        "模型会学着写出它们，而含有它们的词会变成不同的 token。";
    RereadEncoding = "Save the file again from its source in UTF-8, or name its encoding with `encoding`.",
        "请从源头以 UTF-8 重新保存文件，或用 `encoding` 指定编码。";
    SaveFromSource = "Save the file again from its source: what was lost is not in this one.",
        "请从源头重新保存文件：丢失的字符已不在此文件中。";
    TakeControlsOut = "Remove them from the texts.", "请从文本中删去它们。";

    EmailAddresses { count } = "Rows with e-mail addresses: {count}.", "含有电子邮件地址的数据：{count} 条。";
    PhoneNumbers { count } = "Rows with what looks like phone numbers: {count}.", "疑似含有电话号码的数据：{count} 条。";
    Ibans { count } = "Rows with bank account numbers (IBAN): {count}.", "含有银行账号（IBAN）的数据：{count} 条。";
    PaymentCards { count } = "Rows with what looks like numbers of payment cards: {count}.", "疑似含有银行卡号的数据：{count} 条。";
    ResidentIds { count } = "Rows with Chinese resident identity numbers: {count}.", "含有居民身份证号的数据：{count} 条。";
    LearntByHeart = "The model can memorize them and repeat them to anyone.", "模型可能记住它们并透露给任何人。";
    MaskPersonal = "Have a run read placeholders for them (mask_personal), or leave the rows out (drop_rows).",
        "可在训练中以占位符代替（mask_personal），或舍去这些数据（drop_rows）。";

    ExactDuplicates { count } = "Rows that are the same as an earlier one: {count}.", "与前面某条数据相同的数据：{count} 条。";
    NearDuplicates { count } = "Rows that are nearly the same as an earlier one: {count}.", "与前面某条数据近似重复的数据：{count} 条。";
    WeighsMore = "They weigh more in training, and are memorized more easily.",
        "它们在训练中的权重会成倍增加，也更容易被背下来。";
    KeepOneOfAlike = "Keep one of each, unless they come so often where the model is used, too.",
        "除非实际使用中也这样频繁出现，否则每组只保留一条。";
    MixedScripts { count } = "Rows in another script than most: {count}.", "与多数数据所用文字不同的数据：{count} 条。";
    ModelMayNotKnow = "A model that does not know their language learns little from them.", "不懂该语言的模型从中学不到多少。";
    CheckLanguages = "Check that they belong here, and that the model's card names their language.",
        "请确认它们属于此处，并且模型说明中包含该语言。";
}
