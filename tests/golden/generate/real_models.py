"""Group F: real models and their tokenizers, from files that the command line names.

SmolLM2-135M-Instruct comes from a GGUF file, whose numbers are rounded to 16 bits; all-MiniLM-L6-v2 from a folder as
transformers writes it. A case whose files are not given is left out.
"""

import dataclasses
import functools
from pathlib import Path

import numpy
import tokenizers
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file
from tokenizers import pre_tokenizers

from . import adapters, reference, trajectory
from .inputs import Tensors
from .texts import CONVERSATIONS, PAIRS, PROSE, SENTENCES, STRINGS, TRUNCATED
from .trajectory import Trajectory, prefixed, vectors
from .write import Settings, largest_difference, save_case, save_json, save_tensors, sha256, tolerance

TOKENS = 64
"""Length of a row for SmolLM2."""
STRIDE = 9
"""Tokens between the starts of rows."""
CUT = 12
"""Tokens that are left of a text that is cut."""
LEAST = {
    "final_abs": 1e-4, "grad_norm_rel": 1e-3, "logits_abs": 1e-3, "loss_abs": 1e-4, "train_loss_abs": 2e-4,
    "cosine_abs": 1e-5, "embedding_abs": 1e-5,
}
"""The least tolerances: in thirty layers of real weights other orders of sums move logits by up to these."""
STEADY_SHARE = 0.999
"""Of a lora_A, the share of elements that the tolerance is for: B starts at zero, so A's first gradients are noise."""

MARKED_TEMPLATE_PARTS = (
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}",
    "{% if message['role'] == 'assistant' %}{{ '<|im_start|>assistant\n' }}{% generation %}"
    "{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}{% else %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endif %}",
)
"""What writes a message in SmolLM2's chat template, and the same with marks around the assistant's content."""


def parts(settings: Settings) -> dict:
    """The functions that make the cases, by name."""
    makers = {
        "bert_tokenizer": ("minilm", make_bert_tokenizer),
        "minilm_model": ("minilm", make_minilm),
        "smollm2_tokenizer": ("smollm2", make_smollm2_tokenizer),
        "smollm2_model": ("smollm2", make_smollm2),
    }

    def part(option, maker, folder):
        if getattr(settings, option) is None:
            print(f"  left out: it needs --{option}")
        else:
            maker(settings, folder)

    return {f"F/{name}": functools.partial(part, *maker) for name, maker in makers.items()}


# Tokenizers


def encoded(tokenizer: tokenizers.Tokenizer, text: str, special: bool) -> dict:
    """Everything that the library says of the tokens of a text."""
    found = tokenizer.encode(text, add_special_tokens=special)
    return {
        "ids": found.ids,
        "offsets": [list(pair) for pair in found.offsets],
        "special_tokens_mask": found.special_tokens_mask,
        "tokens": found.tokens,
        "type_ids": found.type_ids,
    }


def strings(tokenizer: tokenizers.Tokenizer, texts: list[str]) -> list[dict]:
    """The tokens of every text, with and without special ones, and the text that comes back."""
    found = []
    for text in texts:
        plain, special = (encoded(tokenizer, text, special) for special in (False, True))
        found.append({
            "text": text, "plain": plain, "with_special": special,
            "decoded_plain": tokenizer.decode(plain["ids"], skip_special_tokens=False),
            "decoded_skip_special": tokenizer.decode(special["ids"], skip_special_tokens=True),
        })
    return found


