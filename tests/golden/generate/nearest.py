"""Block-wise quantisation to the exactly nearest code, as bitsandbytes' rule is written.

bitsandbytes' kernels for CPUs look 8-bit codes up at 65536 places, and so give a neighbour of the nearest code near the
middle of two; its kernels for GPUs search. What an implementation has to give is the rule.
"""

import bitsandbytes as bnb
import torch

NESTED_BLOCK = 256
"""Block size of the scales' own quantisation."""


def tables() -> dict[str, torch.Tensor]:
    """The dynamic 8-bit tables, ascending."""
    return {
        "signed": bnb.functional.create_dynamic_map(signed=True),
        "unsigned": bnb.functional.create_dynamic_map(signed=False),
    }


def codes(values: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """The index of the nearest entry of an ascending table; the middle of two belongs to the lower one."""
    wide = table.double()
    middles = (wide[:-1] + wide[1:]) / 2
    return torch.searchsorted(middles, values.double().contiguous(), right=False).to(torch.uint8)


def in_blocks(values: torch.Tensor, block: int) -> torch.Tensor:
    """The flattened values in rows of a block each, zeros after the last one."""
    flat = values.flatten()
    return torch.nn.functional.pad(flat, (0, -flat.numel() % block)).view(-1, block)


def encode(values: torch.Tensor, table: torch.Tensor, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes in the shape of `values`, and the scale of every block."""
    blocks = in_blocks(values, block)
    absmax = blocks.abs().amax(dim=1)
    scaled = torch.where(absmax[:, None] > 0, blocks * (1 / absmax)[:, None], 0.0)
    return codes(scaled, table).flatten()[: values.numel()].view(values.shape), absmax


def decode(found: torch.Tensor, absmax: torch.Tensor, table: torch.Tensor, block: int) -> torch.Tensor:
    """table[code] * absmax in float32."""
    return scaled(table[found.long()], absmax, block)


def scaled(values: torch.Tensor, absmax: torch.Tensor, block: int) -> torch.Tensor:
    """Every value times the scale of its block."""
    flat = values.flatten()
    return (flat * absmax.repeat_interleave(block)[: flat.numel()]).view(values.shape)


def nested(absmax: torch.Tensor, offset: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Double quantisation around `offset`: codes of the scales, the scales' scales, and the scales that come back."""
    table = tables()["signed"]
    found, absmax2 = encode(absmax - offset, table, NESTED_BLOCK)
    return found, absmax2, decode(found, absmax2, table, NESTED_BLOCK) + offset


def four_bit_indices(packed: torch.Tensor, count: int) -> torch.Tensor:
    """The indices of packed bytes: the first element is in the high half."""
    flat = packed.flatten().long()
    return torch.stack([flat >> 4, flat & 15], dim=1).flatten()[:count]
