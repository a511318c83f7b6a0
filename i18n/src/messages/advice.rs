//! Recommended settings: each with its reason, what it rests on, and why not another; and settings that do not go well together.

use crate::message::messages;

messages! { "advice";
    // finetuning_type
    FreshIsFull = "The weights are randomly initialized, so all of them have to be trained.", "权重是随机初始化的，必须全部训练。";
    AdaptersOnPretrained =
        "LoRA (Hu et al., 2021) freezes the base and learns a small change to it: a random base would stay random.",
        "LoRA（Hu 等，2021）不改变基座，只学习一个小的改变量：随机的基座会一直是随机的。";
    NotLoraOnFresh = "Not lora: a run refuses it on randomly initialized weights.", "不用 lora：随机权重上的 LoRA 训练会被拒绝。";
    PretrainedIsLora { rows } = "The model is pretrained, and {rows} rows need a small change to it.",
        "模型经过预训练，{rows} 条数据只需要对它做小的改变。";
    LoraMatchesFull =
        "'LoRA Without Regret' (2025), as TRL's documentation sums it up: with adapters on all linear layers and data of the usual \
         size, LoRA reaches what full fine-tuning reaches.",
        "《LoRA Without Regret》（2025，见 TRL 文档的总结）：在所有线性层上加适配器、数据为常见规模时，LoRA 能达到全参数微调的效果。";
    NotFull =
        "Not full: weights, gradients and AdamW's moments take 16 bytes a weight, the rate has to be ten times lower, and more of \
         the pretraining is forgotten. Try it where an adapter of r 64 still underfits.",
        "不用 full：权重、梯度和 AdamW 的动量每个参数共需 16 字节，学习率要低约十倍，也更容易遗忘预训练的内容。若 r 为 64 的适配器仍欠拟合，再试全参数微调。";
    EncoderIsFull { parameters } = "An encoder of {parameters} million weights is small enough for full fine-tuning, as set in the run.",
        "该编码器有 {parameters} 百万参数，规模小，可以像本次训练那样全参数微调。";
    BertIsFull = "BERT (Devlin et al., 2019) and its successors are fine-tuned in all weights.",
        "BERT（Devlin 等，2019）及其后续模型都采用全参数微调。";
    OrLora = "lora takes less memory and a rate about ten times higher (2e-4).", "lora 占用内存更少，学习率约高十倍（2e-4）。";

    // learning_rate
    RateOfAdapters = "Adapters start from zero change and tolerate a high rate.", "适配器从零改变开始，可以用较高的学习率。";
    RateOfAdaptersRests =
        "Unsloth's guide: 2e-4 for LoRA. 'LoRA Without Regret': about ten times the rate of full fine-tuning, nearly independent of \
         the rank.",
        "Unsloth 指南：LoRA 用 2e-4。《LoRA Without Regret》：约为全参数微调的十倍，几乎与秩无关。";
    NotRateOfFull =
        "Not 2e-5: adapters hardly move at the rate of full fine-tuning. Above 5e-3 runs diverge. A search for a learning rate (in the \
         page beside the setting, or `lorakeet find-rate`) measures it on this model and these rows.",
        "不用 2e-5：在全参数微调的学习率下适配器几乎不动。高于 5e-3 训练容易发散。学习率搜索（页面上在该设置旁，或用 `lorakeet find-rate`）\
         可在该模型和数据上实测。";
    RateOfFull = "All pretrained weights are updated, and should stay close to their values.", "所有预训练权重都会变动，应保持在原值附近。";
    RateOfFullRests = "BERT (Devlin et al., 2019) was fine-tuned at 2e-5 to 5e-5.", "BERT（Devlin 等，2019）的微调学习率为 2e-5 到 5e-5。";
    NotRateOfLora = "Not 2e-4: that is the rate of adapters, at which full fine-tuning overwrites what pretraining taught.",
        "不用 2e-4：那是适配器的学习率，全参数微调用它会覆盖预训练学到的内容。";
    RateOfFresh = "Randomly initialized weights have to change a lot.", "随机初始化的权重需要较大的改变。";
    RateOfFreshRests = "1e-3 is the rate of Adam's paper (Kingma and Ba, 2015).", "1e-3 是 Adam 论文（Kingma 和 Ba，2015）的学习率。";
    NotRateOfPretrained = "Not 2e-4 or less: those rates are for pretrained weights.",
        "不用 2e-4 或更低：那些学习率用于已经学到东西的权重。";
    RateOfPreference = "Preference tuning only changes how likely answers are, and a small change is enough.", "偏好训练只改变回答的概率，少量改变就够。";
    RateOfPreferenceRests = "Unsloth's guide and TRL's documentation: 5e-6 for DPO with LoRA. TRL's DPOConfig has 1e-6.",
        "Unsloth 指南和 TRL 文档：LoRA 做 DPO 用 5e-6。TRL 的 DPOConfig 默认为 1e-6。";
    NotRateOfAnswers = "Not 2e-4: at the rate of instruction tuning both answers become unlikely, and texts degenerate.",
        "不用 2e-4：在指令微调的学习率下，两个回答的概率都会下降，生成的文本会退化。";

    // schedule
    CosineAnneals = "The rate falls smoothly to 0, so that the last steps settle.", "学习率平滑降到 0，使最后的步骤稳定下来。";
    CosineRests = "Cosine annealing (Loshchilov and Hutter, 2017). QLoRA (Dettmers et al., 2023) kept the rate constant.",
        "余弦退火（Loshchilov 和 Hutter，2017）；QLoRA（Dettmers 等，2023）则用恒定的学习率。";
    NotConstant = "Not constant: it oscillates at the end, and is for runs that are to be lengthened later.",
        "不用 constant：结束时会振荡，它适合以后还要延长的训练。";
    WarmupGuards = "Adam's moments are estimated from few steps at first, and the warm-up keeps those steps small.",
        "Adam 的动量起初只由少数步骤估计，预热使这些步骤保持较小。";
    WarmupRests = "Published recipes warm up for 3% to 10% of the steps.", "公开的训练配置预热 3% 到 10% 的步数。";
    NotNoWarmup = "Not 0: the loss may jump in the first steps. Not much more: it shortens the time at a high rate.",
        "不用 0：最初几步可能使损失骤升。也不宜更大：会损失高学习率的训练时间。";
    WarmupStepsReplace = "Above 0 it replaces warmup_ratio, which follows the length of the run.",
        "大于 0 时会取代 warmup_ratio，而 warmup_ratio 会随训练长度变化。";
    NotWarmupSteps = "Not a number of steps: it stays the same where epochs or batches change.",
        "不用固定步数：改变轮数或批大小时，它不会随之变化。";

    // head_init
    ProbeOfFewRows { rows } = "The head is new, and {rows} rows are few to learn it from random weights: tuning begins with the linear probe.",
        "输出头是新的，{rows} 条数据不足以从随机权重学起：从线性探针开始训练。";
    ProbeRests =
        "Kumar et al. (2022): tuning from a probe's head was better by 1% on data like the training data, and by 10% on other data, \
         than tuning from a random head, which distorts the pretrained features.",
        "Kumar 等（2022）：与从随机输出头开始的微调相比，从线性探针的输出头开始，在同分布数据上好约 1%，在分布外数据上好约 10%；随机的输出头会破坏预训练的特征。";
    NotRandomHead = "Not random: the first steps would only learn a head that the probe already is. With max_steps: 0 the probe itself is the model.",
        "不用 random：最初的步数会花在学习输出头上，而探针可以直接给出它。再设 max_steps: 0，则探针本身就是模型。";

    // epochs
    EpochsToStart = "Three passes to start with; the loss on held-out rows says whether fewer or more are better.",
        "先训练三轮；留出数据上的损失会说明该减少还是增加。";
    EpochOfMany { rows } = "{rows} rows are many: one pass is thousands of steps.", "{rows} 条数据很多：一轮就有数千步。";
    EpochsRest = "Published recipes have 1 to 3 epochs for instructions, and BERT (Devlin et al., 2019) 2 to 4.",
        "公开的指令微调配置为 1 到 3 轮，BERT（Devlin 等，2019）为 2 到 4 轮。";
    NotMoreEpochs = "Not more: a pretrained model memorizes rows in a few passes. Not fewer: the schedule would be too short.",
        "不宜更多：预训练模型几轮就会过拟合。也不宜更少：学习率还没完成升降。";
    EpochsOfFresh { steps } = "Randomly initialized weights need at least about {steps} steps.", "随机权重至少需要约 {steps} 步。";
    EpochsOfFreshRest = "The small models of docs/results-lessons.md were trained for 600 to 1,000 steps.",
        "docs/results-lessons.md 中的小模型训练了 600 到 1000 步。";
    NotThreeEpochs = "Not 3 whatever the rows: few rows would give a few dozen steps only.", "不固定为 3：数据少时只有几十步。";

    // batches
    BatchOfContrast = "Each row is contrasted with the other rows of its batch: a larger batch has more negatives.",
        "每条数据要与同批次的其他数据区分：批次越大，负样本越多。";
    BatchOfContrastRests = "SimCLR (Chen et al., 2020) and sentence-transformers: contrastive losses gain from large batches.",
        "SimCLR（Chen 等，2020）和 sentence-transformers：对比损失受益于大批次。";
    NotSmallContrast = "Not accumulation instead: rows of other micro-batches are no negatives.",
        "不能用梯度累积代替：其他微批次的数据不作负样本。";
    BatchOfRows { rows, total } = "{rows} rows in steps of {total} give enough steps and not too much noise.",
        "{rows} 条数据，每步 {total} 条：步数足够，噪声也不太大。";
    BatchIsTight { total } = "Memory is short: one row at a time, and {total} rows a step by accumulation.",
        "内存不足：每次一条，用梯度累积使每步为 {total} 条。";
    BatchRests = "'LoRA Without Regret', as TRL's documentation sums it up: an effective batch size below 32.",
        "《LoRA Without Regret》（见 TRL 文档的总结）：有效批大小小于 32。";
    NotOtherBatch = "Not larger: the same rows give fewer steps, and memory grows. Not 1: single rows are noisy and use the device badly.",
        "不宜更大：同样的数据步数更少，内存也增加。也不宜为 1：单条数据噪声大，设备利用率低。";
    AccumulationFills { total } = "With the rows at a time it makes {total} rows a step.", "与每次的条数相乘，每步为 {total} 条。";
    AccumulationRests = "The loss is divided by all target tokens of a step, so that accumulation equals the large batch.",
        "损失除以一步中所有目标 token 的数量，因此梯度累积等同于大批次。";
    NotMoreAccumulation = "Not more: the steps become fewer. Not less where memory holds no more rows at a time.",
        "不宜更多：步数会减少。内存放不下更多条时也不宜更少。";

    // adapters
    RankOfTask { task, rows } = "The task is {task}, with {rows} rows to learn from.", "任务为 {task}，训练数据 {rows} 条。";
    RankRests =
        "4, 8 or 16 by the task's complexity. PEFT's MetaMathQA benchmark: r 32 47.8%, r 64 47.4%; more rank did not bring more.",
        "按任务复杂度取 4、8 或 16。PEFT 的 MetaMathQA 基准：r 32 为 47.8%，r 64 为 47.4%；更高的秩没有带来提升。";
    NotOtherRank = "Not larger: it memorizes small data. Not smaller: it has less capacity.", "不宜更大：数据少时会过拟合。也不宜更小：容量不足。";
    AlphaFollows { r } = "Twice the rank {r}, so that the adapter's scale alpha / r is 2.", "取秩 {r} 的两倍，使适配器的缩放 alpha / r 为 2。";
    AlphaRests = "LLaMA-Factory takes 2r, Unsloth's guide r or 2r.", "LLaMA-Factory 取 2r，Unsloth 指南取 r 或 2r。";
    NotOtherAlpha = "Not larger: it acts like a higher rate, which is clearer to set with learning_rate.",
        "不宜更大：作用相当于提高学习率，直接用 learning_rate 更清楚。";
    DropoutSlight = "A little, against memorizing the rows.", "轻微抑制过拟合。";
    DropoutRests = "0.05 in many recipes; QLoRA (Dettmers et al., 2023) 0.1 for models of 7B and 13B.",
        "许多配置取 0.05；QLoRA（Dettmers 等，2023）对 7B 和 13B 模型取 0.1。";
    NotOtherDropout = "Not more at first: raise it to 0.1 where held-out loss rises while training loss falls.",
        "先不要更大：留出损失上升而训练损失下降时再提高到 0.1。";
    AllLinear = "An adapter on every linear layer of the base.", "基座的每个线性层都加适配器。";
    AllLinearRests = "torchtune, Llama2-7B on TruthfulQA: q and v at r 8 0.475, at r 64 0.504; all layers at r 8 0.508.",
        "torchtune，Llama2-7B 在 TruthfulQA 上：仅 q 和 v，r 8 为 0.475，r 64 为 0.504；所有层 r 8 为 0.508。";
    NotAttentionOnly = "Not attention alone: it does worse even at a higher rank.", "不要只加在注意力层：即使秩更高也较差。";

    // memory
    BitsForMemory { needed, available } =
        "The run takes about {needed} MiB with the weights as they are stored, and the device has {available} MiB.",
        "按文件原有格式，训练约需 {needed} MiB，而设备有 {available} MiB。";
    NoBitsNeeded { needed, available } = "The run takes about {needed} MiB of the device's {available} MiB as it is.",
        "按文件原有格式，训练约需 {needed} MiB，设备有 {available} MiB。";
    BitsRest = "QLoRA (Dettmers et al., 2023): NF4 keeps nearly all of the quality; docs/quality.md has what was measured here.",
        "QLoRA（Dettmers 等，2023）：NF4 几乎不损失质量；本项目的实测见 docs/quality.md。";
    NotEightBits = "Not 8: it takes twice the memory. Not none: the run would not fit.", "不用 8：内存占用翻倍。也不能不用：否则放不下。";
    NotFourBits = "Not 4 or 8: quantization costs quality and serves memory alone.", "不用 4 或 8：量化会损失质量，只是为了节省内存。";
    BitsForFp8 = "The run does not fit with fp8 either, and 4 bits take half of its memory.",
        "使用 fp8 时也放不下，而 4 比特的权重只占其一半内存。";
    NotTwoFormats = "Not both: a run refuses two formats of the same weights.", "不能同时使用：同一权重的两种格式会被拒绝。";
    FormatsOfFrozen = "All weights are learnt, and quantization_bit and fp8 store weights that stay as they are.",
        "要训练全部权重，而 quantization_bit 与 fp8 只用于存放冻结的权重。";
    FormatsOfFrozenRest = "QLoRA (Dettmers et al., 2023) quantizes a frozen base and learns adapters on it.",
        "QLoRA（Dettmers 等，2023）量化冻结的基座，在其上训练适配器。";
    NotFormatsOfFull = "Not with full: a run refuses it.", "不能与 full 同用：这样的训练会被拒绝。";

    // data
    CutoffHolds { tokens, longest } = "It holds 95% of the rows ({tokens} tokens); the longest has {longest}.",
        "可容纳 95% 的数据（{tokens} 个 token）；最长的有 {longest} 个。";
    CutoffRests = "Memory and time of a row grow with its length; what is cut is not learnt.", "一条数据的内存和时间随长度增长；截断的部分学不到。";
    NotOtherCutoff = "Not longer: a few long rows would set the memory of the run. Not shorter: rows would lose their ends.",
        "不宜更长：少数长数据会决定训练的内存。也不宜更短：数据会丢失结尾。";
    HoldOut = "Without held-out rows you cannot tell learning from memorizing.", "没有留出数据，就看不出模型是否过拟合。";
    HoldOutRests = "A tenth, as is usual; the report's interval narrows with the root of the number of rows.",
        "通常留出十分之一；报告中的区间随条数的平方根变窄。";
    NotNoneHeldOut = "Not 0: early stopping and keeping the best weights need held-out rows.", "不用 0：没有留出数据就无法提前停止，也无法保留最佳权重。";
    ScoreEachEpoch = "The held-out rows are scored after each pass, and the best weights are kept.", "每轮之后在留出数据上评估，并保留最佳权重。";
    KeepBestRests = "The loss on held-out rows has a minimum, after which the model memorizes (early stopping: Prechelt, 1998).",
        "留出数据上的损失有最小值，之后模型开始过拟合（提前停止：Prechelt，1998）。";
    NotLastWeights = "Not the last weights: they are the best only by luck.", "不用最后的权重：它们只是碰巧才最好。";

    // optimizer
    AdamWUsual = "AdamW takes steps of one size whatever the gradients' scale.", "无论梯度大小，AdamW 的步长都相近。";
    AdamWRests = "Loshchilov and Hutter (2019); the recipes above were found with it.", "Loshchilov 和 Hutter（2019）；以上配置均以它得出。";
    NotEightBitState = "Not adamw_8bit: it saves three quarters of the moments' memory, which is not needed here.",
        "不用 adamw_8bit：它节省动量四分之三的内存，这里不需要。";
    EightBitState = "Memory is short, and the moments of all weights take twice what the weights take.", "内存不足，而所有权重的动量是权重的两倍大。";
    EightBitStateRests = "Dettmers et al. (2022): moments of 8 bits reach the results of 32.", "Dettmers 等（2022）：8 比特动量能达到 32 比特的效果。";
    NotFullState = "Not adamw_torch: its moments have 8 bytes a weight, instead of 2.", "不用 adamw_torch：它的动量每个权重占 8 字节，而不是 2 字节。";

    // cautions
    FullAtLoraRate { rate } = "finetuning_type is full, and learning_rate {rate} is a rate of adapters: it overwrites what pretraining taught.",
        "finetuning_type 为 full，而 learning_rate {rate} 是适配器的学习率：会覆盖预训练学到的内容。";
    TakeFullRate { rate } = "Set learning_rate: {rate}, or finetuning_type: lora.", "请设置 learning_rate: {rate}，或 finetuning_type: lora。";
    LoraAtFullRate { rate } = "learning_rate {rate} is a rate of full fine-tuning: adapters hardly move at it.",
        "learning_rate {rate} 是全参数微调的学习率：适配器几乎不动。";
    RateAboveRange { rate } = "learning_rate {rate} is above the usual range, and the run is likely to diverge.",
        "learning_rate {rate} 超出常用范围，训练很可能发散。";
    PreferenceAtHighRate { rate } = "learning_rate {rate} is high for preferences: both answers become unlikely, and texts degenerate.",
        "learning_rate {rate} 对偏好训练来说过高：两个回答的概率都会下降，生成的文本会退化。";
    SetRate { rate } = "Set learning_rate: {rate}, or have one found: in the page beside the setting, or with `lorakeet find-rate`.",
        "请设置 learning_rate: {rate}，或搜索学习率：页面上在该设置旁，或用 `lorakeet find-rate`。";
    NothingToContrast = "The loss contrasts each row with the others of its batch, and a batch of 1 has no others: it learns only from negatives in \
         the row itself.",
        "该损失把每条数据与同批次的其他数据区分，而批次为 1 时没有其他数据：除非数据自带负样本，否则什么也学不到。";
    LittleToContrast { rows } = "The loss contrasts each row with the others of its batch, and {rows} rows give few negatives.",
        "该损失把每条数据与同批次的其他数据区分，而批次为 {rows} 时负样本太少。";
    RaiseBatch { rows } = "Set per_device_train_batch_size: {rows}; gradient_accumulation_steps adds no negatives.",
        "请设置 per_device_train_batch_size: {rows}；gradient_accumulation_steps 不会增加负样本。";
    RankForFewRows { r, rows } = "lora_r {r} is large for {rows} rows: the adapter can memorize them.",
        "对 {rows} 条数据来说 lora_r {r} 过大：适配器会过拟合。";
    SetRank { r } = "Set lora_r: {r}.", "请设置 lora_r: {r}。";
    EpochsAboveData { epochs, rows, most } =
        "{epochs} epochs are too many for {rows} rows: from about {most} on, a pretrained model memorizes them, and nothing stops the \
         run earlier.",
        "{rows} 条数据训练 {epochs} 轮过多：约 {most} 轮之后预训练模型会过拟合，而没有设置提前停止。";
    FewerEpochs { epochs } =
        "Set num_train_epochs: {epochs}, or eval_strategy: epoch with load_best_model_at_end: true or early_stopping_patience: 2.",
        "请设置 num_train_epochs: {epochs}，或设置 eval_strategy: epoch 并加上 load_best_model_at_end: true 或 early_stopping_patience: 2。";
    FewerSteps { steps } =
        "Set max_steps: {steps}, or eval_strategy: epoch with load_best_model_at_end: true or early_stopping_patience: 2.",
        "请设置 max_steps: {steps}，或设置 eval_strategy: epoch 并加上 load_best_model_at_end: true 或 early_stopping_patience: 2。";
    CutoffCuts { tokens, cut, rows } = "cutoff_len {tokens} cuts {cut} of {rows} rows: their ends, often the answers, are not learnt.",
        "cutoff_len {tokens} 截断了 {rows} 条中的 {cut} 条：结尾部分（往往是回答）学不到。";
    CutoffOfModelCuts { tokens, cut, rows } = "The model has positions for {tokens} tokens, which cuts {cut} of {rows} rows.",
        "模型只有 {tokens} 个位置，{rows} 条中有 {cut} 条会被截断。";
    RaiseCutoffTo { tokens } = "Set cutoff_len: {tokens}.", "请设置 cutoff_len: {tokens}。";
    SplitRows = "Split the long rows, or take a model with more positions.", "请拆分长数据，或换用位置更多的模型。";
    RunAboveMemory { needed, available } = "The run takes about {needed} MiB at its peak, and the device has {available} MiB.",
        "训练峰值约需 {needed} MiB，而设备只有 {available} MiB。";
    TakeLess = "Set per_device_train_batch_size: 1, gradient_checkpointing: true or quantization_bit: 4, or lower cutoff_len.",
        "请设置 per_device_train_batch_size: 1、gradient_checkpointing: true 或 quantization_bit: 4，或调低 cutoff_len。";
    NoHeldOut = "No rows are held out, so you cannot tell learning from memorizing.", "没有留出数据，看不出模型是否过拟合。";
    SetHeldOut = "Set val_size: 0.1, or give a validation_file.", "请设置 val_size: 0.1，或提供 validation_file。";

    // doubts
    FewRows { rows } =
        "There are {rows} rows to train on: a model memorizes so few, and the few that are held out hardly show whether it \
         learnt anything else.",
        "训练数据只有 {rows} 条：模型会直接记住它们，而留出的几条也很难说明它是否真的学会了。";
    MoreRows { fewest } =
        "Collect at least {fewest}, better 100, as guides to fine-tuning ask for, or try a prompt with these rows as examples first.",
        "请至少收集 {fewest} 条，最好 100 条（微调指南的建议），或先把这些数据作为示例写进提示词试试。";
    NearlyPerfect { metric, score, way } =
        "Without any training, {metric} is {score} on the held-out rows already ({way}): there is almost nothing to gain.",
        "不经训练，留出数据上的 {metric} 已达 {score}（{way}）：几乎没有提升空间。";
    MayNotBeWorthIt = "Tuning may not be worth it", "微调可能不值得";
    ProbeIsFirst = "The linear probe is the score to beat", "须先超过线性探针";
    SomethingToGain = "There is something to gain by tuning", "微调仍有提升空间";
    BestWithout { metric, score, way, rows } =
        "The best without training ({way}) has {metric} {score} on {rows} held-out rows: a tuned model has to beat that by more than \
         chance.",
        "不经训练的最佳做法（{way}）在 {rows} 条留出数据上的 {metric} 为 {score}：微调后的模型须显著超过它。";
    NoValueWithout { metric } =
        "{metric} has no value for any baseline, so a tuned model cannot be compared with them.",
        "不经训练的各种做法都没有 {metric} 的数值，微调后的模型只能单独评价。";
    TakeWithoutTraining = "Take that instead, or score on harder rows, so that a gain can be seen.",
        "请直接采用它，或换更难的数据来评估，这样才能看出提升。";
}
