//! What the lab says itself, in every language; what a lesson says is in the lesson.

use lorakeet_core::protocol::{BaselineKind, Verdict};
use lorakeet_i18n::Language;

/// The lab's words; fields that take numbers are functions.
pub struct LabWords {
    /// Names of the seven parts of a lesson.
    pub parts: [&'static str; 7],
    /// Label of the list of parts.
    pub parts_label: &'static str,
    /// The part shown, of all: for screen readers and small widths.
    pub part_of: fn(usize, usize) -> String,
    /// Back to the part before.
    pub back: &'static str,
    /// On to the next part.
    pub next: &'static str,
    /// Why there is no next part yet.
    pub answer_first: &'static str,
    /// The list of lessons.
    pub lessons: &'static str,
    /// Minutes that a lesson takes.
    pub minutes: fn(u32) -> String,
    /// Commits to an answer.
    pub commit: &'static str,
    /// After a commitment.
    pub committed: &'static str,
    /// Heading of the prediction.
    pub your_prediction: &'static str,
    /// Heading of what happened.
    pub what_happened: &'static str,
    /// The prediction came true.
    pub as_predicted: &'static str,
    /// It did not.
    pub not_as_predicted: &'static str,
    /// Nothing was trained yet.
    pub train_first: &'static str,
    /// The results fit none of the choices.
    pub no_outcome: &'static str,
    /// Label of the field for one's own words.
    pub own_words: &'static str,
    /// What has to be written first.
    pub own_words_hint: &'static str,
    /// Shows the explanation.
    pub show_explanation: &'static str,
    /// The second answer is right.
    pub right: &'static str,
    /// It is not; the right one.
    pub wrong: fn(&str) -> String,
    /// The first answer, for comparison.
    pub first_answer: fn(&str) -> String,
    /// Saves the answers.
    pub save_answers: &'static str,
    /// Begins the lesson again.
    pub begin_again: &'static str,

    /// Starts the runs of a part.
    pub train: &'static str,
    /// Starts them once more.
    pub train_again: &'static str,
    /// Trains with the settings of the fields.
    pub train_own: &'static str,
    /// Holds the run.
    pub pause: &'static str,
    /// Goes on.
    pub resume: &'static str,
    /// Ends the run.
    pub stop: &'static str,
    /// Name of a run with one's own settings.
    pub own_run: &'static str,
    /// Heading of the settings.
    pub settings: &'static str,
    /// Settings while there is no engine.
    pub settings_later: &'static str,
    /// Label of the rows.
    pub own_data: &'static str,
    /// What can be done with them.
    pub own_data_hint: &'static str,
    /// Nothing can be changed in a recording.
    pub settings_recorded: &'static str,
    /// Nothing can be changed in a locked lab.
    pub settings_locked: &'static str,
    /// Why a recording neither predicts nor exports.
    pub no_model: &'static str,
    /// Why there is no model yet.
    pub not_loaded: &'static str,
    /// Why a second call of a method has to wait.
    pub call_open: &'static str,
    /// A call that ended without an answer.
    pub call_ended: &'static str,

    /// Phase lines: before anything.
    pub idle: &'static str,
    /// The engine loads; percent where known.
    pub loading: fn(Option<u64>) -> String,
    /// Everything is there.
    pub ready: &'static str,
    /// The pupil has to predict first.
    pub predict_first: &'static str,
    /// A run by its name: step of steps.
    pub training: fn(&str, usize, usize) -> String,
    /// A run by its name is prepared.
    pub starting: fn(&str) -> String,
    /// The run holds.
    pub paused: &'static str,
    /// It holds because the lab is out of view.
    pub paused_unseen: &'static str,
    /// All runs are done; seconds.
    pub done: fn(String) -> String,
    /// Another lab trains.
    pub busy_elsewhere: &'static str,
    /// Takes over from it.
    pub take_over: &'static str,
    /// Another lab took over.
    pub taken_over: &'static str,
    /// Spoken while a run goes: run, step, steps, loss, whether it falls.
    pub live: fn(&str, usize, usize, String, bool) -> String,

    /// The device: a GPU by its name.
    pub on_gpu: fn(&str) -> String,
    /// The device: the CPU.
    pub on_cpu: &'static str,
    /// The device: the CPU, as it was asked for.
    pub on_cpu_asked: &'static str,
    /// Recorded runs, with device and date, and whether they were asked for: else there is no device.
    pub recording: fn(&str, &str, bool) -> String,
    /// Heading of an error.
    pub error: &'static str,
    /// Starts the engine again.
    pub restart: &'static str,
    /// The engine could not be started in this place.
    pub no_engine: &'static str,
    /// The engine stopped.
    pub engine_stopped: &'static str,
    /// A lesson or another file could not be fetched.
    pub not_fetched: fn(&str) -> String,
    /// A lesson that is none.
    pub not_a_lesson: fn(&str) -> String,
    /// A file of another site is fetched after a click: its origin.
    pub foreign_file: fn(&str) -> String,
    /// That click.
    pub fetch_it: &'static str,
    /// A value of the address that cannot be used: key, value.
    pub unusable: fn(&str, &str) -> String,

    /// Title of the curves.
    pub curves: &'static str,
    /// Title of the curves of training losses.
    pub training_curves: &'static str,
    /// Column: the run.
    pub run: &'static str,
    /// Title of the texts.
    pub samples: &'static str,
    /// Before training.
    pub before: &'static str,
    /// After training.
    pub after: &'static str,
    /// Title of the scores that need no training.
    pub baselines: &'static str,
    /// Row: the tuned model.
    pub tuned: &'static str,
    /// Title of what a run comes to.
    pub report: &'static str,
    /// What it comes to: verdict, metric, the best baseline's value, the tuned model's.
    pub verdict: fn(Verdict, &str, String, String) -> String,
    /// Where a picture will be.
    pub picture_later: &'static str,
    /// Title of the measured values.
    pub measured: &'static str,
    /// A value by its name in lessons and when it is taken.
    pub value: fn(&str) -> String,
    /// The run diverged.
    pub diverged: &'static str,
    /// Column: what was measured.
    pub value_head: &'static str,
    /// Column: the value.
    pub measured_head: &'static str,
    /// Column: the model or the baseline.
    pub model_head: &'static str,
    /// Where a value is not known.
    pub unknown: &'static str,
    /// Heading of the engine's warnings.
    pub notes: &'static str,
    /// A baseline's name.
    pub baseline: fn(BaselineKind) -> &'static str,
}

/// The words of a language.
pub fn lab_words(language: Language) -> &'static LabWords {
    match language {
        Language::English => &ENGLISH,
        Language::Chinese => &CHINESE,
    }
}

