//! The words about sweeps.

use super::counted;

/// The words about sweeps, in one language.
pub struct SweepWords {
    /// Title of the fold.
    pub title: &'static str,
    /// What a sweep does.
    pub hint: &'static str,
    /// Label of the choice of a knob, from 1.
    pub knob: fn(usize) -> String,
    /// Label of its values.
    pub values: fn(&str) -> String,
    /// What stands between values.
    pub values_hint: &'static str,
    /// The button that adds a knob.
    pub add: &'static str,
    /// Label of the button that takes one away.
    pub remove: fn(&str) -> String,
    /// Label of the number of combinations to draw.
    pub draws: &'static str,
    /// What an empty one means.
    pub draws_hint: &'static str,
    /// Label of the minutes that it may take.
    pub minutes: &'static str,
    /// What an empty field means, and what happens then.
    pub minutes_hint: &'static str,
    /// Label of the box by which hopeless runs are ended.
    pub halves: &'static str,
    /// What that means.
    pub halves_hint: &'static str,
    /// Why that cannot be.
    pub halves_needs_store: &'static str,
    /// What the sweep would be: runs, whether the worse are left behind, time.
    pub outlook: fn(usize, bool, Option<&str>) -> String,
    /// There are so many runs, and the most.
    pub too_many: fn(usize, usize) -> String,
    /// The number of combinations or of minutes is none.
    pub no_number: &'static str,
    /// The button that starts it.
    pub start: &'static str,
    /// The button that ends it.
    pub stop: &'static str,
    /// The button that goes on with it: runs that are done, and all.
    pub go_on: fn(usize, usize) -> String,
    /// The button that puts it away.
    pub put_away: &'static str,
    /// What becomes of the sweep that is shown when another one is started.
    pub replaces: &'static str,
    /// Another tab has one under way.
    pub elsewhere: &'static str,
    /// A sweep was interrupted: what it trains, its knobs, runs that are done, and all.
    pub interrupted: fn(&str, &str, usize, usize) -> String,
    /// How far it is: runs that are done, and all.
    pub progress: fn(usize, usize) -> String,
    /// It was ended by its time.
    pub out_of_time: &'static str,
    /// Caption of the table.
    pub table: &'static str,
    /// Its columns before and behind the knobs: run; state, steps, loss, score.
    pub columns: [&'static str; 5],
    /// Of a run that has not begun.
    pub waiting: &'static str,
    /// Of the run under way.
    pub training: &'static str,
    /// Of one that is to go on.
    pub begun: &'static str,
    /// Of one that was left behind after a share of its steps, in percent.
    pub left_behind: fn(usize) -> String,
    /// Of one that is finished.
    pub finished: &'static str,
    /// Of one that failed: why.
    pub out: fn(&str) -> String,
    /// Mark of the best one.
    pub best_mark: &'static str,
    /// The best one: its settings, its score, how many were scored, on how many rows.
    pub best: fn(&str, &str, usize, usize) -> String,
    /// How many others these rows cannot tell from it, where there is an interval.
    pub alike: fn(Option<usize>) -> String,
    /// What to do before it is relied on.
    pub score_again: &'static str,
    /// None was finished.
    pub no_best: &'static str,
    /// The button that takes the best one's settings.
    pub use_best: &'static str,
    /// They were taken.
    pub used: &'static str,
    /// The button that shows the runs side by side.
    pub compare: &'static str,
}

/// The English words.
pub static ENGLISH: SweepWords = SweepWords {
    title: "Sweep: try several settings",
    hint: "Trains one run after the other, one for each combination of these values, and compares them by the same held-out rows. \
           All other settings stay as set above. Each run is stored separately.",
    knob: |number| format!("Setting {number}"),
    values: |knob| format!("Values of {knob}"),
    values_hint: "Separate values with commas; put lists in brackets.",
    add: "Add a setting",
    remove: |knob| format!("Remove {knob}"),
    draws: "Combinations to draw at random",
    draws_hint: "Empty tries all of them.",
    minutes: "Minutes of training at most",
    minutes_hint: "Leave empty for no limit. When the time is up, the sweep stops and can be continued.",
    halves: "End hopeless runs early",
    halves_hint: "After a quarter and after a half of the steps only the half with the lower held-out loss continues; needs 4 runs or more.",
    halves_needs_store: "This needs the browser's storage, which the page does not have here: every run is trained to its end.",
    outlook: |runs, halves, time| {
        let runs = counted(runs, "run");
        let halved = if halves {
            ", the worse half ended early twice"
        } else {
            ""
        };
        match time {
            Some(time) => format!("{runs}{halved}: about {time} of training steps, scoring not counted."),
            None => format!("{runs}{halved}."),
        }
    },
    too_many: |runs, most| {
        format!("These are {runs} runs, and the page allows {most} at most. Use fewer values, or draw some at random.")
    },
    no_number: "The number of combinations has to be a whole number, that of minutes a number above 0; or leave them empty.",
    start: "Start the sweep",
    stop: "Stop the sweep",
    go_on: |done, all| format!("Continue the sweep ({done} of {all} done)"),
    put_away: "Put it away",
    replaces: "A new sweep replaces this one; its runs stay stored.",
    elsewhere: "Another tab is running a sweep.",
    interrupted: |what, knobs, done, all| {
        format!("A sweep over {knobs} was interrupted: {what}, {done} of {all} runs done.")
    },
    progress: |done, all| format!("{done} of {all} runs are done."),
    out_of_time: "The time is up. Continuing allows the same time again.",
    table: "The runs of the sweep",
    columns: ["Run", "State", "Steps", "Validation loss", "Score"],
    waiting: "waits",
    training: "training",
    begun: "to be continued",
    left_behind: |percent| format!("stopped early at {percent} %"),
    finished: "finished",
    out: |why| format!("failed: {why}"),
    best_mark: "best",
    best: |settings, score, runs, rows| format!("Best of {runs}: {settings}, {score} on {rows} held-out rows."),
    alike: |alike| match alike {
        Some(0) => "No other finished run scores within its interval.".to_owned(),
        Some(1) => "Another finished run scores within its interval: these rows cannot tell the two apart.".to_owned(),
        Some(others) => {
            format!("{others} other finished runs score within its interval: these rows cannot tell them apart.")
        }
        None => "It is not known how much of its lead is chance.".to_owned(),
    },
    score_again: "The more settings are tried on the same rows, the luckier the best one looks: score it on rows that no run has seen \
                  before you rely on it.",
    no_best: "No run was finished.",
    use_best: "Use these settings",
    used: "The settings above have these values now. The engine holds the last run's weights: press Train for those of this one.",
    compare: "Compare the runs",
};

/// The Chinese words.
pub static CHINESE: SweepWords = SweepWords {
    title: "参数扫描：尝试多组设置",
    hint: "对这些取值的每种组合依次训练一次，并在相同的留出数据上比较。其余设置与上方一致。每次训练都会单独保存。",
    knob: |number| format!("设置 {number}"),
    values: |knob| format!("{knob} 的取值"),
    values_hint: "取值之间用英文逗号分隔；列表写在方括号内。",
    add: "添加设置",
    remove: |knob| format!("移除 {knob}"),
    draws: "随机抽取的组合数",
    draws_hint: "留空则尝试全部组合。",
    minutes: "训练时间上限（分钟）",
    minutes_hint: "留空则不限时间。时间到后扫描会停止，之后可以继续。",
    halves: "提前结束没有希望的训练",
    halves_hint: "在四分之一和一半步数之后，只有留出损失较低的一半继续训练；至少 4 次训练时生效。",
    halves_needs_store: "这需要浏览器存储，而页面在此处没有存储：每次训练都会进行到底。",
    outlook: |runs, halves, time| {
        let halved = if halves {
            "，其中较差的一半会两次提前结束"
        } else {
            ""
        };
        match time {
            Some(time) => format!("共 {runs} 次训练{halved}：训练步约需 {time}，不含评估。"),
            None => format!("共 {runs} 次训练{halved}。"),
        }
    },
    too_many: |runs, most| format!("共有 {runs} 次训练，而页面最多支持 {most} 次。请减少取值，或随机抽取一部分。"),
    no_number: "组合数必须是整数，分钟数必须大于 0；也可以留空。",
    start: "开始扫描",
    stop: "停止扫描",
    go_on: |done, all| format!("继续扫描（已完成 {done}/{all}）"),
    put_away: "不再显示",
    replaces: "新的扫描会取代当前的扫描，其中的各次训练仍会保留。",
    elsewhere: "另一个标签页正在进行扫描。",
    interrupted: |what, knobs, done, all| format!("对 {knobs} 的扫描中断了：{what}，已完成 {done}/{all} 次训练。"),
    progress: |done, all| format!("已完成 {done}/{all} 次训练。"),
    out_of_time: "时间已到。继续则会再给同样长的时间。",
    table: "扫描中的各次训练",
    columns: ["训练", "状态", "步数", "验证损失", "得分"],
    waiting: "等待中",
    training: "训练中",
    begun: "待继续",
    left_behind: |percent| format!("在 {percent}% 处被淘汰"),
    finished: "已完成",
    out: |why| format!("失败：{why}"),
    best_mark: "最佳",
    best: |settings, score, runs, rows| format!("{runs} 组中最佳：{settings}，{score}（{rows} 条留出数据）。"),
    alike: |alike| match alike {
        Some(0) => "没有其他已完成的训练得分落在它的区间内。".to_owned(),
        Some(others) => format!("另有 {others} 次已完成的训练得分落在它的区间内：这些数据无法区分它们。"),
        None => "它的领先有多少是偶然，无从得知。".to_owned(),
    },
    score_again: "在相同的数据上尝试的设置越多，最佳者就越有运气成分：请先在各次训练都没见过的数据上再评估一次，然后再采信。",
    no_best: "没有完成的训练。",
    use_best: "使用这些设置",
    used: "上方的设置已改为这些取值。引擎中是最后一次训练的权重：要得到这组设置的权重，请点击“开始训练”。",
    compare: "比较这些训练",
};
