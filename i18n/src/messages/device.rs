//! GPUs, the CPU, memory and storage.

use crate::message::messages;

messages! { "device";
    // device.rs
    OnlySoftwareAdapter { backend, name } =
        "The only {backend} adapter here ({name}) is a software one, which runs on the CPU; the engine's own code for \
         the CPU is faster.",
        "这里唯一的 {backend} 适配器（{name}）是软件实现，在 CPU 上运行；引擎自带的 CPU 代码更快。";
    NoGpuSoCpu { why } =
        "There is no GPU to use ({why}), so everything runs on the CPU, more slowly.",
        "没有可用的 GPU（{why}），因此全部在 CPU 上运行，速度较慢。";
    TensorTooLarge { size, limit } =
        "the tensor takes {size} MiB, and this GPU takes {limit} MiB in one buffer at most",
        "该张量占 {size} MiB，而此 GPU 的单个缓冲区最多 {limit} MiB";
    TakeSmallerVocabulary =
        "Take a model with a smaller vocabulary, or choose the CPU as the device.",
        "请使用词表更小的模型，或选择 CPU 作为设备。";
    ReadFailed { reason } = "reading from the device failed: {reason}", "从设备读取数据失败：{reason}";
    Lost =
        "the GPU was lost: its driver restarted, or the browser or the system took it away",
        "GPU 连接已丢失：驱动程序重启了，或者浏览器或系统收回了它";
    StartAgain =
        "Start again; if it happens again, choose the CPU as the device.",
        "请重新开始；如果再次发生，请选择 CPU 作为设备。";
    GpuMemoryFull = "the GPU's memory is full", "GPU 内存已满";
    GpuTooSmall { size } =
        "the run takes about {size} MiB of the GPU's memory, and the GPU could not provide it",
        "该训练约需 {size} MiB GPU 内存，而 GPU 无法提供这么多";
    Reported { error } = "the GPU reported an error: {error}", "GPU 报告了错误：{error}";
    LowerMemory =
        "Set gradient_checkpointing to true, lower per_device_train_batch_size or cutoff_len, take a smaller model, or \
         close other programs that use the GPU.",
        "请将 gradient_checkpointing 设为 true，调低 per_device_train_batch_size 或 cutoff_len，换用更小的模型，\
         或关闭其他占用 GPU 的程序。";
    Activations { shape } = "activations {shape}", "激活值 {shape}";
    LowerRowsOrTokens { knob, rows, tokens } =
        "Lower {knob} to {rows} or cutoff_len to {tokens}, or choose the CPU as the device.",
        "请将 {knob} 调低到 {rows}，或将 cutoff_len 调低到 {tokens}，或选择 CPU 作为设备。";
    LowerRows { knob, rows } =
        "Lower {knob} to {rows}, or choose the CPU as the device.",
        "请将 {knob} 调低到 {rows}，或选择 CPU 作为设备。";
    LowerTokens { tokens } =
        "Lower cutoff_len to {tokens}, or choose the CPU as the device.",
        "请将 cutoff_len 调低到 {tokens}，或选择 CPU 作为设备。";
    RunTooLarge { size, limit } =
        "the run takes about {size} MiB, and a browser on this device allows about {limit} MiB before it ends the page",
        "该训练约需 {size} MiB，而此设备上的浏览器最多允许约 {limit} MiB，超过后会关闭页面";
    LowerRun =
        "Lower cutoff_len or per_device_train_batch_size, take a smaller model, or use another computer.",
        "请调低 cutoff_len 或 per_device_train_batch_size，换用更小的模型，或使用其他电脑。";
    KeepLess { size } =
        "Set gradient_checkpointing to true: the run takes about {size} MiB then. Or lower cutoff_len or \
         per_device_train_batch_size, or take a smaller model.",
        "请将 gradient_checkpointing 设为 true，届时约需 {size} MiB；或调低 cutoff_len 或 \
         per_device_train_batch_size，或换用更小的模型。";
    OpenAlready = "a GPU is open already", "已经打开了一个 GPU";
    HandOverFirst =
        "Hand one over before anything is computed.",
        "请在开始计算之前移交 GPU。";
    UnusableGpu { error } = "this GPU cannot be used: {error}", "此 GPU 无法使用：{error}";
    EarlierAttemptFailed = "an earlier attempt failed", "之前的尝试失败了";
    NoNativeAdapter =
        "no Vulkan, Metal or DX12 adapter was found",
        "没有找到 Vulkan、Metal 或 DX12 适配器";
    NoBrowserAdapter =
        "this browser offers no WebGPU adapter",
        "此浏览器没有提供 WebGPU 适配器";
    UseBrowserWithWebGpu =
        "Use a browser with WebGPU (a current Chrome, Edge or Safari), or continue on the CPU.",
        "请使用支持 WebGPU 的浏览器（新版 Chrome、Edge 或 Safari），或继续使用 CPU。";
    InstallDriver =
        "Install a Vulkan, Metal or DX12 driver, or continue on the CPU (--device cpu).",
        "请安装 Vulkan、Metal 或 DX12 驱动程序，或继续使用 CPU（--device cpu）。";
    SoftwareAdapter =
        "This adapter is a software one: it runs on the CPU, slowly.",
        "这是一个软件适配器：它在 CPU 上运行，速度很慢。";

    // generate.rs
    WritesNoText =
        "this model answers with classes or hidden states, not with text",
        "此模型输出的是类别或隐藏状态，而不是文本";
    LoadTextModel =
        "Load a model that continues texts, such as a Llama or a GPT-2.",
        "请加载能够续写文本的模型，例如 Llama 或 GPT-2。";
    EmptyPrompt = "the prompt is empty", "提示词为空";
    GiveAWord = "Give the model at least one word.", "请至少输入一个词。";
    PromptTooLong { tokens, positions } =
        "the prompt has {tokens} tokens, and the model has positions for {positions}, the answer's included",
        "提示词有 {tokens} 个 token，而模型连同回答在内只有 {positions} 个位置";
    ShortenPrompt = "Shorten it.", "请缩短它。";
    NoNewTokens = "must be at least 1, got 0", "不能小于 1，实际为 0";
    Try64 = "Try 64.", "可以试试 64。";
    TryTemperature =
        "Try 0.8, or switch sampling off for the likeliest text.",
        "可以试试 0.8，或关闭采样以得到最可能的文本。";
    NotTopP { got } =
        "must be above 0 and at most 1, got {got}",
        "必须大于 0 且不超过 1，实际为 {got}";
    TryTopP = "Try 0.95.", "可以试试 0.95。";
    ScoresNotNumbers =
        "the model's next-token scores are not numbers",
        "模型给出的下一个 token 的分数不是有效数值";
    WeightsAreBroken =
        "The weights are broken: load the model again, or train with a lower learning_rate.",
        "权重已损坏：请重新加载模型，或用更小的 learning_rate 训练。";
    NoLogits = "no logits", "没有 logits";

    // bench.rs
    UnknownCase { words } = "{words} is not a case and a device", "{words} 不是“用例 设备”的形式";
    CasesAre { names } =
        "Cases are {names}; devices are gpu and cpu.",
        "用例有 {names}；设备有 gpu 和 cpu。";
    LossDidNotFall { case, first, last } =
        "the steps of {case} took the loss from {first} to {last}",
        "{case} 的各步使损失从 {first} 变为 {last}";
    TimesMeanNothing =
        "Times of steps that do not train mean nothing.",
        "没有训练效果的步，其耗时没有意义。";
    CaseNeedsModel = "this case needs a model's files", "此用例需要模型文件";
}
