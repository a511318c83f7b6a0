"""The table of cases: sizes, architectures, adapters, runs and schedules.

Everything that another variant may change is a field of `Sizes`; everything else about a model is in `architectures`.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sizes:
    """The numbers that differ between variants."""

    vocab: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    wide_head: int
    """Width of a head where it is not hidden / heads (Qwen 3, Gemma)."""
    t5_heads: tuple[int, int]
    """Heads of T5 and of T5 v1.1."""
    t5_head: int
    layers: int
    rows: int
    tokens: int
    answer: int
    """Longest answer of an encoder-decoder, in tokens."""
    labels: int
    multi_labels: int
    window: int
    rank: int
    alpha: int
    all_linear_rank: int
    all_linear_alpha: int
    pattern_rank: int
    pattern_alpha: int
    # Losses: rows, classes, width of an embedding, lists and their length, pairs, vocabulary.
    loss_rows: int
    loss_classes: int
    loss_width: int
    loss_lists: int
    loss_list: int
    loss_pairs: int
    loss_vocab: int
    # Runs.
    steps: int
    steps_kept: int
    micro_batches: int
    micro_rows: int
    learning_rate: float
    warmup_ratio: float
    # Quantisation: shapes of matrices, elements of vectors, sizes of the models.
    matrices: dict[str, tuple[int, int]]
    vectors: dict[str, tuple[int, ...]]
    int8: tuple[int, int, int]
    """Rows of activations, rows of weights, columns."""
    fp8: tuple[int, int]
    fp8_block: tuple[int, int]
    adamw_elements: int
    qlora_hidden: int
    qlora_inner: int
    qlora_rank: int
    metric_rows: int


VARIANTS = {
    "visible": Sizes(
        vocab=128, hidden=32, inner=48, heads=4, kv_heads=2, wide_head=16, t5_heads=(3, 2), t5_head=16, layers=2,
        rows=4, tokens=12, answer=9, labels=3, multi_labels=4, window=4,
        rank=4, alpha=8, all_linear_rank=3, all_linear_alpha=6, pattern_rank=2, pattern_alpha=3,
        loss_rows=7, loss_classes=5, loss_width=8, loss_lists=4, loss_list=6, loss_pairs=8, loss_vocab=23,
        steps=10, steps_kept=2, micro_batches=2, micro_rows=2, learning_rate=0.005, warmup_ratio=0.2,
        matrices={
            "big": (96, 192), "narrow": (20, 48), "odd": (5, 33), "outlier": (8, 96), "square": (48, 64),
            "tail": (3, 70), "tiny": (2, 64), "zero_rows": (6, 128), "zero_tail": (1, 96),
        },
        vectors={"exact_256": (512,), "normal": (700,), "squares": (600,), "wide": (3, 300), "zeros_block": (512,)},
        int8=(9, 12, 40), fp8=(24, 48), fp8_block=(16, 16), adamw_elements=4300,
        qlora_hidden=64, qlora_inner=128, qlora_rank=4, metric_rows=20,
    ),
    "other": Sizes(
        vocab=97, hidden=48, inner=80, heads=6, kv_heads=3, wide_head=12, t5_heads=(5, 3), t5_head=8, layers=3,
        rows=5, tokens=15, answer=7, labels=5, multi_labels=6, window=3,
        rank=5, alpha=15, all_linear_rank=2, all_linear_alpha=7, pattern_rank=3, pattern_alpha=4,
        loss_rows=9, loss_classes=4, loss_width=11, loss_lists=3, loss_list=7, loss_pairs=10, loss_vocab=31,
        steps=8, steps_kept=2, micro_batches=3, micro_rows=2, learning_rate=0.003, warmup_ratio=0.3,
        matrices={
            "big": (70, 256), "narrow": (30, 24), "odd": (7, 19), "outlier": (6, 160), "square": (64, 64),
            "tail": (5, 50), "tiny": (3, 64), "zero_rows": (6, 256), "zero_tail": (1, 80),
        },
        vectors={"exact_256": (768,), "normal": (531,), "squares": (650,), "wide": (5, 170), "zeros_block": (768,)},
        int8=(6, 10, 56), fp8=(40, 35), fp8_block=(16, 16), adamw_elements=5001,
        qlora_hidden=96, qlora_inner=160, qlora_rank=3, metric_rows=33,
    ),
}


@dataclass(frozen=True)
class Adapter:
    """An adapter on a model; `peft` are arguments of `LoraConfig`."""

    name: str
    peft: dict
    keep_merged: bool = True
    """Whether the merged weights are written too."""


@dataclass(frozen=True)
class Architecture:
    """A model with random weights, its inputs, and the adapters on it."""

    name: str
    model_class: str
    kind: str
    """What its rows and labels are: causal, seqcls, multilabel, regression, tokcls, mlm or seq2seq."""
    config: dict
    left_padding: bool
    """Whether rows may be padded on the left: not where a head reads position 0, or where positions depend on it."""
    full_gradients: bool = False
    adapters: tuple[Adapter, ...] = field(default=())


def architectures(sizes: Sizes) -> dict[str, Architecture]:
    """The models of group A, by name."""
    labels = sizes.labels
    rank = {"r": sizes.rank, "lora_alpha": sizes.alpha}
    default = Adapter("default", rank)

    def all_linear(keep_merged: bool, **more) -> Adapter:
        peft = {"r": sizes.all_linear_rank, "lora_alpha": sizes.all_linear_alpha, "target_modules": "all-linear"}
        return Adapter("all_linear", peft | more, keep_merged)

    def dora(**more) -> Adapter:
        return Adapter("dora", rank | {"use_dora": True} | more)

    def rslora(**more) -> Adapter:
        return Adapter("rslora", {"r": sizes.rank, "lora_alpha": sizes.all_linear_alpha, "use_rslora": True} | more)

    bert = {
        "vocab_size": sizes.vocab, "hidden_size": sizes.hidden, "intermediate_size": sizes.inner,
        "num_attention_heads": sizes.heads, "max_position_embeddings": 24, "pad_token_id": 0,
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "classifier_dropout": 0.0,
    }
    one_layer, all_layers = {"num_hidden_layers": 1}, {"num_hidden_layers": sizes.layers}
    decoder = all_layers | {
        "vocab_size": sizes.vocab, "hidden_size": sizes.hidden, "intermediate_size": sizes.inner,
        "num_attention_heads": sizes.heads, "num_key_value_heads": sizes.kv_heads, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "attention_dropout": 0.0,
        "tie_word_embeddings": True, "rope_parameters": rope(10000.0),
    }
    untied = {"tie_word_embeddings": False}
    alternating = {
        "head_dim": sizes.wide_head, "sliding_window": sizes.window,
        "layer_types": [("sliding_attention", "full_attention")[layer % 2] for layer in range(sizes.layers)],
    }
    t5 = {
        "vocab_size": sizes.vocab, "d_model": sizes.hidden, "d_kv": sizes.t5_head, "d_ff": sizes.inner,
        "num_layers": sizes.layers, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 16,
        "dropout_rate": 0.0, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
    }
    table = [
        Architecture(
            "bert_mlm", "BertForMaskedLM", "mlm", bert | one_layer, left_padding=True, adapters=(default,),
        ),
        Architecture(
            "bert_multilabel", "BertForSequenceClassification", "multilabel",
            bert | one_layer | {"num_labels": sizes.multi_labels, "problem_type": "multi_label_classification"},
            left_padding=False, adapters=(default,),
        ),
        Architecture(
            "bert_regression", "BertForSequenceClassification", "regression", bert | one_layer | {"num_labels": 1},
            left_padding=False, adapters=(default,),
        ),
        Architecture(
            "bert_seqcls", "BertForSequenceClassification", "seqcls", bert | all_layers | {"num_labels": labels},
            left_padding=False, full_gradients=True, adapters=(all_linear(True), default, dora(), rslora()),
        ),
        Architecture(
            "bert_tokcls", "BertForTokenClassification", "tokcls", bert | one_layer | {"num_labels": labels},
            left_padding=True, adapters=(default,),
        ),
        Architecture(
            "distilbert_seqcls", "DistilBertForSequenceClassification", "seqcls",
            {
                "vocab_size": sizes.vocab, "dim": sizes.hidden, "hidden_dim": sizes.inner, "n_heads": sizes.heads,
                "n_layers": sizes.layers, "max_position_embeddings": 24, "pad_token_id": 0, "dropout": 0.0,
                "attention_dropout": 0.0, "seq_classif_dropout": 0.0, "num_labels": labels,
            },
            left_padding=False,
            adapters=(
                all_linear(False, exclude_modules=["pre_classifier"]),
                Adapter("qv", rank | {"target_modules": ["q_lin", "v_lin"]}),
            ),
        ),
        Architecture(
            "flan_t5", "T5ForConditionalGeneration", "seq2seq",
            t5 | untied | {
                "num_heads": sizes.t5_heads[1], "num_decoder_layers": sizes.layers - 1,
                "feed_forward_proj": "gated-gelu",
            },
            left_padding=True, adapters=(all_linear(False), default),
        ),
        Architecture(
            "gemma2", "Gemma2ForCausalLM", "causal",
            decoder | alternating | {
                "query_pre_attn_scalar": 24, "attn_logit_softcapping": 20.0, "final_logit_softcapping": 10.0,
            },
            left_padding=True, full_gradients=True, adapters=(all_linear(False), default),
        ),
        Architecture(
            "gemma3_text", "Gemma3ForCausalLM", "causal",
            decoder | alternating | {
                "query_pre_attn_scalar": 20,
                "rope_parameters": {"full_attention": rope(1000000.0), "sliding_attention": rope(10000.0)},
            },
            left_padding=True, adapters=(all_linear(False), default),
        ),
        Architecture(
            "gpt2", "GPT2LMHeadModel", "causal",
            {
                "vocab_size": sizes.vocab, "n_embd": sizes.hidden, "n_head": sizes.heads, "n_layer": sizes.layers,
                "n_positions": 32, "bos_token_id": sizes.vocab - 1, "eos_token_id": sizes.vocab - 1,
                "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
            },
            left_padding=True, full_gradients=True, adapters=(all_linear(True), default, dora()),
        ),
        Architecture(
            "llama3_rope", "LlamaForCausalLM", "causal",
            decoder | one_layer | {
                "max_position_embeddings": 512,
                "rope_parameters": rope(
                    10000.0, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                    original_max_position_embeddings=64,
                ),
            },
            left_padding=True, adapters=(default,),
        ),
        Architecture(
            "llama_seqcls", "LlamaForSequenceClassification", "seqcls", decoder | untied | {"num_labels": labels},
            left_padding=True, adapters=(default,),
        ),
        Architecture(
            "llama_tied", "LlamaForCausalLM", "causal", decoder | {"rope_parameters": rope(500000.0)},
            left_padding=True, full_gradients=True,
            adapters=(
                default,
                Adapter("one_layer", rank | {"target_modules": ["q_proj", "o_proj"], "layers_to_transform": [1]}),
                Adapter("patterns", rank | {
                    "target_modules": ["q_proj", "v_proj", "up_proj"],
                    "rank_pattern": {"v_proj": sizes.pattern_rank},
                    "alpha_pattern": {"layers.1.self_attn.q_proj": sizes.pattern_alpha},
                }),
            ),
        ),
        Architecture(
            "llama_untied", "LlamaForCausalLM", "causal", decoder | untied, left_padding=True,
            adapters=(
                all_linear(True), default, dora(target_modules=["q_proj", "v_proj", "down_proj"]),
                rslora(target_modules=["q_proj", "k_proj", "v_proj", "o_proj"]),
            ),
        ),
        Architecture(
            "modernbert_seqcls", "ModernBertForSequenceClassification", "seqcls",
            {
                "vocab_size": sizes.vocab, "hidden_size": sizes.hidden, "intermediate_size": sizes.inner,
                "num_attention_heads": sizes.heads, "num_hidden_layers": sizes.layers + 1,
                "max_position_embeddings": 64, "local_attention": 2 * sizes.window, "num_labels": labels,
                "pad_token_id": 0, "bos_token_id": 1, "cls_token_id": 1, "eos_token_id": 2, "sep_token_id": 2,
            },
            left_padding=False, full_gradients=True,
            adapters=(all_linear(False), Adapter("wqkv", rank | {"target_modules": ["Wqkv"]})),
        ),
        Architecture(
            "qwen2", "Qwen2ForCausalLM", "causal", decoder | untied | {"rope_parameters": rope(500000.0)},
            left_padding=True, adapters=(all_linear(False), default),
        ),
        Architecture(
            "qwen3", "Qwen3ForCausalLM", "causal",
            decoder | {"head_dim": sizes.wide_head, "rope_parameters": rope(500000.0)},
            left_padding=True, full_gradients=True, adapters=(all_linear(False), default),
        ),
        Architecture(
            "roberta_seqcls", "RobertaForSequenceClassification", "seqcls",
            bert | all_layers | {
                "num_labels": labels, "max_position_embeddings": 26, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
                "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
            },
            left_padding=False, adapters=(all_linear(False), default),
        ),
        Architecture(
            "t5", "T5ForConditionalGeneration", "seq2seq",
            t5 | {"num_heads": sizes.t5_heads[0], "feed_forward_proj": "relu"},
            left_padding=True, full_gradients=True, adapters=(all_linear(True), default),
        ),
    ]
    return {architecture.name: architecture for architecture in table}


def rope(theta: float, **more) -> dict:
    """Rotary embeddings as transformers 5 writes them into config.json."""
    return {"rope_theta": theta, "rope_type": "default"} | more


@dataclass(frozen=True)
class Run:
    """Training of a model of group A; without `peft` all of it is trained."""

    name: str
    architecture: str
    peft: dict | None
    keep_moments: bool = False
    """Whether the optimizer's moments after the last step are written too."""
    keep_early: bool = True
    """Whether the weights after the first `Sizes.steps_kept` steps are written too."""


