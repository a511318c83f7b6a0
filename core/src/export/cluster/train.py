"""Trains an adapter with transformers, PEFT and accelerate, on one process or on many.

It goes on with a run of Lorakeet: train_config.json has its settings, rows.jsonl its rows as token ids, order.json which rows each
optimizer step takes, and adapter/ the weights (and AdamW's moments) to start from.

    torchrun --nproc-per-node 8 train.py
    accelerate launch train.py

The rows of an optimizer step are divided over the processes, and gradients and losses are added up: each term of the loss of a step is
the mean over all of its target tokens or rows, on any number of processes the same but for rounding (and for dropout, whose masks
differ). Where the loss compares the rows of a micro-batch with each other, micro-batches are divided instead of rows.
"""

import argparse
import json
import math
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BitsAndBytesConfig,
)
from transformers.activations import ACT2FN

import together

HERE = Path(__file__).resolve().parent
IGNORED = -100  # the label that nothing is learnt from

MODELS = {
    "causal_lm": AutoModelForCausalLM,
    "seq2seq_lm": AutoModelForSeq2SeqLM,
    "sequence_classification": AutoModelForSequenceClassification,
    "token_classification": AutoModelForTokenClassification,
    "features": AutoModel,
}
PROBLEMS = {
    "classes": "single_label_classification",
    "labels": "multi_label_classification",
    "numbers": "regression",
    "scores": "regression",
}


def main():
    arguments = parse_arguments()
    settings = SimpleNamespace(**read_json(HERE / "train_config.json"))
    accelerator = Accelerator(cpu=arguments.cpu)
    model = load_model(settings, arguments, accelerator.device)
    optimizer = make_optimizer(model, settings)
    first_step = load_state(model, optimizer, settings, Path(arguments.resume))
    train(model, optimizer, settings, first_step, arguments, accelerator)
    accelerator.end_training()


def parse_arguments():
    parser = argparse.ArgumentParser(description="Trains the adapter of this folder.")
    parser.add_argument("--model", help="the base model: a name on the hub or a folder; else the run's")
    parser.add_argument("--output_dir", default=str(HERE / "output"), help="where checkpoints and the log go")
    parser.add_argument("--resume", default=str(HERE / "adapter"), help="a folder checkpoint-N of this script to go on from")
    parser.add_argument("--stop_after", type=int, help="end after this optimizer step; the schedule stays that of the whole run")
    parser.add_argument("--cpu", action="store_true", help="compute on the CPU although there is a GPU")
    return parser.parse_args()


# The model and what is trained of it


def load_model(settings, arguments, device):
    name, more = arguments.model or settings.model, {}
    if arguments.model is None and settings.revision:
        more["revision"] = settings.revision
    config = AutoConfig.from_pretrained(name, **labels_of(settings), **more)
    config.pad_token_id = settings.pad_token_id
    config.use_cache = False
    # The run drops inputs of the adapter and nothing else.
    for key, value in config.to_dict().items():
        if "drop" in key and type(value) is float:
            setattr(config, key, 0.0)
    dtype = getattr(torch, settings.dtype)
    if settings.quantization_bit:
        more["quantization_config"] = quantization(settings, dtype)
        more["device_map"] = {"": device}
    if settings.kind.endswith("classification"):
        # Some classes drop a tenth where the configuration does not say otherwise.
        config.classifier_dropout = 0.0
    model = MODELS[settings.kind].from_pretrained(name, config=config, dtype=dtype, **more)
    put_head(model, settings, device)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model = PeftModel.from_pretrained(model, arguments.resume, is_trainable=True)
    return model if settings.quantization_bit else model.to(device)


def labels_of(settings):
    """What the configuration of a classifier says of its outputs."""
    if not settings.kind.endswith("classification"):
        return {}
    return {
        "id2label": dict(enumerate(settings.labels)),
        "label2id": {label: i for i, label in enumerate(settings.labels)},
        "problem_type": PROBLEMS[settings.answers],
    }


class Head(torch.nn.Module):
    """out(drop(act(hidden(drop(x))))), where x is what the module is given: vectors, or hidden states whose first is put through the
    architecture's dense layer."""

    def __init__(self, head, width, outputs):
        super().__init__()
        self.dropout, self.last = head["dropout"], head["out"]
        self.activation = ACT2FN[head["activation"]] if head["activation"] else torch.nn.Identity()
        if head["dense"]:
            self.dense = torch.nn.Linear(width, width)
        if head["hidden_size"]:
            self.hidden = torch.nn.Linear(width, head["hidden_size"])
        self.add_module(self.last, torch.nn.Linear(head["hidden_size"] or width, outputs, bias=head["bias"]))

    def forward(self, x):
        if hasattr(self, "dense"):
            x = torch.tanh(self.dense(x[:, 0]))
        x = F.dropout(x, self.dropout, self.training)
        if hasattr(self, "hidden"):
            x = F.dropout(self.activation(self.hidden(x)), self.dropout, self.training)
        return getattr(self, self.last)(x)


