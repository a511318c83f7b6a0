//! The words about tasks: choosing one, what there is to beat, what a run came to, and asking the trained model.

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
    /// Column heading: who gave the answers.
    pub way: &'static str,
    /// The tuned model among them.
    pub tuned: &'static str,
    /// Heading of the metrics' lines.
    pub metric_curves: &'static str,
    /// What the dashed lines are.
    pub metric_curves_hint: &'static str,
    /// A line for screen readers: name, first value, last value.
    pub metric_curve: fn(&str, &str, &str) -> String,

    /// Heading of the report.
    pub report: &'static str,
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
    question: "What should the model be trained for?",
    found: "Detect from the data",
    found_about: "Chosen by the model's head and the columns of the data; the result is shown here.",
    name: |task| match task {
        Task::Generation => "Text generation",
        Task::Classification => "Classification",
        Task::MultiLabel => "Multi-label classification",
        Task::TokenClassification => "Token classification",
        Task::Regression => "Regression",
        Task::Ranking => "Ranking",
        Task::Embedding => "Embeddings",
        Task::Preference => "Preference tuning (DPO)",
    },
    about: |task| match task {
        Task::Generation => "Continues a text, follows instructions, chats.",
        Task::Classification => "One class per text: spam or not, topic, sentiment.",
        Task::MultiLabel => "Any number of labels per text: all tags that apply.",
        Task::TokenClassification => "A class for each token: names, places, parts of speech.",
        Task::Regression => "A number per text: price, rating, similarity.",
        Task::Ranking => "A relevance score for each query and document, read together (cross-encoder).",
        Task::Embedding => "A vector per text, close to the vectors of related texts (bi-encoder).",
        Task::Preference => "Learns which of two answers people prefer.",
    },
    summary_found: |name| format!("Detected: {name}"),
    summary_problem: "This model cannot be trained on this data yet",
    problem: "This model cannot be trained on this data",
    status_problem: "This model cannot be trained on this data: see step 1.",
    usual_loss: |loss| format!("Loss: {loss} (the task's default)."),
    own_loss: |loss| format!("Loss: {loss} (set by you)."),
    metric: |metric| format!("Metric: {metric} on the held-out rows."),
    knobs: "Columns, loss and metric",
    rows: |task| match task {
        Task::Generation => "texts",
        Task::Classification => "texts with a class",
        Task::MultiLabel => "texts with labels",
        Task::TokenClassification => "words with tags",
        Task::Regression => "texts with target values",
        Task::Ranking => "queries with graded documents",
        Task::Embedding => "queries with matching documents",
        Task::Preference => "prompts with a chosen and a rejected answer",
    },

    labels: "Rows per label",
    more_labels: |n| format!("and {n} more"),
    unequal: "The classes are imbalanced: always predicting the majority class is already often right. Use f1_macro or mcc as \
        metric_for_best_model.",
    answer_is: |label| format!("label: {label}"),
    preview_legend: "The model reads these tokens and learns to predict the label beside them.",

    baselines: "Baselines without training",
    baselines_hint: "Scored on the held-out rows. Nearest centroid and linear probe use the embeddings of the base model. A fine-tuned \
        model should beat all of them.",
    baselines_waiting: "The baselines appear here once they are measured, at the latest before the first step.",
    way: "Model",
    tuned: "fine-tuned model",
    metric_curves: "Validation metrics during training",
    metric_curves_hint: "Dashed lines are the baselines.",
    metric_curve: |name, first, last| format!("{name} went from {first} to {last}."),

    report: "Report: fine-tuned model against the baselines",
    metrics: "Metrics on the held-out rows",
    classes: "Metrics by class",
    class_columns: ["Class", "Precision", "Recall", "F1", "Support"],
    confusion: "Confusion matrix",
    confusion_hint: "A row is the label, a column the prediction; on the diagonal they agree.",
    right_label: "Label",
    answer: "Prediction",
    mistakes: |classes| format!("Of {classes} classes, the most frequent mistakes"),
    no_mistakes: "Every row was predicted right.",
    calibration: "Calibration: does confidence match accuracy?",
    calibration_hint: "On the line: calibrated. Below it: overconfident. Above it: underconfident.",
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
    predictions_hint: |rows| format!("{rows} held-out rows, largest errors first."),
    rows_shown: |from, to, all| format!("{from}–{to} of {all}"),
    earlier: "Back",
    later: "Next",
    download_predictions: "Download as csv",

    text: "Text",
    second_text: "Second text",
    second_text_hint: "Only where the data has pairs of texts.",
    query: "Query",
    documents: "Documents",
    documents_hint: "One per line; the model returns them ranked.",
    ask: |task| match task {
        Task::Regression => "Predict",
        Task::Ranking | Task::Embedding => "Rank",
        _ => "Classify",
    },
    ask_none: "Train first; then the fine-tuned model predicts here.",
    ask_ready: "Predict your own texts with the fine-tuned model",
    asking: "Predicting…",
    answers: "Predictions",
};