def make_bert_tokenizer(settings: Settings, folder: Path) -> None:
    """Writes the word pieces of texts and of pairs of texts."""
    texts = STRINGS[settings.variant]
    tokenizer = bert_tokenizer(settings.minilm)
    save_json(folder / "strings.json", strings(tokenizer, texts))
    pairs = []
    for a, b in PAIRS:
        found = tokenizer.encode(texts[a], texts[b])
        pairs.append({
            "a": texts[a], "b": texts[b], "ids": found.ids, "sequence_ids": found.sequence_ids,
            "type_ids": found.type_ids,
        })
    tokenizer.enable_truncation(CUT, strategy="longest_first")
    cut = []
    for a, b in TRUNCATED:
        second = None if b is None else texts[b]
        found = tokenizer.encode(texts[a], second)
        cut.append({"a": texts[a], "b": second, "ids": found.ids, "type_ids": found.type_ids})
    save_json(folder / "pairs.json", {"pairs": pairs, f"truncated_to_{CUT}_longest_first": cut})
    save_case(folder, {
        "group": "F",
        "offsets": "character offsets (Python str indices)",
        "reference": (
            "tokenizers.Tokenizer.from_file(tokenizer.json) with the file's own padding (128) and truncation (128) "
            "switched off"
        ),
        "tokenizer": {
            "sha256": hashes(settings.minilm / "tokenizer.json"),
            "source": "all-MiniLM-L6-v2 (bert-base-uncased vocabulary)",
        },
    })


def bert_tokenizer(folder: Path) -> tokenizers.Tokenizer:
    """all-MiniLM-L6-v2's tokenizer without padding and truncation of its own."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def make_smollm2_tokenizer(settings: Settings, folder: Path) -> None:
    """Writes the tokens of texts, and conversations as the chat template writes them."""
    tokenizer = smollm2_tokenizer(settings.smollm2)
    texts = STRINGS[settings.variant]
    save_json(folder / "strings.json", strings(tokenizer.backend_tokenizer, texts))
    template = tokenizer.chat_template
    marked = template.replace(*MARKED_TEMPLATE_PARTS)
    if marked == template:
        raise AssertionError("the chat template is not the one that the marks belong to")
    conversations = []
    for turns in CONVERSATIONS[settings.variant]:
        messages = [{"role": role, "content": content} for role, content in turns]
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        found = tokenizer.apply_chat_template(
            messages, chat_template=marked, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        ids, mask = found["input_ids"], found["assistant_masks"]
        if ids != tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids:
            raise AssertionError("the template with marks gives another text")
        conversations.append({
            "assistant_mask": mask,
            "ids": ids,
            "labels": [token if is_answer else -100 for token, is_answer in zip(ids, mask, strict=True)],
            "messages": messages,
            "text": text,
            "text_without_last_answer_plus_generation_prompt": tokenizer.apply_chat_template(
                messages[:-1], tokenize=False, add_generation_prompt=True
            ),
        })
    save_json(folder / "chats.json", {
        "chat_template": template, "conversations": conversations, "template_with_generation_marks": marked,
    })
    backend = tokenizer.backend_tokenizer
    save_case(folder, {
        "assistant_mask": (
            "1 on the tokens of the assistant's content and of the <|im_end|> that closes it; 0 on the header "
            "'<|im_start|>assistant\\n' and on the newline after <|im_end|>. The original template has no {% "
            "generation %} marks; template_with_generation_marks renders the same text."
        ),
        "group": "F",
        "offsets": "character offsets (Python str indices) as the tokenizers library reports them",
        "reference": "tokenizers.Tokenizer that transformers makes of the GGUF file, with the digits split one by one",
        "tokenizer": {"sha256": hashes(settings.smollm2), "source": "SmolLM2-135M-Instruct, GGUF"},
        "transformers_auto_tokenizer_class": type(tokenizer).__name__,
        "transformers_auto_tokenizer_differs_on": [
            text for text in texts if tokenizer(text)["input_ids"] != backend.encode(text).ids
        ],
    })


def smollm2_tokenizer(file: Path) -> transformers.PreTrainedTokenizerBase:
    """The tokenizer of the GGUF file.

    transformers does not read which way of splitting texts the file names, "smollm": each digit by itself, the rest as
    GPT-2 does.
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    digits, rest = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, rest])
    return tokenizer


def hashes(*files: Path) -> dict[str, str]:
    """SHA-256 by the files' names."""
    return {file.name: sha256(file) for file in files}


# Models


