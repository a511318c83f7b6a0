//! What comes before and after a run: a search for its learning rate, sweeps over settings, comparisons of runs.

use crate::message::messages;

messages! { "tuning";
    // the learning-rate range test
    RatesMustGrow { from, to } = "the rates have to grow, above 0 and up to 1 at most, got {from} to {to}",
        "学习率必须递增，大于 0 且不超过 1，收到了 {from} 到 {to}";
    SearchSteps { fewest, most, steps } = "a search has from {fewest} to {most} steps, got {steps}",
        "搜索的步数应为 {fewest} 到 {most}，收到了 {steps}";
    SearchStopped = "stopped before the search for a learning rate was done", "已停止（正在搜索学习率）";
    SteepestIsLower { rate, other } =
        "Recommended: {rate}, where the smoothed loss falls fastest. The other suggestion, a tenth of the rate with the lowest loss, \
         is {other}; the lower one is taken, because a rate that is too high ends a run, and one that is too low only lengthens it.",
        "建议 {rate}：平滑损失在此处下降最快。另一个候选值是损失最低处学习率的十分之一，为 {other}；取较小者，因为学习率过高会使训练发散，\
         过低只是训练得更久。";
    TenthIsLower { rate, other } =
        "Recommended: {rate}, a tenth of the rate with the lowest smoothed loss. The other suggestion, where the loss falls fastest, is \
         {other}; the lower one is taken, because a rate that is too high ends a run, and one that is too low only lengthens it.",
        "建议 {rate}：平滑损失最低处学习率的十分之一。另一个候选值是损失下降最快处的 {other}；取较小者，因为学习率过高会使训练发散，\
         过低只是训练得更久。";
    LossDidNotFall =
        "No rate is recommended: the loss did not fall by more than its noise at any of them. Larger batches or more steps make \
         the noise smaller; a model that already does the task leaves nothing to fall.",
        "没有可建议的学习率：在所有学习率下，损失的下降都没有超过噪声。增大批次或步数可以减小噪声；模型若已能完成任务，损失也不会再下降。";
    StartOnly =
        "The search sees the first steps of a run only: take its rate as the order of magnitude, with a warm-up, and watch the loss.",
        "搜索只看到训练最初的若干步：请把结果当作数量级，配合预热使用，并观察损失。";

    // comparisons
    RowsDiffer =
        "The runs do not train on and hold out the same tokens (other data, another split, cutoff_len, tokenizer or seed): their \
         scores are not of the same rows.",
        "这些训练的训练数据和留出数据的 token 不同（数据、划分、cutoff_len、分词器或种子不同）：得分不是在相同数据上得到的。";
    InputDiffers { name } = "{name} has the same value in all runs, and held something else in some of them.",
        "{name} 在各次训练中的值相同，但其中的内容不同。";
    NotFinished { runs } = "Not finished: {runs}.", "未完成：{runs}。";

    // sweeps
    KnobValues { got } = "must have the form KNOB=VALUE,VALUE, got {got}", "必须写成 KNOB=VALUE,VALUE 的形式，收到了 {got}";
    KnobsForExample = "For example --knob learning_rate=1e-4,3e-4 --knob lora_r=4,16.",
        "例如 --knob learning_rate=1e-4,3e-4 --knob lora_r=4,16。";
    NothingToSweep = "no setting is to be swept", "没有指定要扫描的设置";
    MapOfLists = "must be a map from settings to lists of their values", "必须是从设置到取值列表的映射";
    SweepForExample = "For example sweep: {{learning_rate: [1e-4, 3e-4], lora_r: [4, 16]}}.",
        "例如 sweep: {{learning_rate: [1e-4, 3e-4], lora_r: [4, 16]}}。";
    NoSweptValue = "has an empty value among those to try", "要尝试的取值中有空值";
    KnobTwice = "is swept twice", "扫描了两次";
    ValueTwice { value } = "has the value {value} twice", "值 {value} 出现了两次";
    NotSwept =
        "cannot be swept: it says what is written where, or which rows and tokens are held out and how they are scored, and runs \
         would not be compared by the same ones",
        "不能扫描：它决定输出位置，或决定留出哪些数据和 token、如何评估，这样各次训练就不是在相同的数据上比较";
    AdapterHasItsOwn = "cannot be swept: the runs start from an adapter, which keeps the value that it has",
        "不能扫描：训练从已有的适配器开始，该项沿用适配器自身的值";
    SweepWithoutAdapter = "Sweep another setting, or start without the adapter.", "请扫描其他设置，或不使用该适配器。";
    TooManyCombinations { most } = "these values have more than {most} combinations", "这些值的组合超过 {most} 种";
    TryFewer = "Give fewer values, or split the sweep.", "请减少取值，或拆分扫描。";
    NoneDrawn = "has to draw 1 combination at least", "至少要抽取 1 种组合";
    SweepNeedsHeldOut = "a sweep compares runs by held-out rows, and this run holds none out",
        "扫描按留出数据比较各次训练，而这次训练没有留出数据";
    SetValSize = "Set val_size: 0.1, or give a validation_file.", "请设置 val_size: 0.1，或提供 validation_file。";
    SweepGoesOn = "a sweep continues automatically where it stopped", "扫描会自动从中断处继续";
    TakeOutResume = "Remove it, and give the same command again.", "请删去它，并再次运行同一命令。";
    BudgetForm { got } = "must be a time such as 30m, 2h or 90s, got {got}", "必须是 30m、2h 或 90s 这样的时间，收到了 {got}";
    BudgetOver = "The time is up. The same command continues where this one stopped.", "时间已到。再次运行同一命令会从中断处继续。";
    SweptData { folder, file } = "{folder} was trained on other data than {file} holds now",
        "{folder} 的训练数据与 {file} 现在的内容不同";
    NewSweep = "Remove the folder of the sweep, or choose another output_dir.", "请删除该扫描的文件夹，或换一个 output_dir。";
    OutOfSweep { run, why } = "{run} is out: {why}", "{run} 出局：{why}";
    TriedMany { runs, rows } =
        "{runs} settings were tried, and all were scored on the same {rows} held-out rows: a part of the best one's lead is chance, \
         and the more are tried, the larger it is. Score it once more on rows that no run of the sweep has seen \
         (`lorakeet eval`) before you rely on it.",
        "共尝试 {runs} 组设置，均在同样的 {rows} 条留出数据上评估：最佳者的领先有一部分是偶然，尝试得越多，偶然成分越大。请在扫描中\
         从未见过的数据上再评估一次（`lorakeet eval`），然后再采信。";
}
