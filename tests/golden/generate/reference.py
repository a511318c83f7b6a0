"""Models with random weights, and what transformers computes of them in float32 and float64."""

import contextlib
import copy
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from torch.overrides import TorchFunctionMode

from .cases import Architecture
from .inputs import IGNORED, Tensors
from .write import largest_difference, save_json, tolerance

PER_TOKEN = ("causal", "tokcls", "mlm")
"""Kinds whose logits belong to tokens of the input, so that those of padding mean nothing."""


LEAST = {"logits": 1e-5, "loss": 2e-6, "grad": 2e-6}
"""The least tolerances: what float32 may lose in sums of other orders however near the reference happens to be."""

KINK = 5e-6
"""How far from 0 the inputs of ReLUs must be."""


class InDoubles(TorchFunctionMode):
    """Makes casts to float32 in a model's code (norms, softmax, rotary embeddings, losses) casts to float64."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is torch.Tensor.float:
            return args[0].double()
        args = tuple(torch.float64 if argument is torch.float32 else argument for argument in args)
        if kwargs.get("dtype") is torch.float32:
            kwargs["dtype"] = torch.float64
        return function(*args, **kwargs)


def in_doubles(model: torch.nn.Module) -> torch.nn.Module:
    """A copy of a float32 model with the same numbers in float64; it runs within `InDoubles()`."""
    return copy.deepcopy(model).double()


def widened(inputs: Tensors) -> Tensors:
    """Inputs for a model in float64."""
    return {name: value.double() if value.is_floating_point() else value for name, value in inputs.items()}


def build(architecture: Architecture, generator: torch.Generator, **config) -> transformers.PreTrainedModel:
    """The model with random weights of sizes at which every part of it matters; `config` replaces settings."""
    model_class = getattr(transformers, architecture.model_class)
    settings = model_class.config_class(**(architecture.config | config))
    settings._attn_implementation = "eager"
    model = model_class(settings).eval().float()
    if getattr(settings, "scale_decoder_outputs", None) is False:
        # T5 v1.1 has an output matrix of its own, which transformers ties unless a file says otherwise.
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            owner = modules[name.rpartition(".")[0]]
            parameter.copy_(random_weight(name, parameter, owner, settings, generator))
    return model


def random_weight(name: str, parameter: torch.Tensor, owner, config, generator: torch.Generator) -> torch.Tensor:
    """Random values of a parameter of the module `owner`."""
    noise = torch.randn(parameter.shape, generator=generator)
    if name.endswith("bias"):
        return 0.1 * noise
    if "relative_attention_bias" in name:
        return 0.5 * noise
    if isinstance(owner, torch.nn.Embedding):
        return 0.4 * noise
    if parameter.dim() == 1:
        # Gemma's norms multiply by 1 + w.
        middle = 0.0 if config.model_type.startswith("gemma") else 1.0
        return middle + 0.2 * noise
    is_transposed = isinstance(owner, transformers.pytorch_utils.Conv1D)
    scale = 1 / math.sqrt(parameter.shape[0 if is_transposed else 1])
    if config.model_type == "t5" and name.endswith("Attention.q.weight"):
        # T5 does not divide scores by the root of a head's width.
        scale /= math.sqrt(config.d_kv)
    return scale * noise


def save_model(model: transformers.PreTrainedModel, folder: Path) -> None:
    """Writes config.json and model.safetensors as `save_pretrained` does, and the config in transformers 4's layout."""
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    older = older_config(json.loads((folder / "config.json").read_text()))
    if older is not None:
        save_json(folder / "config.v4.json", older)


