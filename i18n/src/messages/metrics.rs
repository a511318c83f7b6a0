//! Losses, metrics, baselines and comparisons.

use crate::message::messages;

messages! { "metrics";
    // loss/classification.rs
    FocalTarget { got } =
        "a label applies (1) or not (0) in a focal loss, got {got}",
        "focal 损失中标签只能是适用（1）或不适用（0），实际为 {got}";
    ListLength { name, found, outputs } =
        "{name} has {found} numbers, and there are {outputs} outputs",
        "{name} 有 {found} 个数，而输出有 {outputs} 个";
    LabelsForRows { labels, rows } = "{labels} labels for {rows} rows", "有 {labels} 个标签，而数据有 {rows} 条";
    LabelOutside { label, classes } =
        "label {label}, and there are {classes} classes",
        "标签为 {label}，而类别有 {classes} 个";
    TargetsForLabels { targets, rows, labels } =
        "{targets} targets for {rows} rows of {labels} labels",
        "有 {targets} 个目标值，而数据有 {rows} 条、每条 {labels} 个标签";
    TargetNotShare { got } = "a target from 0 to 1 is needed, got {got}", "目标值必须在 0 到 1 之间，实际为 {got}";

    // loss/contrastive.rs
    RowsAgainst { rows, found } = "{rows} rows against {found}", "{rows} 条数据对 {found} 条";
    WidthsDiffer { found, wanted } =
        "vectors of {found} numbers against vectors of {wanted}",
        "{found} 维向量与 {wanted} 维向量不能相比";

    // loss/evaluation.rs
    NoTermsInside = "a loss without terms", "损失没有任何项";
    TripletWithoutNegative = "a triplet needs a negative in every row", "triplet 损失要求每条数据都有负样本";
    AddNegatives =
        "Add a column of negatives to the data, or take infonce.",
        "请在数据中添加一列负样本，或改用 infonce。";
    LossOfOtherHead { loss } =
        "{loss} is not made for what this head gives",
        "{loss} 不适用于这个输出头的结果";

    // loss/parse.rs
    AtCharacter { character, what } = "at character {character}, {what}", "第 {character} 个字符处，{what}";
    TextTooLong { bytes, most } = "has {bytes} bytes, at most {most} are read", "有 {bytes} 字节，最多读取 {most} 字节";
    TooManyTerms { most } = "has more than {most} terms", "超过了 {most} 项";
    WeightOutOfRange { low, high, got } =
        "a weight must be from {low} to {high}, got {got}",
        "权重必须在 {low} 到 {high} 之间，实际为 {got}";
    Missing { symbol, place } = "{symbol} is missing {place}", "{place}缺少 {symbol}";
    BetweenLosses = "between two losses", "两个损失之间";
    BetweenWeightAndLoss = "between a weight and its loss, as in 0.7*focal", "权重与损失之间（如 0.7*focal）";
    BetweenKnobAndValue = "between a knob and its value, as in gamma=2", "参数与值之间（如 gamma=2）";
    AfterKnobs = "after a loss's knobs", "损失的参数之后";
    AfterNumbers = "after a list of numbers", "数字列表之后";
    LossNameMissing = "the name of a loss is missing", "缺少损失的名称";
    KnobNameMissing = "the name of a knob is missing", "缺少参数的名称";
    NumberMissing = "a number is missing", "缺少数字";
    ValueNeeded { name, allowed } =
        "{name} needs a value, which must be {allowed}",
        "{name} 需要一个值，且必须是{allowed}";
    Found { what, found } = "{what}, found {found}", "{what}，此处为 {found}";
    FoundEnd { what } = "{what}, found the end", "{what}，文本到此结束";
    GivenTwice { name } = "{name} is given twice", "{name} 出现了两次";
    NoSuchKnob { loss, name } = "{loss} has no {name}", "{loss} 没有 {name}";
    KnobMustBe { knob, allowed, got } =
        "{knob} must be {allowed}, got {got}",
        "{knob} 必须是{allowed}，实际为 {got}";
    UnknownLoss { name } = "there is no loss called {name}", "没有名为 {name} 的损失";
    UnknownKnob { loss, name } = "{loss} has no knob called {name}", "{loss} 没有名为 {name} 的参数";
    KnownLosses { names } = "There are {names}.", "可用的损失有：{names}。";
    KnownKnobs { names } = "It has {names}.", "它的参数有：{names}。";
    NoKnobs { loss } = "{loss} has no knobs.", "{loss} 没有参数。";

    // loss/weighted_sum.rs
    KnobOf { name, loss } = "{name} of {loss}", "{loss} 的 {name}";
    KnobsInGeneration { loss } =
        "{loss} has knobs that a generation run does not take",
        "{loss} 带有文本生成训练不支持的参数";
    PlainCrossEntropy = "Write cross_entropy without them.", "请写不带参数的 cross_entropy。";
    AllWeightsZero { loss } = "{loss} gives every class the weight 0", "{loss} 把所有类别的权重都设为 0";
    AlphaAboveOne { loss, got } =
        "alpha of {loss} must be from 0 to 1 in a multi_label run, got {got}",
        "multi_label 训练中 {loss} 的 alpha 必须在 0 到 1 之间，实际为 {got}";
    TryAlpha = "Try alpha=0.25.", "可以试试 alpha=0.25。";
    OneNumberForEach { name } =
        "Write one number for each, as in {name}=[1, 2, 1].",
        "请为每个输出写一个数，如 {name}=[1, 2, 1]。";
    NoTerms = "a loss has at least one term", "损失至少要有一项";
    LossOfOtherTask { loss, tasks, task } =
        "{loss} is a loss for {tasks}, and this is a {task} run",
        "{loss} 是用于 {tasks} 的损失，而本次训练的任务是 {task}";
    WhatFits { names } = "What fits: {names}.", "适用的损失：{names}。";
    OtherVectors { loss } =
        "{loss} compares other vectors than the terms before it",
        "{loss} 比较的向量与前面各项不同";
    CosinesOrQueries =
        "Cosines of pairs are compared with numbers (mse), or queries with documents (infonce).",
        "要么把文本对的余弦与数值比较（mse），要么把查询与文档比较（infonce）。";
    NumberFromTo { low, high } = "a number from {low} to {high}", "介于 {low} 和 {high} 之间的数";
    NumbersFromTo { low, high } =
        "a number or a list of numbers from {low} to {high}",
        "介于 {low} 和 {high} 之间的数或数字列表";
    EuclideanOrCosine = "euclidean or cosine", "以下之一：euclidean、cosine";

    // loss/preference.rs, loss/ranking.rs, loss/regression.rs
    AnswersAgainstNumbers { rows, found } =
        "{rows} chosen answers against {found} numbers",
        "有 {rows} 个被选中的回答，而数值有 {found} 个";
    GradesAndLists { grades, lists } =
        "{grades} grades, and {lists} names of lists",
        "有 {grades} 个等级，而列表名称有 {lists} 个";
    GradeInvalid { got } =
        "a grade must be a finite number from 0, got {got}",
        "等级必须是不小于 0 的有限数，实际为 {got}";
    ScoresForItems { scores, items } = "{scores} scores for {items} items", "有 {scores} 个得分，而条目有 {items} 个";
    PairOutside { a, b, items } =
        "a pair of items {a} and {b}, and there are {items}",
        "条目对为 {a} 和 {b}，而条目只有 {items} 个";
    TargetsForRows { targets, rows } = "{targets} targets for {rows} rows", "有 {targets} 个目标值，而数据有 {rows} 条";
    TargetNotFinite { got } = "a target must be a finite number, got {got}", "目标值必须是有限数，实际为 {got}";

    // baseline/
    NoRowsToLearn = "there are no rows to learn from", "没有可供学习的数据";
    NotRows { numbers, width } =
        "{numbers} numbers are not rows of {width}",
        "{numbers} 个数不能分成每行 {width} 个";
    VectorNotFinite { got } = "the model's vector holds {got}", "模型的向量中含有 {got}";
    AnswersForVectors { answers, vectors } =
        "{answers} answers for {vectors} vectors",
        "有 {answers} 个答案，而向量有 {vectors} 个";
    OtherWidthLearnt { width, learnt } =
        "vectors of {width} numbers, learnt from vectors of {learnt}",
        "向量为 {width} 维，而学习时为 {learnt} 维";
    TooMuchForProbe { rows, classes } =
        "{rows} rows of {classes} classes are too many for a probe",
        "{rows} 条数据、{classes} 个类别对线性探针来说太多";
    ClassTooHigh { class, classes } = "class {class}, and there are {classes}", "类别为 {class}，而类别共有 {classes} 个";
    NoClassesToLearn = "there are no classes to learn", "没有可供学习的类别";
    EquationsNotPositive { place, rest } =
        "the probe's equations are not positive at {place}: {rest}",
        "线性探针的方程在第 {place} 处不是正定的：{rest}";

    // metrics.rs, metrics/
    AnswersForRows { answers, rows } = "{answers} answers for {rows} rows", "有 {answers} 个答案，而数据有 {rows} 条";
    NoRowsToScore = "there are no rows to score", "没有可供评估的数据";
    NoRowsToCompare = "there are no rows to compare", "没有可供比较的数据";
    SetValSize = "Set val_size above 0.", "请把 val_size 设为大于 0。";
    AnswersToOtherRows = "answers to other rows cannot be compared", "不同数据的答案不能比较";
    ScoresOfOtherTexts = "scores of other texts cannot be compared", "不同文本的得分不能比较";
    ScoresAgainst { before, after } = "{before} scores against {after}", "{before} 个得分对 {after} 个";
    ScoreNotFinite = "the score is not a finite number", "得分不是有限数";
    ScoreNotANumber = "the score is no number", "得分不是数值";
    DrawsAndConfidence { draws, confidence } =
        "a comparison needs draws and a confidence between 0 and 1, got {draws} and {confidence}",
        "比较需要抽样次数和 0 到 1 之间的置信度，实际为 {draws} 和 {confidence}";
    ScoreWithoutValue = "the score has no value for these rows", "这个指标在这些数据上没有值";
    MoreRowsOrOtherMetric =
        "Take more validation rows, or another metric.",
        "请增加验证数据，或换一个指标。";
    NoBins = "at least one bin is needed", "至少需要一个区间";
    NotAProbability { got } =
        "a probability must be from 0 to 1, got {got}",
        "概率必须在 0 到 1 之间，实际为 {got}";
    FlagsNotRows { flags, labels } =
        "{flags} flags are not rows of {labels} labels",
        "{flags} 个标记不能分成每行 {labels} 个标签";
    CorrelationOfOneRow = "a correlation needs at least two rows", "相关系数至少需要两条数据";
    LossesForBatches { losses, batches } =
        "{losses} losses for {batches} batches",
        "有 {losses} 个损失，而批次有 {batches} 个";

    // metrics/bootstrap.rs: what a comparison comes to.
    ScoresAre { metric, after, before } = "{metric} {after} against {before}", "{metric} 为 {after}，对照为 {before}";
    TooFewRows { scores, rows, needed } =
        "{scores}: {rows} rows are too few to tell; at least {needed} are needed.",
        "{scores}；{rows} 条数据太少，无法判断，至少需要 {needed} 条。";
    Interval { difference, confidence, low, high, rows } =
        "the difference is {difference}, and with {confidence}% confidence between {low} and {high} ({rows} rows)",
        "相差 {difference}，{confidence}% 置信区间为 {low} 到 {high}（{rows} 条数据）";
    Significant { scores, interval } = "{scores}: {interval}.", "{scores}，{interval}。";
    MayBeChance { scores, interval } =
        "{scores}: {interval}, so it may be chance.",
        "{scores}，{interval}，因此可能只是偶然。";
}
