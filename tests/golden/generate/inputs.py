"""Random rows and labels for a model of any kind."""

import torch

from .cases import Architecture, Sizes

Tensors = dict[str, torch.Tensor]

IGNORED = -100
MASK_ID = 3
FIRST_ID = 4
"""Ids below this are special to some model: padding, start, end, mask."""


def draw(
    architecture: Architecture, sizes: Sizes, paddings: list[str], generator: torch.Generator, few: bool = False
) -> Tensors:
    """One row for each of `paddings` (none, left or right), with labels; `few` leaves most tokens without one."""
    config, kind = architecture.config, architecture.kind
    rows, tokens = len(paddings), sizes.tokens
    ids = torch.randint(FIRST_ID, sizes.vocab - 1, (rows, tokens), generator=generator)
    mask = torch.ones(rows, tokens, dtype=torch.int64)
    for row, padding in enumerate(paddings):
        count = below(generator, 2, 6)
        if padding != "none":
            mask[row, slice(0, count) if padding == "left" else slice(tokens - count, None)] = 0
    pad = config.get("pad_token_id") or 0
    inputs = {"attention_mask": mask, "input_ids": torch.where(mask == 1, ids, pad)}
    if architecture.model_class.startswith("Bert"):
        inputs["token_type_ids"] = mask * (torch.arange(tokens) >= tokens // 2)
    if kind == "seq2seq":
        inputs["labels"] = answers(sizes, rows, few, generator)
        start = torch.full((rows, 1), config["decoder_start_token_id"])
        shifted = torch.cat([start, inputs["labels"][:, :-1]], dim=1)
        inputs["decoder_input_ids"] = torch.where(shifted == IGNORED, pad, shifted)
    elif kind == "mlm":
        chosen = (torch.rand(rows, tokens, generator=generator) < 0.4) & (mask == 1)
        chosen[0, 1] = True
        inputs["labels"] = torch.where(chosen, inputs["input_ids"], IGNORED)
        inputs["input_ids"] = torch.where(chosen, MASK_ID, inputs["input_ids"])
    else:
        inputs["labels"] = labels(kind, sizes, inputs, few, generator)
    return inputs


def draw_batch(architecture: Architecture, sizes: Sizes, generator: torch.Generator) -> Tensors:
    """A batch with whole rows, one padded on the right, and one on the left where that may be."""
    second = "left" if architecture.left_padding else "right"
    return draw(architecture, sizes, ["none", "right", second] + ["none"] * (sizes.rows - 3), generator)


def labels(kind: str, sizes: Sizes, inputs: Tensors, few: bool, generator: torch.Generator) -> torch.Tensor:
    """Labels of rows, or of tokens."""
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    rows, tokens = ids.shape
    if kind == "seqcls":
        return torch.randint(sizes.labels, (rows,), generator=generator)
    if kind == "multilabel":
        return torch.randint(2, (rows, sizes.multi_labels), generator=generator).float()
    if kind == "regression":
        return torch.randn(rows, generator=generator)
    if kind == "tokcls":
        classes = torch.randint(sizes.labels, (rows, tokens), generator=generator)
        classes[:, below(generator, 1, tokens)] = IGNORED
        return torch.where(mask == 1, classes, IGNORED)
    # A causal model predicts a token from the ones before it: padding predicts none.
    before = torch.cat([torch.zeros_like(mask[:, :1]), mask[:, :-1]], dim=1)
    targets = torch.where((mask == 1) & (before == 1), ids, IGNORED)
    if few:
        targets[1:] = IGNORED
        targets[0, : tokens - below(generator, 4, 7)] = IGNORED
    else:
        targets[0, below(generator, 3, tokens - 2)] = IGNORED
        if rows > 2:
            targets[-1, : tokens // 2] = IGNORED
    return targets


def answers(sizes: Sizes, rows: int, few: bool, generator: torch.Generator) -> torch.Tensor:
    """Answers of an encoder-decoder: the first two are the longest, all end with the end token, 1."""
    found = torch.randint(FIRST_ID, sizes.vocab - 1, (rows, sizes.answer), generator=generator)
    for row in range(rows):
        length = sizes.answer if row < 2 else below(generator, sizes.answer // 2, sizes.answer)
        found[row, length - 1] = 1
        found[row, length:] = IGNORED
    if few:
        found[0, : sizes.answer - 3] = IGNORED
        found[1:, : sizes.answer - 1] = IGNORED
    return found


def below(generator: torch.Generator, low: int, high: int) -> int:
    """A random whole number from `low` to just below `high`."""
    return int(torch.randint(low, high, (), generator=generator))
