"""Compares the form of two folders of cases: files, keys of case.json, names, types and ranks of tensors."""

import json
from pathlib import Path

from safetensors import safe_open

BY_NAME = {
    "lora_modules", "subcases", "schedules", "weight_error_max_abs", "cases", "quant_state_json", "final_norms",
    "sha256",
}
"""Keys of case.json whose own keys are names of parts, which the lists of tensors hold already or sizes change."""


def differences(found: Path, wanted: Path) -> list[str]:
    """What `wanted` has in another form than `found`; what only `found` has is no difference."""
    faults = []
    for name in json.loads((wanted / "manifest.json").read_text()):
        ours, theirs = found / name, wanted / name
        if not ours.is_file():
            faults.append(f"{name} is missing")
        elif name.endswith(".safetensors"):
            faults += compare(name, tensors(ours), tensors(theirs))
        elif name.endswith("/cases.json"):
            faults += compare(name, *({case["name"]: case["metric"] for case in load(path)} for path in (ours, theirs)))
        elif name.endswith(".json"):
            faults += compare(name, keys(load(ours)), keys(load(theirs)))
    return faults


def load(path: Path):
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def tensors(path: Path) -> dict[str, str]:
    """Type and rank of every tensor of a file."""
    with safe_open(path, "pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}
        return {name: f"{part.get_dtype()}, rank {len(part.get_shape())}" for name, part in slices.items()}


def keys(value, path: str = "") -> dict[str, str]:
    """The paths of all keys, and what kind of value each has."""
    if not isinstance(value, dict):
        return {}
    found = {}
    for key, item in value.items():
        kind = "number" if isinstance(item, (int, float)) and not isinstance(item, bool) else type(item).__name__
        found[f"{path}{key}"] = kind
        if key not in BY_NAME:
            found |= keys(item, f"{path}{key}.")
    return found


def compare(name: str, found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    """The parts of a file that are missing or of another kind."""
    faults = [f"{name}: {key} is missing" for key in wanted if key not in found]
    changed = [key for key in wanted if key in found and found[key] != wanted[key]]
    return faults + [f"{name}: {key} is {found[key]}, not {wanted[key]}" for key in changed]
