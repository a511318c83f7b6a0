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
    TakeLineOut = "Remove the line to continue training that head, or give other labels for a new one.",
        "请删去这一行以继续训练该输出头，或换用其他标签以使用新的输出头。";
    MustBe { wanted, got } = "must be {wanted}, got {got}", "必须是 {wanted}，实际为 {got}";
    ClsOrMean = "cls or mean", "cls 或 mean";
    Width = "a width", "宽度";
    Name = "a name", "名称";
    ShareBelowOne = "at least 0 and below 1", "不小于 0 且小于 1 的数";
    MustBeCls = "must be cls: this model's head does not read one state of several",
        "必须是 cls：该模型的输出头不是从多个状态中取一个";
    NoTrainedOutputs = "the model has no head whose last layer is trained", "模型没有可训练最后一层的输出头";

    // head_init
    NoProbeForTask { task } = "must be random for {task}: there is no linear probe of it", "在 {task} 任务中必须是 random：该任务没有线性探针";
    ProbeTasks = "The probe is one for classification, multi_label and regression. Remove head_init.",
        "线性探针只用于 classification、multi_label 和 regression。请去掉 head_init。";
    ProbeOnFreshWeights = "must be random for a model of random weights: a probe cannot learn from features of random weights",
        "在随机权重的模型上必须是 random：它给出的特征对线性探针没有意义";
    PretrainedForProbe = "Take a pretrained model, or remove head_init.", "请使用预训练模型，或去掉 head_init。";
    ProbeOverTrainedHead = "must be random here: the model brings a trained head for these labels, which is trained on",
        "在此必须是 random：模型自带针对这些标签的已训练输出头，训练会在其基础上继续";
    KeepHeadOrBase = "Remove head_init to continue training that head, or load the base without it.",
        "请去掉 head_init 以继续训练该输出头，或加载不带该输出头的基座。";
    ProbeBehindFreshLayer =
        "must be random here: the probe would read a layer of random weights, which this architecture's head has for the pooling cls",
        "在此必须是 random：该架构的输出头在 cls 池化下有一个随机权重的层，线性探针会读取它";
    ProbeOfMean = "Set classifier_pooling: mean, or remove head_init.", "请设置 classifier_pooling: mean，或去掉 head_init。";
    WithoutProbe = "Remove head_init.", "请去掉 head_init。";
    HeadFromProbe { rows } = "The head starts from a linear probe that was fitted to {rows} training rows.",
        "输出头从线性探针开始，该探针由 {rows} 条训练数据拟合得到。";
    ProbeStopped = "The run was stopped before the linear probe was fitted: its head is one of random weights.",
        "训练在拟合线性探针之前被停止：输出头仍是随机权重。";
    MeanOfFiles = "The head reads the mean of the tokens, as the model's modules.json says. transformers has no class with it: the merged \
        model is exported with one. classifier_pooling: cls changes it.",
        "输出头读取所有 token 的平均，与模型的 modules.json 一致。transformers 没有这样的类：导出的合并模型自带该类。可用 classifier_pooling: cls 更改。";
    MeanForProbe = "The head reads the mean of the tokens, as the linear probe does. transformers has no class with it: the merged \
        model is exported with one. classifier_pooling: cls changes it.",
        "输出头读取所有 token 的平均，线性探针就是在其上拟合的。transformers 没有这样的类：导出的合并模型自带该类。可用 classifier_pooling: cls 更改。";
    StartFromProbe = "`head_init: probe` starts the head from the linear probe, and with `max_steps: 0` the probe itself is the model.",
        "`head_init: probe` 让输出头从线性探针开始训练；再加上 `max_steps: 0`，探针本身就是模型。";
    StartFromProbeOfMean =
        "`head_init: probe` with `classifier_pooling: mean` starts the head from the linear probe, and with `max_steps: 0` the probe itself is \
         the model.",
        "`head_init: probe` 加上 `classifier_pooling: mean` 让输出头从线性探针开始训练；再加上 `max_steps: 0`，探针本身就是模型。";
    KeepProbe = "`max_steps: 0` keeps the probe that the head started from, and a lower learning_rate stays nearer to it.",
        "`max_steps: 0` 保留输出头最初的探针；更低的 learning_rate 会更接近它。";

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
    NotReadQuantized { method } = "weights quantized by {method} are not supported", "不支持由 {method} 量化的权重";
    UnknownMethod = "an unknown method", "未知方法";
    TakeOwnWeights = "Take the model's own weights, a GGUF file, or what bitsandbytes quantized.",
        "请使用模型的原始权重、GGUF 文件，或由 bitsandbytes 量化的权重。";
}
