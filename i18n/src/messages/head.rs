//! Heads: what config.json says of them, and whether they go with a run.

use crate::message::messages;

messages! { "head";
    NoNames = "the model's head has no names for its outputs", "模型的输出头没有给输出命名";
    IsFor { task } = "it is one for {task}", "它用于 {task}";
    NamesNotFromZero = "its id2label does not name its outputs from 0 on", "它的 id2label 没有从 0 开始给输出命名";
    OtherHidden { wanted, held } = "is {wanted}, but the model brings a head with {held}", "为 {wanted}，但模型自带的输出头{held}";
    NoHiddenLayer = "no hidden layer", "没有隐藏层";
    HiddenLayerOf { size } = "a hidden layer of {size}", "的隐藏层宽度为 {size}";
    OtherActivation { wanted, held } = "is {wanted}, but the model brings a head with {held}", "为 {wanted}，但模型自带的输出头使用 {held}";
    OtherPooling { wanted, held } = "is {wanted}, but the model brings a head for {held}", "为 {wanted}，但模型自带的输出头使用 {held}";
    TakeLineOut = "Take the line out to train that head on, or give other labels for a fresh one.",
        "请删去这一行以继续训练该输出头，或换用其他标签以使用新的输出头。";
    MustBe { wanted, got } = "must be {wanted}, got {got}", "必须是 {wanted}，实际为 {got}";
    ClsOrMean = "cls or mean", "cls 或 mean";
    Width = "a width", "宽度";
    Name = "a name", "名称";
    ShareBelowOne = "at least 0 and below 1", "不小于 0 且小于 1 的数";
    MustBeCls = "must be cls: this model's head does not read one state of several",
        "必须是 cls：该模型的输出头不是从多个状态中取一个";
    UnknownProblem { name } = "the problem type {name} is not known", "未知的 problem_type {name}";

    // keys of config.json
    OnlySupported { value, only, kind } = "is {value}; only {only} is supported for {kind}", "为 {value}；{kind} 只支持 {only}";
    AliasDiffers { value, alias, other } = "is {value}, but {alias}, which is the same, is {other}",
        "为 {value}，但含义相同的 {alias} 为 {other}";
    UnknownKey { names } = "Keys of config.json that are not known here has no effect: {names}.",
        "config.json 中未知的键不起作用：{names}。";
    UnknownKeys { names } = "Keys of config.json that are not known here have no effect: {names}.",
        "config.json 中未知的键不起作用：{names}。";
    OwnDropout { dropouts } = "The model's own dropout ({dropouts}) is not applied: only what a run asks for is.",
        "模型自带的 dropout（{dropouts}）不会使用：只使用训练设置中指定的。";
    NotReadQuantized { method } = "weights quantized by {method} are not read", "不支持由 {method} 量化的权重";
    UnknownMethod = "an unknown method", "未知方法";
    TakeOwnWeights = "Take the model's own weights, a GGUF file, or what bitsandbytes quantized.",
        "请使用模型的原始权重、GGUF 文件，或由 bitsandbytes 量化的权重。";
}
