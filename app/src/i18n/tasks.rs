//! The words about tasks: choosing one, what there is to beat, what a run came to, and asking the trained model.

use lorakeet_core::protocol::{Report, Verdict};
use lorakeet_core::task::Task;

/// The words about tasks, in one language.
pub struct TaskWords {
    /// Title of step 1.
    pub title: &'static str,
    /// The question.
    pub question: &'static str,
    /// The choice that leaves it to the model and the data.
    pub found: &'static str,
    /// What that means.
    pub found_about: &'static str,
    /// A task's name.
    pub name: fn(Task) -> &'static str,
    /// What it is, in a sentence.
    pub about: fn(Task) -> &'static str,
    /// Summary: what was found.
    pub summary_found: fn(&str) -> String,
    /// Summary: nothing was found that fits.
    pub summary_problem: &'static str,
    /// Above the reason why there can be no run.
    pub problem: &'static str,
    /// Status line while there can be no run.
    pub status_problem: &'static str,
    /// The loss that goes with the task.
    pub usual_loss: fn(&str) -> String,
    /// The loss that the person wrote.
    pub own_loss: fn(&str) -> String,
    /// The metric that judges the run.
    pub metric: fn(&str) -> String,
    /// The knobs that belong to the task.
    pub knobs: &'static str,
    /// What the rows of the data are for the task.
    pub rows: fn(Task) -> &'static str,

    /// Heading of the numbers of rows.
    pub labels: &'static str,
    /// Labels that are not shown.
    pub more_labels: fn(usize) -> String,
    /// One label has most of the rows.
    pub unequal: &'static str,
    /// What an example is answered with.
    pub answer_is: fn(&str) -> String,
    /// What the model does with an example.
    pub preview_legend: &'static str,

    /// Heading of the scores to beat.
    pub baselines: &'static str,
    /// What they are.
    pub baselines_hint: &'static str,
    /// Before there are any.
    pub baselines_waiting: &'static str,
    /// Who gave the answers.
    pub baseline_name: fn(&str) -> String,
    /// Column heading: who gave the answers.
    pub way: &'static str,
    /// The tuned model among them.
    pub tuned: &'static str,
    /// Heading of the metrics' lines.
    pub courses: &'static str,
    /// What the dashed lines are.
    pub courses_hint: &'static str,
    /// A line for screen readers: name, first value, last value.
    pub course: fn(&str, &str, &str) -> String,