class DroppedLinear(torch.nn.Linear):
    """A linear whose inputs are dropped while it is trained."""

    dropout = 0.0

    def forward(self, x):
        return super().forward(F.dropout(x, self.dropout, self.training))


def put_head(model, settings, device):
    """Puts the run's head in the place of the architecture's, where it has another shape; its weights are in the adapter's files."""
    head = settings.head
    if head is None:
        return
    width, outputs = model.config.hidden_size, len(settings.labels)
    if head["out"]:
        new = Head(head, width, outputs)
    else:
        new = DroppedLinear(width, outputs, bias=head["bias"])
        new.dropout = head["dropout"]
    setattr(model, head["module"], new.to(device))


def quantization(settings, dtype):
    if settings.quantization_bit == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=settings.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=settings.bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=dtype,
    )


def trained(model):
    """What is trained: its name in the adapter's file, and the parameter."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            yield name_in_file(name), parameter


def name_in_file(name):
    """PEFT puts the adapter's name into those of its parameters, and leaves it out of its files."""
    name = name.replace(".modules_to_save.default", "").replace(".default", "")
    return name.removesuffix(".weight") if "lora_magnitude_vector" in name else name


def make_optimizer(model, settings):
    groups = {}
    for name, parameter in trained(model):
        key = (rate_of(name, parameter, settings), 0.0 if name in settings.no_decay else settings.weight_decay)
        groups.setdefault(key, []).append(parameter)
    groups = [
        {"params": parameters, "rate": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]
    numbers = dict(lr=settings.learning_rate, betas=(settings.adam_beta1, settings.adam_beta2), eps=settings.adam_epsilon)
    if settings.optim == "adamw_8bit":
        from bitsandbytes.optim import AdamW8bit

        return AdamW8bit(groups, **numbers)
    return torch.optim.AdamW(groups, **numbers)


def rate_of(name, parameter, settings):
    """How many times the run's learning rate a parameter learns at: other than 1 with LoRA+ alone."""
    if settings.loraplus_lr_ratio is None:
        return 1.0
    if "lora_embedding_" in name:
        return settings.loraplus_lr_embedding / settings.learning_rate
    return settings.loraplus_lr_ratio if "lora_B" in name or parameter.ndim == 1 else 1.0


def learning_rate(step, settings):
    """The rate of an optimizer step, counted from 0, by the formulas of transformers' get_*_schedule."""
    peak, warmup, total = settings.learning_rate, settings.warmup_steps, settings.max_steps
    kind = settings.lr_scheduler_type
    if kind == "constant":
        return peak
    if step < warmup:
        return peak * step / max(1, warmup)
    decay_steps = max(1, total - warmup)
    progress = (step - warmup) / decay_steps
    if kind == "constant_with_warmup":
        return peak
    if kind == "linear":
        return peak * max(0.0, (total - step) / decay_steps)
    if kind == "cosine":
        return peak * max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
    if kind == "cosine_with_restarts":
        if progress >= 1.0:
            return 0.0
        return peak * max(0.0, 0.5 * (1.0 + math.cos(math.pi * ((settings.num_cycles * progress) % 1.0))))
    if kind == "polynomial":
        if step > total:
            return settings.lr_end
        return (peak - settings.lr_end) * (1.0 - progress) ** settings.power + settings.lr_end
    if kind == "inverse_sqrt":
        timescale = warmup or 10_000
        return peak / math.sqrt((step - warmup + timescale) / timescale)
    raise ValueError(f"lr_scheduler_type: {kind} is not known to this script")


# Rows and their losses


def labels_in(row, settings):
    """The classes that are learnt of a row: its own, or those of its tokens."""
    if "label" in row:
        return [row["label"]]
    # The first token of a text has nothing in front that it could be predicted from.
    return row["labels"][1:] if settings.kind == "causal_lm" else row["labels"]


def counts_of(row, settings):
    """What the sum of each term of the loss is divided by, with the other rows' of the step: targets, their weights, or numbers."""
    if "texts" in row:
        return [together.count_of(term, row, settings.answers) for term in settings.terms]
    if "targets" in row:
        return [len(row["targets"])] * len(settings.terms)
    labels = [label for label in labels_in(row, settings) if label != IGNORED]
    return [count_of_classes(term, labels, settings) for term in settings.terms]


def count_of_classes(term, labels, settings):
    if term["loss"] == "cross_entropy" and term["class_weights"]:
        return sum(term["class_weights"][label] for label in labels)
    return len(labels) if term["loss"] in ("cross_entropy", "focal") else len(labels) * len(settings.labels)


def counts_of_all(rows, settings):
    return [sum(counts) for counts in zip(*(counts_of(row, settings) for row in rows))] or [0] * len(settings.terms)


def mean(sums, counts):
    """The loss: the sum of each term over its count."""
    parts = [total / count for total, count in zip(sums, counts) if count > 0]
    return sum(parts) if parts else 0.0 * sums.sum()


def padded(lists, filler):
    longest = max(map(len, lists))
    return torch.tensor([numbers + [filler] * (longest - len(numbers)) for numbers in lists])


def apart(row):
    """The examples of a packed row, which do not see each other, as rows of their own."""
    if "starts" not in row:
        return [row]
    ends = [0, *row["starts"], len(row["input_ids"])]
    return [{name: row[name][a:b] for name in ("input_ids", "labels")} for a, b in zip(ends, ends[1:])]


def groups_of(rows):
    """The rows of each pass over `rows`: all of them, or, of packed rows, their examples, those of like length together, with
    padding no more tokens at a time than the packed rows have."""
    if not any("starts" in row for row in rows):
        return [rows]
    most = len(rows) * max(len(row["input_ids"]) for row in rows)
    examples = [example for row in rows for example in apart(row)]
    groups, longest = [], 0
    for example in sorted(examples, key=lambda example: len(example["input_ids"]), reverse=True):
        if not groups or (len(groups[-1]) + 1) * longest > most:
            groups.append([])
            longest = len(example["input_ids"])
        groups[-1].append(example)
    return groups


def inputs_of(rows, settings):
    ids = [row["input_ids"] for row in rows]
    inputs = {
        "input_ids": padded(ids, settings.pad_token_id),
        "attention_mask": padded([[1] * len(row) for row in ids], 0),
    }
    if any("token_type_ids" in row for row in rows):
        inputs["token_type_ids"] = padded([row.get("token_type_ids", [0] * len(row["input_ids"])) for row in rows], 0)
    return inputs


def logits_of(model, inputs, settings):
    if settings.head is None or not settings.head["mean"]:
        return model(**inputs).logits.float()
    # No class of transformers reads the mean of a row's tokens: the head is called apart.
    whole = model.get_base_model()
    states = whole.base_model(**inputs).last_hidden_state
    means = together.vectors(states, inputs["attention_mask"], "mean")
    return getattr(whole, settings.head["module"])(means).float()


def sums_of(model, rows, settings, device):
    """The sum of each term of the loss over all targets of these rows, which are not packed, times the term's weight."""
    if "texts" in rows[0]:
        return sums_of_texts(model, rows, settings, device)
    inputs = {name: tensor.to(device) for name, tensor in inputs_of(rows, settings).items()}
    if settings.answers != "classes":
        targets = torch.tensor([row["targets"] for row in rows], dtype=torch.float32, device=device)
        logits = logits_of(model, inputs, settings)
        of_term = of_labels if settings.answers == "labels" else of_numbers
        return torch.stack([term["weight"] * of_term(term, logits, targets) for term in settings.terms])
    if settings.kind == "sequence_classification":
        labels = torch.tensor([row["label"] for row in rows], device=device)
    else:
        labels = padded([row["labels"] for row in rows], IGNORED).to(device)
    if settings.kind == "seq2seq_lm":
        inputs["decoder_input_ids"] = model.get_base_model().prepare_decoder_input_ids_from_labels(labels=labels)
    logits = logits_of(model, inputs, settings)
    if settings.kind == "causal_lm":
        # Token t predicts token t + 1.
        logits, labels = logits[:, :-1], labels[:, 1:]
    logits, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    return torch.stack([term["weight"] * of_classes(term, logits, labels) for term in settings.terms])


def sums_of_texts(model, rows, settings, device):
    """The same of rows of several texts each, all of which go through the model together."""
    texts = [text for row in rows for text in row["texts"]]
    inputs = {name: tensor.to(device) for name, tensor in inputs_of(texts, settings).items()}
    if settings.answers == "answers":
        labels = padded([text["labels"] for text in texts], IGNORED).to(device)
        outputs = together.answers_log_probs(model(**inputs).logits.float(), labels)
    elif settings.answers == "vectors":
        states = model.get_base_model().base_model(**inputs).last_hidden_state.float()
        outputs = together.vectors(states, inputs["attention_mask"], settings.pooling)
    else:
        outputs = logits_of(model, inputs, settings)[:, 0]
    return together.sums(outputs, rows, settings.answers, settings.terms, penalty)


def of_classes(term, logits, labels):
    """One class a row of logits."""
    if term["loss"] == "cross_entropy":
        weights = torch.tensor(term["class_weights"], device=logits.device) if term["class_weights"] else None
        return F.cross_entropy(
            logits, labels, weight=weights, ignore_index=IGNORED, label_smoothing=term["label_smoothing"], reduction="sum"
        )
    logits, labels = logits[labels != IGNORED], labels[labels != IGNORED]
    chosen = F.one_hot(labels, logits.shape[-1]).bool()
    if term["loss"] != "focal":
        return penalty(term, logits.softmax(dim=-1) - chosen.float()).sum()
    odds = logits[chosen] - logits.masked_fill(chosen, -math.inf).logsumexp(dim=-1)
    weights = torch.tensor(term["alpha"], device=logits.device)[labels] if term["alpha"] else 1.0
    return (weights * focal(term, odds)).sum()


def of_labels(term, logits, targets):
    """Any of the labels."""
    if term["loss"] == "bce":
        weights = torch.tensor(term["pos_weight"] or [1.0], device=logits.device)
        return (weights * targets * F.softplus(-logits) + (1.0 - targets) * F.softplus(logits)).sum()
    if term["loss"] != "focal":
        return penalty(term, logits.sigmoid() - targets).sum()
    weights = 1.0
    if term["alpha"]:
        alpha = torch.tensor(term["alpha"], device=logits.device)
        weights = torch.where(targets == 1.0, alpha, 1.0 - alpha)
    return (weights * focal(term, logits * (2.0 * targets - 1.0))).sum()


def of_numbers(term, logits, targets):
    return penalty(term, logits - targets).sum()


def focal(term, odds):
    """(1 - p)^gamma * -log p of p = sigmoid(odds)."""
    return torch.exp(-term["gamma"] * F.softplus(odds)) * F.softplus(-odds)


def penalty(term, error):
    """What an error costs."""
    if term["loss"] == "mse":
        return error.square()
    if term["loss"] == "mae":
        return error.abs()
    zeros = torch.zeros_like(error)
    if term["loss"] == "huber":
        return F.huber_loss(error, zeros, reduction="none", delta=term["delta"])
    if term["loss"] == "smooth_l1":
        return F.smooth_l1_loss(error, zeros, reduction="none", beta=term["beta"])
    raise together.unknown(term)


def parts(rows, size):
    return [rows[start : start + size] for start in range(0, len(rows), size)]


# The run


def train(model, optimizer, settings, first_step, arguments, accelerator):
    rows, held_out = read_rows(HERE / "rows.jsonl"), read_rows(HERE / "eval.jsonl")
    steps = read_json(HERE / "order.json")["steps"]
    output = Path(arguments.output_dir)
    log = Log(output / "train_log.jsonl", accelerator)
    if first_step == 0 and held_out:
        log.add(step=0, eval_loss=evaluate(model, held_out, settings, accelerator))
    last_step = min(settings.max_steps, arguments.stop_after or settings.max_steps)
    since_log = []
    for step in range(first_step, last_step):
        rate = learning_rate(step, settings)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["rate"]
        of_step = [[rows[i] for i in micro_batch] for micro_batch in steps[step]]
        loss, norm = take_step(model, optimizer, of_step, step, settings, accelerator)
        since_log.append(loss)
        done = step + 1
        if done == last_step or is_due(done, settings.logging_steps):
            log.add(step=done, loss=sum(since_log) / len(since_log), grad_norm=norm, learning_rate=rate)
            since_log = []
        if held_out and (done == last_step or is_due(done, settings.eval_steps)):
            log.add(step=done, eval_loss=evaluate(model, held_out, settings, accelerator))
        if done == last_step or is_due(done, settings.save_steps):
            if accelerator.is_main_process:
                save_state(model, optimizer, settings, done, output / f"checkpoint-{done}")
            accelerator.wait_for_everyone()


def is_due(step, every):
    return every > 0 and step % every == 0


def own_parts(batches, size, settings, accelerator):
    """What this process takes of these batches, in passes: whole ones where their rows are compared with each other, else its share of
    the rows, `size` at a time."""
    rank, processes = accelerator.process_index, accelerator.num_processes
    if settings.compares_batch:
        return batches[rank::processes]
    return parts([row for batch in batches for row in batch][rank::processes], size)


def take_step(model, optimizer, batches, step, settings, accelerator):
    """One optimizer step on all of `batches`, of which this process takes its share; gives loss and norm of the gradient."""
    rank, processes, device = accelerator.process_index, accelerator.num_processes, accelerator.device
    counts = counts_of_all([row for batch in batches for row in batch], settings)
    # Masks of dropout follow from the step, so that a run that goes on draws those of one that never stopped.
    torch.manual_seed(settings.seed + step * processes + rank)
    model.train()
    optimizer.zero_grad(set_to_none=True)
    loss = torch.zeros(1, device=device)
    for part in own_parts(batches, settings.per_device_train_batch_size, settings, accelerator):
        for group in groups_of(part):
            group_loss = mean(sums_of(model, group, settings, device), counts)
            group_loss.backward()
            loss += group_loss.detach()
    parameters = [parameter for _, parameter in trained(model)]
    loss, norm = add_up(parameters, loss, accelerator)
    if not math.isfinite(loss) or not math.isfinite(norm):
        raise SystemExit(f"step {step + 1}: the loss is {loss}, the norm of its gradient {norm}: lower the learning rate")
    if settings.max_grad_norm > 0:
        scale = min(1.0, settings.max_grad_norm / (norm + 1e-6))
        for parameter in parameters:
            parameter.grad.mul_(scale)
    optimizer.step()
    return loss, norm


def add_up(parameters, loss, accelerator):
    """Adds gradients and losses of all processes up, in one exchange; gives the loss and the norm of the gradient."""
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    numbers = torch.cat([loss] + [gradient.float().flatten() for gradient in gradients])
    numbers = accelerator.reduce(numbers, reduction="sum")
    loss, flat = numbers[0].item(), numbers[1:]
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        parameter.grad = flat[start:end].view_as(parameter).to(parameter.dtype)
        start = end
    return loss, flat.double().norm().item()


@torch.no_grad()
def evaluate(model, rows, settings, accelerator):
    """The mean loss over all targets of `rows`."""
    model.eval()
    total = torch.zeros(len(settings.terms), device=accelerator.device)
    size = settings.per_device_eval_batch_size
    for part in own_parts(parts(rows, size), size, settings, accelerator):
        for group in groups_of(part):
            total += sums_of(model, group, settings, accelerator.device)
    total = accelerator.reduce(total, reduction="sum")
    return mean(total, counts_of_all(rows, settings)).item()


# Files


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def read_rows(path):
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Log:
    """Losses as JSON, one a line, on the screen and in a file."""

    def __init__(self, path, accelerator):
        self.path = path if accelerator.is_main_process else None
        if self.path:
            path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, **numbers):
        if self.path is None:
            return
        line = json.dumps(numbers)
        print(line, flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def load_state(model, optimizer, settings, folder):
    """Puts the moments of `folder` into the optimizer, where there are some; gives how many steps are done."""
    state = folder / "trainer_state.json"
    done = read_json(state)["global_step"] if state.is_file() else 0
    moments = folder / "optimizer.safetensors"
    if settings.optim != "adamw_torch" or not moments.is_file():
        return done
    moments = load_file(moments)
    for name, parameter in trained(model):
        if f"exp_avg.{name}" not in moments:
            continue
        optimizer.state[parameter] = {
            "step": torch.tensor(float(done)),
            "exp_avg": moments[f"exp_avg.{name}"].to(parameter),
            "exp_avg_sq": moments[f"exp_avg_sq.{name}"].to(parameter),
        }
    return done


def save_state(model, optimizer, settings, done, folder):
    """Saves the adapter as PEFT does, with what it takes to go on from here."""
    model.save_pretrained(folder)
    if settings.optim == "adamw_torch":
        moments = {}
        for name, parameter in trained(model):
            for kind in ("exp_avg", "exp_avg_sq"):
                moments[f"{kind}.{name}"] = optimizer.state[parameter][kind].contiguous().cpu()
        save_file(moments, folder / "optimizer.safetensors")
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": done}), encoding="utf-8")


if __name__ == "__main__":
    main()
