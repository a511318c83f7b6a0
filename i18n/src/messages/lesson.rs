//! Lessons and their recordings.

use crate::message::messages;

messages! { "lesson";
    NotUnderstood { error } = "cannot be understood ({error})", "无法理解（{error}）";
    OtherFormat { got, known } = "is {got}, and this version reads {known}", "为 {got}，而本版本只能读取 {known}";
    UseNewerVersion = "Open it with the version of Lorakeet that it was made for.", "请使用与之对应的 Lorakeet 版本打开。";
    StandsTwice = "stands here twice", "在这里出现了两次";
    IsEmpty = "is empty", "为空";
    NotAName { name } = "'{name}' is not a name of lower-case letters, digits and hyphens",
        "'{name}' 不是由小写字母、数字和连字符组成的名称";
    NameOneOf { names } = "Name one of {names}.", "请从以下名称中选择：{names}。";

    // Runs.
    NoSuchRun { name } = "there is no run {name}", "没有名为 {name} 的训练";
    NamesNoRun = "names no run", "没有列出任何训练";
    TrainedNowhere = "is trained in no part: name it in train.runs or break_it.runs",
        "没有任何部分使用它：请在 train.runs 或 break_it.runs 中列出";
    NotTrainedYet { name } = "the run {name} is not trained by then", "到这一步时训练 {name} 还没有进行";
    TrainItBefore { name } = "Add {name} to train.runs.", "请把 {name} 加入 train.runs。";
    NoSuchModel { model } = "lessons have no model {model}", "课程中没有模型 {model}";
    NotBesidePage { path } = "'{path}' is not a file beside the page", "'{path}' 不是页面旁的文件";
    GivePathBesidePage = "Give a path such as data/king-james.txt or lessons/data/reviews.csv.",
        "请给出如 data/king-james.txt 或 lessons/data/reviews.csv 的路径。";
    HasOwnField { field } = "is what the run's own field {field} gives", "应由该训练自己的字段 {field} 给出";
    UseOwnField { field } = "Remove it from settings and write {field}.", "请从 settings 中去掉它，改写 {field}。";
    NotInLessons = "has no effect in a lesson, whose runs have no folder", "在课程中不起作用：课程的训练没有自己的文件夹";

    // Values and conditions.
    NotARunValue { text } = "'{text}' is not a value of a run", "'{text}' 不是训练的某个值";
    WriteRunValue = "Write RUN.VALUE, RUN.VALUE@start or RUN.VALUE@best, as in right.eval_loss@best.",
        "请写成 RUN.VALUE、RUN.VALUE@start 或 RUN.VALUE@best，如 right.eval_loss@best。";
    NoSuchValue { value } = "runs have no value {value}", "训练没有 {value} 这个值";
    OnlyAtTheEnd { value } = "{value} is known only at the end", "{value} 只在训练结束时才有";
    TakeTimeOut = "Take @start or @best out.", "请去掉 @start 或 @best。";
    ComparesNothing { text } = "'{text}' compares nothing", "'{text}' 没有比较任何值";
    WriteCondition = "Write conditions with <, > or ~, as in right.eval_loss < 0.9 * low.eval_loss.",
        "请用 <、> 或 ~ 写条件，如 right.eval_loss < 0.9 * low.eval_loss。";
    NotAFactor { text } = "'{text}' is not a number above 0", "'{text}' 不是大于 0 的数";

    // Questions and predictions.
    TooFewChoices { got } = "must be at least 2 choices, got {got}", "至少要有 2 个选项，实际为 {got} 个";
    NoSuchChoice { answer, choices } = "is {answer}, and there are {choices} choices, counted from 0",
        "为 {answer}，而选项只有 {choices} 个，从 0 开始编号";
    NoConditions = "has no conditions, so nobody can tell whether it came true", "没有条件，因此无法判断它是否成真";
    ChoicesOrNumber = "takes choices or a number, one of the two", "需要 choices 或 number，二者取其一";
    NoRange = "needs a from below its to and a step above 0", "from 必须小于 to，且 step 必须大于 0";

    // Pictures and controls.
    WatchedTwice { kind } = "asks for {kind} a second time", "重复要求了 {kind}";
    NeedsRun { kind } = "{kind} needs the run that it is of", "{kind} 需要指明属于哪次训练";
    LossIsOfAllRuns = "the loss is shown of all runs of the part", "损失图显示该部分的所有训练";
    NoSuchWatch { kind, run } = "shows {kind} of the run {run}, which does not watch it",
        "要显示训练 {run} 的 {kind}，但该训练的 watch 中没有它";
    AddWatch { kind, run } = "Add a request of the kind {kind} to runs.{run}.watch.",
        "请在 runs.{run}.watch 中加入类型为 {kind} 的请求。";
    NoSuchControl { name } = "there is no knob {name}", "没有超参数 {name}";
    NameKnob = "Name knobs of run files as `lorakeet check` lists them, or data.",
        "请填写 `lorakeet check` 列出的运行文件超参数名，或 data。";
}