def runs(sizes: Sizes) -> list[Run]:
    """The trajectories of group C."""
    lora = {"r": sizes.rank, "lora_alpha": sizes.alpha, "lora_dropout": 0.0}
    return [
        Run("bert_full", "bert_seqcls", None, keep_early=False),
        Run("bert_lora_classifier", "bert_seqcls", lora, keep_moments=True),
        Run("gpt2_lora", "gpt2", lora),
        Run("llama_dora", "llama_untied", lora | {"target_modules": ["q_proj", "v_proj"], "use_dora": True}),
        Run("llama_lora", "llama_untied", lora, keep_moments=True),
        Run("t5_lora", "t5", lora),
    ]


@dataclass(frozen=True)
class QuantisedRun:
    """QLoRA on a model of group A in other sizes."""

    name: str
    architecture: str
    config: dict
    skipped: list[str] | None
    """Modules that stay as they are; None leaves the choice to transformers."""
    peft: dict


def quantised_runs(sizes: Sizes) -> list[QuantisedRun]:
    """The QLoRA models of group D."""
    wide = {"hidden_size": sizes.qlora_hidden, "intermediate_size": sizes.qlora_inner}
    lora = {"r": sizes.qlora_rank, "lora_alpha": 2 * sizes.qlora_rank}
    return [
        QuantisedRun("qlora_bert", "bert_seqcls", wide | {"num_hidden_layers": 1}, ["classifier"], lora),
        QuantisedRun("qlora_llama", "llama_untied", wide, None, lora | {"target_modules": "all-linear"}),
    ]


