//! The words of the charts of a run.

use crate::curves::Measure;
use lorakeet_core::task::Task;

/// The words of the charts, in one language.
pub struct ChartWords {
    /// Label of the slider: how much the training loss is smoothed.
    pub smoothing: &'static str,
    /// Label of the choice of what lies across.
    pub across: &'static str,
    /// What lies across.
    pub measure: fn(Measure) -> &'static str,
    /// Seconds below a minute, with so many decimals.
    pub seconds: fn(f64, usize) -> String,
    /// Label of the switch to a logarithmic axis.
    pub log: &'static str,
    /// The button that shows the whole run again.
    pub show_all: &'static str,
    /// Which keys do what.
    pub keys: &'static str,
    /// Of the training loss.
    pub smoothed: &'static str,
    /// Legend.
    pub checkpoints: &'static str,
    /// Behind a score: the step that it is of.
    pub of_step: fn(usize) -> String,
    /// Number.
    pub memory: &'static str,
    /// Above the table of the charts' numbers.
    pub as_table: &'static str,
    /// Its caption: how many steps it tells of, of how many.
    pub table: fn(usize, usize) -> String,
    /// The question that is answered on request.
    pub accumulation: &'static str,
    /// The answer: micro-batch, accumulation, batch, and the task.
    pub accumulated: fn(usize, usize, usize, Task) -> String,
}

/// The English words.
pub static ENGLISH: ChartWords = ChartWords {
    smoothing: "Smoothing",
    across: "Over",
    measure: |measure| match measure {
        Measure::Step => "Steps",
        Measure::Tokens => "Tokens",
        Measure::Epoch => "Epochs",
        Measure::Seconds => "Time",
    },
    seconds: |seconds, decimals| format!("{seconds:.decimals$} s"),
    log: "Logarithmic",
    show_all: "Whole run",
    keys: "Drag over the chart to zoom in. Keys: ← → move the cursor (with Shift ten steps), Home and End go to the ends, + and − zoom, \
        0 shows the whole run, Esc removes the cursor.",
    smoothed: "smoothed",
    checkpoints: "Checkpoint",
    of_step: |step| format!("step {step}"),
    memory: "Memory",
    as_table: "The numbers as a table",
    table: |shown, all| format!("{shown} of {all} steps, at most 50, evenly spaced"),
    accumulation: "What gradient accumulation does",
    accumulated: |micro, steps, batch, task| {
        let negatives = match task {
            Task::Embedding => {
                " Losses that take the batch's other rows as negatives see only those of their own micro-batch, so for them a \
                 larger micro-batch is more."
            }
            _ => "",
        };
        match (steps, micro) {
            (1, 1) => format!(
                "Nothing here: gradient_accumulation_steps is 1, so a step goes through a single row, and there is no smaller \
                 per_device_train_batch_size.{negatives}"
            ),
            (1, _) => format!(
                "Nothing here: gradient_accumulation_steps is 1, so a step goes through one batch of {batch} rows. With half the \
                 per_device_train_batch_size and twice the accumulation the update would stay the same, with fewer rows in memory \
                 at a time.{negatives}"
            ),
            _ => format!(
                "A step goes through {steps} micro-batches of {micro} rows each and adds up their gradients before one update: \
                 {micro} × {steps} = {batch} rows. Each micro-batch's losses are divided by the targets of all {steps} together, not \
                 by its own, so that long and short rows weigh as they would in one batch of {batch}: the update is the same but for \
                 rounding and dropout, with the memory of {micro} rows.{negatives}"
            ),
        }
    },
};

/// 中文文案。
pub static CHINESE: ChartWords = ChartWords {
    smoothing: "平滑",
    across: "横轴",
    measure: |measure| match measure {
        Measure::Step => "步数",
        Measure::Tokens => "token 数",
        Measure::Epoch => "轮数（epoch）",
        Measure::Seconds => "时间",
    },
    seconds: |seconds, decimals| format!("{seconds:.decimals$} 秒"),
    log: "对数坐标",
    show_all: "显示全程",
    keys: "在图上拖动可放大。键盘：← → 移动游标（按住 Shift 每次十步），Home 和 End 到两端，+ 和 − 缩放，0 显示全程，Esc 取消游标。",
    smoothed: "平滑后",
    checkpoints: "检查点",
    of_step: |step| format!("第 {step} 步"),
    memory: "显存",
    as_table: "以表格查看数值",
    table: |shown, all| format!("共 {all} 步，均匀选取其中 {shown} 步（最多 50 步）"),
    accumulation: "梯度累积的作用",
    accumulated: |micro, steps, batch, task| {
        let negatives = match task {
            Task::Embedding => {
                "若损失把同批次的其他行当作负样本，则只能看到自己那个微批次中的行，此时更大的微批次更有利。"
            }
            _ => "",
        };
        match (steps, micro) {
            (1, 1) => format!(
                "这里没有累积：gradient_accumulation_steps 为 1，每步只处理一行，per_device_train_batch_size 已是最小。{negatives}"
            ),
            (1, _) => format!(
                "这里没有累积：gradient_accumulation_steps 为 1，每步只处理一个 {batch} 行的批次。若把 per_device_train_batch_size 减半、\
                 累积步数加倍，更新不变，而同时占用显存的行数更少。{negatives}"
            ),
            _ => format!(
                "每步依次处理 {steps} 个微批次，每个 {micro} 行，梯度相加后更新一次：{micro} × {steps} = {batch} 行。每个微批次的损失\
                 除以全部 {steps} 个微批次的目标总数，而不是自己的目标数，所以长短不一的行与放在一个 {batch} 行的批次里权重相同：\
                 除舍入和 dropout 外，更新完全一致，而显存只需容纳 {micro} 行。{negatives}"
            ),
        }
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_one_row_is_not_advised_and_negatives_are_told_of_with_and_without_accumulation() {
        let told = |micro, steps, task| (ENGLISH.accumulated)(micro, steps, micro * steps, task);
        assert!(told(2, 1, Task::Generation).contains("With half"));
        assert!(!told(1, 1, Task::Generation).contains("With half"));
        for (micro, steps) in [(1, 1), (8, 1), (8, 4)] {
            assert!(told(micro, steps, Task::Embedding).contains("as negatives"));
            assert!(!told(micro, steps, Task::Generation).contains("as negatives"));
        }
    }
}
