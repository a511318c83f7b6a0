//! Runs: tasks, training, checkpoints, reports, predictions and answers.

use crate::message::messages;

messages! { "run";
    // session
    NoModel = "no model is loaded", "尚未加载模型";
    LoadModel = "Load a GGUF file, or a folder with config.json and safetensors.",
        "请加载一个 GGUF 文件，或包含 config.json 和 safetensors 的文件夹。";
    NoData = "no training data is loaded", "尚未加载训练数据";
    LoadData = "Load a txt, csv, json or jsonl file.", "请加载 txt、csv、json 或 jsonl 文件。";
    NoDevice = "no device is open", "尚未打开设备";
    WaitForRun = "this has to wait until the run is over", "要等训练结束后才能执行";
    StopRun = "Stop the run first.", "请先停止训练。";
    FreshWeights =
        "The model has no weight files, so it starts from random weights: train it with \
         finetuning_type: full.",
        "模型文件中没有权重，因此使用随机初始化的权重，模型还什么都不会：请用 finetuning_type: full 训练。";
    TooManyFiles { files } = "the data is one file, or images with their labels, got {files} files",
        "数据应为一个文件，或图像加标签两个文件，收到了 {files} 个文件";
    GiveOneFile = "Give one file of rows, or two in the IDX format.", "请提供一个数据文件，或两个 IDX 格式的文件。";
    NoTokenizer = "the model came without a tokenizer", "模型没有附带分词器";
    AddTokenizer = "Put its tokenizer.json beside it, or take a GGUF file, which holds one.",
        "请把它的 tokenizer.json 放在模型旁边，或使用自带分词器的 GGUF 文件。";
    NoChatTemplate = "the model has no chat template", "模型没有对话模板";
    GivePlainText = "Give it plain text to continue.", "请给它一段纯文本来续写。";
    TrainFirst = "Train first.", "请先训练。";
    LoraOnFreshWeights = "lora freezes the weights, and these are random",
        "lora 不改变基座权重，而这些权重是随机初始化的";
    AdapterInFull = "full trains every weight of the model, and would leave out the adapter that the run starts from",
        "full 训练模型的全部权重，会忽略训练所基于的适配器";
    MergeOrTrainAdapter =
        "Set finetuning_type: lora; or merge the adapter first (`lorakeet merge`, or an export), and train the merged model.",
        "请设置 finetuning_type: lora；或先合并适配器（`lorakeet merge` 或导出），再训练合并后的模型。";
    AdapterKeepsItsOwn { settings, r, alpha } =
        "The run continues from an adapter with rank {r} and alpha {alpha}: {settings} have no effect.",
        "训练从已有的适配器（秩 {r}，alpha {alpha}）继续，适配器结构保持不变：{settings} 不起作用。";
    SetFull = "Set finetuning_type: full.", "请设置 finetuning_type: full。";

    // tasks
    TaskByData { task, because } = "The task is {task}, because the data has {because}; set task to choose another.",
        "任务为 {task}，因为数据中有{because}；如需其他任务，请设置 task。";
    WordsWithClasses = "words with classes", "带类别的词";
    ChosenAndRejected = "chosen and rejected answers", " chosen 和 rejected 回答";
    QueriesWithPositives = "queries with positives", "带正例的查询";
    QueriesWithGrades = "queries with graded documents", "带相关性分级文档的查询";
    Column { columns } = "a column '{columns}'", "列 '{columns}'";
    ColumnsWithoutEffect = "text_columns and label_columns have no effect: the task is generation.",
        "text_columns 和 label_columns 不起作用：任务是 generation。";
    PackingWithoutEffect { task } =
        "packing has no effect: in {task} with this model each row is a separate example. Remove the line, or pack rows \
         of texts for a decoder.",
        "packing 不起作用：用该模型做 {task} 时，每条数据自成一个样本。请去掉该设置；拼接只用于仅解码器模型的文本生成训练。";
    HeadKnobsWithoutEffect { hidden_size, dropout, task } =
        "{hidden_size} and {dropout} have no effect: the task is {task}, which has no head.",
        "{hidden_size} 和 {dropout} 不起作用：任务是 {task}，它没有输出头。";
    NotOnNumbers { task } = "a model that takes numbers cannot do {task}", "以数值为输入的模型不支持 {task}";
    TasksOnNumbers = "It can do classification, multi_label and regression.",
        "它支持 classification、multi_label 和 regression。";
    NotTrained = "the model has not been trained yet", "模型尚未训练";
    TrainAndName = "Train it, and then name the folder that the run wrote.", "请先训练，然后指定训练写出的文件夹。";
    HeadReplaced { because, outputs } =
        "The model's own head does not match the data: {because}. A new one with {outputs} outputs replaces it.",
        "模型自带的输出头与数据不符：{because}。已换成新的、有 {outputs} 个输出的输出头。";
    HasClass { class } = "they have the class '{class}'", "数据中有类别 '{class}'";
    InRow { row, what } = "row {row}: {what}", "第 {row} 行：{what}";
    MetricOfWritten { metric } = "{metric} is of answers that the model writes", "{metric} 用于评价模型生成的回答";
    SetPredictWithGenerate = "Set predict_with_generate: true.", "请设置 predict_with_generate: true。";
    NoSuchMetric { task, metric } = "a {task} run has no metric {metric}", "{task} 任务没有指标 {metric}";
    MetricsAre { metrics } = "It has loss, {metrics}.", "可用的指标：loss、{metrics}。";
    NoBaseline { kind, because } = "There is no {kind} to compare with: {because}.", "无法与{kind}比较：{because}。";
    OtherLayout = "the rows of the two files have different shapes", "两个文件的数据形状不同";
    SameNumbers = "Both must have the same number of values per row.", "两个文件每条数据的数值个数必须相同。";
    CutRows { cutoff, cut, rows } = "Cut at {cutoff} tokens: {cut} of {rows} rows.",
        "有 {cut} 条数据（共 {rows} 条）在 {cutoff} 个 token 处截断。";
    NoDefaultModules { model_type } = "is default, but PEFT has no default modules for {model_type}",
        "为 default，但 PEFT 没有 {model_type} 的默认模块";
    UseAllLinear = "Use all-linear.", "请使用 all-linear。";
    NoHead { model_type, task } = "a {model_type} model has no head for {task}", "{model_type} 模型没有用于 {task} 的输出头";
    LoadModelFor { task, names } = "Load a model for {task}: {names}.", "请加载支持 {task} 的模型：{names}。";
    DoesNotContinue { model_type } = "a {model_type} model of this kind does not continue texts",
        "这种 {model_type} 模型不能续写文本";
    DroppedBeyondCutoff { dropped } = "Dropped rows whose answers start beyond cutoff_len: {dropped}.",
        "丢弃了回答起始位置超出 cutoff_len 的数据：{dropped} 条。";
    TwoAnswers = "a preference has two answers", "一条偏好数据有两个回答";
    OtherAnswers = "the references are those of other rows", "参考概率属于其他数据行";
    DoesNotPredict { model_type } = "a {model_type} model of this kind does not predict the next token",
        "这种 {model_type} 模型不预测下一个 token";
    LoadGenerator { names } = "Load a model that continues texts ({names}), or give the data a column label.",
        "请加载能续写文本的模型（{names}），或给数据加上 label 列。";
    ModelHasNoHead { task } = "the model has no head for {task}", "模型没有用于 {task} 的输出头";
    VocabularyLoss = "the loss over a vocabulary is the model's own", "词表上的损失由模型自己计算";
    NoClasses = "there are no words to classify", "要给词分类，却没有类别";

    // baselines
    MajorityClass = "majority class", "多数类";
    NearestCentroid = "nearest centroid", "最近类中心";
    LinearProbe = "linear probe", "线性探针";
    UsualLabels = "usual labels", "多数标签";
    LastValue = "the last value again", "沿用上一个值";
    TrainingMean = "mean of the training rows", "训练集均值";
    Bm25 = "BM25", "BM25";
    BaseModel = "base model", "基座模型";
    BaseLikelihood = "base model's likelihood", "基座模型的似然";
    ModelBefore = "model before this run", "本次训练前的模型";

    // another strength, another file
    StrengthOutOfRange { got, most } =
        "the strength of an adapter must be from 0 to {most}, got {got}",
        "适配器强度必须在 0 到 {most} 之间，实际为 {got}";
    StrengthOfTraining = "1 is the adapter as it was trained, 0 leaves it out.", "1 表示训练得到的适配器，0 表示不使用适配器。";
    StrengthWithoutAdapter =
        "the model has no adapter whose strength could be changed", "模型没有可以调节强度的适配器";
    StrengthNeedsLora = "Train with finetuning_type: lora, or take strength 1.", "请用 finetuning_type: lora 训练，或使用强度 1。";
    NoRunToScore = "no run has ended whose model could be scored on another file", "还没有完成的训练，无法在其他文件上评估模型";
    TrainBeforeScoring = "Train first, to the end or until you stop.", "请先训练，训练完或中途停止均可。";
    BaselinesNeedRunsData =
        "The data that the run was trained on are not loaded any more, so this file is scored without baselines.",
        "训练所用的数据已不在内存中，因此在此文件上评估时没有基线。";
    NoBaseToScore =
        "The base model cannot be scored beside this one, because modules were fully trained.",
        "由于有模块是整体训练的，无法同时评估基座模型。";

    // typed texts
    SayTask = "has to say what the texts are to be answered with", "必须指明用什么任务来回答这些文本";
    ContinuesTexts { task } = "a model of {task} continues texts", "{task} 模型是续写文本的";
    HaveItWrite = "Have it write instead.", "请改用文本生成。";
    NoText = "there is no text to answer", "没有要回答的文本";
    WriteOne = "Write one.", "请输入一段文本。";
    WriteQuery = "Write a query, and below it a document on each line.", "请输入查询，并在下方每行输入一个文档。";
    NoRowAnswers { task } = "{task} has no answers row by row", "{task} 没有逐条的预测";
    NotRowsOfNumbers = "these are no rows of numbers", "这些不是数值数据";
    NoAnswersByRow = "the task has no answers row by row", "该任务没有逐条的预测";

    // training
    StoppedReading = "stopped while the data were read", "已停止（正在读取数据）";
    StoppedPreparingRows = "stopped while the rows were prepared", "已停止（正在准备数据）";
    StoppedScoringReference = "stopped while the reference was computed", "已停止（正在计算参考模型的得分）";
    StoppedBaselines = "stopped while the baselines were measured", "已停止（正在测量基线）";
    NothingHeldOut = "no rows are held out that the baselines could be scored on", "没有留出可用于测量基线的数据";
    HoldOutForBaselines = "Set val_size: 0.1, or give a validation_file.", "请设置 val_size: 0.1，或提供 validation_file。";
    StoppedScoringRows = "stopped while the rows were scored", "已停止（正在评估数据）";
    StoppedAnsweringRows = "stopped while the rows were answered", "已停止（正在预测数据）";
    StoppedStep = "stopped in the middle of a step", "已停止（正在训练一步）";
    NothingToRecompute =
        "gradient_checkpointing has no effect here: this model is computed in one piece.",
        "gradient_checkpointing 在这里不起作用：此模型是作为一个整体计算的。";
    Diverged { name, value, step, learning_rate } =
        "the {name} became {value} at step {step}, at a learning rate of {learning_rate}",
        "第 {step} 步时{name}变为 {value}，当时学习率为 {learning_rate}";
    Loss = "loss", "损失";
    GradientNorm = "gradient norm", "梯度范数";
    LowerLearningRate =
        "Lower learning_rate (a third of it is a good next try), raise warmup_ratio, or set max_grad_norm to 1. The weights \
         from before this step are kept.",
        "请降低 learning_rate（可先试三分之一），提高 warmup_ratio，或把 max_grad_norm 设为 1。这一步之前的权重已保留。";
    LossRose { value, usual, since, step } =
        "the run diverges: the loss has been about {value} from step {since} to step {step}, and was about {usual} before",
        "训练正在发散：从第 {since} 步到第 {step} 步损失约为 {value}，此前约为 {usual}";
    GradientExploded { value, usual, since, step } =
        "the run diverges: the gradient norm has been about {value} from step {since} to step {step}, where {usual} is usual, \
         and the loss is above what it was at the start",
        "训练正在发散：从第 {since} 步到第 {step} 步梯度范数约为 {value}（通常为 {usual}），且损失高于起始值";
    GradientVanished { since, step } = "the gradient has been exactly 0 from step {since} to step {step}: nothing is learnt any more",
        "从第 {since} 步到第 {step} 步梯度恰好为 0：模型不再学习";
    WithRows { what, rows } = "{what} (rows {rows})", "{what}（数据行：{rows}）";
    WithRowsOf { what, rows, step } = "{what} (step {step} had rows {rows})", "{what}（第 {step} 步的数据行：{rows}）";
    GoBackTo { knob, checkpoint, learning_rate } =
        "Start a new run from the last good checkpoint with a third of the rate: --set {knob}={checkpoint} \
         --set learning_rate={learning_rate} --set output_dir=NEW. Look at those rows, too; max_grad_norm: 1 and a higher \
         warmup_ratio help.",
        "请从最后一个正常的检查点、以三分之一的学习率开始新的训练：--set {knob}={checkpoint} --set learning_rate={learning_rate} \
         --set output_dir=NEW。也请检查这些数据行；max_grad_norm: 1 和更高的 warmup_ratio 也有帮助。";
    GoBackInPlace { step, learning_rate } =
        "Go back to the checkpoint of step {step}, and on from there with a third of the rate (learning_rate: {learning_rate}). Look \
         at those rows, too; max_grad_norm: 1 and a higher warmup_ratio help.",
        "请回到第 {step} 步的检查点，从那里以三分之一的学习率（learning_rate: {learning_rate}）继续。也请检查这些数据行；\
         max_grad_norm: 1 和更高的 warmup_ratio 也有帮助。";
    StartWithLowerRate { learning_rate } =
        "Start again with a third of the rate (learning_rate: {learning_rate}). Look at those rows, too; max_grad_norm: 1 and a \
         higher warmup_ratio help.",
        "请以三分之一的学习率重新开始（learning_rate: {learning_rate}）。也请检查这些数据行；max_grad_norm: 1 和更高的 warmup_ratio \
         也有帮助。";
    NothingIsLearnt { learning_rate } =
        "If the answers are right already, stop here. Else units of the model are dead or saturated: start again with a lower rate \
         (learning_rate: {learning_rate}), another activation or scaled inputs.",
        "如果回答已经正确，可以到此为止。否则说明模型的单元失活或饱和：请以更低的学习率（learning_rate: {learning_rate}）、\
         其他激活函数或标准化的输入重新开始。";
    MemoryHalved { step, rows, batches } =
        "The GPU's memory was full in step {step}. It is taken again with {rows} rows at a time, {batches} times: the step \
         learns the same, more slowly.",
        "第 {step} 步时 GPU 内存已满。改为每次 {rows} 条、累积 {batches} 次重做这一步：学到的内容相同，只是更慢。";
    OneRowDoesNotFit =
        "Not even one row fits at a time: lower cutoff_len, set quantization_bit: 4 or optim: adamw_8bit, take a smaller model, or \
         close other programs that use the GPU.",
        "每次一条也放不下：请调低 cutoff_len，设置 quantization_bit: 4 或 optim: adamw_8bit，换用更小的模型，或关闭其他占用 GPU 的程序。";
    BatchIsCompared { loss } =
        "The loss {loss} compares the rows of a batch with each other, so the batch is not halved automatically: lower \
         per_device_train_batch_size or cutoff_len, take a smaller model, or close other programs that use the GPU.",
        "损失 {loss} 会相互比较同一批次中的数据，因此不会自动减半：请调低 per_device_train_batch_size 或 cutoff_len，换用更小的模型，\
         或关闭其他占用 GPU 的程序。";
    ValidationDiverged { loss } = "the validation loss is {loss}", "验证损失为 {loss}";
    LowerRateOrBroken = "Lower learning_rate; if the base model already gives this, its weights are broken.",
        "请降低 learning_rate；如果基座模型本身就是这样，说明它的权重已损坏。";
    NothingToScore = "the validation data has no token to score", "验证数据中没有可评估的 token";
    RaiseCutoff = "Raise cutoff_len, or hold out more examples with val_size.",
        "请增大 cutoff_len，或用 val_size 留出更多验证数据。";
    NoQuestion = "no row has a question with a whole answer", "没有一条数据同时有问题和完整的回答";
    PredictWithGenerateNeeds =
        "It needs rows such as prompt and completion, completion_only_loss, and a cutoff_len above their length.",
        "它需要 prompt 和 completion 这样的数据、completion_only_loss，以及大于其长度的 cutoff_len。";
    EndsEarly { step, scores, metric } = "The run ends early, after step {step}: {scores} scores brought no better {metric}.",
        "训练在第 {step} 步后提前结束：连续 {scores} 次评估，{metric} 没有提升。";
    BestKept { step, metric } = "The weights of step {step} are kept: they have the best {metric}.",
        "保留第 {step} 步的权重：它的 {metric} 最好。";

    // checkpoints
    ResumeWithoutEffect =
        "resume_from_checkpoint has no effect here: no checkpoint was opened, and the run starts from the beginning.",
        "resume_from_checkpoint 在此不起作用：没有打开检查点，训练从头开始。";
    RunIsUnderWay = "this run is running in another tab or window", "这次训练正在另一个标签页或窗口中进行";
    UseTheOtherTab = "Continue it there, or stop it there first.", "请在那里继续，或先在那里停止它。";
    NoSuchRun { id } = "there is no run '{id}'", "没有训练 '{id}'";
    RunUnreadable { run, why } = "The stored run {run} cannot be read and is not listed: {why}",
        "已保存的训练 {run} 无法读取，未列出：{why}";
    SweepIsUnderWay = "this sweep is running in another tab or window", "这次扫描正在另一个标签页或窗口中进行";
    SweepUnreadable { sweep, why } = "The stored sweep {sweep} cannot be read and is not listed: {why}",
        "已保存的扫描 {sweep} 无法读取，未列出：{why}";
    LabelTooLong { most } = "a name or a tag of a run has {most} characters at most", "训练的名称或标签最多 {most} 个字符";
    ShortenLabel = "Shorten it.", "请缩短它。";
    TooManyTags { tags } = "a run has {tags} tags at most", "一次训练最多 {tags} 个标签";
    RemoveATag = "Remove one first.", "请先删除一个标签。";
    NoRecord = "there is no record of a run", "没有训练记录";
    RecordDamaged { why } = "the record of the run is damaged: {why}", "训练记录已损坏：{why}";
    CheckpointPassedOver { folder, why } = "{folder} is damaged and is skipped: {why}", "{folder} 已损坏，将被跳过：{why}";
    StartsAnew = "The run has no checkpoint yet, so it starts from the beginning.", "这次训练还没有检查点，因此从头开始。";
    NoRoomForCopy { file, size } =
        "{file} ({size} MiB) is not copied into the browser's storage, which has no room for it: to go on with this run after the \
         page was closed, choose the file again.",
        "{file}（{size} MiB）未复制到浏览器存储中，因为空间不足：关闭页面后要继续这次训练，需要重新选择该文件。";
    NotKept { why } =
        "Training continues, but progress since the last checkpoint would be lost with the page: {why}",
        "训练会继续，但如果关闭页面，上一个检查点之后学到的内容会丢失：{why}";
    NoRoomForCheckpoint { needed, free } =
        "This run is not kept: a checkpoint of it takes at least {needed} MiB, and the browser's storage has room for {free} MiB. It \
         trains all the same, but cannot be continued after the page was closed; delete stored runs or models to make room.",
        "这次训练不会保存：一个检查点至少需要 {needed} MiB，而浏览器存储只剩 {free} MiB。训练照常进行，但关闭页面后无法继续；\
         请删除已保存的训练或模型以腾出空间。";
    NoStoreToGoOn =
        "This browser gives the page no storage here (a private window, say), so there is no checkpoint to resume from: the run \
         starts from the beginning, and its progress is lost.",
        "浏览器在此不提供存储（例如隐私窗口），因此没有可以继续的检查点：训练从头开始，之前学到的内容已丢失。";
    NoStoreToGoBack = "this browser gives the page no storage here, so there is no checkpoint to go back to",
        "浏览器在此不提供存储，因此没有可以返回的检查点";
    NoGoodCheckpoint { step } = "the run has no complete checkpoint of step {step} or before it",
        "这次训练没有第 {step} 步或更早的完整检查点";
    RateIsNotLower { before, learning_rate } =
        "a run goes back to a checkpoint only with a lower rate: learning_rate was {before}, is {learning_rate}",
        "返回检查点时学习率必须更低：learning_rate 原为 {before}，现为 {learning_rate}";
    WentBack { step, before, learning_rate } =
        "The run went wrong, so it continues from its checkpoint of step {step} with learning_rate {learning_rate} instead of {before}.",
        "训练出现异常，因此从第 {step} 步的检查点继续，learning_rate 由 {before} 改为 {learning_rate}。";
    NoStore =
        "This browser gives the page no storage here (a private window, say), so the run is lost when the page is closed.",
        "浏览器在此不提供存储（例如隐私窗口），因此关闭页面后这次训练会丢失。";
    LengthChanged { steps, before } =
        "The run has {steps} steps now, and had {before} when its checkpoint was written.",
        "训练现在共 {steps} 步，写检查点时为 {before} 步。";
    LengthChangesRates { steps, before, schedule } =
        "the run would have {steps} steps instead of {before}, and the learning rates of lr_scheduler_type {schedule} follow \
         its length: the steps done would have had others",
        "总步数将从 {before} 变为 {steps}，而 lr_scheduler_type {schedule} 的学习率随总步数变化：已完成的步骤本应使用不同的学习率";
    SetLengthBack { before } =
        "Set it back to {before} steps (a run with lr_scheduler_type: constant may get longer); or start a new run from the \
         checkpoint's weights, by adapter_name_or_path (after full training, by model_name_or_path).",
        "请改回 {before} 步（lr_scheduler_type: constant 的训练可以延长）；或用 adapter_name_or_path（全参数训练后用 model_name_or_path）\
         从检查点的权重开始新的训练。";
    ChangedOnTheWay { differences } =
        "Changed since the checkpoint was written, without any effect on the steps: {differences}.",
        "写检查点之后改动了以下设置（不影响训练步骤）：{differences}。";
    TooManySteps { step, steps } = "the checkpoint has done {step} steps, the run has only {steps}",
        "检查点已训练 {step} 步，而本次训练只有 {steps} 步";
    RaiseSteps = "Raise max_steps or num_train_epochs.", "请增大 max_steps 或 num_train_epochs。";
    WrongShape { found, needed } = "has shape {found}, the run needs {needed}", "形状为 {found}，而训练需要 {needed}";
    HoldsBytes = "holds bytes, the run needs floats", "存的是字节，而训练需要浮点数";
    HoldsFloats = "holds floats, the run needs bytes", "存的是浮点数，而训练需要字节";
    LacksTensor = "the checkpoint lacks this tensor", "检查点中缺少该张量";
    ResumeSameRun = "Resume with the run file and the model that wrote the checkpoint.",
        "请用写出该检查点的配置文件和模型继续训练。";
    OtherOptimizer = "the optimizer's state belongs to another model, adapter or optim",
        "优化器状态属于其他模型、适配器或 optim";
    ResumeSameFile = "Resume with the run file that wrote the checkpoint.", "请用写出该检查点的配置文件继续训练。";
    NoStoreToOpen = "there is no storage here, and no run in it", "此处没有存储，也就没有已保存的训练";
    RunHasNotEnded = "this run has not ended", "这次训练尚未结束";
    ContinueRun = "Continue it.", "请继续该训练。";
    RunLeftNoWeights = "the run did not leave this file", "该训练没有留下这个文件";
    OtherModelThanRuns = "this model is not the one that the run began with", "此模型不是训练开始时所用的模型";
    ChooseRunsModel = "Choose the run's model in step 2, and open the run again. All but its weights is shown.",
        "请在第 2 步选择该训练所用的模型，再重新打开。除权重外的内容均已显示。";
    OtherRun { differences } = "this is not the run that wrote the checkpoint: {differences}",
        "这不是写出该检查点的训练：{differences}";
    SetBack =
        "Set it back as it was; or start a new run from the checkpoint's weights, by adapter_name_or_path (after full \
         training, by model_name_or_path).",
        "请改回原来的设置；或用 adapter_name_or_path（全参数训练后用 model_name_or_path）从检查点的权重开始新的训练。";
    Then { first, second } = "{first}; {second}", "{first}；{second}";
    SettingWas { name, was, is } = "{name} was {was}, is {is}", "{name} 原为 {was}，现为 {is}";
    WasNotGiven { name } = "{name} was not given", "当时没有给出 {name}";
    WasGiven { name } = "{name} was given, and is not", "当时给出了 {name}，现在没有";
    NotGiven = "not given", "未设置";
    OtherModel { name } =
        "{name} names a model with other weights or another config.json, not the one that the run began with",
        "{name} 指向权重或 config.json 不同的模型，不是训练开始时所用的模型";
    OtherAdapter { name } = "{name} names another adapter", "{name} 指向另一个适配器";
    OtherData { name } = "{name} holds other data: this file is not the one that the run began with",
        "{name} 中是不同的数据：此文件不是训练开始时所用的文件";
    OtherDataAt { name, difference } =
        "{name} holds other data: this file is not the one that the run began with, {difference}",
        "{name} 中是不同的数据：此文件不是训练开始时所用的文件，{difference}";
    RowDiffers { row } = "row {row} differs", "第 {row} 行不同";
    RowsDiffer { first, last } = "one of the rows {first} to {last} differs", "第 {first} 行到第 {last} 行之间有不同";
    RowCountWas { rows, were } = "it has {rows} rows in place of {were}",
        "现有 {rows} 行，当时有 {were} 行";
    NoRowDiffers = "its rows are the same, but other bytes of the file differ", "各行相同，但其余字节不同";
    OtherTokens =
        "the tokenizer or the chat template makes other tokens of the same rows, or the checkpoint is of a release in \
         whose packed rows examples saw each other",
        "分词器或对话模板对相同数据产生了不同的 token，或者检查点来自旧版本，其拼接的样本之间彼此可见";
    OtherLength { found, written } = "is {found} bytes long, and {written} were written", "有 {found} 字节，而写入的是 {written} 字节";
    OtherContent = "does not hold what was written into it", "内容与写入时不一致";
    FileMissing = "this file of the checkpoint is missing", "检查点中缺少这个文件";
    NotManifest = "is not the manifest that was written", "不是写入时的清单";
    NameWholeCheckpoint =
        "Name a complete checkpoint-N folder, or set resume_from_checkpoint: true, which takes the newest complete one.",
        "请指定完整的 checkpoint-N 文件夹，或设置 resume_from_checkpoint: true，它会使用最新的完整检查点。";
    NotState { because } = "is not a state that a run can resume from: {because}", "不是可以继续训练的状态：{because}";
    NameOwnCheckpoint = "Name a folder checkpoint-N that a run of this program wrote.",
        "请指定由本程序写出的 checkpoint-N 文件夹。";
    StateIs { name, value } = "{name} is {value}", "{name} 为 {value}";
    StepsDiffer { global_step, own } = "global_step is {global_step}, and the run's own count {own}",
        "global_step 为 {global_step}，而训练自身的计数为 {own}";

    // report
    Better { against, what } = "Significant improvement over {against}: {what}", "显著优于{against}：{what}";
    NotDistinguishable { against, what } = "No significant improvement over {against}: {what}", "相比{against}没有显著提升：{what}";
    Worse { against, what } = "Significantly worse than {against}: {what}", "显著差于{against}：{what}";
    TheBaseline { kind } = "the {kind}", "{kind}";
    BestBaseline { kind } = "the best baseline ({kind})", "最佳基线（{kind}）";
    Perplexity { after, before, what } = "perplexity {after} against {before}; {what}", "困惑度 {after}，对比 {before}；{what}";
    NothingToCompare { metric, value } = "{metric} {value}; there is nothing to compare it with.",
        "{metric} {value}；没有可比较的对象。";
}