static ENGLISH: LabWords = LabWords {
    parts: [
        "Question",
        "Predict",
        "Train",
        "Compare",
        "Explain",
        "Break it",
        "Question again",
    ],
    parts_label: "Parts of the lesson",
    part_of: |part, of| format!("Part {part} of {of}"),
    back: "Back",
    next: "Next",
    answer_first: "Answer first, then go on.",
    lessons: "Lessons",
    minutes: |minutes| format!("{minutes} minutes"),
    commit: "This is my answer",
    committed: "Your answer is kept; it cannot be changed now.",
    your_prediction: "Your prediction",
    what_happened: "What happened",
    as_predicted: "As you predicted.",
    not_as_predicted: "Not what you predicted: look at the curves once more, and find out why.",
    train_first: "Train first: the outcome is worked out from your own runs.",
    no_outcome: "The results of this run fit none of the choices. Compare the numbers below.",
    own_words: "Explain in one sentence, data first: what in the data caused this?",
    own_words_hint: "Write your own sentence, then the explanation is shown.",
    show_explanation: "Show the explanation",
    right: "That is right.",
    wrong: |answer| format!("Not quite. The right answer is: {answer}"),
    first_answer: |answer| format!("Your first answer was: {answer}"),
    save_answers: "Save my answers (CSV)",
    begin_again: "Begin again",
    train: "Train",
    train_again: "Train again",
    train_own: "Train with my settings",
    pause: "Pause",
    resume: "Resume",
    stop: "Stop",
    own_run: "my settings",
    settings: "Settings",
    settings_later: "The settings appear once the engine is loaded.",
    own_data: "Training rows",
    own_data_hint: "Change them, or replace them with your own, in the same form.",
    settings_recorded: "These are recorded runs; their settings cannot be changed.",
    settings_locked: "This lab is locked: settings and training rows cannot be changed.",
    no_model: "A recording has no model that could predict or be exported.",
    not_loaded: "The model is not loaded yet. Start the lab first.",
    call_open: "The same request is still unanswered.",
    call_ended: "The lab stopped before it answered.",
    idle: "Not started yet.",
    loading: |percent| match percent {
        Some(percent) => format!("Loading the engine and the model… {percent} %"),
        None => "Loading the engine and the model…".into(),
    },
    ready: "Ready to train.",
    predict_first: "Make your prediction first; then you can train.",
    training: |run, step, of| format!("Training “{run}”: step {step} of {of}"),
    starting: |run| format!("Preparing “{run}”…"),
    paused: "Paused.",
    paused_unseen: "Paused while out of view.",
    done: |seconds| format!("Done in {seconds}."),
    busy_elsewhere: "Another lab is training, on this page or in another tab.",
    take_over: "Stop it and train here",
    taken_over: "Another lab has taken over; this run was stopped.",
    live: |run, step, of, loss, falls| {
        let trend = if falls { "falling" } else { "not falling" };
        format!("{run}: step {step} of {of}, loss {loss}, {trend}")
    },
    on_gpu: |name| format!("Trains on the GPU: {name}"),
    on_cpu_asked: "Trains on the CPU",
    on_cpu: "Trains on the CPU, because this browser offers no GPU; this is slower",
    recording: |device, date, is_asked| {
        let why = if is_asked {
            ""
        } else {
            "; this browser cannot train here"
        };
        format!("This is a recording of real runs ({device}, {date}){why}")
    },
    error: "Something went wrong",
    restart: "Start the engine again",
    no_engine: "The engine cannot be started here.",
    engine_stopped: "The engine stopped.",
    not_fetched: |path| format!("{path} could not be fetched. Check the connection, then load the lab again."),
    not_a_lesson: |path| format!("{path} is not a lesson of this version."),
    foreign_file: |origin| format!("This lab wants to load a lesson from {origin}."),
    fetch_it: "Load it",
    unusable: |key, value| format!("{key}: “{value}” cannot be used; the default is used."),
    curves: "Validation loss",
    training_curves: "Training loss",
    run: "Run",
    samples: "The same beginning, continued",
    before: "Before training",
    after: "After training",
    baselines: "Scores without training",
    tuned: "Tuned model",
    report: "Result of the run",
    verdict: |verdict, metric, before, after| {
        let what = match verdict {
            Verdict::Better => "Significant improvement over the best baseline",
            Verdict::NotDistinguishable => "No significant improvement over the best baseline",
            Verdict::Worse => "Significantly worse than the best baseline",
        };
        format!("{what}: {metric} {before} → {after}.")
    },
    picture_later: "This picture appears when the run has been trained.",
    measured: "Measured values",
    value: english_value,
    diverged: "diverged",
    value_head: "Measure",
    measured_head: "Value",
    model_head: "Model",
    unknown: "not measured yet",
    notes: "Notes",
    baseline: english_baseline,
};

