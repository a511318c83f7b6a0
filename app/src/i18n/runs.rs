//! The words about runs in the browser's storage.

use super::counted;

/// The words about stored runs, in one language.
pub struct RunWords {
    /// A run that was interrupted: what it is, when it was started, the step of its newest checkpoint, and how many there are.
    pub interrupted: fn(&str, &str, usize, usize) -> String,
    /// So many runs were interrupted; a line of each follows.
    pub interrupted_several: fn(usize) -> String,
    /// One of them, as of [`RunWords::interrupted`].
    pub interrupted_one: fn(&str, &str, usize, usize) -> String,
    /// The button that opens a run that has ended.
    pub open_again: &'static str,
    /// Such a run was opened without these files, by name and size.
    pub opened_without: fn(&str) -> String,
    /// A run goes wrong, since this step.
    pub diverging: fn(usize) -> String,
    /// The button that goes on from the checkpoint of this step at this learning rate.
    pub go_back: fn(usize, &str) -> String,
    /// The button that starts it over at this learning rate.
    pub start_again_at: fn(&str) -> String,
    /// The button that goes on with it.
    pub go_on: &'static str,
    /// Another tab, or a lab, trains; what it trains, where that is known.
    pub elsewhere: fn(Option<&str>) -> String,
    /// The button that ends that run and starts one here.
    pub take_over: &'static str,
    /// What the button does.
    pub take_over_hint: &'static str,
    /// The switch that keeps the screen on.
    pub keep_awake: &'static str,
    /// The button that removes a run.
    pub delete: &'static str,
    /// Takes that back.
    pub undo: &'static str,
    /// Files that have to be chosen, by name and size.
    pub choose_again: fn(&str) -> String,
    /// Title of the list: how many runs, and what they take.
    pub title: fn(usize, &str) -> String,
    /// What is stored and what for.
    pub hint: &'static str,
    /// Of a run that trains in this tab or in another one.
    pub under_way: &'static str,
    /// Of one that has ended after this step.
    pub finished: fn(usize) -> String,
    /// Of one that was stopped after a step of so many.
    pub stopped: fn(usize, usize) -> String,
    /// Of one that was interrupted: the step of its newest checkpoint, if there is one, and how many there are.
    pub open: fn(Option<usize>, usize) -> String,
}

/// So many of a hundred.
fn percent(step: usize, steps: usize) -> usize {
    100 * step / steps.max(1)
}

/// The English words.
pub static ENGLISH: RunWords = RunWords {
    interrupted: |what, when, step, steps| {
        format!("A run was interrupted: {what}, started {when}, saved at step {step} of {steps}.")
    },
    interrupted_several: |runs| format!("{runs} runs were interrupted. Each continues where it was saved:"),
    interrupted_one: |what, when, step, steps| {
        format!(
            "{what}, started {when}, saved at step {step} of {steps} ({} %)",
            percent(step, steps)
        )
    },
    open_again: "Open again",
    opened_without: |files| {
        format!(
            "Its results are shown. To load the trained model as well, choose these files in steps 2 and 3 and open it again: {files}"
        )
    },
    diverging: |step| format!("The run has been going wrong since step {step}; the notes below say why."),
    go_back: |step, rate| format!("Go back to step {step} and continue with learning rate {rate}"),
    start_again_at: |rate| format!("Start again with learning rate {rate}"),
    go_on: "Continue the run",
    elsewhere: |what| match what {
        Some(what) => format!("Another tab is training: {what}. One run at a time gets the whole device."),
        None => "Another tab, or a lab of this site, is training. One run at a time gets the whole device.".to_owned(),
    },
    take_over: "Train here instead",
    take_over_hint: "The other run is saved and stopped, and can be continued later.",
    keep_awake: "Keep the screen on while training",
    delete: "Delete",
    undo: "Undo",
    choose_again: |files| {
        format!("Its files were too large to be stored. Choose them again in steps 2 and 3, then continue: {files}")
    },
    title: |runs, size| format!("{} ({size})", counted(runs, "stored run")),
    hint: "Runs are saved in this browser every 30 seconds of training, with copies of your files, so that they survive a closed tab. \
           Nothing is uploaded.",
    under_way: "training",
    finished: |step| format!("finished, {}", counted(step, "step")),
    stopped: |step, steps| format!("stopped at step {step} of {steps}"),
    open: |step, steps| match step {
        Some(step) => format!("interrupted, saved at step {step} of {steps}"),
        None => "interrupted before anything was saved".to_owned(),
    },
};

/// The Chinese words.
pub static CHINESE: RunWords = RunWords {
    interrupted: |what, when, step, steps| {
        format!("有一次训练中断了：{what}，开始于 {when}，已保存到第 {step} 步（共 {steps} 步）。")
    },
    interrupted_several: |runs| format!("有 {runs} 次训练中断了，每次都可以从保存处继续："),
    interrupted_one: |what, when, step, steps| {
        format!(
            "{what}，开始于 {when}，已保存到第 {step} 步（共 {steps} 步，{}%）",
            percent(step, steps)
        )
    },
    open_again: "重新打开",
    opened_without: |files| {
        format!("已显示训练结果。若还要使用训练好的模型，请在第 2、3 步选择这些文件，再重新打开：{files}")
    },
    diverging: |step| format!("训练从第 {step} 步起出现异常，详见下方的提示。"),
    go_back: |step, rate| format!("回到第 {step} 步，以学习率 {rate} 继续"),
    start_again_at: |rate| format!("以学习率 {rate} 重新开始"),
    go_on: "继续训练",
    elsewhere: |what| match what {
        Some(what) => format!("另一个标签页正在训练：{what}。同一时间只进行一个训练，以便用上整个设备。"),
        None => "另一个标签页或本站的课程正在训练。同一时间只进行一个训练，以便用上整个设备。".to_owned(),
    },
    take_over: "改在此处训练",
    take_over_hint: "另一个训练会先保存再停止，之后可以继续。",
    keep_awake: "训练时保持屏幕常亮",
    delete: "删除",
    undo: "撤销",
    choose_again: |files| format!("文件太大，未能保存。请在第 2、3 步重新选择，然后继续：{files}"),
    title: |runs, size| format!("已保存的训练：{runs} 个（{size}）"),
    hint: "训练每 30 秒自动保存到此浏览器中，并附带所用文件的副本，因此关闭标签页也不会丢失。不会上传任何内容。",
    under_way: "训练中",
    finished: |step| format!("已完成，{step} 步"),
    stopped: |step, steps| format!("停止于第 {step} 步（共 {steps} 步）"),
    open: |step, steps| match step {
        Some(step) => format!("已中断，保存到第 {step} 步（共 {steps} 步）"),
        None => "在保存之前已中断".to_owned(),
    },
};