/// 中文文案。
pub static CHINESE: TaskWords = TaskWords {
    title: "任务",
    question: "要训练模型完成什么任务？",
    found: "根据数据自动识别",
    found_about: "根据模型的任务头和数据的列自动识别，结果显示在这里。",
    name: |task| match task {
        Task::Generation => "文本生成",
        Task::Classification => "文本分类",
        Task::MultiLabel => "多标签分类",
        Task::TokenClassification => "序列标注（token 分类）",
        Task::Regression => "回归",
        Task::Ranking => "排序",
        Task::Embedding => "文本向量（检索）",
        Task::Preference => "偏好训练（DPO）",
    },
    about: |task| match task {
        Task::Generation => "续写文本、遵循指令、对话。",
        Task::Classification => "每段文本一个类别：是否垃圾邮件、主题、情感。",
        Task::MultiLabel => "每段文本可有任意多个标签。",
        Task::TokenClassification => "为每个 token 给出类别：人名、地名、词性。",
        Task::Regression => "为每段文本预测一个数值：价格、评分、相似度。",
        Task::Ranking => "将查询与文档一起输入并打出相关性分数（cross-encoder）。",
        Task::Embedding => "为每段文本计算向量，相关文本的向量相近（bi-encoder）。",
        Task::Preference => "学习人们在两个回答中更偏好哪一个。",
    },
    summary_found: |name| format!("已识别：{name}"),
    summary_problem: "当前模型还不能在这份数据上训练",
    problem: "当前模型不能在这份数据上训练",
    status_problem: "当前模型不能在这份数据上训练，原因见第 1 步。",
    usual_loss: |loss| format!("损失：{loss}（任务的默认值）。"),
    own_loss: |loss| format!("损失：{loss}（由你指定）。"),
    metric: |metric| format!("评估指标：验证集上的 {metric}。"),
    knobs: "列、损失与指标",
    rows: |task| match task {
        Task::Generation => "文本",
        Task::Classification => "文本与类别",
        Task::MultiLabel => "文本与多个标签",
        Task::TokenClassification => "词语与标签",
        Task::Regression => "文本与目标值",
        Task::Ranking => "查询与分级文档",
        Task::Embedding => "查询与相关文档",
        Task::Preference => "提示词与 chosen、rejected 回答",
    },

    labels: "各标签的样本数",
    more_labels: |n| format!("另有 {n} 个"),
    unequal: "类别不均衡：总是预测多数类也常常正确。请把 metric_for_best_model 设为 f1_macro 或 mcc。",
    answer_is: |label| format!("标签：{label}"),
    preview_legend: "模型读入这些 token，学习预测旁边的标签。",

    baselines: "基线（无需训练）",
    baselines_hint: "在验证集上计算；最近类中心与线性探针使用基座模型的向量。微调后的模型应当超过所有基线。",
    baselines_waiting: "测量之后，这里会显示基线（最迟在训练的第一步之前）。",
    way: "模型",
    tuned: "微调后的模型",
    metric_curves: "训练中的验证指标",
    metric_curves_hint: "虚线为基线。",
    metric_curve: |name, first, last| format!("{name} 从 {first} 变为 {last}。"),

    report: "报告：微调后的模型与基线",
    metrics: "验证集指标",
    classes: "各类别指标",
    class_columns: ["类别", "精确率", "召回率", "F1", "样本数"],
    confusion: "混淆矩阵",
    confusion_hint: "行为真实标签，列为预测标签；对角线上为预测正确的样本。",
    right_label: "标签",
    answer: "预测",
    mistakes: |classes| format!("{classes} 个类别中最常见的混淆"),
    no_mistakes: "所有样本均预测正确。",
    calibration: "校准：置信度与准确率是否一致？",
    calibration_hint: "在线上：校准良好。低于线：过于自信。高于线：信心不足。",
    calibration_columns: ["置信度", "准确率", "样本数"],
    as_table: "以表格查看",
    residuals: |name| match name {
        "" => "预测值与真实值".to_owned(),
        name => format!("{name}：预测值与真实值"),
    },
    residuals_hint: "点在线上表示预测正确，到线的距离即残差。",
    right_number: "真实值",
    answered_number: "预测值",
    predictions: "预测结果",
    predictions_hint: |rows| format!("{rows} 条验证样本，误差最大的在前。"),
    rows_shown: |from, to, all| format!("第 {from}–{to} 行，共 {all} 行"),
    earlier: "上一页",
    later: "下一页",
    download_predictions: "下载 csv",

    text: "文本",
    second_text: "第二段文本",
    second_text_hint: "仅当数据由成对的文本组成时填写。",
    query: "查询",
    documents: "文档",
    documents_hint: "每行一篇；按模型的排序返回。",
    ask: |task| match task {
        Task::Regression => "预测",
        Task::Ranking | Task::Embedding => "排序",
        _ => "分类",
    },
    ask_none: "请先训练，微调后的模型会在这里预测。",
    ask_ready: "用微调后的模型预测你的文本",
    asking: "正在预测…",
    answers: "预测结果",
};
