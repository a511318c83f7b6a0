"""PEFT adapters with random weights, under the names of their files."""

import copy
import json
import math
import re
from pathlib import Path

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file

from .inputs import Tensors
from .write import save_json

TASK_TYPES = {
    "causal": "CAUSAL_LM", "seqcls": "SEQ_CLS", "multilabel": "SEQ_CLS", "regression": "SEQ_CLS",
    "tokcls": "TOKEN_CLS", "mlm": None, "seq2seq": "SEQ_2_SEQ_LM",
}


def attach(model: transformers.PreTrainedModel, peft: dict, kind: str, generator: torch.Generator) -> PeftModel:
    """A copy of the model with an adapter whose every tensor matters: B is not zero, magnitudes are not the norms."""
    adapted = get_peft_model(copy.deepcopy(model), LoraConfig(task_type=TASK_TYPES[kind], **peft)).eval()
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if not parameter.requires_grad:
                continue
            noise = torch.randn(parameter.shape, generator=generator)
            if ".lora_A." in name:
                parameter.copy_(0.8 / math.sqrt(parameter.shape[1]) * noise)
            elif ".lora_B." in name:
                parameter.copy_(0.3 / math.sqrt(parameter.shape[1]) * noise)
            elif ".lora_magnitude_vector." in name:
                parameter.mul_(1 + 0.2 * noise)
            else:
                parameter.add_(0.1 * noise)
    return adapted


def file_key(name: str) -> str:
    """The name that a parameter has in adapter_model.safetensors."""
    name = name.replace(".modules_to_save.default.", ".")
    return re.sub(r"(lora_[AB])\.default\.", r"\1.", name).replace(
        "lora_magnitude_vector.default.weight", "lora_magnitude_vector"
    )


def trained(model: torch.nn.Module) -> Tensors:
    """The trained parameters under the names of the file; those of a model without an adapter keep theirs."""
    return {file_key(name): parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def save_adapter(adapted: PeftModel, folder: Path, base: str) -> None:
    """Writes adapter_config.json, with `base` as the base model's place, and adapter_model.safetensors."""
    adapted.peft_config["default"].base_model_name_or_path = base
    adapted.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    # PEFT keeps sets, which have no order.
    for key in ("target_modules", "exclude_modules", "modules_to_save"):
        if isinstance(config[key], list):
            config[key] = sorted(config[key])
    save_json(folder / "adapter_config.json", config)
    saved = set(load_file(folder / "adapter_model.safetensors"))
    if saved != set(trained(adapted)):
        raise AssertionError(f"{folder}: the file's tensors are not the trained ones: {saved ^ set(trained(adapted))}")


def lora_modules(adapted: PeftModel) -> dict[str, dict]:
    """Rank and scaling of every adapted module."""
    modules = adapted.base_model.model.named_modules()
    return {
        name: {
            "base_class": type(module.base_layer).__name__,
            "fan_in_fan_out": bool(getattr(module, "fan_in_fan_out", False)),
            "lora_alpha": module.lora_alpha["default"],
            "r": module.r["default"],
            "scaling": module.scaling["default"],
        }
        for name, module in modules
        if hasattr(module, "lora_A")
    }


def merged(adapted: PeftModel) -> transformers.PreTrainedModel:
    """The model with the adapter in its weights."""
    return copy.deepcopy(adapted).merge_and_unload()
