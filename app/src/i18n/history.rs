//! The words about stored runs side by side.

use lorakeet_core::protocol::CurveAxis;

/// The words about looking back on runs, in one language.
pub struct HistoryWords {
    /// The button that opens the view, and its title.
    pub title: &'static str,
    /// The button that closes it.
    pub close: &'static str,
    /// What can be done here.
    pub hint: &'static str,
    /// No run is stored.
    pub empty: &'static str,
    /// None is found.
    pub none_found: &'static str,
    /// Label of the search.
    pub search: &'static str,
    /// Why names cannot be changed and curves not be read now.
    pub busy: &'static str,
    /// Columns of the table: compared, run, task, model and data, steps, best score, training loss, what can be done.
    pub columns: [&'static str; 8],
    /// Label of the box by which a run is compared: its name.
    pub compare: fn(&str) -> String,
    /// Label of a run's name: its name.
    pub name: fn(&str) -> String,
    /// Label of the field for another tag: the run's name.
    pub add_tag: fn(&str) -> String,
    /// What stands in that field.
    pub tag: &'static str,
    /// The button that takes a tag away.
    pub remove_tag: fn(&str) -> String,
    /// The best score: metric, value, step.
    pub score: fn(&str, &str, usize) -> String,
    /// What it has to beat: value and what it is.
    pub baseline: fn(&str, &str) -> String,
    /// The button that takes a run's settings.
    pub use_settings: &'static str,
    /// They were taken: of the run of this name.
    pub used: fn(&str) -> String,
    /// Title of the curves.
    pub curves: &'static str,
    /// What to do to see some; how many at most.
    pub choose: fn(usize) -> String,
    /// Label of the choice of the axis.
    pub over: &'static str,
    /// An axis.
    pub axis: fn(CurveAxis) -> &'static str,
    /// Label of the choice of the metric.
    pub metric: &'static str,
    /// Of these runs there is nothing to draw.
    pub not_kept: fn(&str) -> String,
    /// How curves of the loss are drawn.
    pub loss_hint: &'static str,
    /// Row of the table: the last value.
    pub last: &'static str,
    /// Title of the settings that differ.
    pub differences: &'static str,
    /// None differs.
    pub same: &'static str,
    /// Heading of the settings.
    pub setting: &'static str,
    /// Heading of a fingerprint: of what.
    pub contents: fn(&str) -> String,
    /// A setting that a run does not have.
    pub no_setting: &'static str,
    /// Label of the choice of the setting to group by.
    pub by: &'static str,
    /// The choice not to.
    pub ungrouped: &'static str,
    /// Title of the groups: metric.
    pub groups: fn(&str) -> String,
    /// Their columns: runs, mean, each run.
    pub group_columns: [&'static str; 3],
    /// So many runs have no score of this metric.
    pub left_out: fn(usize, &str) -> String,
}

/// The English words.
pub static ENGLISH: HistoryWords = HistoryWords {
    title: "Runs",
    close: "Close",
    hint: "All runs that this browser has stored. The settings shown are each run's own, not those of the form above.",
    empty: "No run is stored yet. Press Train: every run is then listed here with its curve, to be compared with others.",
    none_found: "No run has all of these words in its name, tags, task, model or data.",
    search: "Search runs",
    busy: "Names, tags and curves are available after the current run has ended.",
    columns: [
        "Compare",
        "Run",
        "Task",
        "Model and data",
        "Steps",
        "Best score",
        "Training loss",
        "Actions",
    ],
    compare: |name| format!("Compare {name}"),
    name: |name| format!("Name of {name}"),
    add_tag: |name| format!("Add a tag to {name}"),
    tag: "Add a tag",
    remove_tag: |tag| format!("Remove the tag {tag}"),
    score: |metric, value, step| format!("{metric} {value} at step {step}"),
    baseline: |value, what| format!("to beat: {value} ({what})"),
    use_settings: "Use these settings",
    used: |name| {
        format!(
            "The settings of \u{201c}{name}\u{201d} are in steps 1 and 5 now. Model and data stay as they are in steps 2 and 3."
        )
    },
    curves: "Curves",
    choose: |most| {
        format!("Tick runs in the table to see their curves and what differs between their settings, up to {most}.")
    },
    over: "Over",
    axis: |axis| match axis {
        CurveAxis::Step => "steps",
        CurveAxis::Tokens => "tokens",
        CurveAxis::Seconds => "time",
    },
    metric: "Metric",
    not_kept: |names| format!("No such values were stored for: {names}."),
    loss_hint: "Lines are the training loss, smoothed; dots are the validation loss.",
    last: "last",
    differences: "Settings that differ",
    same: "These runs have the same settings, and read the same model and data.",
    setting: "Setting",
    contents: |name| format!("contents of {name} (SHA-256)"),
    no_setting: "–",
    by: "Group by",
    ungrouped: "nothing",
    groups: |metric| format!("Best {metric} by setting"),
    group_columns: ["Runs", "Mean", "Each run"],
    left_out: |runs, metric| match runs {
        1 => format!("1 run has no score of {metric} and is left out."),
        runs => format!("{runs} runs have no score of {metric} and are left out."),
    },
};

/// The Chinese words.
pub static CHINESE: HistoryWords = HistoryWords {
    title: "训练记录",
    close: "关闭",
    hint: "此浏览器中保存的所有训练。这里显示的是各次训练自己的设置，而不是上方表单中的设置。",
    empty: "还没有保存的训练。请点击“开始训练”：之后每次训练都会连同曲线列在这里，便于相互比较。",
    none_found: "没有训练的名称、标签、任务、模型或数据包含所有这些词。",
    search: "搜索训练",
    busy: "训练进行期间，名称、标签和曲线需等训练结束后才能修改或读取。",
    columns: [
        "比较",
        "训练",
        "任务",
        "模型与数据",
        "步数",
        "最佳得分",
        "训练损失",
        "操作",
    ],
    compare: |name| format!("比较 {name}"),
    name: |name| format!("{name} 的名称"),
    add_tag: |name| format!("为 {name} 添加标签"),
    tag: "添加标签",
    remove_tag: |tag| format!("移除标签 {tag}"),
    score: |metric, value, step| format!("{metric} {value}（第 {step} 步）"),
    baseline: |value, what| format!("基线：{value}（{what}）"),
    use_settings: "使用这些设置",
    used: |name| format!("“{name}”的设置已填入第 1 步和第 5 步。第 2、3 步的模型和数据保持不变。"),
    curves: "曲线",
    choose: |most| format!("在表格中勾选训练，即可查看它们的曲线和设置差异，最多 {most} 个。"),
    over: "横轴",
    axis: |axis| match axis {
        CurveAxis::Step => "步数",
        CurveAxis::Tokens => "token 数",
        CurveAxis::Seconds => "时间",
    },
    metric: "指标",
    not_kept: |names| format!("以下训练没有保存可绘制的内容：{names}。"),
    loss_hint: "线条为平滑后的训练损失，圆点为验证损失。",
    last: "最后",
    differences: "不同的设置",
    same: "这些训练的设置相同，读取的模型和数据也相同。",
    setting: "设置",
    contents: |name| format!("{name} 的内容（SHA-256）"),
    no_setting: "–",
    by: "分组依据",
    ungrouped: "不分组",
    groups: |metric| format!("各设置下的最佳 {metric}"),
    group_columns: ["训练数", "平均", "各次训练"],
    left_out: |runs, metric| format!("{runs} 个训练没有 {metric} 得分，未计入。"),
};
