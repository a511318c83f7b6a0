//! What pictures say, in every language.

use lorakeet_i18n::Language;

/// One of so many, from 0: a layer of a model, a head of a layer.
pub type Of = (usize, usize);

/// Outputs and inputs of a matrix.
pub type Shape = (usize, usize);

/// The pair of tokens with the largest weight: from, to, weight.
pub type Pair = Option<(String, String, String)>;

/// The loss at the start and at the end of a path, and its steps.
pub type Ends = Option<(String, String, usize)>;

/// Two names, or a name and its number, where there are any.
pub type Both = Option<(String, String)>;

/// The words of pictures; fields that take numbers are functions. Texts are HTML.
pub struct PictureWords {
    /// Behind a title: at which step of a run.
    pub at_step: fn(usize) -> String,
    /// Above the numbers of a picture.
    pub as_table: &'static str,
    /// A curve without points.
    pub no_curve: &'static str,
    /// Of a run.
    pub step: &'static str,
    /// Of a run.
    pub loss: &'static str,

    /// Title.
    pub tokens: &'static str,
    /// The mean probability by the base model and by the trained one.
    pub tokens_summary: fn(&(Option<f64>, Option<f64>)) -> String,
    /// Caption.
    pub tokens_table: &'static str,
    /// Column.
    pub token: &'static str,
    /// Column.
    pub base: &'static str,
    /// Column.
    pub tuned: &'static str,
    /// Column.
    pub likeliest: &'static str,

    /// Title.
    pub update: &'static str,
    /// Module, shape of W, rank, norm of the update, its share of the norm of W.
    pub update_summary: fn(&str, Shape, usize, f64, f64) -> String,
    /// Caption: the largest change of a weight.
    pub largest: fn(String) -> String,
    /// Row.
    pub output: &'static str,
    /// Column.
    pub input: &'static str,

    /// Title.
    pub attention: &'static str,
    /// Layer of layers, head of heads (from 0), and the strongest pair: from, to, weight.
    pub attention_summary: fn(Of, Of, Pair) -> String,
    /// Caption.
    pub attention_table: &'static str,

    /// Title.
    pub surface: &'static str,
    /// The parameters' names; the loss at the start and at the end, and the steps between.
    pub surface_summary: fn(&str, &str, Ends) -> String,
    /// Caption.
    pub surface_table: &'static str,

    /// Title.
    pub packed: &'static str,
    /// Module, format, bytes before and after, root mean square error.
    pub packed_summary: fn(&str, &str, (String, String), String) -> String,
    /// Caption: how many values a code can stand for.
    pub levels: fn(usize) -> String,
    /// Weights as they are.
    pub original: &'static str,
    /// The same, packed and decoded.
    pub decoded: &'static str,
    /// Column.
    pub difference: &'static str,

    /// Title.
    pub units: &'static str,
    /// How many, layer of layers (from 0), names of the inputs.
    pub units_summary: fn(usize, (usize, usize), &str) -> String,
    /// One, from 1.
    pub unit: fn(usize) -> String,
    /// What the model answers.
    pub unit_output: &'static str,

    /// Title.
    pub layer_updates: &'static str,
    /// The first and the last row, the columns, and the largest share with its module.
    pub layer_updates_summary: fn(Both, &str, Both) -> String,
    /// Caption.
    pub layer_updates_table: &'static str,
    /// Title of the gradients below.
    pub layer_gradients: &'static str,
    /// The step, and the largest norm with its module.
    pub layer_gradients_summary: fn(usize, Both) -> String,
    /// Caption.
    pub layer_gradients_table: &'static str,
    /// A row of modules that belong to no layer.
    pub outside_of_layers: &'static str,
}

/// The words of a language.
pub fn picture_words(language: Language) -> &'static PictureWords {
    match language {
        Language::English => &ENGLISH,
        Language::Chinese => &CHINESE,
    }
}

fn share(value: f64) -> String {
    crate::format::share(value)
}

fn norm(value: f64) -> String {
    crate::format::small(value)
}