/// A baseline's metric, `KIND.METRIC` in lessons.
fn of_baseline(text: &str, name: fn(BaselineKind) -> &'static str, written: fn(&str, &str) -> String) -> String {
    let (kind, metric) = text.split_once('.').unwrap_or((text, ""));
    let known = BaselineKind::ALL.into_iter().find(|known| known.name() == kind);
    written(known.map_or(kind, name), metric)
}

fn english_baseline(kind: BaselineKind) -> &'static str {
    match kind {
        BaselineKind::MajorityClass => "majority class",
        BaselineKind::NearestCentroid => "nearest centroid",
        BaselineKind::LinearProbe => "linear probe",
        BaselineKind::UsualLabels => "usual labels",
        BaselineKind::LastValue => "the last value again",
        BaselineKind::TrainingMean => "mean of the training rows",
        BaselineKind::Bm25 => "BM25",
        BaselineKind::BaseModel => "base model",
        BaselineKind::BaseLikelihood => "base model's likelihood",
        BaselineKind::ModelBefore => "model before this run",
    }
}

fn english_value(name: &str) -> String {
    let (name, at) = name.split_once('@').unwrap_or((name, ""));
    let text = match name {
        "loss" => "training loss",
        "eval_loss" => "validation loss",
        "seconds" => "time in seconds",
        "steps" => "steps",
        "trainable_parameters" => "trainable parameters",
        "base_bytes" => "bytes of the base model",
        "diverged" => "diverged (1) or not (0)",
        other => match other.strip_prefix("baseline:") {
            Some(baseline) => {
                return of_baseline(baseline, english_baseline, |name, metric| format!("{name}: {metric}"));
            }
            None => other,
        },
    };
    match at {
        "start" => format!("{text} at the start"),
        "best" => format!("best {text}"),
        _ => text.to_owned(),
    }
}

