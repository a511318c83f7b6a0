"""The command line: `python -m generate --help`."""

import argparse
import os
import shutil
import sys
import warnings
from pathlib import Path

# Nothing is fetched: models are made here, or read from files that are given.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TQDM_DISABLE"] = "1"

import torch
import transformers

from . import losses, metrics, models, qlora, quantisation, real_models, runs
from .cases import VARIANTS
from .check import differences
from .write import Settings, save_manifest

MODULES = [models, losses, runs, quantisation, qlora, metrics, real_models]


def main() -> int:
    """Makes the cases that the command line asks for, or compares folders."""
    parser = argparse.ArgumentParser(prog="python -m generate", description="Makes a folder of golden cases.")
    parser.add_argument("--out", type=Path, required=True, help="the folder; cases that are there are replaced")
    parser.add_argument("--seed", type=int, default=20240117, help="of all random values")
    parser.add_argument("--variant", choices=VARIANTS, default="visible", help="sizes, labels, ranks")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="a group, or cases such as A/gpt2")
    parser.add_argument("--smollm2", type=Path, metavar="FILE", help="SmolLM2-135M-Instruct's GGUF file, for group F")
    parser.add_argument("--minilm", type=Path, metavar="FOLDER", help="all-MiniLM-L6-v2's folder, for group F")
    parser.add_argument(
        "--check", type=Path, metavar="FOLDER", help="make nothing: compare the form of --out with that of this folder"
    )
    arguments = parser.parse_args()
    if arguments.check is not None:
        faults = differences(arguments.out, arguments.check)
        print("\n".join(faults) or f"{arguments.out} has the form of {arguments.check}")
        return 1 if faults else 0
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FutureWarning)
    warnings.filterwarnings("ignore", message="fan_in_fan_out is set|Input and output embeddings are no longer tied")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    settings = Settings(arguments.out, arguments.seed, arguments.variant, arguments.smollm2, arguments.minilm)
    parts = {name: make for module in MODULES for name, make in module.parts(settings).items()}
    chosen = [name for name in parts if is_wanted(name, arguments.only)]
    if not chosen:
        parser.error(f"no such cases; there are {', '.join(parts)}")
    for name in chosen:
        print(name, flush=True)
        folder = settings.out / name
        if (folder / "case.json").is_file():
            shutil.rmtree(folder)
        parts[name](folder)
    save_manifest(settings)
    return 0


def is_wanted(name: str, only: list[str] | None) -> bool:
    """Whether a case or its group is among those that are asked for; all are if none is named."""
    return only is None or any(f"{name}/".startswith(f"{wanted.rstrip('/')}/") for wanted in only)


if __name__ == "__main__":
    sys.exit(main())
