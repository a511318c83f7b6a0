"""Group D: QLoRA. A base in NF4 with double quantisation, an adapter on it, and steps of training."""

import copy
import json
from pathlib import Path

import bitsandbytes as bnb
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file

from . import adapters, nearest, quantisation, reference, trajectory
from .cases import QuantisedRun, architectures, quantised_runs
from .inputs import Tensors, draw_batch
from .trajectory import prefixed, vectors
from .write import Settings, largest_difference, save_case, save_tensors

BLOCK = 64


def parts(settings: Settings) -> dict:
    """The functions that make the cases, by name."""
    return {
        f"D/{run.name}": lambda folder, run=run: make(settings, run, folder)
        for run in quantised_runs(settings.sizes)
    }


def make(settings: Settings, run: QuantisedRun, folder: Path) -> None:
    """Writes a model, its 4-bit checkpoint and the decoded weights, an adapter, a first pass and steps."""
    sizes, generator = settings.sizes, settings.generator(f"D/{run.name}")
    architecture = architectures(sizes)[run.architecture]
    model = reference.build(architecture, generator, **run.config)
    reference.save_model(model, folder)
    quantised = save_quantised(model, run, folder)
    dense, decoded = dequantised(model, folder / "bnb4")
    check_decoded(quantised, decoded)
    save_tensors(folder / "dequantized.safetensors", decoded)

    adapted = adapters.attach(dense, run.peft, architecture.kind, generator)
    adapters.save_adapter(adapted, folder / "adapter_init", "../bnb4")
    inputs = draw_batch(architecture, sizes, generator)
    steps = trajectory.draw_steps(architecture, sizes, generator)
    save_tensors(folder / "inputs.safetensors", inputs | prefixed("train", steps))

    found, exact = reference.both(adapted, inputs, reference.loss_and_gradients)
    errors = reference.errors(found, exact, reference.meaningful(architecture.kind, inputs))
    trained, exactly_trained = trajectory.train_both(adapted, architecture.kind, steps, sizes)
    kept = sizes.steps_kept
    train_tolerance = trajectory.tolerances(trajectory.errors(trained, exactly_trained, kept), kept)
    output, gradients = found
    gradients = {adapters.file_key(name): gradient for name, gradient in gradients.items()}
    save_tensors(
        folder / "expected.safetensors",
        {"logits": output.logits, "loss": output.loss} | prefixed("grad", gradients)
        | prefixed("train", vectors(trained) | prefixed("final", trained.weights[-1])),
    )
    originals = model.state_dict()
    decayed, still = trajectory.decays(adapted)
    case = {
        "about": (
            "QLoRA: every listed linear weight replaced by its dequantised NF4 (block 64, double quantisation) value, "
            "everything in float32"
        ),
        "arch": run.architecture,
        "compare_logits_where": reference.compared_where(architecture.kind),
        "files": {
            "adapter_init/": "PEFT adapter before training",
            "bnb4/": "4-bit checkpoint as transformers + bitsandbytes save it (CPU)",
            "dequantized.safetensors": "dense float32 weights decoded from bnb4 by the written rule",
            "expected.safetensors": (
                "logits, loss, grad.* at adapter_init on inputs; train.* trajectory on train.* inputs (as in group C)"
            ),
            "model.safetensors": "original float32 weights",
        },
        "fp32_vs_fp64_max_abs": errors,
        "group": "D",
        "kind": architecture.kind,
        "llm_int8_skip_modules": run.skipped,
        "lora_modules": {name: module["base_class"] for name, module in adapters.lora_modules(adapted).items()},
        "loss": output.loss.item(),
        "optimizer": trajectory.optimizer(sizes) | {
            "clip": trajectory.MAX_NORM,
            "decay": decayed,
            "name": "AdamW",
            "no_decay": still,
            "schedule": "cosine",
            "warmup_steps": trajectory.warmup_steps(sizes.warmup_ratio, sizes.steps),
        },
        "peft": run.peft,
        "quantised_weights": sorted(decoded),
        "run": run.name,
        "tolerance": reference.tolerances(errors) | {
            "train_final_abs": train_tolerance["final_abs"], "train_loss_abs": train_tolerance["loss_abs"],
        },
        "train_loss": trained.loss,
        "variant": settings.variant,
        "weight_error_max_abs": {name: largest_difference(value, originals[name]) for name, value in decoded.items()},
    }
    # bitsandbytes' AVX-512 kernel takes wrong scales for blocks that cross the ends of rows.
    if all(value.shape[1] % BLOCK == 0 for value in decoded.values()):
        case["bnb_linear4bit_vs_dequantized"] = library_differs(quantised, folder, inputs, output.logits, gradients)
    save_case(folder, case)


def save_quantised(model: transformers.PreTrainedModel, run: QuantisedRun, folder: Path):
    """Quantises the saved model as transformers does, and writes what it saves."""
    settings = transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32, llm_int8_skip_modules=run.skipped,
    )
    quantised = type(model).from_pretrained(
        folder, quantization_config=settings, dtype=torch.float32, device_map="cpu", attn_implementation="eager"
    ).eval()
    quantised.save_pretrained(folder / "bnb4")
    (folder / "bnb4" / "generation_config.json").unlink(missing_ok=True)
    return quantised


def dequantised(model: transformers.PreTrainedModel, checkpoint: Path) -> tuple[transformers.PreTrainedModel, Tensors]:
    """A copy of the model with the checkpoint's weights, and those that were quantised."""
    saved = load_file(checkpoint / "model.safetensors")
    states = {key.partition(".quant_state.")[0]: key for key in saved if ".quant_state." in key}
    decoded = {}
    for name, key in states.items():
        state = json.loads(bytes(saved[key].tolist()))
        scales = nearest.decode(
            saved[f"{name}.absmax"], saved[f"{name}.nested_absmax"], saved[f"{name}.nested_quant_map"],
            state["nested_blocksize"],
        ) + torch.tensor(state["nested_offset"])
        decoded[name] = quantisation.four_bit_decoded(
            saved[name], scales, state["quant_type"], state["blocksize"], torch.Size(state["shape"])
        )
    dense = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in dense.named_parameters():
            parameter.copy_(decoded[name] if name in decoded else saved[name])
    return dense, decoded


def check_decoded(quantised: transformers.PreTrainedModel, decoded: Tensors) -> None:
    """Fails unless bitsandbytes decodes its weights to the same numbers."""
    for name, value in decoded.items():
        weight = quantised.get_parameter(name)
        state = copy.copy(weight.quant_state)
        # As a single row, in which no kernel errs.
        state.shape = torch.Size([1, value.numel()])
        if not torch.equal(bnb.functional.dequantize_4bit(weight.data, state).view(value.shape), value):
            raise AssertionError(f"{name}: the rule's values are not bitsandbytes'")


def library_differs(quantised, folder: Path, inputs: Tensors, logits: torch.Tensor, gradients: Tensors) -> dict:
    """How far bitsandbytes' own layers are from the dense ones: much where the CPU multiplies in bfloat16 for them."""
    adapted = PeftModel.from_pretrained(quantised, folder / "adapter_init", is_trainable=True).eval()
    output, found = reference.loss_and_gradients(adapted, inputs)
    return {
        "grad": max(
            largest_difference(gradient, gradients[adapters.file_key(name)]) for name, gradient in found.items()
        ),
        "logits": largest_difference(output.logits, logits),
    }
