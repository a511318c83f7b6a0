"""Files of a case: tensors, case.json with tolerances and versions, and the manifest of the folder."""

import hashlib
import importlib.metadata
import json
import math
import platform
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from .cases import VARIANTS, Sizes

PACKAGES = (
    "accelerate", "bitsandbytes", "numpy", "peft", "safetensors", "scikit-learn", "scipy", "tokenizers", "torch",
    "transformers",
)
GROUPS = "ABCDEF"
FACTOR = 10
"""A tolerance is the reference's own float32 error times this, rounded up to 1, 2 or 5 times a power of ten."""


@dataclass(frozen=True)
class Settings:
    """What a whole folder is made with."""

    out: Path
    seed: int
    variant: str
    smollm2: Path | None = None
    """The GGUF file of SmolLM2-135M-Instruct."""
    minilm: Path | None = None
    """The folder of all-MiniLM-L6-v2."""

    @property
    def sizes(self) -> Sizes:
        """The sizes of the variant."""
        return VARIANTS[self.variant]

    def generator(self, name: str) -> torch.Generator:
        """Random numbers of the part `name`: they do not depend on which other parts are made."""
        digest = hashlib.sha256(f"{self.seed}/{self.variant}/{name}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def described(self) -> dict:
        """What case.json says of them."""
        return {"seed": self.seed, "variant": self.variant}


def versions() -> dict:
    """Versions of the reference stack, and what the CPU does."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    found["torch"] = torch.__version__
    return found | {
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "dtype": "float32",
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }


def rounded_up(value: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is not below `value`."""
    exponent = math.floor(math.log10(value))
    steps = (float(f"{step}e{power}") for power in (exponent, exponent + 1) for step in (1, 2, 5))
    return next(step for step in steps if step >= value * (1 - 1e-12))


def tolerance(difference: float, least: float) -> float:
    """The tolerance of numbers whose float32 and float64 values differ by `difference`, at least `least`."""
    if not math.isfinite(difference):
        raise ValueError(f"the reference differs by {difference}")
    return max(least, rounded_up(FACTOR * difference)) if difference > 0 else least


def largest_difference(found: torch.Tensor, wanted: torch.Tensor, where: torch.Tensor | None = None) -> float:
    """The largest absolute difference, where `where` holds; it spans the first dimensions."""
    difference = (found.detach().double() - wanted.detach().double()).abs()
    if where is not None:
        difference = difference[where]
    return float(difference.max())


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict | None = None) -> None:
    """Writes a safetensors file; tensors may share memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, path, metadata)


def plain(value):
    """`value` as JSON: numbers that are not finite become words."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def save_json(path: Path, value) -> None:
    """Writes a JSON file with sorted keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain(value), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def save_case(folder: Path, case: dict) -> None:
    """Writes case.json; the group is the folder's first part below the output."""
    save_json(folder / "case.json", case | {"versions": versions()})


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_manifest(settings: Settings) -> None:
    """Lists every file of the folder's cases, and the versions that they were made with."""
    save_json(settings.out / "versions.json", versions() | settings.described())
    files = [path for group in GROUPS for path in (settings.out / group).rglob("*") if path.is_file()]
    files.append(settings.out / "versions.json")
    entries = {
        path.relative_to(settings.out).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in files
    }
    save_json(settings.out / "manifest.json", entries)