def older_config(config: dict) -> dict | None:
    """config.json as transformers 4 wrote it, where its layout was another one."""
    ropes, scales_outputs = config.get("rope_parameters"), config.get("scale_decoder_outputs")
    if ropes is None and scales_outputs is None:
        return None
    older = dict(config)
    older["torch_dtype"] = older.pop("dtype")
    older["transformers_version"] = "4.46.0"
    if scales_outputs is not None:
        older["tie_word_embeddings"] = older.pop("scale_decoder_outputs")
    if ropes is not None:
        older |= older_ropes(config["model_type"], older.pop("rope_parameters"))
    if config["model_type"] == "modernbert":
        full = [layer for layer, kind in enumerate(older.pop("layer_types")) if kind == "full_attention"]
        older["global_attn_every_n_layers"] = full[1] if len(full) > 1 else config["num_hidden_layers"]
    return older


def older_ropes(model_type: str, ropes: dict) -> dict:
    """The keys that transformers 4 had in the place of `rope_parameters`."""
    if "full_attention" in ropes:
        full, local = (ropes[kind]["rope_theta"] for kind in ("full_attention", "sliding_attention"))
        if model_type == "modernbert":
            return {"global_rope_theta": full, "local_rope_theta": local}
        return {"rope_theta": full, "rope_local_base_freq": local, "rope_scaling": None}
    scaling = {key: value for key, value in ropes.items() if key != "rope_theta"}
    return {"rope_theta": ropes["rope_theta"], "rope_scaling": None if scaling["rope_type"] == "default" else scaling}


def meaningful(kind: str, inputs: Tensors) -> torch.Tensor | None:
    """Where logits mean something; None for everywhere."""
    return inputs["attention_mask"] == 1 if kind in PER_TOKEN else None


def compared_where(kind: str) -> str:
    """What case.json says of `meaningful`."""
    return "attention_mask == 1" if kind in PER_TOKEN else "everywhere"


def summed_loss(kind: str, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, int]:
    """The sum of the losses of all targets, and how many there are."""
    if kind == "multilabel":
        return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum"), labels.numel()
    if kind == "regression":
        return F.mse_loss(logits.squeeze(-1), labels, reduction="sum"), labels.numel()
    if kind == "causal":
        logits, labels = logits[:, :-1], labels[:, 1:]
    loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return loss, int((labels != IGNORED).sum())


def loss_and_gradients(model: torch.nn.Module, inputs: Tensors):
    """The model's outputs, its own mean loss among them, and the gradient of every trained parameter."""
    model.zero_grad(set_to_none=True)
    output = model(**inputs, output_hidden_states=True, use_cache=False)
    output.loss.backward()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    # A parameter that the loss does not depend on has no gradient at all.
    return output, {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in trained.items()
    }


@contextlib.contextmanager
def nearest_kinks():
    """Collects how near the inputs of ReLUs come to 0, where gradients jump."""
    found = [math.inf]

    def look(module, inputs, output):
        if isinstance(module, torch.nn.ReLU):
            found.append(inputs[0].abs().min().item())

    handle = torch.nn.modules.module.register_module_forward_hook(look)
    try:
        yield found
    finally:
        handle.remove()


def drawn(compute):
    """What `compute` makes of random numbers; of new ones where a ReLU is so near its kink that rounding decides."""
    while True:
        with nearest_kinks() as found:
            result = compute()
        if min(found) > KINK:
            return result


def both(model: torch.nn.Module, inputs: Tensors, compute) -> tuple:
    """What `compute` makes of model and inputs in float32, and in float64."""
    found = compute(model, inputs)
    with InDoubles():
        exact = compute(in_doubles(model), widened(inputs))
    return found, exact


def errors(found: tuple, exact: tuple, where: torch.Tensor | None) -> dict[str, float]:
    """How far float32 is off in outputs and gradients of `loss_and_gradients`."""
    (output, gradients), (exact_output, exact_gradients) = found, exact
    return {
        "logits": largest_difference(output.logits, exact_output.logits, where),
        "loss": largest_difference(output.loss, exact_output.loss),
        "grad": max(largest_difference(gradient, exact_gradients[name]) for name, gradient in gradients.items()),
    }


def tolerances(errors: dict[str, float]) -> dict[str, float]:
    """The tolerances of case.json for such errors."""
    return {f"{name}_abs": tolerance(error, LEAST[name]) for name, error in errors.items()}