static CHINESE: LabWords = LabWords {
    parts: ["提问", "预测", "训练", "对比", "解释", "破坏实验", "再次提问"],
    parts_label: "课程的各个部分",
    part_of: |part, of| format!("第 {part} 部分，共 {of} 部分"),
    back: "上一步",
    next: "下一步",
    answer_first: "请先作答，然后继续。",
    lessons: "课程",
    minutes: |minutes| format!("{minutes} 分钟"),
    commit: "提交答案",
    committed: "答案已记录，现在不能更改。",
    your_prediction: "你的预测",
    what_happened: "实际结果",
    as_predicted: "与你的预测一致。",
    not_as_predicted: "与你的预测不同：请再看一遍曲线，找出原因。",
    train_first: "请先训练：结果由你自己的训练得出。",
    no_outcome: "这次训练的结果与各选项都不相符，请对比下面的数值。",
    own_words: "用一句话解释，先从数据说起：数据中的什么导致了这个结果？",
    own_words_hint: "先写下自己的一句话，然后会显示解释。",
    show_explanation: "显示解释",
    right: "回答正确。",
    wrong: |answer| format!("不太对。正确答案是：{answer}"),
    first_answer: |answer| format!("你第一次的回答是：{answer}"),
    save_answers: "保存我的答案（CSV）",
    begin_again: "重新开始",
    train: "开始训练",
    train_again: "重新训练",
    train_own: "用我的设置训练",
    pause: "暂停",
    resume: "继续",
    stop: "停止",
    own_run: "我的设置",
    settings: "设置",
    settings_later: "引擎加载后会显示设置。",
    own_data: "训练数据",
    own_data_hint: "可以修改，也可以换成自己的数据，格式保持不变。",
    settings_recorded: "这是录制的训练，设置不能更改。",
    settings_locked: "此实验已锁定，设置和训练数据不能更改。",
    no_model: "录制的训练没有模型，无法预测或导出。",
    not_loaded: "模型尚未加载，请先启动实验。",
    call_open: "之前的同一请求尚未完成。",
    call_ended: "实验在返回结果之前已停止。",
    idle: "尚未开始。",
    loading: |percent| match percent {
        Some(percent) => format!("正在加载引擎和模型……{percent}%"),
        None => "正在加载引擎和模型……".into(),
    },
    ready: "可以开始训练。",
    predict_first: "请先作出预测，然后才能训练。",
    training: |run, step, of| format!("正在训练“{run}”：第 {step} 步，共 {of} 步"),
    starting: |run| format!("正在准备“{run}”……"),
    paused: "已暂停。",
    paused_unseen: "不在视野内，已暂停。",
    done: |seconds| format!("已完成，用时 {seconds}。"),
    busy_elsewhere: "本页或其他标签页中的另一个实验正在训练。",
    take_over: "停止它，在此训练",
    taken_over: "另一个实验已接管，本次训练已停止。",
    live: |run, step, of, loss, falls| {
        let trend = if falls { "正在下降" } else { "没有下降" };
        format!("{run}：第 {step} 步，共 {of} 步，损失 {loss}，{trend}")
    },
    on_gpu: |name| format!("在 GPU 上训练：{name}"),
    on_cpu_asked: "在 CPU 上训练",
    on_cpu: "在 CPU 上训练，因为此浏览器没有可用的 GPU；速度较慢",
    recording: |device, date, is_asked| {
        let why = if is_asked {
            ""
        } else {
            "；此浏览器无法在此训练"
        };
        format!("这是真实训练的录制（{device}，{date}）{why}")
    },
    error: "出错了",
    restart: "重新启动引擎",
    no_engine: "引擎无法在此启动。",
    engine_stopped: "引擎已停止。",
    not_fetched: |path| format!("无法获取 {path}。请检查网络连接，然后重新加载。"),
    not_a_lesson: |path| format!("{path} 不是此版本的课程文件。"),
    foreign_file: |origin| format!("此实验要从 {origin} 加载课程。"),
    fetch_it: "加载",
    unusable: |key, value| format!("{key}：“{value}”无法使用，改用默认值。"),
    curves: "验证损失",
    training_curves: "训练损失",
    run: "训练",
    samples: "同一开头的续写",
    before: "训练前",
    after: "训练后",
    baselines: "无需训练即可得到的结果",
    tuned: "微调后的模型",
    report: "训练的结果",
    verdict: |verdict, metric, before, after| {
        let what = match verdict {
            Verdict::Better => "相对最佳基线有显著提升",
            Verdict::NotDistinguishable => "相对最佳基线没有显著提升",
            Verdict::Worse => "显著差于最佳基线",
        };
        format!("{what}：{metric} {before} → {after}。")
    },
    picture_later: "训练完成后，图会显示在这里。",
    measured: "测得的数值",
    value: chinese_value,
    diverged: "已发散",
    value_head: "指标",
    measured_head: "数值",
    model_head: "模型",
    unknown: "尚未测得",
    notes: "提示",
    baseline: chinese_baseline,
};

