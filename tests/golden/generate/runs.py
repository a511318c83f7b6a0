"""Group C: training of models of group A, and learning rates."""

import copy
from pathlib import Path

import torch
import transformers

from . import adapters, reference, trajectory
from .cases import Run, architectures, runs, schedules
from .trajectory import prefixed, vectors
from .write import Settings, save_case, save_tensors

WEIGHT_DECAY_RULE = (
    "transformers.Trainer.get_decay_parameter_names: a trainable parameter does NOT decay if it belongs to an "
    "nn.LayerNorm module or if its (lower-cased) name matches one of bias, layernorm, rmsnorm, (^|.)norm($|.), "
    "_norm($|.). Everything else decays: lora_A, lora_B, DoRA magnitude vectors, embeddings and the weight of a saved "
    "classifier; the classifier bias does not."
)
WARMUP_EXAMPLES = [(0.1, 50), (0.15, 10), (0.1, 33), (0.03, 7), (0.07, 100)]


def parts(settings: Settings) -> dict:
    """The functions that make the cases, by name."""
    made = {
        f"C/{run.name}": lambda folder, run=run: make(settings, run, folder) for run in runs(settings.sizes)
    }
    return made | {"C/schedules": lambda folder: make_schedules(settings, folder)}


def make(settings: Settings, run: Run, folder: Path) -> None:
    """Writes a model, an adapter if one is trained, and the steps."""
    sizes, generator = settings.sizes, settings.generator(f"C/{run.name}")
    architecture = architectures(sizes)[run.architecture]
    model = reference.build(architecture, generator)
    reference.save_model(model, folder)
    if run.peft is not None:
        model = adapters.attach(model, run.peft, architecture.kind, generator)
        adapters.save_adapter(model, folder / "adapter_init", "..")

    def compute():
        inputs = trajectory.draw_steps(architecture, sizes, generator)
        return inputs, *trajectory.train_both(model, architecture.kind, inputs, sizes)

    inputs, found, exact = reference.drawn(compute)
    save_tensors(folder / "inputs.safetensors", inputs)

    # A constant added to every score of a row changes nothing.
    idle = [name for name in adapters.trained(model) if name.endswith("key.bias")]
    kept = sizes.steps_kept
    flat = trajectory.train(copy.deepcopy(model), architecture.kind, trajectory.flattened(inputs), sizes)
    errors = trajectory.errors(found, exact, kept, idle)
    flat_errors = trajectory.errors(found, flat, kept, idle)
    del flat_errors[f"weights_after_{kept}"]

    expected = vectors(found) | prefixed("final", found.weights[-1])
    expected |= {f"flat.{name}": vectors(flat)[name] for name in ("loss", "grad_norm")}
    if run.keep_early:
        expected |= prefixed(f"after{kept}", found.weights[kept - 1])
    if run.keep_moments:
        for moment, values in found.moments.items():
            expected |= prefixed(moment, values)
    save_tensors(folder / "expected.safetensors", expected)
    decayed, still = trajectory.decays(model)
    idleness = {"why": (
        "true gradient is exactly 0 (a constant added to every score of a row); only rounding noise, which Adam "
        "amplifies to full-size steps"
    )}
    save_case(folder, {
        "accumulated_vs_flat_max_abs": flat_errors,
        "accumulation": {
            "micro_batches": sizes.micro_batches,
            "rows_per_micro_batch": sizes.micro_rows,
            "rule": (
                "loss of a step = sum of the target losses of all its micro-batches / number of targets of all of "
                "them; gradients likewise"
            ),
            "targets": found.targets,
            "wrong_mean_of_means_loss": found.mean_of_means,
        },
        "arch": run.architecture,
        "clip": {
            "max_norm": trajectory.MAX_NORM,
            "rule": "norm = L2 over all trainable gradients; scale = min(1, max_norm/(norm+1e-6))",
        },
        "decay": decayed,
        "do_not_compare": {"tensors": idle} | (idleness if idle else {}),
        "expected": (
            "loss, lr, grad_norm (before clipping) per step as f64; flat.* = the micro-batches of a step as one batch; "
            f"after{kept}.* / final.* = trainable weights after {kept} / {sizes.steps} steps, keyed as in "
            "adapter_model.safetensors; exp_avg.*, exp_avg_sq.* = optimizer state after the last step (some runs only)"
        ),
        "fp32_vs_fp64_max_abs": errors,
        "grad_norm": found.grad_norm,
        "group": "C",
        "inputs": "every tensor has shape [step, micro-batch, row, ...]",
        "kind": architecture.kind,
        "loss": found.loss,
        "lr": found.lr,
        "no_decay": still,
        "optimizer": trajectory.optimizer(sizes) | {
            "name": "torch.optim.AdamW",
            "update": "p *= 1-lr*wd; m,v as Adam; p -= lr/(1-b1^t) * m / (sqrt(v)/sqrt(1-b2^t) + eps), t from 1",
        },
        "peft": run.peft,
        "run": run.name,
        "schedule": {
            "name": "get_cosine_schedule_with_warmup",
            "rule": (
                "warm-up steps = ceil(ratio*steps); the lr of optimizer step i (from 0) is lr*lambda(i), so the first "
                "step has lr 0 and only moves the moments"
            ),
            "steps": sizes.steps,
            "warmup_ratio": sizes.warmup_ratio,
            "warmup_steps": trajectory.warmup_steps(sizes.warmup_ratio, sizes.steps),
        },
        "tolerance": trajectory.tolerances(errors, kept) | {"lr_abs": 1e-12},
        "trainable": "every parameter" if run.peft is None else "LoRA adapter in adapter_init",
        "variant": settings.variant,
        "weight_decay_rule": WEIGHT_DECAY_RULE,
    })


def make_schedules(settings: Settings, folder: Path) -> None:
    """Writes the learning rates of every schedule."""
    steps, rate, table = schedules(settings.sizes)
    found = {}
    for name, (function, arguments) in table.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=rate)
        schedule = getattr(transformers.optimization, function)(optimizer, **arguments)
        values = []
        for _ in range(steps):
            values.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        found[name] = {"function": function, "lr": rate, "values": values} | arguments
    save_tensors(
        folder / "expected.safetensors",
        {name: torch.tensor(case["values"], dtype=torch.float64) for name, case in found.items()},
    )
    save_case(folder, {
        "about": "value i = learning rate used by optimizer step i, i from 0",
        "defaults": {
            "cosine.num_cycles": 0.5,
            "cosine_with_restarts.num_cycles": 1,
            "inverse_sqrt.timescale": "num_warmup_steps, or 10000 when that is 0",
            "polynomial.lr_end": 1e-07,
            "polynomial.power": 1.0,
        },
        "group": "C",
        "schedules": found,
        "steps": steps,
        "tolerance": {"rel": 1e-9},
        "warmup_from_ratio": {
            "examples": [
                {"ratio": ratio, "steps": steps, "warmup": trajectory.warmup_steps(ratio, steps)}
                for ratio, steps in WARMUP_EXAMPLES
            ],
            "rule": "ceil(steps*ratio)",
        },
    })