static ENGLISH: PictureWords = PictureWords {
    at_step: |step| match step {
        0 => "before training".into(),
        step => format!("after step {step}"),
    },
    as_table: "The numbers as a table",
    no_curve: "The curve appears here while the model trains.",
    step: "Step",
    loss: "Loss",
    tokens: "How likely each token was",
    tokens_summary: |(base, tuned)| match (base, tuned) {
        (Some(base), Some(tuned)) => format!(
            "The upper bars show the base model, the lower ones the tuned model; darker means more likely. Geometric mean: \
             {} with the base model, {} with the tuned one.",
            share(*base),
            share(*tuned)
        ),
        (Some(mean), None) | (None, Some(mean)) => {
            format!("Darker means more likely. Geometric mean: {}.", share(*mean))
        }
        (None, None) => String::new(),
    },
    tokens_table: "Probability of each token, given the tokens before it",
    token: "Token",
    base: "Base model",
    tuned: "Tuned model",
    likeliest: "Most likely here",
    update: "What LoRA adds to one weight matrix",
    update_summary: |module, (outputs, inputs), rank, size, part| {
        format!(
            "ΔW = s·B·A of <code>{module}</code> ({outputs} × {inputs}, rank {rank}): norm {}, {} of the norm of W. Green adds, \
             orange subtracts; each cell is the mean of a block.",
            norm(size),
            share(part)
        )
    },
    largest: |value| format!("Means of blocks of ΔW; the largest change of a single weight is {value}"),
    output: "Output",
    input: "Input",
    attention: "What each token attends to",
    attention_summary: |(layer, layers), (head, heads), strongest| {
        let pair = strongest.map_or(String::new(), |(from, to, weight)| {
            format!(" Strongest pair: “{from}” gives {weight} of its attention to “{to}”.")
        });
        format!(
            "Layer {} of {layers}, head {} of {heads}. Each row is a token, each column a token that it attends to.{pair}",
            layer + 1,
            head + 1
        )
    },
    attention_table: "Attention weights; each row sums to 1",
    surface: "The loss over two weights, and the path of the optimizer",
    surface_summary: |x, y, ends| {
        let ends = ends.map_or(String::new(), |(first, last, steps)| {
            format!(" In {steps} steps the loss went from {first} to {last}.")
        });
        format!("<code>{x}</code> from left to right, <code>{y}</code> upwards; darker means a larger loss.{ends}")
    },
    surface_table: "The path of the optimizer",
    packed: "Weights beside the same weights in fewer bits",
    packed_summary: |module, format, (before, after), error| {
        format!(
            "The upper left corner of <code>{module}</code> and the same in <code>{format}</code>: {before} become {after}; \
             root mean square error {error}."
        )
    },
    levels: |count| format!("Some of the weights; a code can stand for {count} values"),
    original: "Original",
    decoded: "Packed and decoded",
    difference: "Difference",
    units: "What the hidden units respond to",
    units_summary: |units, (layer, layers), inputs| {
        format!(
            "{units} units of hidden layer {} of {layers}, over {inputs}: green above 0, orange below.",
            layer + 1
        )
    },
    unit: |place| format!("Unit {place}"),
    unit_output: "Output",
    layer_updates: "How far LoRA has moved the weights, by layer",
    layer_updates_summary: |ends, modules, largest| {
        let rows = ends.map_or(String::new(), |(first, last)| {
            format!(" Rows from the top: {first} to {last}; columns from the left: {modules}.")
        });
        let largest = largest.map_or(String::new(), |(module, share)| {
            format!(" The largest is {share} in <code>{module}</code>.")
        });
        format!("‖ΔW‖ / ‖W‖ of every module with an adapter; darker is more, grey has none.{rows}{largest}")
    },
    layer_updates_table: "‖ΔW‖ / ‖W‖ with ΔW = s·B·A",
    layer_gradients: "Gradient norms by layer",
    layer_gradients_summary: |step, largest| {
        let largest = largest.map_or(String::new(), |(module, norm)| {
            format!(" The largest is {norm} in <code>{module}</code>.")
        });
        format!("‖g‖ of A and B in step {step}, before clipping; rows and columns as above.{largest}")
    },
    layer_gradients_table: "‖g‖ of A and B together",
    outside_of_layers: "outside of the layers",
};

