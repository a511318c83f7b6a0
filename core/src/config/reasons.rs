//! Why a knob's guidance says what it says, and who measured it: the 'tell me more' beside each knob that the page shows.
//!
//! Apart from the knob table, because only front ends for people need it: what does not ask for it is not made larger by it.
//! Where sources disagree, the text says so.
//!
//! One file of more than 600 lines, because it is one table, whose rows are read beside each other.

/// A knob's name, the reasons in English, and in Simplified Chinese.
pub(super) static REASONS: &[(&str, &str, &str)] = &[
    (
        "quantization_bit",
        "LLaMA-Factory reckons 2 GB a billion parameters for LoRA in half precision and 0.5 GB at 4 bits. QLoRA (Dettmers et al. \
         2023) lost nothing on its benchmarks with 4-bit NF4; for a small model compare the baselines with and without it. Packed \
         weights are decoded in every step: it saves memory, not time.",
        "LLaMA-Factory 估计：LoRA 在半精度下每十亿参数约需 2 GB，4 比特约 0.5 GB。QLoRA（Dettmers 等，2023）\
         用 4 比特 NF4 在其基准上没有损失；小模型请对比量化前后的基线。权重每步都要解码，省的是显存而不是时间。",
    ),
    (
        "bnb_4bit_quant_type",
        "NF4 puts its 16 values at the quantiles of a normal distribution, because trained weights are nearly normal. The QLoRA paper \
         (Dettmers et al. 2023) gives a mean perplexity of 27.4 with NF4 and double quantization, and 31.1 with FP4 (E2M1).",
        "NF4 的 16 个取值位于正态分布的分位数上，因为训练好的权重接近正态分布。QLoRA 论文（Dettmers 等，2023）的平均困惑度：\
         NF4 加双重量化为 27.4，FP4（E2M1）为 31.1。",
    ),
    (
        "bnb_4bit_use_double_quant",
        "A scale of 32 bits for 64 weights costs half a bit a weight; scales of 8 bits bring 4.5 bits down to 4.127. QLoRA (Dettmers \
         et al. 2023) measured no loss from it. A model of 7 billion parameters saves about 0.3 GB.",
        "每 64 个权重一个 32 位缩放系数，相当于每个权重多 0.5 比特；系数量化为 8 位后，4.5 比特降到 4.127 比特。QLoRA（Dettmers 等，\
         2023）没有测到损失。70 亿参数的模型约省 0.3 GB。",
    ),
    (
        "fp8",
        "E4M3 has 3 bits of fraction, E5M2 has 2 (Micikevicius et al. 2022). FP8 is faster only on hardware that multiplies it: \
         torchao measured 10 to 25% on eight H100 for large shapes, and a loss for small ones. In a browser it is a way to store \
         weights in half the bytes of f16.",
        "E4M3 有 3 位尾数，E5M2 有 2 位（Micikevicius 等，2022）。只有支持 FP8 乘法的硬件才会变快：\
         torchao 在 8 块 H100 上测得大矩阵快 10% 到 25%，小矩阵反而变慢。在浏览器中它只是一种存储格式，占用是 f16 的一半。",
    ),
    (
        "fp8_scale",
        "The scale moves the weights into the narrow range of the format: E4M3 ends at 448. One per row costs almost nothing and \
         keeps a row of large values from reducing the precision of others. Blocks of 128 x 128 are what DeepSeek-V3 (2024) was \
         trained with.",
        "缩放系数把权重移到该格式的狭窄范围内：E4M3 的最大值为 448。每行一个系数几乎不占空间，又能避免某一行的大数值影响其他行的精度。\
         DeepSeek-V3（2024）训练时用的是 128 x 128 的块。",
    ),
    (
        "hidden_size",
        "Capacity has to match the data: too small underfits, too large memorizes the rows, which shows as a training loss far below \
         the validation loss (Goodfellow et al. 2016, chapter 5). A layer's weights grow with the square of the width. Double it \
         while the validation loss still falls.",
        "容量要与数据匹配：太小会欠拟合，太大则死记样本，表现为训练损失远低于验证损失（Goodfellow 等，2016，第 5 章）。\
         每层的权重数随宽度平方增长。验证损失仍在下降时再加倍。",
    ),
    (
        "num_hidden_layers",
        "Compare with a linear model: 0 layers make small_mlp one. On tables of medium size deep networks often lose to tree models \
         (Grinsztajn et al. 2022), so more layers seldom help. Each layer also lengthens the path of the gradient.",
        "请先与线性模型比较：small_mlp 取 0 层就是线性模型。在中等规模的表格上，深层网络常常不如树模型（Grinsztajn 等，2022），\
         增加层数很少有用。层数越多，梯度要走的路也越长。",
    ),
    (
        "hidden_act",
        "As a rule, ReLU or GELU in hidden layers, tanh in recurrent ones, sigmoid or softmax at the output. The slope of sigmoid is \
         0.25 at most, so that gradients shrink from layer to layer (Glorot and Bengio 2010). GELU (Hendrycks and Gimpel 2016) is \
         used by GPT-2 and BERT.",
        "惯例：隐藏层用 ReLU 或 GELU，循环网络用 tanh，输出用 sigmoid 或 softmax。sigmoid 的斜率最大只有 0.25，\
         梯度会逐层变小（Glorot 和 Bengio，2010）。GPT-2 和 BERT 用的是 GELU（Hendrycks 和 Gimpel，2016）。",
    ),
    (
        "hidden_dropout_prob",
        "Dropout sets random units to 0 in training, so that none relies on another (Srivastava et al. 2014). It slows learning: with \
         much data or a short run it only has a cost. BERT was pretrained with 0.1.",
        "dropout 在训练时随机把一些单元置零，使它们不互相依赖（Srivastava 等，2014）。它会减慢学习：数据多或训练短时只有代价。\
         BERT 预训练时取 0.1。",
    ),
    (
        "patch_size",
        "ViT cuts an image into patches and reads each as a token (Dosovitskiy et al. 2021); PatchTST does so with series (Nie et al. \
         2023). Halving the side of an image patch gives four times the tokens, and attention costs the square of their number.",
        "ViT 把图像切成小块，每块作为一个 token（Dosovitskiy 等，2021）；PatchTST 对时间序列也是如此（Nie 等，2023）。边长减半，\
         token 数变为四倍，而注意力的代价随其平方增长。",
    ),
    (
        "classifier_pooling",
        "BERT's classifier reads the [CLS] token. Sentence-BERT (Reimers and Gurevych 2019) compared poolings and found mean best: \
         80.8 against 79.8 with cls. A model that was trained with one gives poor vectors with the other, so its modules.json decides \
         if it has one.",
        "BERT 的分类器读取 cls。Sentence-BERT（Reimers 和 Gurevych，2019）比较后发现平均最好：80.8，而 cls 为 79.8。\
         用一种池化训练的模型换成另一种，向量会变差，因此模型带有 modules.json 时以它为准。",
    ),
    (
        "classifier_hidden_size",
        "On a good representation one linear layer is often enough: that is what the linear probe measures. Tuning changes the \
         representation itself, so that a hidden layer adds little; BERT (Devlin et al. 2019) is tuned with one linear layer on the \
         pooled token. It helps if the base is frozen.",
        "表示足够好时，一个线性层往往就够了，线性探针测的正是这一点。微调会改变表示本身，隐藏层帮助不大；BERT（Devlin 等，2019）\
         微调时只在池化向量上加一个线性层。基座冻结时它才有用。",
    ),
    (
        "classifier_activation",
        "Two linear layers without an activation between them are one. BERT and RoBERTa have tanh there, which bounds the numbers; \
         ReLU and GELU do not flatten large ones. The difference is mostly below that of seeds: run three before you choose by score.",
        "两个线性层之间没有激活函数就等于一层。BERT 和 RoBERTa 用 tanh，它限制数值范围；ReLU 和 GELU 不会压平较大的数值。\
         差别通常小于随机种子造成的波动：按得分选择之前先跑三个种子。",
    ),
    (
        "classifier_dropout",
        "A head of thousands of weights can memorize a few hundred rows; dropout hides a random part of the vector in each step \
         (Srivastava et al. 2014). BERT has 0.1 before its classifier. More rows help more.",
        "几百条样本会被几千个权重的输出头死记；dropout 每步随机遮住向量的一部分（Srivastava 等，2014）。BERT 在分类器前取 0.1。\
         数据多才是更好的防线。",
    ),
    (
        "head_init",
        "A random head sends random gradients into pretrained layers and distorts them. Kumar et al. (2022) trained the head first \
         and then everything: on average 1% better than full fine-tuning in distribution and 10% better out of distribution. The \
         probe is one of the baselines anyway.",
        "随机的输出头会把随机梯度传入预训练层并破坏特征。Kumar 等（2022）先训练头再训练全部：与直接全参数微调相比，\
         同分布数据平均高 1%，分布外数据高 10%。线性探针本来就是基线之一。",
    ),
    (
        "problem_type",
        "Whole numbers can be names of classes or quantities, and the data do not say which. As classes, to take a 5 for a 1 is no \
         worse than for a 4; as quantities it is sixteen times as bad by the squared error. The values are those of transformers' \
         configuration.",
        "整数既可能是类别，也可能是数量，数据本身说明不了。作为类别，把 5 判成 1 与判成 4 一样错；作为数量，\
         前者的平方误差是后者的十六倍。取值与 transformers 的配置相同。",
    ),
    (
        "scale_targets",
        "Gradients of the squared error grow with the numbers: prices in thousands make the first steps huge. With mean 0 and \
         deviation 1 the usual learning rates fit (the reasoning of LeCun et al. 1998 on inputs). Scores are reported in the original \
         units.",
        "平方误差的梯度随数值增大：以千计的价格会让最初几步过大。标准化为均值 0、标准差 1 之后，\
         常用的学习率才适用（LeCun 等 1998 年对输入的论证）。得分仍以原来的单位给出。",
    ),
    (
        "scale_inputs",
        "Inputs of similar size are learnt at similar speed (LeCun et al. 1998, Efficient BackProp). A row of a series keeps its \
         shape and loses its level, as in most of the UCR archive. Mean and deviation come from training rows only: those of all rows \
         would leak the validation rows.",
        "各输入的大小相近，学习速度才相近（LeCun 等，1998）。序列按行标准化时保留形状、去掉水平，与 UCR 多数数据集的做法一致。\
         均值和标准差只取自训练数据，否则会泄漏验证数据。",
    ),
    (
        "encoding",
        "The same bytes are other letters in another encoding, and most wrong readings raise no error: the model learns garbled \
         words. Few texts that are not UTF-8 happen to be valid UTF-8, so it is recognised safely; between the others bytes leave \
         room for doubt. Names are those of Python's codecs.",
        "同样的字节在不同编码下是不同的字，多数误读不会报错，模型会学到乱码。其他编码的文本很少恰好是合法的 UTF-8，\
         因此 UTF-8 的判断很可靠；其余编码之间仅凭字节难以确定。名称与 Python 的编解码器相同。",
    ),
    (
        "drop_rows",
        "Without duplicates language models wrote memorised text ten times less often and needed fewer steps (Lee et al. 2022). A row \
         in both splits is scored from memory, so the score is too good. Northcutt et al. (2021) found 3.3% wrong labels on average \
         in the test sets of ten well-known benchmarks.",
        "去重后，语言模型输出背诵文本的频率降为十分之一，所需步数也更少（Lee 等，2022）。\
         同时出现在训练集和验证集的样本靠记忆就能答对，得分虚高。Northcutt 等（2021）\
         在十个常用基准的测试集中平均发现 3.3% 的错误标签。",
    ),
    (
        "mask_personal",
        "Language models can repeat rare texts of their training data verbatim, such as phone numbers (Carlini et al. 2021), more so \
         if a text occurs often (Carlini et al. 2023). A placeholder keeps the shape of the sentence. Patterns find data of a fixed \
         form, but not names: read some rows yourself.",
        "语言模型会逐字写出训练数据中的罕见文本，包括电话号码（Carlini 等，2021），同一文本出现越多越容易被背出（Carlini 等，2023）。\
         占位符保留句子的形式，去掉隐私内容。规则只能识别格式固定的信息，识别不了姓名，请自行抽查几条。",
    ),
    (
        "header",
        "Without a row of names, the first row would be read as names and be missing from the data. Detection is a guess: names are \
         short texts that do not repeat below. Check the first row of the preview.",
        "没有表头时，若把第一行当作列名，这条数据就丢失了。自动判断只是猜测：列名通常是较短且不再重复出现的文本。请在预览中核对第一行。",
    ),
    (
        "sheet",
        "A workbook is read as one table: a run has one set of rows with the same columns. Sheets that belong together are joined in the \
         spreadsheet, or one is trained on and another is given as validation data under the same name.",
        "每次训练只读取一个工作表，因为所有数据须有相同的列。需要合并多个工作表时，请先在电子表格程序中合并。",
    ),
    (
        "prompt_columns",
        "Columns are found by whole words of their names, as in Alpaca's and OpenAI's files. Other names are not guessed: a wrong \
         guess would train on the wrong column without an error (Unsloth Studio had that in 2026 with a column called context).",
        "程序按列名中的完整单词识别列（如 Alpaca、OpenAI 的格式），其他列名不会猜测：猜错时不会报错，\
         却会在错误的列上训练（Unsloth Studio 2026 年曾把名为 context 的列认错）。",
    ),
    (
        "completion_column",
        "Only the answer is trained on (completion_only_loss), so this column decides what the model will write. Plain text to \
         continue needs no prompt: all of it is trained on.",
        "只有回答参与训练（completion_only_loss），因此这一列决定模型学会写什么。单纯续写的文本不需要提示列，此时全部内容都参与训练。",
    ),
    (
        "system_column",
        "A chat template puts the system prompt before everything else. Some templates have a default if there is none; use the model \
         later with the prompt that it was trained with.",
        "对话模板会把系统提示词放在最前面；没有提供时，部分模板会使用自带的默认值。之后提问时，请使用与训练时相同的系统提示词。",
    ),
    (
        "text_columns",
        "The model sees these columns and nothing else. One that gives the answer away, such as a number that goes with the label, is \
         learnt instead of the text: leakage (Kaufman et al. 2012). Two columns are read as a pair, as BERT was pretrained (Devlin et \
         al. 2019).",
        "模型只能看到这些列。若某一列泄露了答案（例如与标签对应的编号），模型会学它而不是学文本，即数据泄漏（Kaufman 等，2012）。\
         两列按句对读取，与 BERT 的预训练一致（Devlin 等，2019）。",
    ),
    (
        "label_columns",
        "The model learns these labels, errors included: networks first learn the rule and then memorize the exceptions (Arpit et al. \
         2017). Columns of 0 and 1 are independent questions, each with a binary cross-entropy; columns of numbers are learnt \
         together.",
        "学到的就是这里的内容，错误也不例外：网络先学规律，再死记例外（Arpit 等，2017）。多个 0/1 列是相互独立的判断，\
         各有一个二元交叉熵；多个数值列则一起学习。",
    ),
    (
        "forecast_window",
        "The window has to hold what repeats: with 12 months a model sees the same month of last year. A random split would show it \
         the future, so the end is held out (Hyndman and Athanasopoulos, Forecasting, 3rd edition, chapter 5). The baseline is the last \
         value, which is hard to beat on a random walk.",
        "窗口应包含重复的周期：12 个月的窗口能看到去年同月。随机划分会让模型看到未来，\
         因此留出的是末尾（Hyndman 和 Athanasopoulos《预测：方法与实践》第 3 版第 5 章）。基线是上一个值，在随机游走上很难超过。",
    ),
    (
        "val_size",
        "The validation score is an estimate: an accuracy of 0.9 on 100 rows has a 95% interval of about ±0.06, from 1.96 · √(p(1 − \
         p) / n). With few rows, which of several runs is best is a matter of luck. Cross-validation uses small data better, at the \
         cost of several runs (Kohavi 1995).",
        "验证得分只是估计：100 条上 0.9 的准确率，95% 置信区间约为 ±0.06，即 1.96 · √(p(1 − p) / n)。样本太少时，\
         多次训练中谁最好全凭运气。数据少时交叉验证更有效，代价是多次训练（Kohavi，1995）。",
    ),
    (
        "max_samples",
        "Mistakes in data and settings show in the first hundred rows. A score on half of the rows and one on all of them tell \
         whether more data would help; loss falls about as a power of the amount of data (Hestness et al. 2017, Kaplan et al. 2020).",
        "数据和设置的错误在前一百条就会显现。分别用一半和全部数据训练，就能看出增加数据是否有用；\
         损失大致随数据量按幂律下降（Hestness 等，2017；Kaplan 等，2020）。",
    ),
    (
        "cutoff_len",
        "Activations grow with the length, and attention's work with its square. What is cut off is not learnt: an answer at the end \
         is lost first, and a row without a trained token is refused. LLaMA-Factory's default is 2048, TRL's 1024; your longest row \
         decides.",
        "激活随长度增长，注意力的计算量随长度平方增长。截掉的内容学不到：答案若在末尾就会被截掉，没有可训练 token 的样本会被拒绝。\
         LLaMA-Factory 默认 2048，TRL 默认 1024；应以最长样本为准。",
    ),
    (
        "packing",
        "Padding is computed and thrown away. In BERT's pretraining up to half of the tokens are padding, and packing made it twice \
         as fast at the same quality (Krell et al. 2021). It holds only if attention and positions do not cross from one example into \
         the next, as here.",
        "填充部分计算后就被丢弃。BERT 预训练中最多有一半 token 是填充，拼接后速度快一倍而质量不变（Krell 等，2021）。\
         前提是注意力和位置不跨越样本，这里即是如此。",
    ),
    (
        "completion_only_loss",
        "The prompt is given when the model is used, so that a loss on it teaches what is not asked for; QLoRA (Dettmers et al. 2023) \
         scored better with answers only. Shi et al. (2024) found that a loss on prompts helps where examples are few or answers \
         short. So try both there.",
        "使用时提示是给定的，对它计算损失学的是用不到的东西；QLoRA（Dettmers 等，2023）只训练回答时得分更高。Shi 等（2024）\
         发现样本少或回答很短时，对提示计算损失反而有帮助，这种情况可两种都试。",
    ),
    (
        "enable_thinking",
        "Templates such as Qwen3's write an empty thinking block where it is false. A model that is trained on one form and asked in the \
         other sees a prompt that it was not trained on; transformers passes the value on to the template as it is. Answers \
         without thoughts, trained with the block open, teach the model to leave thinking out.",
        "Qwen3 等模板在取 false 时会写入一个空的思考块。如果训练和提问时的取值不同，模型看到的提示就与训练时不一致；transformers 会把该值原样传给模板。\
         若回答不含思考过程而思考块是打开的，模型就会学会不思考。",
    ),
    (
        "data_seed",
        "The order of the rows moves the score about as much as new weights do: Dodge et al. (2020) tuned BERT hundreds of times and \
         saw both decide about points of accuracy. To compare two settings, change nothing else: the same split, the same order.",
        "样本顺序对得分的影响与初始权重相当：Dodge 等（2020）把 BERT 微调了数百次，两者都会造成几个百分点的差别。\
         比较两种设置时其他都不要变：相同的划分、相同的顺序。",
    ),
    (
        "finetuning_type",
        "LoRA on all layers matches full fine-tuning on instruction data ('LoRA Without Regret', Schulman et al. 2025), at two thirds \
         of the work of a step. Full fine-tuning holds a gradient and two averages for every weight. It learns more from large data, \
         and forgets more (Biderman et al. 2024).",
        "在指令数据的规模上，所有层加 LoRA 与全参数微调相当（Schulman 等，2025），每步计算量约为三分之二。\
         全参数微调要为每个权重保存梯度和两个统计量；数据很多时学得更多，遗忘也更多（Biderman 等，2024）。",
    ),
    (
        "lora_r",
        "With adapters on all layers more rank adds little: torchtune, Llama2-7B on truthfulqa, has 0.508 at r 8 and 0.514 at r 64 (q \
         and v alone: 0.475 and 0.504); PEFT's MetaMathQA benchmark (3B, q and v) 47.8% at r 32, 47.4% at r 64. Unsloth's guide takes \
         16 to 32, LLaMA-Factory 8, TRL's page on 'LoRA Without Regret' 256.",
        "各层都加适配器时，提高秩帮助很小：torchtune（Llama2-7B，truthfulqa）r=8 为 0.508，r=64 为 0.514（仅 q、\
         v 为 0.475 和 0.504）；PEFT 的 MetaMathQA 基准 r=32 为 47.8%，r=64 为 47.4%。Unsloth 取 16 到 32，LLaMA-Factory 取 8。",
    ),
    (
        "lora_alpha",
        "The adapter's change is multiplied by alpha / r, so that alpha acts much like the learning rate. Sources disagree: \
         LLaMA-Factory takes 2r, Unsloth r or 2r, QLoRA's paper 16 at r 64, TRL's page on 'LoRA Without Regret' 16 at r 256. Keep one \
         rule and tune learning_rate.",
        "适配器的改动要乘以 alpha / r，因此 alpha 的作用与学习率相近。各方取值不同：LLaMA-Factory 取 2r，Unsloth 取 r 或 2r，\
         QLoRA 论文在 r=64 时取 16，TRL 关于 LoRA Without Regret 的页面在 r=256 时取 16。固定一种取法，调 learning_rate 即可。",
    ),
    (
        "lora_dropout",
        "Sources disagree: 0 for Unsloth, whose fast path needs it, 0.05 in many recipes, 0.1 for 7B in QLoRA's paper (Dettmers et \
         al. 2023). It reduces memorizing of small data, which takes several epochs to happen. Look at the gap between training and \
         validation loss first.",
        "各方取值不同：Unsloth 取 0（其加速路径要求），许多方案取 0.05，QLoRA 论文（Dettmers 等，2023）7B 模型取 0.1。\
         它防止死记小数据，而这要好几轮才会发生。请先看两条损失曲线的差距。",
    ),
    (
        "target_modules",
        "Adapters on attention alone do worse even at a higher rank (TRL's page on 'LoRA Without Regret'). torchtune, Llama2-7B on \
         truthfulqa: q and v 0.475 at r 8 and 0.504 at r 64; all layers 0.508 at r 8. PEFT's default is q and v in most models, as in \
         LoRA's paper (Hu et al. 2021).",
        "只在注意力层加适配器，即使提高秩也更差（TRL 关于 LoRA Without Regret 的页面）。\
         torchtune 用 Llama2-7B 在 truthfulqa 上测得：q、v 在 r=8 为 0.475，r=64 为 0.504；全部层 r=8 为 0.508。\
         PEFT 对多数模型默认只选 q、v，与 LoRA 论文一致（Hu 等，2021）。",
    ),
    (
        "exclude_modules",
        "All linear layers are the measured default, so leaving one out needs a reason: its size, or a program that cannot load an \
         adapter there. The field is that of PEFT's LoraConfig. all-linear never includes lm_head, as in PEFT.",
        "为所有线性层加适配器是经过实测的默认做法，排除某一层需要理由：它太大，或目标程序无法加载它的适配器。\
         该字段与 PEFT 的 LoraConfig 相同。与 PEFT 一样，all-linear 本来就不含 lm_head。",
    ),
    (
        "layers_to_transform",
        "Gradients pass through every layer above the lowest adapter: leaving out lower layers saves their backward pass, leaving out \
         upper ones saves little. In image networks lower layers are general and upper ones specific to the task (Yosinski et al. \
         2014). The field is that of PEFT's LoraConfig.",
        "梯度要经过最低的适配器以上的每一层：去掉低层可省去它们的反向传播，去掉高层省得很少。在图像网络中，低层的特征通用，\
         高层的特征与任务有关（Yosinski 等，2014）。该字段与 PEFT 的 LoraConfig 相同。",
    ),
    (
        "rank_pattern",
        "AdaLoRA (Zhang et al. 2023) gives more rank to modules that matter more, and reports small gains. torchtune's truthfulqa \
         moves only from 0.508 to 0.514 when every rank grows from 8 to 64. The field is that of PEFT's LoraConfig.",
        "AdaLoRA（Zhang 等，2023）给更重要的模块更高的秩，报告略有提升。torchtune 在 truthfulqa 上把所有秩从 8 提到 64，\
         只从 0.508 升到 0.514。该字段与 PEFT 的 LoraConfig 相同。",
    ),
    (
        "alpha_pattern",
        "A module's change is scaled by its alpha divided by its rank: another rank with the same alpha changes that scale silently. \
         The field is that of PEFT's LoraConfig; most runs need neither pattern.",
        "模块的改动按 alpha 除以秩缩放：只改秩而不改 alpha，缩放会悄悄改变。该字段与 PEFT 的 LoraConfig 相同；\
         多数训练两者都不需要。",
    ),
    (
        "use_rslora",
        "With alpha / r the change shrinks as r grows, so that high ranks learn no more than low ones; with alpha / √r it does not \
         (Kalajdzievski 2023). PEFT's MetaMathQA benchmark at r 64: 51.3% with it (scale 8), 47.4% without (scale 2), and more \
         forgotten. At r 8 it is a step 2.8 times as large.",
        "用 alpha / r 时，秩越大改动越小，高秩并不比低秩学得多；用 alpha / √r 则不会（Kalajdzievski，2023）。\
         PEFT 的 MetaMathQA 基准 r=64：开启为 51.3%（缩放 8），关闭为 47.4%（缩放 2），但遗忘更多。r=8 时相当于步长放大 2.8 倍。",
    ),
    (
        "use_dora",
        "DoRA (Liu et al. 2024) splits a weight into length and direction, and reports 1 to 4 points over LoRA on commonsense tasks. \
         PEFT's MetaMathQA benchmark has 46.9% against LoRA's 47.8% at r 32, for 26% more time. With the rate tuned for each, \
         variants end within 1 to 2% of LoRA (Lee et al. 2026, arXiv 2602.04998).",
        "DoRA（Liu 等，2024）把权重分解为长度和方向，报告在常识任务上比 LoRA 高 1 到 4 个百分点。\
         PEFT 的 MetaMathQA 基准 r=32 则为 46.9%，LoRA 为 47.8%，且耗时多 26%。各自调好学习率后，\
         变体与 LoRA 相差 1% 到 2% 以内（Lee 等，2026，arXiv 2602.04998）。",
    ),
    (
        "loraplus_lr_ratio",
        "B starts at 0 and A at random values, and one rate for both is not efficient in wide models: LoRA+ (Hayou et al. 2024) \
         reports 1 to 2% better scores and up to twice the speed with a larger rate for B. A larger rate for all can look the same: \
         compare with learning_rate tuned.",
        "B 从 0 开始，A 从随机值开始，宽模型中两者共用一个学习率效率不高：LoRA+（Hayou 等，2024）给 B 更大的学习率，\
         报告得分高 1% 到 2%，速度最多快一倍。整体提高学习率也可能有类似效果：请与调好 learning_rate 的结果比较。",
    ),
    (
        "loraplus_lr_embedding",
        "A step touches only the embeddings of tokens that occur in it, and rare ones get few and noisy gradients. 1e-6 is the value \
         of LoRA+'s own code (Hayou et al. 2024) and of PEFT.",
        "每一步只更新出现过的 token 的词嵌入，罕见 token 的梯度少而且噪声大。1e-6 是 LoRA+ 官方代码（Hayou 等，2024）和 PEFT 的取值。",
    ),
    (
        "modules_to_save",
        "A new head has nothing pretrained to adapt, which is why PEFT trains it in full and saves it with the adapter. The same goes \
         for rows of new tokens in embed_tokens and lm_head. Each weight here takes a gradient and two averages, and is stored in \
         full in the adapter's file.",
        "新的输出头没有预训练权重可供适配，因此 PEFT 完整训练并随适配器保存。embed_tokens 和 lm_head 中新增 token 的行也是如此。\
         这里的每个权重都需要梯度和两个统计量，并完整写入适配器文件。",
    ),
    (
        "trainable_token_indices",
        "A new special token has a row of the embedding that means nothing yet. Training those rows alone is the cheapest way in \
         PEFT's documentation: beside LoRA they cost the width of the model a token, where `modules_to_save` trains and stores the \
         whole table. A tied output matrix follows its rows.",
        "新增的特殊 token 在词嵌入中的那一行还没有含义。PEFT 文档中最省参数的做法是只训练这些行：与 LoRA 一起使用时，\
         每个 token 只增加一行参数，而 `modules_to_save` 会训练并保存整张表。与词嵌入共享的输出矩阵会随之更新。",
    ),
    (
        "per_device_train_batch_size",
        "A larger batch has less gradient noise, and stops paying once noise is not the limit (McCandlish et al. 2018). LoRA can lose \
         more from large batches than full fine-tuning (Schulman et al. 2025): below 32, says TRL's page on it; Lee and Lee (2026, \
         arXiv 2602.09492) tune it for each task. Contrastive losses gain from large ones.",
        "批越大梯度噪声越小，但噪声不再是瓶颈后就没有收益（McCandlish 等，2018）。LoRA 可能比全参数微调更怕大批次（Schulman 等，\
         2025）：TRL 的页面建议有效批大小小于 32；Lee 和 Lee（2026，arXiv 2602.09492）则按任务调整。对比学习需要大批次，\
         因为其他样本都是负样本。",
    ),
    (
        "per_device_eval_batch_size",
        "No gradients are kept, so that a row takes a fraction of the memory that it takes in training. The score is taken over all \
         rows and does not depend on this, but for rounding. transformers' TrainingArguments have 8, too.",
        "评估不保存梯度，每条样本占用的显存只有训练时的一小部分。得分对所有样本计算，除舍入误差外与此无关。\
         transformers 的 TrainingArguments 默认也是 8。",
    ),
    (
        "gradient_accumulation_steps",
        "It equals the large batch only if the loss is divided by all target tokens of the accumulated batch; transformers and \
         Unsloth got that wrong until October 2024, and do it now, as this program does. It costs no memory, and as much time as the \
         rows take.",
        "只有把损失除以累积批次中全部目标 token 数，才与大批次等价；transformers 和 Unsloth 直到 2024 年 10 月才修正，\
         本程序也是这样计算。它不占显存，时间与样本数成正比。",
    ),
    (
        "gradient_checkpointing",
        "Only the inputs of layers are kept, and each layer is computed again in the backward pass (Chen et al. 2016): activations of \
         one layer in place of all of them, for one more forward pass. That is 2N more operations a token on LoRA's 4N, with the same \
         result.",
        "只保留各层的输入，反向传播时重新计算每一层（Chen 等，2016）：激活从所有层降到一层，代价是多一次前向计算。\
         LoRA 每个 token 约 4N 次运算，会多出 2N，结果相同。",
    ),
    (
        "learning_rate",
        "Best for LoRA is about 10 times the rate of full fine-tuning, about 15 times in very short runs, nearly independent of the \
         rank ('LoRA Without Regret', Schulman et al. 2025). Unsloth's guide and QLoRA's paper take 2e-4, BERT about 2e-5 for all \
         weights, mlx-lm 1e-5 with a large scale. No other setting matters as much: search for it.",
        "LoRA 的最佳学习率约为全参数微调的 10 倍，极短的训练约 15 倍，几乎与秩无关（Schulman 等，2025）。\
         Unsloth 指南和 QLoRA 论文取 2e-4，BERT 全参数微调约 2e-5，mlx-lm 用 1e-5 配很大的缩放。它的影响最大，值得搜索。",
    ),
    (
        "num_train_epochs",
        "transformers and Stanford Alpaca take 3, large instruction data 1; LIMA (Zhou et al. 2023) took 15 on 1,000 examples and \
         chose a checkpoint by reading. After the first pass the training loss falls in any case: only the validation loss tells. \
         More passes waste compute, fewer stop short.",
        "transformers 和 Stanford Alpaca 取 3，大规模指令数据取 1；LIMA（Zhou 等，2023）在 1,000 条上训练 15 轮，\
         靠人工阅读挑选检查点。第一轮之后训练损失总会下降，只有验证损失能说明问题。轮数多浪费算力，少则训练不足。",
    ),
    (
        "max_steps",
        "A trial run shows whether data, rate and memory work, at a hundredth of the cost. The best rate of a very short run is \
         higher, about 15 times that of full fine-tuning instead of 10 ('LoRA Without Regret', Schulman et al. 2025): do not use it \
         for a long one.",
        "短时间试跑就能看出数据、学习率和显存是否合适，代价只有百分之一。极短的训练最佳学习率更高，\
         约为全参数微调的 15 倍而不是 10 倍（Schulman 等，2025）：不要直接用于长训练。",
    ),
    (
        "loss",
        "Cross-entropy is the likelihood of the labels, and right for nearly all classes. Focal loss (Lin et al. 2017) down-weights \
         rows that are already right; it was designed for detection, where objects are rare, and makes probabilities less confident. \
         MSE counts an outlier by its square, MAE and Huber do not.",
        "交叉熵就是标签的似然，几乎适用于所有分类。focal loss（Lin 等，2017）降低已答对样本的权重，为目标极其稀少的检测任务而设计，\
         会使概率偏保守。MSE 按平方计入离群值，MAE 和 Huber 则不会。",
    ),
    (
        "optim",
        "AdamW (Loshchilov and Hutter 2019) keeps two averages a trained weight, 8 bytes. Stored in 8 bits by blocks they gave the \
         same results on the benchmarks of Dettmers et al. (2022), in 2 bytes. LoRA trains about 1% of the weights, so there is \
         little to save.",
        "AdamW（Loshchilov 和 Hutter，2019）为每个可训练权重保存两个统计量，共 8 字节。Dettmers 等（2022）按块存为 8 位，只需 2 字节，\
         基准结果相同。LoRA 只训练约 1% 的权重，省不了多少。",
    ),
    (
        "weight_decay",
        "It shrinks each weight by rate × decay a step, whatever the gradient is (Loshchilov and Hutter 2019). transformers has 0, \
         BERT's pretraining 0.01. An adapter of zeros is the base model, so decay keeps the change small; fewer epochs help more \
         against overfitting.",
        "每一步把权重缩小 学习率 × 衰减，与梯度无关（Loshchilov 和 Hutter，2019）。transformers 默认 0，BERT 预训练用 0.01。\
         适配器为 0 就是基座模型，因此它使改动保持较小；减少轮数对过拟合更有效。",
    ),
    (
        "adam_beta1",
        "Kingma and Ba (2015) chose 0.9, an average of about ten gradients: less follows the noise, more reacts late. transformers, \
         LLaMA-Factory and Unsloth leave it there. The learning rate moves results far more.",
        "Kingma 和 Ba（2015）取 0.9，约为最近十个梯度的平均：更小会跟随噪声，更大则反应迟缓。transformers、\
         LLaMA-Factory 和 Unsloth 都保持此值。学习率的影响大得多。",
    ),
    (
        "adam_beta2",
        "0.999 averages squares over about 1,000 steps, longer than many a fine-tuning; Adam corrects for the start (Kingma and Ba \
         2015). GPT-3 and Llama were pretrained with 0.95, which gets over a spike sooner. In fine-tuning the default holds.",
        "0.999 约为 1,000 步的平方平均，比许多微调还长；Adam 会对起始阶段做修正（Kingma 和 Ba，2015）。GPT-3 和 Llama 预训练取 0.95，\
         能更快从尖峰中恢复。微调时默认值即可。",
    ),
    (
        "adam_epsilon",
        "It keeps a step finite where the average of squares is nearly 0. Mosbach et al. (2021) traced failed runs of BERT to \
         vanishing gradients, and cured them with small rates, bias correction and more steps, not with epsilon.",
        "它使平方平均接近 0 时步长仍然有限。Mosbach 等（2021）发现 BERT 微调失败源于梯度消失，解决办法是较小的学习率、\
         偏差修正和更多步数，而不是 epsilon。",
    ),
    (
        "max_grad_norm",
        "Clipping keeps one bad batch from moving the weights far (Pascanu et al. 2013). AdamW divides by the gradient's size anyway, \
         so that it matters at spikes. transformers has 1.0, QLoRA's paper 0.3.",
        "裁剪可防止某个异常批次把权重推得太远（Pascanu 等，2013）。AdamW 本来就会除以梯度大小，因此它只在出现尖峰时起作用。\
         transformers 取 1.0，QLoRA 论文取 0.3。",
    ),
    (
        "divergence",
        "A rate that is too high shows within tens of steps: the loss stays above where it began. PaLM (Chowdhery et al. 2022) met \
         about twenty spikes, went back about 100 steps each time and skipped 200 to 500 batches. warn offers you an earlier \
         checkpoint with a lower rate.",
        "学习率过大在几十步内就会显现：损失停留在起始值之上。PaLM（Chowdhery 等，2022）遇到约二十次尖峰，\
         每次都退回约 100 步前的检查点，并跳过 200 到 500 个批次。warn 会提供退回检查点并降低学习率的办法。",
    ),
    (
        "seed",
        "Seeds alone move BERT's score on small data by points: Dodge et al. (2020) tuned it hundreds of times to see that. A gain \
         smaller than the spread of three seeds is not a gain. On one device the same seed repeats a run exactly.",
        "仅改变随机种子，BERT 在小数据上的得分就会相差几个百分点：Dodge 等（2020）为此微调了数百次。\
         小于三个种子波动范围的提升不算提升。在同一设备上，相同种子可精确复现训练。",
    ),
    (
        "lr_scheduler_type",
        "A fall to nearly 0 averages out the noise of the last steps. transformers has linear, LLaMA-Factory's examples and torchtune \
         cosine (Loshchilov and Hutter 2017); QLoRA's code has constant as 'a bit better than cosine', and Defazio et al. (2023) \
         found linear as good or better in most tests.",
        "末尾降到接近 0 可减小最后几步的噪声。transformers 默认 linear，\
         LLaMA-Factory 的示例和 torchtune 用 cosine（Loshchilov 和 Hutter，2017）；QLoRA 的代码用 constant，称略好于 cosine；\
         Defazio 等（2023）在多数测试中 linear 不逊于 cosine。",
    ),
    (
        "warmup_ratio",
        "Adam's averages rest on few gradients at first, so that its first steps vary widely (Liu et al. 2020). QLoRA's paper has \
         0.03, LLaMA-Factory's example 0.1, transformers none. In a run of 20 steps 0.1 is two of them: enough.",
        "Adam 的统计量起初只来自很少的梯度，最初几步波动很大（Liu 等，2020）。QLoRA 论文取 0.03，LLaMA-Factory 示例取 0.1，\
         transformers 默认没有预热。20 步的训练取 0.1 即两步，足够了。",
    ),
    (
        "warmup_steps",
        "A fixed number is a large share of a short run: microsoft/LoRA has 500 for GPT-2 on E2E, as many as all the steps of many \
         fine-tunings. Above 0 it overrides warmup_ratio, as in transformers.",
        "固定步数在短训练中占比很大：microsoft/LoRA 在 E2E 上训练 GPT-2 用 500 步，相当于许多微调的全部步数。与 transformers 一样，\
         大于 0 时取代 warmup_ratio。",
    ),
    (
        "num_cycles",
        "Warm restarts (Loshchilov and Hutter 2017) were made for long training of image classifiers: each fall of the rate ends in a \
         model that can be used. A fine-tuning of some hundred steps is too short for a second one.",
        "热重启（Loshchilov 和 Hutter，2017）是为长时间训练图像分类器设计的：每次下降结束时都得到一个可用的模型。\
         几百步的微调没有时间进行第二次。",
    ),
    (
        "power",
        "The rate falls as (1 − progress) to this power, from its peak to lr_end, as in transformers. A higher power spends fewer \
         steps at high rates, much like a lower peak: tune learning_rate first.",
        "学习率按 (1 − 进度) 的此次幂从峰值降到 lr_end，与 transformers 相同。幂次越高，停留在高学习率的步数越少，与降低峰值相似：\
         请先调 learning_rate。",
    ),
    (
        "lr_end",
        "A rate of exactly 0 wastes the last steps, a high one leaves the weights swinging. transformers' polynomial schedule ends at \
         1e-7; below a hundredth of the peak there is no visible difference.",
        "恰好为 0 会浪费最后几步，太高则权重仍在振荡。transformers 的 polynomial 曲线末值为 1e-7；低于峰值的百分之一就看不出差别。",
    ),
    (
        "logging_strategy",
        "The first losses are the most informative. A new classifier of C classes should begin near ln C, and a pretrained model far \
         below the loss of a random one (Karpathy, A Recipe for Training Neural Networks, 2019). A loss that does not fall within \
         tens of steps needs another rate or other data.",
        "最初的损失信息量最大。C 类的新分类器应从 ln C 附近开始，预训练模型则应远低于随机模型（Karpathy，2019，神经网络训练指南）。\
         几十步内不下降，就应换学习率或检查数据。",
    ),
    (
        "logging_steps",
        "The loss of one step is that of one batch, and noisy: smooth it in the chart rather than look at it less often. transformers \
         logs every 500 steps, which is after the end of many fine-tunings.",
        "单步损失只来自一个批次，噪声很大：请在图中平滑，而不是减少记录。transformers 默认每 500 步记录一次，许多微调那时已经结束。",
    ),
    (
        "eval_strategy",
        "The training loss falls in any case; only held-out rows show whether the model generalizes. A score that gets worse once is \
         no reason to stop yet (Prechelt 1998).",
        "训练损失总会下降，只有留出的样本才能说明是否真正学会。何时据此停止早有研究：一次变差还不足以停止（Prechelt，1998）。",
    ),
    (
        "eval_steps",
        "With ten scores the best step is known to a tenth of the run. Each costs a forward pass over the held-out rows, a third of \
         what training on them would. The best of many scores on few rows is too optimistic (Prechelt 1998).",
        "评估十次，最佳步数就精确到全程的十分之一。每次评估要对留出样本做一次前向计算，约为训练它们的三分之一。样本少而评估次数多时，\
         其中最好的得分会偏乐观（Prechelt，1998）。",
    ),
    (
        "predict_with_generate",
        "The loss asks for each next token after the right text; writing shows what comes after the model's own mistakes (Bengio et \
         al. 2015). ROUGE-L (Lin 2004) compares words and chrF (Popović 2015) letters: low for a good answer in other words.",
        "损失是在正确上文之后预测下一个 token；生成才能看出模型犯错之后会怎样（Bengio 等，2015）。ROUGE-L（Lin，2004）比较词，\
         chrF（Popović，2015）比较字符：换一种说法的好答案得分也会低。",
    ),
    (
        "max_predict_samples",
        "Reading thirty answers finds what no score shows. For a score they are few: a share of one half of 32 has a 95% interval of \
         ±0.17, from 1.96 · √(p(1 − p) / n). After the run `lorakeet predict` takes all rows.",
        "阅读三十条回答能发现得分看不出的问题。作为得分则太少：32 条中占一半，95% 置信区间为 ±0.17，即 1.96 · √(p(1 − p) / n)。\
         训练后可用 `lorakeet predict` 评估全部数据。",
    ),
    (
        "max_new_tokens",
        "Each token costs one pass. An answer that is cut has a worse ROUGE-L than it deserves; one that always runs to the limit \
         comes from a model that has not learnt to stop: check whether the preview trains on the end token. The name is that of \
         transformers' GenerationConfig.",
        "每个 token 要一次前向计算。被截断的回答 ROUGE-L 会偏低；若总是达到上限，说明模型没有学会结束：\
         请在预览中查看结束符是否参与训练。名称与 transformers 的 GenerationConfig 相同。",
    ),
    (
        "metric_for_best_model",
        "If one class has 95% of the rows, always predicting it has an accuracy of 0.95. Macro F1 counts every class alike; MCC is \
         high only if all cells of the confusion matrix are good (Chicco and Jurman 2020). Choose it before you look at the results.",
        "某一类占 95% 时，永远回答它就有 0.95 的准确率。宏平均 F1 对各类一视同仁；MCC 只有混淆矩阵各项都好时才高（Chicco 和 Jurman，\
         2020）。请在看结果之前选定。",
    ),
    (
        "load_best_model_at_end",
        "Some trainers compute the validation loss and do not use it: the file then holds the last model, not the best, as mlx-lm's \
         users reported in 2026. The best of many scores on few rows is slightly optimistic, so the final test should be on other \
         rows (Prechelt 1998).",
        "许多训练程序计算了验证损失却不使用：文件里是最后的模型，而不是最好的（mlx-lm 用户在 2026 年指出）。\
         样本少而评估多时最好得分略偏乐观，最终测试应换一份数据（Prechelt，1998）。",
    ),
    (
        "early_stopping_patience",
        "Scores fluctuate during training. Prechelt (1998) compared fourteen rules on twelve problems: slower ones generalised about \
         4% better and took about four times as long. A patience of 3 scores lies in between.",
        "得分在过程中会上下波动。Prechelt（1998）在十二个问题上比较了十四种规则：较慢的规则泛化约好 4%，耗时约为四倍。\
         耐心取 3 次评估介于两者之间。",
    ),
    (
        "early_stopping_threshold",
        "On n rows one more right answer moves the accuracy by 1 / n: 0.01 of 100 rows is one row. A smaller gain is chance, and \
         would keep a run going that has stopped learning (compare Prechelt 1998).",
        "n 条样本中多答对一条，准确率变动 1 / n：100 条时 0.01 就是一条。更小的改善只是偶然，\
         却会让已经停止学习的训练继续下去（参见 Prechelt，1998）。",
    ),
    (
        "task",
        "The task decides everything after it: the columns of the data, the head, the loss, the metric and the baselines. \
         Cross-entropy is for classes, squared error for quantities, pairs or lists for an order. The same rows can be several tasks: \
         a rating is a class, a number or an order.",
        "任务决定之后的一切：数据列、输出头、损失、指标和要超过的基线。类别用交叉熵，数量用平方误差，排序用成对或列表损失。\
         同样的数据可以是不同任务：评分既可当类别，也可当数值或次序。",
    ),
];
