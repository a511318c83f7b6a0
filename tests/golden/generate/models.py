"""Group A: models of every architecture, and adapters on them."""

from pathlib import Path

import torch
import transformers

from . import adapters, reference
from .cases import Adapter, Architecture, architectures
from .inputs import Tensors, draw_batch
from .write import Settings, largest_difference, save_case, save_tensors

POSITIONS = (
    "logits/loss/gradients use position_ids = 0..T-1 for every row, padding included (what transformers does when no "
    "position_ids are passed). logits_with_position_ids_from_mask uses cumsum(mask)-1 as generate() does."
)
MERGED_WEIGHT = 1e-6
"""A merged weight is a product of rank r and one addition: it is exact but for its last bits."""


def parts(settings: Settings) -> dict:
    """The functions that make the cases, by name."""
    return {
        f"A/{name}": lambda folder, architecture=architecture: make(settings, architecture, folder)
        for name, architecture in architectures(settings.sizes).items()
    }


def make(settings: Settings, architecture: Architecture, folder: Path) -> None:
    """Writes a model, what it computes, and its adapters."""
    generator = settings.generator(f"A/{architecture.name}")
    model = reference.build(architecture, generator)
    reference.save_model(model, folder)

    def compute():
        inputs = draw_batch(architecture, settings.sizes, generator)
        return inputs, *reference.both(model, inputs, reference.loss_and_gradients)

    inputs, found, exact = reference.drawn(compute)
    save_tensors(folder / "inputs.safetensors", inputs)
    errors = reference.errors(found, exact, reference.meaningful(architecture.kind, inputs))
    output, gradients = found
    expected = {"logits": output.logits, "loss": output.loss} | hidden_states(output)
    summed, targets = reference.summed_loss(architecture.kind, output.logits, inputs["labels"])
    torch.testing.assert_close(summed / targets, output.loss, rtol=1e-5, atol=1e-6)
    case = {
        "arch": architecture.name,
        "attn_implementation": "eager",
        "compare_logits_where": reference.compared_where(architecture.kind),
        "group": "A",
        "kind": architecture.kind,
        "loss": output.loss.item(),
    } | settings.described()
    if architecture.kind == "causal":
        positions = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
        expected |= {
            "loss_sum": summed,
            "position_ids_from_mask": positions,
            "logits_with_position_ids_from_mask": model(**inputs, position_ids=positions).logits,
        }
        case |= {"positions": POSITIONS}
    if architecture.kind == "seq2seq":
        case["decoder_input_ids"] = "shift_right(labels); stored in inputs; no decoder_attention_mask is passed"
    if architecture.kind in ("causal", "seq2seq"):
        case["targets"] = targets
    if architecture.full_gradients:
        save_tensors(
            folder / "full_grads.safetensors", {f"grad.{name}": gradient for name, gradient in gradients.items()}
        )
        case["full_grads"] = "full_grads.safetensors: d loss / d every parameter of the base model (no adapter)"
    else:
        del errors["grad"]
    save_tensors(folder / "expected.safetensors", expected)
    save_case(folder, case | {"fp32_vs_fp64_max_abs": errors, "tolerance": reference.tolerances(errors)})
    check_saved(model, inputs, output.logits, folder)
    for adapter in architecture.adapters:
        make_adapter(settings, architecture, model, inputs, adapter, folder / "adapters" / adapter.name)


def hidden_states(output) -> Tensors:
    """The hidden states after the embedding and after every layer."""
    parts = {"hidden": "hidden_states"}
    if "encoder_hidden_states" in output:
        parts = {"encoder_hidden": "encoder_hidden_states", "decoder_hidden": "decoder_hidden_states"}
    return {
        f"{name}.{layer}": state for name, key in parts.items() for layer, state in enumerate(output[key])
    }


def check_saved(model, inputs: Tensors, logits: torch.Tensor, folder: Path) -> None:
    """Fails unless the written files give the same logits, but for the last bits that depend on where weights lie."""
    again = type(model).from_pretrained(folder, attn_implementation="eager").eval()
    torch.testing.assert_close(again(**inputs).logits, logits, rtol=1e-4, atol=1e-4)


def make_adapter(
    settings: Settings, architecture: Architecture, model: transformers.PreTrainedModel, inputs: Tensors,
    adapter: Adapter, folder: Path,
) -> None:
    """Writes an adapter, what the model computes with it, and the merged weights."""
    generator = settings.generator(f"A/{architecture.name}/adapters/{adapter.name}")
    peft = {"bias": "none", "lora_dropout": 0.0} | adapter.peft

    def compute():
        adapted = adapters.attach(model, peft, architecture.kind, generator)
        return adapted, *reference.both(adapted, inputs, reference.loss_and_gradients)

    adapted, found, exact = reference.drawn(compute)
    adapters.save_adapter(adapted, folder, "../..")
    errors = reference.errors(found, exact, reference.meaningful(architecture.kind, inputs))
    output, gradients = found
    merged = adapters.merged(adapted)
    merged_logits = merged(**inputs).logits
    base = model.state_dict()
    changed = {name: value for name, value in merged.state_dict().items() if not torch.equal(value, base[name])}
    save_tensors(
        folder / "expected.safetensors",
        {"logits": output.logits, "loss": output.loss, "merged_logits": merged_logits}
        | {f"grad.{adapters.file_key(name)}": gradient for name, gradient in gradients.items()},
    )
    if adapter.keep_merged:
        save_tensors(folder / "merged.safetensors", changed)
    tolerance = reference.tolerances(errors)
    save_case(folder, {
        "adapter": adapter.name,
        "arch": architecture.name,
        "base": "../..",
        "compare_logits_where": reference.compared_where(architecture.kind),
        "files": {
            "adapter_model.safetensors": "adapter values used for logits, loss and gradients (fixed, non-zero)",
            "expected.safetensors": "logits, loss, merged_logits, grad.<key in adapter_model.safetensors>",
            "merged.safetensors": "only the base tensors that merge_and_unload changed"
            if adapter.keep_merged else "not stored for this adapter",
        },
        "fp32_vs_fp64_max_abs": errors,
        "group": "A",
        "inputs": "../../inputs.safetensors",
        "kind": architecture.kind,
        "lora_modules": adapters.lora_modules(adapted),
        "loss": output.loss.item(),
        "merged_tensors_changed": sorted(changed),
        "merged_vs_adapter_logits_max_abs": largest_difference(
            merged_logits, output.logits, reference.meaningful(architecture.kind, inputs)
        ),
        "peft": peft | {"task_type": adapters.TASK_TYPES[architecture.kind]},
        "target_modules_asked": peft.get("target_modules", "PEFT default for this model_type"),
        "tolerance": tolerance | {
            "merged_logits_abs": tolerance["logits_abs"], "merged_weight_abs": MERGED_WEIGHT,
        },
        "variant": settings.variant,
    })