static CHINESE: PictureWords = PictureWords {
    at_step: |step| match step {
        0 => "（训练前）".into(),
        step => format!("（第 {step} 步后）"),
    },
    as_table: "以表格查看数值",
    no_curve: "训练开始后，曲线会显示在这里。",
    step: "步",
    loss: "损失",
    tokens: "每个 token 的概率",
    tokens_summary: |(base, tuned)| match (base, tuned) {
        (Some(base), Some(tuned)) => format!(
            "上方色条为基座模型，下方为微调后的模型；颜色越深，概率越高。几何平均：基座模型 {}，微调后 {}。",
            share(*base),
            share(*tuned)
        ),
        (Some(mean), None) | (None, Some(mean)) => format!("颜色越深，概率越高。几何平均：{}。", share(*mean)),
        (None, None) => String::new(),
    },
    tokens_table: "在前文给定时每个 token 的概率",
    token: "token",
    base: "基座模型",
    tuned: "微调后",
    likeliest: "此处概率最高",
    update: "LoRA 给一个权重矩阵加上了什么",
    update_summary: |module, (outputs, inputs), rank, size, part| {
        format!(
            "<code>{module}</code>（{outputs} × {inputs}，秩 {rank}）的 ΔW = s·B·A：范数 {}，为 W 的范数的 {}。绿色为增加，橙色为减少；每格是一块权重的平均值。",
            norm(size),
            share(part)
        )
    },
    largest: |value| format!("ΔW 各块的平均值；单个权重的最大变化为 {value}"),
    output: "输出",
    input: "输入",
    attention: "每个 token 关注什么",
    attention_summary: |(layer, layers), (head, heads), strongest| {
        let pair = strongest.map_or(String::new(), |(from, to, weight)| {
            format!("最强的一对：“{from}”把 {weight} 的注意力给了“{to}”。")
        });
        format!(
            "第 {} 层（共 {layers} 层），第 {} 个注意力头（共 {heads} 个）。每行是一个 token，每列是它所关注的 token。{pair}",
            layer + 1,
            head + 1
        )
    },
    attention_table: "注意力权重；每行之和为 1",
    surface: "两个权重上的损失，以及优化器走过的路径",
    surface_summary: |x, y, ends| {
        let ends = ends.map_or(String::new(), |(first, last, steps)| {
            format!("经过 {steps} 步，损失从 {first} 变为 {last}。")
        });
        format!("横向为 <code>{x}</code>，纵向为 <code>{y}</code>；颜色越深，损失越大。{ends}")
    },
    surface_table: "优化器的路径",
    packed: "原始权重与更少位数的权重",
    packed_summary: |module, format, (before, after), error| {
        format!(
            "<code>{module}</code> 的左上角及其 <code>{format}</code> 量化结果：{before} 变为 {after}；均方根误差 {error}。"
        )
    },
    levels: |count| format!("部分权重；一个编码可表示 {count} 个值"),
    original: "原始",
    decoded: "量化后还原",
    difference: "差值",
    units: "隐藏单元对什么有响应",
    units_summary: |units, (layer, layers), inputs| {
        format!(
            "第 {} 个隐藏层（共 {layers} 层）的 {units} 个单元，输入为 {inputs}：绿色大于 0，橙色小于 0。",
            layer + 1
        )
    },
    unit: |place| format!("单元 {place}"),
    unit_output: "输出",
    layer_updates: "LoRA 使各层权重改变了多少",
    layer_updates_summary: |ends, modules, largest| {
        let rows = ends.map_or(String::new(), |(first, last)| {
            format!("从上到下为 {first} 到 {last}；从左到右为 {modules}。")
        });
        let largest = largest.map_or(String::new(), |(module, share)| {
            format!("最大的是 <code>{module}</code>：{share}。")
        });
        format!("每个带适配器的模块的 ‖ΔW‖ / ‖W‖；颜色越深越大，灰色表示没有适配器。{rows}{largest}")
    },
    layer_updates_table: "‖ΔW‖ / ‖W‖，其中 ΔW = s·B·A",
    layer_gradients: "各层的梯度范数",
    layer_gradients_summary: |step, largest| {
        let largest = largest.map_or(String::new(), |(module, norm)| {
            format!("最大的是 <code>{module}</code>：{norm}。")
        });
        format!("第 {step} 步中 A 与 B 的 ‖g‖（裁剪之前）；行和列同上。{largest}")
    },
    layer_gradients_table: "A 与 B 合计的 ‖g‖",
    outside_of_layers: "层以外",
};
