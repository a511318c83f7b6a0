//! The words about advice: recommended settings, cautions, what the device does and what a run takes, a search for a learning rate.

use super::counted;

/// The words about advice, in one language.
pub struct AdviceWords {
    /// Title of the card.
    pub title: &'static str,
    /// There is no advice yet.
    pub none: &'static str,
    /// How many settings differ from what is recommended, of how many; their names.
    pub differ: fn(usize, usize, &str) -> String,
    /// The button that takes all of it.
    pub use_all: &'static str,
    /// The button that takes all of that back.
    pub undo_all: &'static str,
    /// The button that takes one.
    pub use_one: &'static str,
    /// Title of the list.
    pub list: &'static str,
    /// What the person has instead.
    pub yours: fn(&str) -> String,
    /// It is set so.
    pub same: &'static str,
    /// Title of what it rests on.
    pub evidence: &'static str,

    /// Title of the cautions.
    pub cautions: &'static str,
    /// How many there are.
    pub cautions_count: fn(usize) -> String,
    /// The button that sets a knob to a value.
    pub set_to: fn(&str, &str) -> String,
    /// Title of the doubts.
    pub doubts: &'static str,

    /// Title of the card of the device.
    pub device: &'static str,
    /// Row heading.
    pub adapter: &'static str,
    /// Row heading.
    pub largest_buffer: &'static str,
    /// Row heading: what it can give.
    pub available: &'static str,
    /// There is none.
    pub unlimited: &'static str,
    /// It is not told.
    pub unknown: &'static str,
    /// Row heading: what was measured.
    pub speed: &'static str,
    /// GFLOP/s and GB/s.
    pub speed_value: fn(&str, &str) -> String,
    /// It was not measured.
    pub not_measured: &'static str,
    /// Title of the table.
    pub forecast: &'static str,
    /// Column headings: part, memory.
    pub forecast_heads: [&'static str; 2],
    /// The parts: base, adapter, gradients, optimizer, activations, peak.
    pub parts: [&'static str; 6],
    /// How the parts go together.
    pub parts_hint: &'static str,
    /// Steps of the run, and about how long they take.
    pub run_time: fn(usize, Option<String>) -> String,
    /// What the forecast has from the last run: steps measured, and the peak by what it held.
    pub learnt: fn(usize, Option<String>) -> String,

    /// The button that searches.
    pub find_rate: &'static str,
    /// What it does.
    pub find_rate_hint: &'static str,
    /// Why it cannot: model or data are missing.
    pub needs_both: &'static str,
    /// Why it cannot: a run is under way.
    pub run_under_way: &'static str,
    /// Why it cannot: a setting is wrong.
    pub bad_settings: &'static str,
    /// Why it cannot: another tab trains.
    pub trains_elsewhere: &'static str,
    /// What it costs while there is an adapter.
    pub drops_adapter: &'static str,
    /// It is under way: step, and the rate of it.
    pub searching: fn(Option<(usize, &str)>) -> String,
    /// The button that takes the rate.
    pub use_rate: fn(&str) -> String,
    /// It was found with other settings.
    pub rate_outdated: &'static str,
    /// Title of the chart.
    pub rate_chart: &'static str,
    /// The chart in a sentence: steps, first and last rate, the suggested one.
    pub rate_summary: fn(usize, &str, &str, Option<&str>) -> String,
    /// Title of its table.
    pub rate_table: &'static str,
    /// Column headings: rate, loss, smoothed.
    pub rate_heads: [&'static str; 3],
}

/// The English words.
pub static ENGLISH: AdviceWords = AdviceWords {
    title: "Recommended settings",
    none: "Recommendations appear here once a model and data that fit together are loaded.",
    differ: |differ, all, names| match differ {
        0 => format!("All {all} settings are as recommended for this task, model, data and device."),
        _ => format!(
            "{differ} of {all} settings differ from what is recommended for this task, model, data and device: {names}."
        ),
    },
    use_all: "Use all",
    undo_all: "Undo all",
    use_one: "Use",
    list: "Each with its reason",
    yours: |value| format!("you have {value}"),
    same: "same as yours",
    evidence: "Evidence, and why not another value",

    cautions: "Cautions",
    cautions_count: |count| match count {
        0 => "No cautions for these settings.".to_owned(),
        1 => "1 caution. You can still start the run.".to_owned(),
        count => format!("{count} cautions. You can still start the run."),
    },
    set_to: |knob, value| format!("Set {knob}: {value}"),
    doubts: "Tuning may not be worth it",

    device: "Device and forecast",
    adapter: "Device",
    largest_buffer: "Largest buffer",
    available: "Memory limit",
    unlimited: "no limit",
    unknown: "not known",
    speed: "Measured speed",
    speed_value: |gflops, gigabytes| format!("{gflops} GFLOP/s, {gigabytes} GB/s"),
    not_measured: "not measured yet",
    forecast: "Parts of the forecast",
    forecast_heads: ["Part", "Memory"],
    parts: [
        "Weights of the base",
        "Weights of the adapter or a new head",
        "Gradients",
        "Optimizer state",
        "Activations kept for the backward pass",
        "Peak of a step",
    ],
    parts_hint: "The parts are not all in memory at once, and operations need working memory: the peak is not their sum.",
    run_time: |steps, time| {
        let steps = counted(steps, "step");
        match time {
            Some(time) => format!("{steps} in all: about {time}, without evaluation."),
            None => format!("{steps} in all."),
        }
    },
    learnt: |steps, peak| {
        let peak = peak.map(|peak| format!(" By its measured memory, the peak would be about {peak}."));
        format!(
            "The time is scaled by the last {} of the run before.{}",
            counted(steps, "step"),
            peak.unwrap_or_default()
        )
    },

    find_rate: "Find a learning rate",
    find_rate_hint: "Takes up to 100 steps with a growing rate on this model and these rows, and puts the weights back.",
    needs_both: "It needs a model and data.",
    run_under_way: "Not during a run.",
    bad_settings: "A setting cannot be used yet.",
    trains_elsewhere: "Another tab is training. Try again when it is done.",
    drops_adapter: "Like a new run, a search discards what the last run trained. Export it first if you need it.",
    searching: |step| match step {
        None => "Preparing the search…".to_owned(),
        Some((step, rate)) => format!("Step {step} of 100 at most, rate {rate}"),
    },
    use_rate: |rate| format!("Use {rate}"),
    rate_outdated: "The settings have changed since the search: search again, or set them back.",
    rate_chart: "Smoothed loss over the learning rate",
    rate_summary: |steps, first, last, found| match found {
        Some(found) => format!("{steps} steps with rates from {first} to {last}; suggested: {found}."),
        None => format!("{steps} steps with rates from {first} to {last}; no rate is suggested."),
    },
    rate_table: "The numbers",
    rate_heads: ["Learning rate", "Loss", "Smoothed"],
};

/// The Chinese words.
pub static CHINESE: AdviceWords = AdviceWords {
    title: "推荐设置",
    none: "加载相互匹配的模型和数据后，这里会显示推荐的设置。",
    differ: |differ, all, names| match differ {
        0 => format!("全部 {all} 项设置都与针对当前任务、模型、数据和设备的推荐值一致。"),
        _ => format!("{all} 项设置中有 {differ} 项与针对当前任务、模型、数据和设备的推荐值不同：{names}。"),
    },
    use_all: "全部采用",
    undo_all: "全部撤销",
    use_one: "采用",
    list: "各项及其理由",
    yours: |value| format!("当前为 {value}"),
    same: "与当前一致",
    evidence: "依据，以及为何不取其他值",

    cautions: "注意事项",
    cautions_count: |count| match count {
        0 => "这些设置没有不妥之处。".to_owned(),
        count => format!("{count} 条注意事项，仍可开始训练。"),
    },
    set_to: |knob, value| format!("设置 {knob}: {value}"),
    doubts: "微调可能不值得",

    device: "设备与预估",
    adapter: "设备",
    largest_buffer: "最大缓冲区",
    available: "内存上限",
    unlimited: "无限制",
    unknown: "未知",
    speed: "实测速度",
    speed_value: |gflops, gigabytes| format!("{gflops} GFLOP/s，{gigabytes} GB/s"),
    not_measured: "尚未测量",
    forecast: "预估的组成",
    forecast_heads: ["部分", "内存"],
    parts: [
        "基座权重",
        "适配器或新输出头的权重",
        "梯度",
        "优化器状态",
        "反向传播保留的激活值",
        "单步峰值",
    ],
    parts_hint: "各部分不会同时存在，而运算本身也需要一些内存：峰值不等于各部分之和。",
    run_time: |steps, time| match time {
        Some(time) => format!("共 {steps} 步：约 {time}，不含评估。"),
        None => format!("共 {steps} 步。"),
    },
    learnt: |steps, peak| {
        let peak = peak.map(|peak| format!("按其实际占用估算，峰值约为 {peak}。"));
        format!(
            "耗时按上一次训练最后 {steps} 步的实测校正。{}",
            peak.unwrap_or_default()
        )
    },

    find_rate: "搜索学习率",
    find_rate_hint: "在当前模型和数据上以递增的学习率训练最多 100 步，之后恢复权重。",
    needs_both: "需要先加载模型和数据。",
    run_under_way: "训练进行中，无法搜索。",
    bad_settings: "有设置项尚不可用。",
    trains_elsewhere: "另一个标签页正在训练，请在其结束后再试。",
    drops_adapter: "与新的训练一样，搜索会丢弃上次训练的结果。如有需要，请先导出。",
    searching: |step| match step {
        None => "正在准备搜索…".to_owned(),
        Some((step, rate)) => format!("第 {step} 步（最多 100 步），学习率 {rate}"),
    },
    use_rate: |rate| format!("采用 {rate}"),
    rate_outdated: "搜索之后设置已更改：请重新搜索，或改回原来的设置。",
    rate_chart: "平滑损失随学习率的变化",
    rate_summary: |steps, first, last, found| match found {
        Some(found) => format!("共 {steps} 步，学习率从 {first} 到 {last}；建议值：{found}。"),
        None => format!("共 {steps} 步，学习率从 {first} 到 {last}；没有建议值。"),
    },
    rate_table: "数值",
    rate_heads: ["学习率", "损失", "平滑损失"],
};