def make_minilm(settings: Settings, folder: Path) -> None:
    """Writes sentence embeddings."""
    sentences = SENTENCES[settings.variant]
    tokenizer = bert_tokenizer(settings.minilm)
    tokenizer.enable_padding()
    found = tokenizer.encode_batch(sentences)
    inputs = {
        "input_ids": torch.tensor([encoding.ids for encoding in found]),
        "attention_mask": torch.tensor([encoding.attention_mask for encoding in found]),
    }
    model = transformers.AutoModel.from_pretrained(
        settings.minilm, attn_implementation="eager", dtype=torch.float32
    ).eval()
    found, exact = reference.both(model, inputs, embeddings)
    errors = {f"{name}_abs": largest_difference(found[name], exact[name]) for name in ("cosine", "embedding")}
    save_tensors(folder / "inputs.safetensors", inputs)
    save_tensors(folder / "expected.safetensors", found)
    files = [settings.minilm / name for name in ("config.json", "model.safetensors", "tokenizer.json")]
    save_case(folder, {
        "cosine": found["cosine"].tolist(),
        "group": "F",
        "model": {"sha256": hashes(*files), "source": "all-MiniLM-L6-v2"},
        "rule": (
            "mean of last_hidden_state over attention_mask == 1 ([CLS] and [SEP] included), then L2 normalisation; the "
            "pooler is not used; hidden_act gelu is the exact erf form"
        ),
        "sentences": sentences,
        "tolerance": {name: tolerance(error, LEAST[name]) for name, error in errors.items()},
    })


def embeddings(model: torch.nn.Module, inputs: Tensors) -> Tensors:
    """Mean-pooled and normalised hidden states, and their cosines."""
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None]
    pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
    unit = F.normalize(pooled, dim=1)
    return {"embedding": unit, "mean_pooled": pooled, "last_hidden_cls": hidden[:, 0], "cosine": unit @ unit.T}


def make_smollm2(settings: Settings, folder: Path) -> None:
    """Writes logits of a text, and steps of training an adapter."""
    sizes = settings.sizes
    steps = sizes.steps // 2
    ids = torch.tensor(smollm2_tokenizer(settings.smollm2)(PROSE[settings.variant])["input_ids"])
    rows = [ids[row * STRIDE :][:TOKENS] for row in range(2 * steps)]
    train = torch.stack(rows).view(steps, 2, TOKENS)
    labels = train.clone()
    for step in range(steps):
        labels[step, 1, : 8 * (step + 1)] = -100
    text = ids[None, :TOKENS]
    save_tensors(
        folder / "inputs.safetensors", {"text_ids": text, "train.input_ids": train, "train.labels": labels}
    )

    model, digest = smollm2(settings.smollm2, folder)
    found, exact = reference.both(model, {"input_ids": text, "labels": text}, first_pass)
    picked = found["logits"][0, -1].topk(20)
    errors = {f"{name}_abs": largest_difference(found[name], exact[name]) for name in ("logits", "loss")}

    peft = {"r": 2 * sizes.rank, "lora_alpha": 2 * sizes.alpha, "target_modules": ["q_proj", "v_proj"]}
    adapted = adapters.attach(model, peft, "causal", settings.generator("F/smollm2_model"))
    start(adapted, settings.generator("F/smollm2_model/start"))
    adapters.save_adapter(adapted, folder / "adapter_init", "SmolLM2-135M-Instruct")
    saved = load_file(folder / "adapter_init" / "adapter_model.safetensors")
    save_tensors(
        folder / "adapter_init" / "adapter_model.safetensors",
        {name: value.bfloat16() for name, value in saved.items()}, {"format": "pt"},
    )
    inputs = {"input_ids": train[:, None], "labels": labels[:, None]}
    schedule = dataclasses.replace(sizes, learning_rate=0.001, warmup_ratio=0.0, steps=steps)
    trained, exactly = trajectory.train_both(adapted, "causal", inputs, schedule)
    final, layers = trained.weights[-1], model.config.num_hidden_layers
    stored = {
        name: value for name, value in final.items() if ".layers.0." in name or f".layers.{layers - 1}." in name
    }
    errors |= train_errors(trained, exactly, stored)
    last = found["logits"][0, -1]
    save_tensors(
        folder / "expected.safetensors",
        {
            "last_logits_top20": picked.values, "last_logits_top20_ids": picked.indices,
            "last_logsumexp": last.logsumexp(dim=0), "loss": found["loss"], "token_nll": found["token_nll"],
        }
        | prefixed("train", vectors(trained) | prefixed("final", stored)),
    )
    save_case(folder, {
        "batches": f"{steps} steps of [2, {TOKENS}], no padding; labels -100 on a growing prefix of row 1",
        "final_norms": {name: value.norm().item() for name, value in final.items()},
        "final_stored": f"layers 0 and {layers - 1}",
        "grad_norm": trained.grad_norm,
        "group": "F",
        "lora": peft | {"file": "adapter_init (bfloat16, exact)", "lora_B": "zero"},
        "loss": found["loss"].item(),
        "lr": trained.lr,
        "model": {
            "sha256": {"model.safetensors": digest} | hashes(settings.smollm2),
            "source": (
                "SmolLM2-135M-Instruct: a GGUF file, dequantised to float16 in Hugging Face layout (the sha256 of "
                "model.safetensors is of that); here converted to float32. Not the original checkpoint."
            ),
        },
        "optimizer": trajectory.optimizer(schedule) | {
            "clip": trajectory.MAX_NORM, "name": "AdamW", "schedule": f"cosine, {steps} steps, no warm-up",
        },
        "text": PROSE[settings.variant],
        "tolerance": {name: tolerance(error, LEAST[name]) for name, error in errors.items()} | {
            "final_note": (
                "lora_A: with lora_B = 0 its first gradient is exactly 0; later tiny gradients make single elements "
                "jump, see final_abs on 99.9 % of elements"
            ),
        },
        "train_loss": trained.loss,
    })