    /// Heading of the report.
    pub report: &'static str,
    /// The report in a sentence or two.
    pub sentence: fn(&Report) -> String,
    /// Heading of the metrics.
    pub metrics: &'static str,
    /// Heading of the classes.
    pub classes: &'static str,
    /// Column headings of the classes: class, precision, recall, F1, rows.
    pub class_columns: [&'static str; 5],
    /// Heading of the confusions.
    pub confusion: &'static str,
    /// How to read them.
    pub confusion_hint: &'static str,
    /// Heading of the rows.
    pub right_label: &'static str,
    /// Heading of the columns.
    pub answer: &'static str,
    /// Instead of a table that would be too large: how many classes there are.
    pub mistakes: fn(usize) -> String,
    /// No mistake at all.
    pub no_mistakes: &'static str,
    /// Heading of the calibration.
    pub calibration: &'static str,
    /// How to read it.
    pub calibration_hint: &'static str,
    /// It as a table: certainty, right, rows.
    pub calibration_columns: [&'static str; 3],
    /// The numbers behind a picture.
    pub as_table: &'static str,
    /// Heading of a target's numbers against the answers; the name may be empty.
    pub residuals: fn(&str) -> String,
    /// How to read them.
    pub residuals_hint: &'static str,
    /// Across.
    pub right_number: &'static str,
    /// Upwards.
    pub answered_number: &'static str,
    /// Heading of the answers row by row.
    pub predictions: &'static str,
    /// What comes first, and of how many rows.
    pub predictions_hint: fn(usize) -> String,
    /// The rows that are shown.
    pub rows_shown: fn(usize, usize, usize) -> String,
    /// To the rows before.
    pub earlier: &'static str,
    /// To the rows behind.
    pub later: &'static str,
    /// All rows as a file.
    pub download_predictions: &'static str,

    /// Label of the text to answer.
    pub text: &'static str,
    /// Label of a second text.
    pub second_text: &'static str,
    /// When it is needed.
    pub second_text_hint: &'static str,
    /// Label of the query.
    pub query: &'static str,
    /// Label of the documents.
    pub documents: &'static str,
    /// How they are written.
    pub documents_hint: &'static str,
    /// The button.
    pub ask: fn(Task) -> &'static str,
    /// Before there is a trained model.
    pub ask_none: &'static str,
    /// With one.
    pub ask_ready: &'static str,
    /// While it answers.
    pub asking: &'static str,
    /// Heading of the answers.
    pub answers: &'static str,
}

/// The English words.
pub static ENGLISH: TaskWords = TaskWords {
    title: "Task",
    question: "What should the model learn to give?",
    found: "Whatever the data ask for",
    found_about: "The model's head and the columns of the data decide; what was found is said here.",
    name: |task| match task {
        Task::Generation => "Writing",
        Task::Classification => "Classes",
        Task::MultiLabel => "Labels",
        Task::TokenClassification => "Classes of words",
        Task::Regression => "Numbers",
        Task::Ranking => "Order",
        Task::Embedding => "Search",
        Task::Preference => "Preferences",
    },
    about: |task| match task {
        Task::Generation => "Continues texts, answers instructions, chats.",
        Task::Classification => "One class of several for a text: spam or not, a topic, a mood.",
        Task::MultiLabel => "Any number of labels for a text: all the tags that apply.",
        Task::TokenClassification => "A class for each word: names, places, parts of speech.",
        Task::Regression => "A number for a text: a price, a rating, a similarity.",
        Task::Ranking => "A score for each document, read together with the query (cross-encoder).",
        Task::Embedding => "A vector for each text, near to those that belong to it (bi-encoder).",
        Task::Preference => "Of two answers the better one, as people chose (DPO).",
    },
    summary_found: |name| format!("Found: {name}"),
    summary_problem: "This model and this data do not fit together yet",
    problem: "There can be no run on this model and this data",
    status_problem: "This model and this data do not fit together: step 1 says why.",
    usual_loss: |loss| format!("Loss: {loss}, as the task has it."),
    own_loss: |loss| format!("Loss: {loss}, as you wrote it."),
    metric: |metric| format!("Judged by {metric} on the rows held out."),
    knobs: "Columns, loss and metric",
    rows: |task| match task {
        Task::Generation => "texts",
        Task::Classification => "each with a class",
        Task::MultiLabel => "each with its labels",
        Task::TokenClassification => "words with classes",
        Task::Regression => "each with its numbers",
        Task::Ranking => "queries with graded documents",
        Task::Embedding => "queries with documents that belong to them",
        Task::Preference => "prompts with a chosen and a rejected answer",
    },

    labels: "Rows of each label",
    more_labels: |n| format!("and {n} more"),
    unequal: "The labels are unequal: always answering the first would already be right often. Judge by f1_macro or mcc \
        (metric_for_best_model).",
    answer_is: |label| format!("answer: {label}"),
    preview_legend: "The model reads all of this and gives the answer beside it.",

    baselines: "Baseline: what can be had without training",
    baselines_hint: "On the rows held out. Nearest centroid and linear probe look at the untouched model's vectors. A tuned model \
        that does not beat these is not worth its training.",
    baselines_waiting: "The baselines appear here before the first step.",
    baseline_name: str::to_owned,
    way: "Model",
    tuned: "tuned model",
    courses: "Validation on the way",
    courses_hint: "The dashed lines are what can be had without training.",
    course: |name, first, last| format!("{name} went from {first} to {last}."),

    report: "What the training bought",
    sentence: |report| report.sentence.clone(),
    metrics: "Metrics on the rows held out",
    classes: "Metrics by class",
    class_columns: ["Class", "Precision", "Recall", "F1", "Support"],
    confusion: "Confusion matrix",
    confusion_hint: "A row is the label, a column the prediction; on the diagonal they agree.",
    right_label: "Label",
    answer: "Prediction",
    mistakes: |classes| format!("Of {classes} classes, the most frequent mistakes"),
    no_mistakes: "Every row was predicted right.",
    calibration: "Calibration: is it right as often as it is certain?",
    calibration_hint: "Bars on the line: yes. Below it: overconfident. Above it: underconfident.",
    calibration_columns: ["Confidence", "Accuracy", "Rows"],
    as_table: "As a table",
    residuals: |name| match name {
        "" => "Predictions against labels".to_owned(),
        name => format!("{name}: predictions against labels"),
    },
    residuals_hint: "A point on the line is predicted right; its height above or below is the residual.",
    right_number: "label",
    answered_number: "prediction",
    predictions: "Predictions",
    predictions_hint: |rows| format!("{rows} rows that were not trained on, the worst errors first."),
    rows_shown: |from, to, all| format!("{from}–{to} of {all}"),
    earlier: "Back",
    later: "Next",
    download_predictions: "Download as csv",

    text: "Text",
    second_text: "Second text",
    second_text_hint: "Only where the data has pairs of texts.",
    query: "Query",
    documents: "Documents",
    documents_hint: "One a line; they come back in the order in which the model ranks them.",
    ask: |task| match task {
        Task::Regression => "Estimate",
        Task::Ranking | Task::Embedding => "Rank",
        _ => "Classify",
    },
    ask_none: "Train first; then the tuned model answers here.",
    ask_ready: "The tuned model answers your texts",
    asking: "Answering…",
    answers: "Answers",
};

/// 中文文案。
pub static CHINESE: TaskWords = TaskWords {
    title: "任务",
    question: "模型应当学会给出什么？",
    found: "由数据决定",
    found_about: "根据模型的输出层和数据的列来判断，结果会显示在这里。",
    name: |task| match task {
        Task::Generation => "写作",
        Task::Classification => "分类",
        Task::MultiLabel => "多标签",
        Task::TokenClassification => "词语分类",
        Task::Regression => "数值",
        Task::Ranking => "排序",
        Task::Embedding => "检索",
        Task::Preference => "偏好",
    },
    about: |task| match task {
        Task::Generation => "续写文本、执行指令、对话。",
        Task::Classification => "为一段文本选出一个类别：是否垃圾邮件、主题、情绪。",
        Task::MultiLabel => "为一段文本给出任意多个标签。",
        Task::TokenClassification => "为每个词给出类别：人名、地名、词性。",
        Task::Regression => "为一段文本给出数值：价格、评分、相似度。",
        Task::Ranking => "把查询与每篇文档一起阅读并打分（交叉编码器）。",
        Task::Embedding => "为每段文本给出向量，相关的文本彼此靠近（双编码器）。",
        Task::Preference => "学会人们选择的两个回答中更好的那个（DPO）。",
    },
    summary_found: |name| format!("判断为：{name}"),
    summary_problem: "当前的模型与数据还不匹配",
    problem: "无法用当前的模型和数据训练",
    status_problem: "当前的模型与数据不匹配，原因见第 1 步。",
    usual_loss: |loss| format!("损失：{loss}（任务的默认值）。"),
    own_loss: |loss| format!("损失：{loss}（由你指定）。"),
    metric: |metric| format!("以留出数据上的 {metric} 评判。"),
    knobs: "列、损失与指标",
    rows: |task| match task {
        Task::Generation => "文本",
        Task::Classification => "各带一个类别",
        Task::MultiLabel => "各带标签",
        Task::TokenClassification => "带类别的词语",
        Task::Regression => "各带数值",
        Task::Ranking => "查询与分级文档",
        Task::Embedding => "查询与相关文档",
        Task::Preference => "提示与选中、落选的回答",
    },

    labels: "各标签的行数",
    more_labels: |n| format!("另有 {n} 个"),
    unequal: "标签不均衡：总是回答第一个也常常正确。请用 f1_macro 或 mcc 评判（metric_for_best_model）。",
    answer_is: |label| format!("答案：{label}"),
    preview_legend: "模型读完全部内容，再给出旁边的答案。",

    baselines: "要超过的成绩：不训练也能得到的",
    baselines_hint: "在留出的数据上计算；最近类中心与线性探针使用原模型的向量。微调后的模型若不能超过它们，就不值得训练。",
    baselines_waiting: "训练开始之前，这里会显示要超过的成绩。",
    baseline_name: |name| {
        match name {
            "majority class" => "最常见的类别",
            "nearest centroid" => "最近类中心",
            "linear probe" => "线性探针",
            "usual labels" => "常见的标签",
            "mean of the training rows" => "平均值",
            "BM25" => "共有词语 BM25",
            "untouched model" => "原模型",
            "untouched model's likelihood" => "原模型的似然",
            name => name,
        }
        .to_owned()
    },
    way: "作答者",
    tuned: "微调后的模型",
    courses: "训练中的验证指标",
    courses_hint: "虚线是不训练也能得到的成绩。",
    course: |name, first, last| format!("{name} 从 {first} 变为 {last}。"),

    report: "训练带来了什么",
    sentence: chinese_sentence,
    metrics: "留出数据上的指标",
    classes: "逐类成绩",
    class_columns: ["类别", "精确率", "召回率", "F1", "行数"],
    confusion: "混淆矩阵",
    confusion_hint: "行是正确答案，列是模型的回答；对角线上两者一致。",
    right_label: "正确",
    answer: "回答",
    mistakes: |classes| format!("{classes} 个类别中最常见的错误"),
    no_mistakes: "每一行都回答正确。",
    calibration: "有多确定，就有多正确吗？",
    calibration_hint: "柱顶在线上：是。低于线：过于自信。高于线：过于谨慎。",
    calibration_columns: ["确定程度", "正确率", "行数"],
    as_table: "以表格查看",
    residuals: |name| match name {
        "" => "回答与正确值".to_owned(),
        name => format!("{name}：回答与正确值"),
    },
    residuals_hint: "点在线上表示回答正确，离线的距离就是误差。",
    right_number: "正确值",
    answered_number: "回答",
    predictions: "逐行结果",
    predictions_hint: |rows| format!("对 {rows} 行未参与训练的数据的回答，错得最多的在前。"),
    rows_shown: |from, to, all| format!("第 {from}–{to} 行，共 {all} 行"),
    earlier: "上一页",
    later: "下一页",
    download_predictions: "下载 csv",

    text: "文本",
    second_text: "第二段文本",
    second_text_hint: "仅当数据由成对的文本组成时填写。",
    query: "查询",
    documents: "文档",
    documents_hint: "每行一篇；将按模型给出的顺序返回。",
    ask: |task| match task {
        Task::Regression => "估计",
        Task::Ranking | Task::Embedding => "排序",
        _ => "分类",
    },
    ask_none: "请先训练，微调后的模型会在这里回答。",
    ask_ready: "微调后的模型回答你的文本",
    asking: "正在回答…",
    answers: "回答",
};

/// The engine's sentence is English; this one is made of the same numbers.
fn chinese_sentence(report: &Report) -> String {
    let Some(comparison) = &report.comparison else {
        return report.sentence.clone();
    };
    let bought = match report.verdict {
        Some(Verdict::Better) => "训练有收获",
        Some(Verdict::Worse) => "训练没有收获",
        _ => "训练的收获与偶然无法区分",
    };
    format!(
        "{bought}：与不训练的最好结果（{}）相比，{} 从 {:.4} 变为 {:.4}，相差 {:+.4}，{}% 置信区间为 {:+.4} 至 {:+.4}（{} 行）。",
        (CHINESE.baseline_name)(&report.against),
        report.metric,
        comparison.before,
        comparison.after,
        comparison.difference,
        (comparison.confidence * 1e4).round() / 100.0,
        comparison.low,
        comparison.high,
        comparison.rows
    )
}
