//! The words about judging the fine-tuned model: intervals, rows, thresholds, slices, strength, blind comparison, other files.

use lorakeet_core::protocol::DecisionKind;

/// These words, in one language.
pub struct JudgeWords {
    /// Column heading: the interval of the metric that judges the run; its confidence in percent.
    pub interval: fn(&str) -> String,

    /// Label of the choice of rows.
    pub rows: &'static str,
    /// All rows, wrong ones, right ones.
    pub which_rows: [&'static str; 3],
    /// Label of the choice of a label.
    pub of_label: &'static str,
    /// All labels.
    pub any_label: &'static str,
    /// Label of the search.
    pub search: &'static str,
    /// Label of the order.
    pub order: &'static str,
    /// Largest loss first, smallest first, least confident first, most confident first.
    pub orders: [&'static str; 4],
    /// Rows that are shown, of how many.
    pub matching: fn(usize, usize) -> String,

    /// Heading of the thresholds.
    pub thresholds: &'static str,
    /// What they do.
    pub thresholds_hint: fn(DecisionKind) -> &'static str,
    /// Label of the positive class.
    pub positive: &'static str,
    /// Label of the choice of a label's threshold.
    pub threshold_of: &'static str,
    /// One for all labels.
    pub all_labels: &'static str,
    /// Label of the slider and of the field.
    pub threshold: &'static str,
    /// What a false positive costs, by what is decided.
    pub cost_positive: fn(DecisionKind) -> &'static str,
    /// What a false negative costs.
    pub cost_negative: fn(DecisionKind) -> &'static str,
    /// A cost that is none.
    pub bad_cost: &'static str,
    /// A threshold that is none.
    pub bad_threshold: &'static str,
    /// Takes the cheapest threshold.
    pub cheapest: &'static str,
    /// Takes the cheapest of each label.
    pub cheapest_of_each: &'static str,
    /// Keeps the threshold.
    pub keep: &'static str,
    /// Gives it up.
    pub drop: &'static str,
    /// That one is kept, and for what.
    pub kept: fn(&str) -> String,
    /// Headings: true positives, false positives, false negatives, true negatives, precision, recall, F1, mean cost.
    pub counts: fn(DecisionKind) -> [&'static str; 8],
    /// The picture in a sentence.
    pub curve: &'static str,
    /// Nothing is decided.
    pub no_answer: &'static str,
    /// What was decided at the kept threshold.
    pub decided: fn(&str) -> String,

    /// Heading of the slices.
    pub slices: &'static str,
    /// How to read them: what all rows come to.
    pub slices_hint: fn(&str, &str) -> String,
    /// Column headings: slice, rows, metric's interval, remark.
    pub slice_columns: [&'static str; 4],
    /// A length: from, to, in tokens or characters.
    pub length: fn(u64, u64, bool) -> String,
    /// It is worse than the whole.
    pub worse: &'static str,
    /// Which are, as a sentence.
    pub worse_on: fn(&str) -> String,
    /// None is.
    pub none_worse: &'static str,

    /// Label of the adapter's strength.
    pub strength: &'static str,
    /// What it is.
    pub strength_hint: &'static str,
    /// Why it cannot be changed.
    pub no_strength: &'static str,
    /// The fine-tuned model at another strength.
    pub tuned_at: fn(&str) -> String,
    /// Whether the answers without the adapter are shown, too.
    pub compare_without: &'static str,
    /// Heading of those.
    pub without: &'static str,

    /// The blind comparison.
    pub blind: &'static str,
    /// What it is for.
    pub blind_hint: &'static str,
    /// The buttons: A, B, tie.
    pub choose: [&'static str; 3],
    /// Heading of an answer whose author is told: the letter, and who.
    pub told: fn(&str, &str) -> String,
    /// The tally: fine-tuned, base, ties, p-value.
    pub tally: fn(u32, u32, u32, &str) -> String,
    /// Counts from the start.
    pub reset_tally: &'static str,
    /// There is no base to compare with.
    pub no_base: &'static str,

    /// Heading of the other file.
    pub other_file: &'static str,
    /// The drop zone.
    pub other_file_drop: &'static str,
    /// What is done with it.
    pub other_file_hint: &'static str,
    /// While it is scored.
    pub scoring: &'static str,
    /// What was scored: file, rows.
    pub scored: fn(&str, usize) -> String,
    /// The report as HTML.
    pub report_html: &'static str,
    /// The same as Markdown.
    pub report_markdown: &'static str,
}

/// The English words.
pub static ENGLISH: JudgeWords = JudgeWords {
    interval: |percent| format!("{percent}% interval"),
    rows: "Rows",
    which_rows: ["all", "wrong", "right"],
    of_label: "Label",
    any_label: "any",
    search: "Search in the text",
    order: "Order",
    orders: [
        "largest loss first",
        "smallest loss first",
        "least confident first",
        "most confident first",
    ],
    matching: |shown, all| format!("{shown} of {all} rows match."),
    thresholds: "Decision threshold",
    thresholds_hint: |kind| match kind {
        DecisionKind::Binary => "The positive class is predicted where its probability reaches the threshold.",
        DecisionKind::Reject => {
            "The most probable class is predicted where its probability reaches the threshold; below it the row gets no \
             answer. Precision is the accuracy of the answers, recall the share of the right answers that is kept."
        }
        DecisionKind::Labels => {
            "A label applies where its probability reaches its threshold. Counts are of rows and labels together."
        }
    },
    positive: "Positive class",
    threshold_of: "Threshold of",
    all_labels: "all labels",
    threshold: "Threshold",
    cost_positive: |kind| match kind {
        DecisionKind::Reject => "Cost of a wrong answer",
        _ => "Cost of a false positive",
    },
    cost_negative: |kind| match kind {
        DecisionKind::Reject => "Cost of no answer",
        _ => "Cost of a false negative",
    },
    bad_cost: "A cost is a number from 0, such as 2.5.",
    bad_threshold: "A threshold is a number from 0 to 1.",
    cheapest: "Use the threshold with the lowest cost",
    cheapest_of_each: "Use the lowest cost for each label",
    keep: "Keep this threshold",
    drop: "Drop the kept threshold",
    kept: |value| format!("Kept: {value}. It decides the answers in step 8 and is added to the downloaded csv."),
    counts: |kind| match kind {
        DecisionKind::Reject => [
            "right answers",
            "wrong answers",
            "right, refused",
            "wrong, refused",
            "precision",
            "recall",
            "F1",
            "mean cost",
        ],
        _ => [
            "true positives",
            "false positives",
            "false negatives",
            "true negatives",
            "precision",
            "recall",
            "F1",
            "mean cost",
        ],
    },
    curve: "Precision (solid), recall (dotted) and F1 (dashed) by threshold",
    no_answer: "no answer",
    decided: |what| format!("At the kept threshold: {what}"),
    slices: "Slices: where is the model worse?",
    slices_hint: |metric, whole| {
        format!(
            "{metric} is {whole} on all held-out rows. A slice is marked where its whole 95% interval is worse than that; of \
             many slices about one in forty is marked by chance."
        )
    },
    slice_columns: ["Slice", "Rows", "95% interval", "Remark"],
    length: |from, to, in_tokens| {
        let unit = if in_tokens { "tokens" } else { "characters" };
        match from == to {
            true => format!("text length: {from} {unit}"),
            false => format!("text length: {from}–{to} {unit}"),
        }
    },
    worse: "worse",
    worse_on: |slices| format!("Worse on: {slices}."),
    none_worse: "No slice is worse than the whole by more than its interval.",
    strength: "Adapter strength",
    strength_hint: "1 is the adapter as trained, 0 turns it off, 2 doubles its effect. Scores and exports always use 1.",
    no_strength: "Every weight was trained, so there is no adapter whose strength could be changed.",
    tuned_at: |strength| format!("Fine-tuned model, strength {strength}"),
    compare_without: "Also answer with the adapter turned off",
    without: "Adapter off (strength 0, same head)",
    blind: "Blind comparison",
    blind_hint: "Hides which answer is whose until you have chosen. The order is random each time.",
    choose: ["A is better", "B is better", "Tie"],
    told: |letter, who| format!("{letter}: {who}"),
    tally: |tuned, base, ties, p| {
        format!("Fine-tuned {tuned}, base {base}, ties {ties}. Sign test without ties: p = {p}.")
    },
    reset_tally: "Reset the tally",
    no_base: "Every weight was trained, so there is no base model to compare with.",
    other_file: "Score another file",
    other_file_drop: "Drop a labelled file here",
    other_file_hint: "It is read like the training data and scored with the fine-tuned model and the baselines.",
    scoring: "Scoring the file…",
    scored: |file, rows| format!("{file}, {rows} rows"),
    report_html: "Download report (HTML)",
    report_markdown: "Download report (Markdown)",
};

/// 中文文案。
pub static CHINESE: JudgeWords = JudgeWords {
    interval: |percent| format!("{percent}% 置信区间"),
    rows: "样本",
    which_rows: ["全部", "预测错误", "预测正确"],
    of_label: "标签",
    any_label: "不限",
    search: "在文本中搜索",
    order: "排序",
    orders: ["损失从大到小", "损失从小到大", "置信度从低到高", "置信度从高到低"],
    matching: |shown, all| format!("共 {all} 条，符合条件的有 {shown} 条。"),
    thresholds: "决策阈值",
    thresholds_hint: |kind| match kind {
        DecisionKind::Binary => "正类的概率达到阈值时预测为正类。",
        DecisionKind::Reject => {
            "最可能类别的概率达到阈值时才给出预测，否则拒绝回答。精确率为已回答样本的准确率，召回率为正确答案中被保留的比例。"
        }
        DecisionKind::Labels => "标签的概率达到其阈值时判为适用。计数以样本与标签的组合为单位。",
    },
    positive: "正类",
    threshold_of: "阈值对象",
    all_labels: "全部标签",
    threshold: "阈值",
    cost_positive: |kind| match kind {
        DecisionKind::Reject => "答错的代价",
        _ => "假正例的代价",
    },
    cost_negative: |kind| match kind {
        DecisionKind::Reject => "不回答的代价",
        _ => "假负例的代价",
    },
    bad_cost: "代价应为不小于 0 的数，例如 2.5。",
    bad_threshold: "阈值应为 0 到 1 之间的数。",
    cheapest: "使用代价最低的阈值",
    cheapest_of_each: "每个标签各用代价最低的阈值",
    keep: "保留此阈值",
    drop: "取消保留的阈值",
    kept: |value| format!("已保留：{value}。第 8 步的预测按它判定，下载的 csv 中也会包含判定结果。"),
    counts: |kind| match kind {
        DecisionKind::Reject => [
            "答对",
            "答错",
            "对而未答",
            "错而未答",
            "精确率",
            "召回率",
            "F1",
            "平均代价",
        ],
        _ => [
            "真正例",
            "假正例",
            "假负例",
            "真负例",
            "精确率",
            "召回率",
            "F1",
            "平均代价",
        ],
    },
    curve: "精确率（实线）、召回率（点线）与 F1（虚线）随阈值的变化",
    no_answer: "不回答",
    decided: |what| format!("按保留的阈值判定：{what}"),
    slices: "切片分析：模型在哪里更差？",
    slices_hint: |metric, whole| {
        format!(
            "全部验证样本上的 {metric} 为 {whole}。若某个切片的整个 95% 置信区间都比它差，则标为“较差”；切片很多时，约四十分之一会因偶然被标出。"
        )
    },
    slice_columns: ["切片", "样本数", "95% 置信区间", "备注"],
    length: |from, to, in_tokens| {
        let unit = if in_tokens { "token" } else { "字符" };
        match from == to {
            true => format!("文本长度：{from} {unit}"),
            false => format!("文本长度：{from}–{to} {unit}"),
        }
    },
    worse: "较差",
    worse_on: |slices| format!("在以下切片上较差：{slices}。"),
    none_worse: "没有任何切片明显差于整体。",
    strength: "适配器强度",
    strength_hint: "1 为训练得到的适配器，0 为关闭，2 为效果加倍。评估与导出始终使用 1。",
    no_strength: "本次训练了全部权重，没有可以调节强度的适配器。",
    tuned_at: |strength| format!("微调后的模型，强度 {strength}"),
    compare_without: "同时显示关闭适配器时的预测",
    without: "关闭适配器（强度 0，任务头不变）",
    blind: "盲测对比",
    blind_hint: "选择之前不显示哪个回答来自哪个模型，每次顺序随机。",
    choose: ["A 更好", "B 更好", "不分上下"],
    told: |letter, who| format!("{letter}：{who}"),
    tally: |tuned, base, ties, p| {
        format!("微调模型 {tuned} 次，基座模型 {base} 次，平局 {ties} 次。符号检验（不计平局）：p = {p}。")
    },
    reset_tally: "重新计数",
    no_base: "本次训练了全部权重，没有可供对比的基座模型。",
    other_file: "在其他文件上评估",
    other_file_drop: "将带标签的文件拖到此处",
    other_file_hint: "按训练数据的方式读取，并用微调后的模型与各基线评估。",
    scoring: "正在评估…",
    scored: |file, rows| format!("{file}，{rows} 条"),
    report_html: "下载报告（HTML）",
    report_markdown: "下载报告（Markdown）",
};