def smollm2(file: Path, folder: Path) -> tuple[transformers.PreTrainedModel, str]:
    """The model with weights rounded to 16 bits, in float32, and the SHA-256 of its checkpoint in 16 bits."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    halves = {name: parameter.half() for name, parameter in model.named_parameters()}
    checkpoint = folder / "model.safetensors"
    save_tensors(checkpoint, halves, {"format": "pt"})
    digest = sha256(checkpoint)
    checkpoint.unlink()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(halves[name])
    return model, digest


def first_pass(model: torch.nn.Module, inputs: Tensors) -> Tensors:
    """Logits, the loss of every token, and their mean."""
    with torch.no_grad():
        logits = model(input_ids=inputs["input_ids"]).logits
    losses = F.cross_entropy(logits[0, :-1], inputs["labels"][0, 1:], reduction="none")
    return {"logits": logits, "token_nll": losses, "loss": losses.mean()}


def start(adapted: torch.nn.Module, generator: torch.Generator) -> None:
    """Sets an adapter as PEFT starts it, with values that bfloat16 holds: A uniform, B zero."""
    with torch.no_grad():
        for name, parameter in adapters.trained(adapted).items():
            uniform = 2 * torch.rand(parameter.shape, generator=generator) - 1
            scale = 0.0 if "lora_B" in name else parameter.shape[1] ** -0.5
            parameter.copy_((scale * uniform).bfloat16())


def train_errors(found: Trajectory, exact: Trajectory, stored: Tensors) -> dict[str, float]:
    """How far float32 is off; of a stored lora_A all but the few elements that jump count."""
    final = []
    for name, value in stored.items():
        off = (value.double() - exact.weights[-1][name]).abs().flatten().numpy()
        final.append(float(numpy.quantile(off, STEADY_SHARE if "lora_A" in name else 1.0)))
    relative = [abs(a - b) / b for a, b in zip(found.grad_norm, exact.grad_norm, strict=True)]
    return {
        "final_abs": max(final),
        "grad_norm_rel": max(relative),
        "train_loss_abs": trajectory.numbers_differ(found.loss, exact.loss),
    }
