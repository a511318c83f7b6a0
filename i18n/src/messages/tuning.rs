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
}
