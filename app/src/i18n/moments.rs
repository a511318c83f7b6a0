//! The words about the course of a run: its controls, what happens after Train is pressed, and the verdict. What to do next is the
//! engine's to say.

/// The words about the course of a run, in one language.
pub struct MomentWords {
    /// The controls of the run, for screen readers.
    pub controls: &'static str,
    /// The run's newest step of all, and its loss, in short.
    pub step_of: fn(&str, &str) -> String,
    /// The newest loss in short.
    pub loss_is: fn(&str) -> String,
    /// Time left, in short.
    pub left: fn(&str) -> String,

    /// Title of the step of the baselines.
    pub baseline: &'static str,
    /// Its summary before there are any.
    pub baseline_none: &'static str,
    /// Its summary while they are measured.
    pub baseline_busy: &'static str,
    /// Its summary: metric, value, and what has it.
    pub to_beat: fn(&str, &str, &str) -> String,
    /// The button that measures them.
    pub measure: &'static str,
    /// What it does.
    pub measure_hint: &'static str,
    /// They are being measured.
    pub measuring: &'static str,
    /// Why they cannot be measured now: the run under way does it.
    pub run_measures: &'static str,
    /// What it costs while there is an adapter.
    pub measure_drops: &'static str,
    /// The button that takes the linear probe.
    pub keep_probe: &'static str,
    /// What it does.
    pub keep_probe_hint: &'static str,

    /// Title of the step that judges the run.
    pub judge: &'static str,
    /// Its summary before there is a run.
    pub judge_none: &'static str,
    /// What will be there, and how.
    pub judge_empty: &'static str,
    /// A run without validation rows, or one that was stopped before its first step.
    pub judge_nothing: &'static str,

