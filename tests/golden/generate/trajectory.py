"""Optimizer steps as transformers takes them: accumulation over all targets, clipping, AdamW and a schedule."""

import copy
import math
import re
from dataclasses import dataclass, field

import torch
import transformers

from . import adapters
from .cases import Architecture, Sizes
from .inputs import Tensors, draw
from .reference import InDoubles, in_doubles, summed_loss, widened
from .write import largest_difference, tolerance

BETAS, EPSILON, DECAY, MAX_NORM = (0.9, 0.999), 1e-8, 0.01, 1.0
UNDECAYED = re.compile(r"bias|layernorm|rmsnorm|(^|\.)norm($|\.)|_norm($|\.)")
LEAST = {"after": 2e-6, "final": 1e-5, "grad_norm": 1e-5, "loss": 1e-5}
"""The least tolerances: Adam's steps do not depend on a gradient's size, so they carry its relative error on."""


@dataclass
class Trajectory:
    """What the steps of a run were."""

    loss: list[float] = field(default_factory=list)
    mean_of_means: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    targets: list[list[int]] = field(default_factory=list)
    weights: list[Tensors] = field(default_factory=list)
    """The trained weights after every step."""
    moments: dict[str, Tensors] = field(default_factory=dict)
    """exp_avg and exp_avg_sq after the last step."""


def draw_steps(architecture: Architecture, sizes: Sizes, generator: torch.Generator) -> Tensors:
    """Inputs of shape [step, micro-batch, row, ...]: micro-batches differ in how many targets they have."""
    paddings = ["none", "right"] + ["none"] * (sizes.micro_rows - 2)
    steps = [
        [draw(architecture, sizes, paddings, generator, few=micro > 0) for micro in range(sizes.micro_batches)]
        for _ in range(sizes.steps)
    ]
    return {
        name: torch.stack([torch.stack([batch[name] for batch in step]) for step in steps]) for name in steps[0][0]
    }


def flattened(inputs: Tensors) -> Tensors:
    """The same steps with all rows of a step in one micro-batch."""
    return {name: value.flatten(1, 2).unsqueeze(1) for name, value in inputs.items()}


def warmup_steps(ratio: float, steps: int) -> int:
    """Steps of warm-up, rounded as transformers rounds them."""
    return math.ceil(ratio * steps)


def decays(model: torch.nn.Module) -> tuple[list[str], list[str]]:
    """The trained parameters that decay, and those that do not."""
    norms = [name for name, module in model.named_modules() if isinstance(module, torch.nn.LayerNorm)]
    plain = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    still = {name for name in plain if UNDECAYED.search(name.lower()) or name.rpartition(".")[0] in norms}
    return tuple(sorted(map(adapters.file_key, names)) for names in (plain - still, still))


def train(model: torch.nn.Module, kind: str, inputs: Tensors, sizes: Sizes) -> Trajectory:
    """Trains the model, in place, on inputs of shape [step, micro-batch, row, ...]."""
    parameters, (decayed, still) = adapters.trained(model), decays(model)
    groups = [
        {"params": [parameters[name] for name in names], "weight_decay": decay}
        for names, decay in ((decayed, DECAY), (still, 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, lr=sizes.learning_rate, betas=BETAS, eps=EPSILON)
    warmup = warmup_steps(sizes.warmup_ratio, sizes.steps)
    schedule = transformers.get_cosine_schedule_with_warmup(optimizer, warmup, sizes.steps)
    found = Trajectory()
    for step in range(sizes.steps):
        batches = [
            {name: value[step, micro] for name, value in inputs.items()}
            for micro in range(inputs["input_ids"].shape[1])
        ]
        sums = [summed_loss(kind, model(**batch).logits, batch["labels"]) for batch in batches]
        targets = [count for _, count in sums]
        loss = sum(total for total, _ in sums) / sum(targets)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), MAX_NORM)
        found.lr.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        found.loss.append(loss.item())
        found.mean_of_means.append(sum((total / count).item() for total, count in sums) / len(sums))
        found.grad_norm.append(norm.item())
        found.targets.append(targets)
        found.weights.append({name: parameter.detach().clone() for name, parameter in parameters.items()})
    for moment in ("exp_avg", "exp_avg_sq"):
        found.moments[moment] = {name: optimizer.state[parameter][moment] for name, parameter in parameters.items()}
    return found


def train_both(model: torch.nn.Module, kind: str, inputs: Tensors, sizes: Sizes) -> tuple[Trajectory, Trajectory]:
    """The steps of copies of the model in float32 and in float64."""
    found = train(copy.deepcopy(model), kind, inputs, sizes)
    with InDoubles():
        exact = train(in_doubles(model), kind, widened(inputs), sizes)
    return found, exact


def weights_differ(found: Tensors, wanted: Tensors, ignored: list[str] = ()) -> float:
    """The largest difference of trained weights."""
    return max(largest_difference(value, wanted[name]) for name, value in found.items() if name not in ignored)


def numbers_differ(found: list[float], wanted: list[float]) -> float:
    """The largest difference of two lists."""
    return max(abs(a - b) for a, b in zip(found, wanted, strict=True))


def errors(found: Trajectory, exact: Trajectory, kept: int, ignored: list[str] = ()) -> dict[str, float]:
    """How far float32 is off; weights after `kept` steps and after the last one."""
    return {
        "final_weights": weights_differ(found.weights[-1], exact.weights[-1], ignored),
        "grad_norm": numbers_differ(found.grad_norm, exact.grad_norm),
        "loss": numbers_differ(found.loss, exact.loss),
        f"weights_after_{kept}": weights_differ(found.weights[kept - 1], exact.weights[kept - 1], ignored),
    }


def tolerances(errors: dict[str, float], kept: int) -> dict[str, float]:
    """The tolerances of case.json for such errors."""
    return {
        f"after{kept}_abs": tolerance(errors[f"weights_after_{kept}"], LEAST["after"]),
        "final_abs": tolerance(errors["final_weights"], LEAST["final"]),
        "grad_norm_abs": tolerance(errors["grad_norm"], LEAST["grad_norm"]),
        "loss_abs": tolerance(errors["loss"], LEAST["loss"]),
    }


def optimizer(sizes: Sizes) -> dict:
    """The optimizer as case.json describes it."""
    return {"betas": list(BETAS), "eps": EPSILON, "lr": sizes.learning_rate, "weight_decay": DECAY}


def vectors(found: Trajectory) -> Tensors:
    """Loss, learning rate and gradient norm of every step, in float64."""
    return {
        name: torch.tensor(getattr(found, name), dtype=torch.float64) for name in ("loss", "lr", "grad_norm")
    }


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    """The tensors under longer names."""
    return {f"{prefix}.{name}": value for name, value in tensors.items()}
