//! The headings and sentences of a run's report as a file.

use crate::message::messages;

messages! { "report";
    Title { model, data } = "Fine-tuning report: {model} on {data}", "微调报告：{model}，数据 {data}";
    Steps { steps, seconds } = "{steps} optimizer steps in {seconds} s.", "优化 {steps} 步，用时 {seconds} 秒。";
    Examples { train, held_out } =
        "{train} training examples, {held_out} held out.",
        "训练样本 {train} 条，验证样本 {held_out} 条。";
    Task { task, loss } = "Task: {task}, loss: {loss}.", "任务：{task}，损失：{loss}。";
    Verdict = "Verdict", "结论";
    BeatsAll = "Better than every baseline", "优于所有基线";
    NotSignificant = "No significant gain over the best baseline", "相比最佳基线没有显著提升";
    ProbeWins = "The linear probe is better", "线性探针更好";
    WorseThanBaseline = "Worse than the best baseline", "差于最佳基线";
    NotCompared = "Nothing to compare with", "没有可比较的基线";
    NextStep = "Next step", "下一步";
    NextExport = "Try it on your own texts, then export it.", "先用自己的文本试一试，然后导出。";
    NextTrainLonger =
        "The validation loss still falls: train longer (raise num_train_epochs or max_steps).",
        "验证损失仍在下降：请延长训练（增大 num_train_epochs 或 max_steps）。";
    NextTrainShorter =
        "The validation loss rises again: train for fewer epochs, or set load_best_model_at_end: true.",
        "验证损失又上升了：请减少训练轮数，或设置 load_best_model_at_end: true。";
    NextKeepProbe =
        "Take the probe: on a base model head_init: probe starts from it, and with max_steps: 0 keeps it as it is.",
        "采用线性探针：在基座模型上，head_init: probe 从探针开始训练，再设 max_steps: 0 则直接保留探针。";
    NextHoldOutMore =
        "Few rows are held out, so that only a large gain would show: raise val_size, or give a validation file.",
        "验证数据太少，只有很大的提升才看得出来：请增大 val_size，或提供验证文件。";
    NextFindRate = "Search for a learning rate before anything else.", "请先搜索合适的学习率。";
    NextAddData =
        "Read the worst errors and correct or add rows like them: more good data help more than other settings.",
        "请查看误差最大的样本，修正或补充类似的数据：好数据比调参更有用。";
    NextReadAnswers = "Read what it answers, beside the base model's answers.", "请对照基座模型，查看它的回答。";
    Scores = "Metrics on the held-out rows", "验证集指标";
    Model = "Model", "模型";
    Tuned = "fine-tuned model", "微调后的模型";
    IntervalOf { metric, percent } = "{metric}, {percent}% interval", "{metric} 的 {percent}% 置信区间";
    Losses = "Losses", "损失";
    Step = "Step", "步数";
    TrainingLoss = "Training loss", "训练损失";
    ValidationLoss = "Validation loss", "验证损失";
    Slices = "Slices", "切片";
    Rows = "Rows", "样本数";
    IsWorse = "worse than the whole", "差于整体";
    LengthInTokens { from, to } = "text length {from}–{to} tokens", "文本长度 {from}–{to} token";
    LengthInLetters { from, to } = "text length {from}–{to} characters", "文本长度 {from}–{to} 字符";
    ByClass = "Metrics by class", "各类别指标";
    Samples = "Samples", "样例";
    SampleAt { step } = "After step {step}", "第 {step} 步之后";
    WorstErrors = "Worst errors", "误差最大的样本";
    Inputs = "Fingerprints of model and data (SHA-256)", "模型与数据的指纹（SHA-256）";
    Input = "Input", "输入";
    Settings = "Settings", "设置";
}