    /// Before a run: what Train does; with the time of a step where it is known.
    pub before: fn(Option<String>) -> String,
    /// The parts of a run before its first step, in order: rows and adapter, baselines, kernels, the score of the base model.
    pub stages: [&'static str; 4],
    /// When the first loss is to be expected, with the time of a step where it is known; whether kernels are compiled.
    pub first_loss: fn(Option<String>, bool) -> String,
    /// The verdict: better than every baseline.
    pub better: fn(&str) -> String,
    /// The verdict: not to be told from the best baseline, by its name.
    pub open: fn(&str) -> String,
    /// The verdict: worse than the best baseline, by its name.
    pub worse: fn(&str) -> String,
    /// In front of what to do next.
    pub next: &'static str,
    /// The button to the export.
    pub to_export: &'static str,
    /// The button to what the run came to.
    pub to_judge: &'static str,

    /// The button beside a knob: its reasons.
    pub tell_more: fn(&str) -> String,
}

/// The English words.
pub static ENGLISH: MomentWords = MomentWords {
    controls: "Run controls",
    step_of: |step, all| format!("step {step} / {all}"),
    loss_is: |loss| format!("loss {loss}"),
    left: |time| format!("{time} left"),

    baseline: "Baseline",
    baseline_none: "Not measured yet",
    baseline_busy: "Being measured",
    to_beat: |metric, value, way| format!("To beat: {metric} {value} ({way})"),
    measure: "Measure the baselines",
    measure_hint: "Scores without training, on the rows that the run holds out. Train measures them before its first step, too.",
    measuring: "Preparing the rows as the run does, and scoring them…",
    run_measures: "A run is in progress and measures them.",
    measure_drops: "Like a new run, this drops what the last one trained. Export that first if you need it.",
    keep_probe: "Keep the probe",
    keep_probe_hint: "No further training: the linear probe becomes the model's head (`head_init: probe`, `max_steps: 0`), which can \
        be tried and exported like any result. To fine-tune from it, reset `max_steps`.",

    judge: "Judge",
    judge_none: "Available after training",
    judge_empty: "After a run you see here whether it beats the baselines by more than chance, with the metrics, the predictions \
        (largest errors first) and a report to save. Press Train; nothing else is needed.",
    judge_nothing: "This run has no verdict: no rows were held out, or it was stopped too early. Set val_size above 0 and train again.",

    before: |time| {
        let pace = time.map_or(String::new(), |time| format!(" A step takes about {time}."));
        format!(
            "Train measures the baselines first; then the loss appears below, step by step.{pace} Pause or stop at any time: progress is kept."
        )
    },
    stages: [
        "prepare rows and adapter",
        "measure the baselines",
        "compile the GPU's kernels",
        "score the base model",
    ],
    first_loss: |time, compiles| {
        let pace = time.map_or(String::new(), |time| format!(", about {time} a step"));
        let slow = if compiles {
            " The first run of a kind is slower, because kernels are compiled."
        } else {
            ""
        };
        format!("Then the first loss appears{pace}.{slow}")
    },
    better: |way| format!("Better: the fine-tuned model beats the best baseline ({way}) by more than chance."),
    open: |way| format!("No significant improvement over the best baseline ({way})."),
    worse: |way| format!("Worse than the best baseline ({way})."),
    next: "Next:",
    to_export: "Go to export",
    to_judge: "See the report",

    tell_more: |knob| format!("Tell me more about {knob}"),
};

/// 中文文案。
pub static CHINESE: MomentWords = MomentWords {
    controls: "训练控制",
    step_of: |step, all| format!("第 {step} / {all} 步"),
    loss_is: |loss| format!("损失 {loss}"),
    left: |time| format!("剩余 {time}"),

    baseline: "基线",
    baseline_none: "尚未测量",
    baseline_busy: "正在测量",
    to_beat: |metric, value, way| format!("要超过：{metric} {value}（{way}）"),
    measure: "测量基线",
    measure_hint: "微调之前先看：在训练会留出的数据上，不微调能达到什么水平。点击“开始训练”后，第一步之前也会同样测量。",
    measuring: "正在按训练的方式准备数据并评估…",
    run_measures: "训练进行中，它会自行测量基线。",
    measure_drops: "与新的训练一样，测量会丢弃上次训练的结果。如有需要，请先导出。",
    keep_probe: "采用线性探针",
    keep_probe_hint: "不再训练：线性探针直接成为模型的输出头（`head_init: probe`、`max_steps: 0`），可以像其他结果一样试用和导出。\
        若要从它继续微调，请把 `max_steps` 改回来。",

    judge: "评估",
    judge_none: "训练后可用",
    judge_empty: "训练结束后，这里会说明结果是否显著优于基线，并给出各项指标、预测结果（误差最大的在前）和可保存的报告。\
        点击“开始训练”即可，无需其他操作。",
    judge_nothing: "这次训练没有结论：没有留出验证数据，或停止得太早。请把 val_size 设为大于 0 的值，然后重新训练。",

    before: |time| {
        let pace = time.map_or(String::new(), |time| format!("每步约 {time}。"));
        format!("点击“开始训练”后先测量基线，然后下方逐步显示损失。{pace}可随时暂停或停止，已学到的内容会保留。")
    },
    stages: ["准备数据和适配器", "测量基线", "编译 GPU 内核", "评估基座模型"],
    first_loss: |time, compiles| {
        let pace = time.map_or(String::new(), |time| format!("，每步约 {time}"));
        let slow = if compiles {
            "首次运行需要编译内核，会慢一些。"
        } else {
            ""
        };
        format!("随后显示第一个损失{pace}。{slow}")
    },
    better: |way| format!("更好：微调后的模型显著优于最好的基线（{way}）。"),
    open: |way| format!("与最好的基线（{way}）相比没有显著提升。"),
    worse: |way| format!("不如最好的基线（{way}）。"),
    next: "下一步：",
    to_export: "前往导出",
    to_judge: "查看报告",

    tell_more: |knob| format!("了解更多：{knob}"),
};