def schedules(sizes: Sizes) -> tuple[int, float, dict[str, tuple[str, dict]]]:
    """How many rates, the highest, and for each schedule transformers' function and its arguments."""
    steps, rate, warmup = 5 * sizes.steps, 2e-4, {"num_warmup_steps": sizes.steps // 2}
    decay = warmup | {"num_training_steps": steps}
    cosine = "get_cosine_schedule_with_warmup"
    restarts = "get_cosine_with_hard_restarts_schedule_with_warmup"
    linear, root = "get_linear_schedule_with_warmup", "get_inverse_sqrt_schedule"
    polynomial = "get_polynomial_decay_schedule_with_warmup"
    return steps, rate, {
        "constant": ("get_constant_schedule", {}),
        "constant_with_warmup": ("get_constant_schedule_with_warmup", warmup),
        "cosine": (cosine, decay),
        "cosine_two_cycles": (cosine, decay | {"num_cycles": 2.0}),
        "cosine_with_min_lr": ("get_cosine_with_min_lr_schedule_with_warmup", decay | {"min_lr_rate": 0.1}),
        "cosine_with_restarts": (restarts, decay | {"num_cycles": 1}),
        "cosine_with_restarts_3": (restarts, decay | {"num_cycles": 3}),
        "inverse_sqrt": (root, warmup),
        "inverse_sqrt_no_warmup": (root, {"num_warmup_steps": 0}),
        "inverse_sqrt_timescale": (root, warmup | {"timescale": 20}),
        "linear": (linear, decay),
        "linear_no_warmup": (linear, {"num_warmup_steps": 0, "num_training_steps": steps}),
        "linear_short": (linear, warmup | {"num_training_steps": steps * 3 // 5}),
        "polynomial": (polynomial, decay),
        "polynomial_power2": (
            polynomial, warmup | {"num_training_steps": steps * 4 // 5, "lr_end": 1e-5, "power": 2.0},
        ),
        "warmup_stable_decay": (
            "get_wsd_schedule", warmup | {"num_stable_steps": steps * 3 // 10, "num_decay_steps": steps * 2 // 5},
        ),
    }
