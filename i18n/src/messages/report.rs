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
