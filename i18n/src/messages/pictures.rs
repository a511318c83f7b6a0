//! Pictures that explain.

use crate::message::messages;

messages! { "pictures";
    // pictures/mod.rs
    NoTokens = "has no tokens", "分词后没有任何 token";
    WriteText = "Write a sentence.", "请输入一句话。";
    TooManyTokens { tokens, most } = "has {tokens} tokens, {most} can be drawn", "共 {tokens} 个 token，最多只能绘制 {most} 个";
    ShortenText = "Shorten the text.", "请缩短文本。";
    UnknownModule { module } = "there is no module {module} to draw", "没有可绘制的模块 {module}";
    ModulesAre { names } = "It can be one of: {names}.", "可以是：{names}。";

    // pictures/tokens.rs
    PredictsNoToken { model } =
        "{model} does not predict the next token of a text",
        "{model} 不预测文本的下一个 token";
    LoadDecoder { names } =
        "Load a decoder-only language model: {names}.",
        "请加载自回归（decoder-only）语言模型：{names}。";

    // pictures/lora_update.rs, pictures/layer_updates.rs
    NoAdapterToDraw = "the model has no adapter to draw", "模型没有可绘制的适配器";
    TrainLora =
        "Train with finetuning_type: lora, or load an adapter.",
        "请用 finetuning_type: lora 训练，或加载一个适配器。";

    // models/insides.rs, pictures/attention.rs
    AttentionCut = "an attention had other shapes than a text has", "注意力的形状与文本不符";
    NoAttention { model } = "{model} has no attention over a text", "{model} 没有对文本的注意力";
    AttentionIsIn { names } = "These have it: {names}.", "以下架构有注意力：{names}。";
    Beyond { got, most } = "must be from 0 to {most}, got {got}", "必须为 0 到 {most}，实际为 {got}";

    // pictures/loss_surface.rs
    NotTwoParameters { weights } =
        "a loss surface needs a run of exactly two trained weights, this one trains {weights}",
        "损失曲面要求训练恰好两个权重，而本次训练了 {weights} 个";
    TrainTwoWeights =
        "Train small_mlp with num_hidden_layers: 0 on one column of numbers with one number to predict.",
        "请用 num_hidden_layers: 0 的 small_mlp，在一列数字上训练，预测一个数字。";
    SurfaceOfRunOnly =
        "a loss surface is drawn while a run is under way",
        "损失曲面只能在训练过程中绘制";
    WatchIt = "Name it in the watch list of the run.", "请把它写在训练的 watch 列表中。";
    WeightsNotFinite =
        "the trained weights are not finite numbers, so that there is no plane around them",
        "训练的权重不是有限的数，无法在其周围绘制平面";

    // pictures/packed_weights.rs
    UnknownPacking { format } = "{format} is no format that weights are packed in", "{format} 不是权重的打包格式";
    PackingsAre { names } = "It can be: {names}.", "可以是：{names}。";

    // pictures/units.rs
    NotAPerceptron { model } =
        "{model} is no multi-layer perceptron on numbers",
        "{model} 不是输入为数字的多层感知机";
    LoadPerceptron = "Load small_mlp and data of numbers.", "请加载 small_mlp 和由数字组成的数据。";
    TooManyInputs { inputs } =
        "the model takes {inputs} numbers, and a plane has two directions",
        "模型有 {inputs} 个输入，而平面只有两个方向";
    ChooseTwoColumns = "Name one or two columns in text_columns.", "请在 text_columns 中只写一列或两列。";
}