fn chinese_baseline(kind: BaselineKind) -> &'static str {
    match kind {
        BaselineKind::MajorityClass => "多数类",
        BaselineKind::NearestCentroid => "最近类中心",
        BaselineKind::LinearProbe => "线性探针",
        BaselineKind::UsualLabels => "多数标签",
        BaselineKind::LastValue => "沿用上一个值",
        BaselineKind::TrainingMean => "训练集均值",
        BaselineKind::Bm25 => "BM25",
        BaselineKind::BaseModel => "基座模型",
        BaselineKind::BaseLikelihood => "基座模型的似然",
        BaselineKind::ModelBefore => "本次训练前的模型",
    }
}

fn chinese_value(name: &str) -> String {
    let (name, at) = name.split_once('@').unwrap_or((name, ""));
    let text = match name {
        "loss" => "训练损失",
        "eval_loss" => "验证损失",
        "perplexity" => "困惑度",
        "accuracy" => "准确率",
        "seconds" => "用时（秒）",
        "steps" => "步数",
        "trainable_parameters" => "可训练参数",
        "base_bytes" => "基座模型字节数",
        "diverged" => "是否发散（1 为是，0 为否）",
        other => match other.strip_prefix("baseline:") {
            Some(baseline) => {
                return of_baseline(baseline, chinese_baseline, |name, metric| format!("{name}：{metric}"));
            }
            None => other,
        },
    };
    match at {
        "start" => format!("{text}（开始时）"),
        "best" => format!("最佳{text}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baselines_are_called_as_the_engine_calls_them() {
        for language in Language::ALL {
            for kind in BaselineKind::ALL {
                let name = (lab_words(language).baseline)(kind);
                assert_eq!(name, kind.message().text(language), "{}", kind.name());
            }
        }
    }

    #[test]
    fn a_value_of_a_baseline_has_its_name() {
        let value = lab_words(Language::English).value;
        assert_eq!(
            value("baseline:linear_probe.accuracy"),
            format!("{}: accuracy", english_baseline(BaselineKind::LinearProbe))
        );
        assert_eq!(value("eval_loss@best"), "best validation loss");
    }
}
