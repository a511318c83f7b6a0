"""Group D: number formats of four and eight bits, and AdamW with moments of eight bits."""

import json
from pathlib import Path

import bitsandbytes as bnb
import torch

from . import nearest
from .inputs import Tensors
from .losses import normal
from .write import Settings, largest_difference, save_case, save_tensors

CODES = ("nf4", "fp4")
BLOCKS = (64, 128, 256)


def parts(settings: Settings) -> dict:
    """The functions that make the cases, by name."""
    makers = {
        "four_bit": make_four_bit, "int8": make_int8, "dynamic_8bit": make_dynamic, "fp8": make_fp8,
        "adamw_8bit": make_adamw,
    }
    return {
        f"D/{name}": lambda folder, name=name, maker=maker: maker(settings, settings.generator(f"D/{name}"), folder)
        for name, maker in makers.items()
    }


# Four bits


def four_bit_table(code: str) -> torch.Tensor:
    """bitsandbytes' table of sixteen values."""
    return bnb.functional.get_4bit_type(code, device="cpu").float()


def four_bit_matrices(settings: Settings, generator: torch.Generator) -> Tensors:
    """Matrices of many scales, with rows of zeros, outliers, tails, and values in the middle of two codes."""
    shapes = settings.sizes.matrices
    found = {name: normal(generator, *shape) for name, shape in shapes.items()}
    rows, _ = shapes["square"]
    found["square"] *= torch.linspace(0.05, 3.5, rows)[:, None]
    blocks = found["big"].view(-1, BLOCKS[0])
    blocks *= torch.exp(normal(generator, len(blocks), 1)).clamp(max=2) / 2
    found["outlier"][2, 5] = 60
    found["tiny"] *= 1e-6
    found["zero_rows"][1::3] = 0
    found["zero_tail"][:, BLOCKS[0] :] = 0
    return found | {f"ties_{code}": ties(code) for code in CODES}


def ties(code: str) -> torch.Tensor:
    """A block each of the middles of two codes, of the numbers just below and of those just above them."""
    values = four_bit_table(code).double().unique()
    middles = ((values[:-1] + values[1:]) / 2).float()
    found = torch.zeros(3, BLOCKS[0])
    for row, towards in enumerate((None, -1.0, 1.0)):
        line = middles if towards is None else torch.nextafter(middles, torch.tensor(towards))
        found[row, : len(line)] = line
        found[row, len(line)] = 1
    return found


def four_bit_variants(matrix: str) -> list[tuple[str, int]]:
    """Codes and block sizes of a matrix."""
    if matrix.startswith("ties_"):
        return [(matrix.removeprefix("ties_"), BLOCKS[0])]
    blocks = BLOCKS[:1] if matrix in ("big", "tiny") else BLOCKS
    return [(code, block) for code in CODES for block in blocks]


def make_four_bit(settings: Settings, generator: torch.Generator, folder: Path) -> None:
    """Writes bytes, scales and values of NF4 and FP4."""
    inputs = four_bit_matrices(settings, generator)
    expected = {f"code.{code}": four_bit_table(code) for code in CODES}
    expected["code.nested"] = nearest.tables()["signed"]
    cases, differing = {}, {}
    for matrix, values in inputs.items():
        for code, block in four_bit_variants(matrix):
            name = f"{matrix}.{code}.b{block}"
            found = four_bit(values, code, block)
            if matrix.startswith("ties_"):
                found = {key: value for key, value in found.items() if not key.startswith("nested.")}
            else:
                differing[name] = int((found["nested.absmax_q"] != found["nested.absmax_q_bnb_cpu"]).sum())
            if matrix == "big":
                del found["dequant"]
            if block != BLOCKS[0]:
                del found["nested.dequant"]
            decoded = found["dequant"] if "dequant" in found else found["nested.dequant"]
            cases[name] = {
                "blocks": found["absmax"].numel(),
                "max_abs_error": largest_difference(decoded, values),
                "shape": list(values.shape),
            }
            expected |= {f"{name}.{key}": value for key, value in found.items()}
    serialized, states = serialize(inputs["square"])
    save_tensors(folder / "inputs.safetensors", inputs)
    save_tensors(folder / "expected.safetensors", expected)
    save_tensors(folder / "serialized.safetensors", serialized, {"format": "pt"})
    save_case(folder, {
        "about": "bitsandbytes NF4 and FP4",
        "cases": cases,
        "expected_keys": {
            "...nested.absmax_q": "by the written rule (exact nearest, midpoint -> lower), like the GPU kernels",
            "...nested.absmax_q_bnb_cpu": (
                "what the CPU build returns: it indexes a 65536-entry lookup table, so codes near a decision boundary "
                "differ"
            ),
            "...nested.dequant": "float result from packed and nested.absmax_q (block size 64 only)",
            "<matrix>.<type>.b<size>.packed / absmax / dequant": "as bitsandbytes returns",
        },
        "group": "D",
        "nested_codes_that_differ_in_bnb_cpu": differing,
        "rule": {
            "absmax": "max|x| of the block, f32",
            "blocks": (
                "the tensor is flattened row-major and cut into blocks of `blocksize`; blocks cross row ends; the last "
                "may be short"
            ),
            "dequant": "table[index]*absmax in f32",
            "index": (
                "nearest table entry of x*(1/absmax) (full blocks) or x/absmax (short last block); exact midpoint -> "
                "lower value"
            ),
            "nested": (
                "offset = mean(absmax); absmax-offset is quantised with the signed dynamic 8-bit table in blocks of "
                "256; absmax' = table[q]*absmax2[block] + offset"
            ),
            "packing": (
                "byte i = index(element 2i)<<4 | index(element 2i+1): FIRST element in the HIGH nibble; odd tail "
                "padded with the index of 0 (nf4: 7, fp4: 0); packed shape [ceil(n/2), 1]"
            ),
        },
        "serialized": {
            "file": "serialized.safetensors (matrix `square`)",
            "keys": sorted(serialized),
            "quant_state_json": states,
        },
        "tolerance": {
            "absmax_rel": 0.0, "dequant_rel": 1e-7, "nested_dequant_rel": 2e-6, "nested_offset_rel": 1e-6,
            "packed": "bytes equal",
        },
        "zero_blocks": (
            "absmax of an all-zero full block is 0, of an all-zero short last block 1e-38 (bitsandbytes clamps there); "
            "both dequantise to 0"
        ),
    })


def four_bit(values: torch.Tensor, code: str, block: int) -> Tensors:
    """A matrix in four bits: what bitsandbytes returns, and its double quantisation by the rule."""
    packed, state = bnb.functional.quantize_4bit(values, blocksize=block, quant_type=code)
    _, double = bnb.functional.quantize_4bit(values, blocksize=block, quant_type=code, compress_statistics=True)
    found, absmax2, absmax = nearest.nested(state.absmax, double.offset)
    if not torch.equal(absmax2, double.state2.absmax):
        raise AssertionError("the rule's scales of scales are not bitsandbytes'")
    decoded = four_bit_decoded(packed, state.absmax, code, block, values.shape)
    # As a single row: the AVX-512 kernel takes wrong scales for blocks that cross the ends of rows.
    state.shape = torch.Size([1, values.numel()])
    if not torch.equal(decoded.view(1, -1), bnb.functional.dequantize_4bit(packed, state)):
        raise AssertionError("the rule's values are not bitsandbytes'")
    return {
        "packed": packed,
        "absmax": state.absmax,
        "dequant": decoded,
        "nested.absmax_q": found,
        "nested.absmax_q_bnb_cpu": double.absmax,
        "nested.absmax2": absmax2,
        "nested.offset": double.offset,
        "nested.dequant": four_bit_decoded(packed, absmax, code, block, values.shape),
    }


def four_bit_decoded(packed: torch.Tensor, absmax: torch.Tensor, code: str, block: int, shape) -> torch.Tensor:
    """table[index] * absmax in float32.

    The code 8 of FP4 is -0: bitsandbytes' table and its AVX-512 kernel lose the sign, its other kernels keep it.
    """
    table = four_bit_table(code)
    if code == "fp4":
        table[8] = -0.0
    indices = nearest.four_bit_indices(packed, shape.numel())
    return nearest.scaled(table[indices], absmax, block).view(shape)


def serialize(values: torch.Tensor) -> tuple[Tensors, dict]:
    """A matrix as a 4-bit checkpoint holds it, with the rule's codes of scales."""
    tensors, states = {}, {}
    kinds = (("nf4_plain", "nf4", False), ("nf4_double", "nf4", True), ("fp4_double", "fp4", True))
    for name, code, is_double in kinds:
        packed, state = bnb.functional.quantize_4bit(
            values, blocksize=BLOCKS[0], quant_type=code, compress_statistics=is_double
        )
        if is_double:
            state.absmax = four_bit(values, code, BLOCKS[0])["nested.absmax_q"]
        tensors[f"{name}.weight"] = packed
        for key, value in state.as_dict(packed=True).items():
            tensors[f"{name}.weight.{key}"] = value
            if key.startswith("quant_state."):
                states[f"{name}.weight.{key}"] = json.loads(bytes(value.tolist()))
    return tensors, states


# Eight bits


def make_int8(settings: Settings, generator: torch.Generator, folder: Path) -> None:
    """Writes LLM.int8's rows, and products of them with and without outliers."""
    rows, outputs, columns = settings.sizes.int8
    threshold = 6.0
    x = normal(generator, rows, columns)
    x[1] = 0
    x[2, 3], x[rows - 2, columns // 2] = 6.5, -9.0
    halves = torch.zeros(1, columns)
    halves[0, :9] = torch.tensor([127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, 63.5])
    inputs = {"x": x, "w": normal(generator, outputs, columns, scale=0.5), "halves": halves}
    expected = {}
    for name, values in (inputs | {"x_f16": x.half()}).items():
        quantised, absmax, _ = bnb.functional.int8_vectorwise_quant(values)
        expected[f"{name}.q"], expected[f"{name}.absmax"] = quantised, absmax
        expected[f"{name}.dequant"] = bnb.functional.int8_vectorwise_dequant(quantised, absmax)
    quantised, absmax, outliers = bnb.functional.int8_vectorwise_quant(x, threshold=threshold)
    expected |= {"x_outlier.q": quantised, "x_outlier.absmax": absmax, "x_outlier.columns": outliers}
    product, scaled = int8_product(expected["x.q"], expected["x.absmax"], expected)
    expected |= {"matmul.i32": product, "matmul.f32": scaled}
    _, scaled = int8_product(quantised, absmax, expected)
    expected["matmul_outlier.f32"] = scaled + x[:, outliers] @ expected["w.dequant"][:, outliers].T
    save_tensors(folder / "inputs.safetensors", inputs)
    save_tensors(folder / "expected.safetensors", expected)
    save_case(folder, {
        "about": "LLM.int8: row-wise (vector-wise) absmax quantisation",
        "group": "D",
        "rule": {
            "dequant": "q * absmax_r * (1/127 = 7.874015718698502e-3)",
            "matmul": (
                "i32 = q_x @ q_w^T exactly; f32 = i32 * (absmax_x * absmax_w) * 6.200124e-05  (bitsandbytes' constant; "
                "the exact 1/127^2 is 6.2000124e-05, 1.8e-5 smaller in relative terms)"
            ),
            "outliers": (
                "threshold t>0: columns with any |x| >= t are taken out: those elements count as 0 for absmax and the "
                "whole column is 0 in q; their product is added in float using the dequantised weight columns"
            ),
            "quant": "absmax_r = max|x_r|; q = round_half_to_even(x * (127/absmax_r)) as int8",
            "zero_row": "absmax 0; 127/0*0 is NaN before the cast; observed q = 0 on this CPU; write 0",
        },
        "threshold": threshold,
        "tolerance": {"dequant_rel": 1e-6, "matmul_rel": 5e-5, "q": "equal"},
    })


def int8_product(quantised: torch.Tensor, absmax: torch.Tensor, weights: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
    """The product with the weights in whole numbers, and scaled back."""
    product = bnb.functional.int8_linear_matmul(quantised, weights["w.q"])
    scaled = product.float() * (absmax[:, None] * weights["w.absmax"][None, :]) * 6.200124e-05
    return product, scaled


def make_dynamic(settings: Settings, generator: torch.Generator, folder: Path) -> None:
    """Writes codes and values of the dynamic 8-bit tables."""
    tables = nearest.tables()
    inputs = {name: normal(generator, *shape) for name, shape in settings.sizes.vectors.items()}
    inputs["squares"] = 1e-6 * inputs["squares"] ** 2
    inputs["wide"] *= torch.exp(normal(generator, *inputs["wide"].shape, scale=3.0))
    inputs["zeros_block"][:256] = 0
    expected = {f"table.{name}": table for name, table in tables.items()}
    differing = {}
    for name, values in inputs.items():
        kind = "unsigned" if name == "squares" else "signed"
        for block in (64, 256):
            prefix, table = f"{name}.{kind}.b{block}", tables[kind]
            found, absmax = nearest.encode(values, table, block)
            library, _ = bnb.functional.quantize_blockwise(values, code=table, blocksize=block)
            differing[prefix] = int((found != library).sum())
            expected |= {
                f"{prefix}.q": found, f"{prefix}.q_bnb_cpu": library, f"{prefix}.absmax": absmax,
                f"{prefix}.dequant": nearest.decode(found, absmax, table, block),
            }
    save_tensors(folder / "inputs.safetensors", inputs)
    save_tensors(folder / "expected.safetensors", expected)
    save_case(folder, {
        "about": (
            "8-bit block-wise dynamic quantisation (optimizer state); tables from bitsandbytes create_dynamic_map"
        ),
        "differing_codes": differing,
        "group": "D",
        "q": "by the written rule (plain torch, exact nearest) - NOT the bitsandbytes CPU kernel",
        "q_bnb_cpu": (
            "what bitsandbytes' CPU build returns: index = lut[trunc((v+1)*0.5*65535+0.5)], lut built at 65536 grid "
            "points, so values near a boundary (all tiny values: |v| < ~1e-4) get a neighbouring code; an all-zero "
            "block gets code 0, the written rule gives the code of 0.0"
        ),
        "rule": (
            "absmax per block of the flattened tensor; q = index of the nearest table entry of x*(1/absmax), midpoint "
            "-> lower; dequant = table[q]*absmax"
        ),
        "signed_zero_index": int((tables["signed"] == 0).nonzero()),
        "tables": (
            "both sorted ascending; signed runs from -0.9929687 to 1.0 (there is no -1.0), unsigned from 0 to 1.0"
        ),
        "tolerance": {"dequant_rel": 1e-6, "q": "equal; +-1 allowed where |v - midpoint| < 1e-6"},
        "unsigned_zero_index": int((tables["unsigned"] == 0).nonzero()),
    })


FP8 = {"e4m3fn": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}


def make_fp8(settings: Settings, generator: torch.Generator, folder: Path) -> None:
    """Writes torch's two kinds of FP8: every value, numbers between them, and scaled matrices."""
    shape, block = settings.sizes.fp8, settings.sizes.fp8_block
    x = normal(generator, *shape, scale=1.5)
    x[0] *= 10
    x[-1] = 0
    inputs, expected = {"x": x}, {}
    for name, dtype in FP8.items():
        table = torch.arange(256, dtype=torch.uint8).view(dtype).float()
        expected[f"{name}.table"] = table
        sweep = fp8_sweep(table)
        largest = torch.finfo(dtype).max
        inputs[f"{name}.sweep"] = sweep
        expected[f"{name}.sweep.code"] = sweep.to(dtype).view(torch.uint8)
        expected[f"{name}.sweep.saturated_code"] = sweep.clamp(-largest, largest).to(dtype).view(torch.uint8)
        for part, cells in (("tensor", shape), ("row", (1, shape[1])), ("block", block)):
            absmax = largest_of(x.abs(), cells)
            scale = torch.where(absmax > 0, absmax / largest, 1.0)
            spread = scale.repeat_interleave(cells[0], 0).repeat_interleave(cells[1], 1)[: shape[0], : shape[1]]
            code = (x / spread).clamp(-largest, largest).to(dtype)
            expected |= {
                f"{name}.{part}.code": code.view(torch.uint8), f"{name}.{part}.scale": scale,
                f"{name}.{part}.dequant": code.float() * spread,
            }
    save_tensors(folder / "inputs.safetensors", inputs)
    save_tensors(folder / "expected.safetensors", expected)
    save_case(folder, {
        "about": "torch.float8_e4m3fn and torch.float8_e5m2",
        "block": list(block),
        "cast": {
            "e4m3fn": (
                "max 448; observed with this torch: every larger finite value AND +-inf becomes +-448 (0x7e/0xfe); NaN "
                "-> 0x7f/0xff. (Older torch releases return NaN above 464.)"
            ),
            "e5m2": "max 57344; values >= 61440 and inf become inf (0x7c/0xfc); NaN -> 0x7f/0xff",
            "rounding": "round to nearest, ties to even, subnormals included",
            "sign": "-0.0 and negative underflow keep the sign (0x80)",
        },
        "group": "D",
        "nan": "compare NaN codes as a class, not by bits",
        "saturated_code": "clamp(x, -max, max) first, then cast: what an engine should use",
        "scales": (
            "scale = absmax/max (1 where absmax is 0); code = cast(clamp(x/scale)); dequant = float(code)*scale; per "
            f"tensor, per row, per {block[0]}x{block[1]} block (blocks at the edge are smaller)"
        ),
        "table": "<type>.table[i] = value of byte i (NaN codes are NaN)",
        "tolerance": {"code": "equal", "dequant_rel": 1e-7},
    })


def fp8_sweep(table: torch.Tensor) -> torch.Tensor:
    """Every value, the middles of neighbours, the numbers just beside those, and what is too large or too small."""
    values = table[table.isfinite() & (table >= 0)].unique()
    step = values[-1] - values[-2]
    values_and_next = torch.cat([values, values[-1:] + step])
    middles = (values_and_next[:-1] + values_and_next[1:]) / 2
    beside = [torch.nextafter(middles, torch.tensor(towards)) for towards in (0.0, float("inf"))]
    extremes = torch.tensor([1.1 * float(values[-1]), 1e6, 3e38, float("inf"), 1e-30])
    positive = torch.cat([values, middles, *beside, extremes])
    return torch.cat([positive, -positive, torch.tensor([float("nan")])])


def largest_of(values: torch.Tensor, cells: tuple[int, int]) -> torch.Tensor:
    """The largest value of every cell of a matrix; cells at the edge are smaller."""
    return torch.stack([
        torch.stack([cell.amax() for cell in band.split(cells[1], dim=1)]) for band in values.split(cells[0], dim=0)
    ])


# AdamW with moments of eight bits


def make_adamw(settings: Settings, generator: torch.Generator, folder: Path) -> None:
    """Writes steps by the rule with exactly nearest codes, by bitsandbytes' CPU build and by torch's AdamW."""
    hyper = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "lr": 0.01, "weight_decay": 0.01}
    count, steps = settings.sizes.adamw_elements, settings.sizes.steps
    inputs = {
        "param": normal(generator, count),
        "grad_base": normal(generator, count, scale=0.1) * torch.exp(normal(generator, count)),
        "grad_other": normal(generator, count, scale=0.1),
        "grad_coefficient": torch.randn(steps, generator=generator, dtype=torch.float64),
    }
    gradients = [
        inputs["grad_base"] + coefficient.float() * inputs["grad_other"] for coefficient in inputs["grad_coefficient"]
    ]
    expected = adamw_by_rule(inputs["param"], gradients, hyper)
    betas = {"betas": (hyper["beta1"], hyper["beta2"])}
    usual = {key: hyper[key] for key in ("lr", "eps", "weight_decay")} | betas
    parameter, _ = stepped(torch.optim.AdamW, inputs["param"], gradients, usual)
    expected["adamw_32bit.param"] = parameter
    library, state = stepped(bnb.optim.AdamW8bit, inputs["param"], gradients, usual)
    expected["bnb_cpu.param"] = library
    expected |= {f"bnb_cpu.{key}": state[key] for key in ("state1", "state2", "absmax1", "absmax2")}
    save_tensors(folder / "inputs.safetensors", inputs)
    save_tensors(folder / "expected.safetensors", expected)
    save_case(folder, {
        "about": (
            f"{steps} steps of 8-bit AdamW (block 256, signed table for m, unsigned for v) on one parameter vector"
        ),
        "adamw_32bit.param": "torch.optim.AdamW on the same gradients, for scale",
        "bnb_cpu.*": (
            "bitsandbytes.optim.AdamW8bit on CPU, whose lookup-table quantiser picks other codes for small values"
        ),
        "bnb_cpu_vs_exact_param_max_abs": largest_difference(library, expected["exact.param"]),
        "exact.*": "written rule with exact nearest codes (plain torch, not a bitsandbytes kernel)",
        "exact_vs_32bit_param_max_abs": largest_difference(parameter, expected["exact.param"]),
        "gradient": (
            "g_t = grad_base + grad_coefficient[t-1]*grad_other, coefficient rounded to f32 when multiplied"
        ),
        "group": "D",
        "hyper": hyper,
        "note": (
            "bitsandbytes keeps 32-bit state for parameters with fewer than 4096 elements (min_8bit_size); its CUDA "
            "kernel also forces the quantised m to keep the sign of m, the CPU path does not"
        ),
        "rule": (
            "dequantise m, v; m = b1*m+(1-b1)*g; v = b2*v+(1-b2)*g^2; p *= 1-lr*wd; p -= lr/(1-b1^t) * "
            "m/(sqrt(v)/sqrt(1-b2^t)+eps) with the NOT yet re-quantised m, v; then quantise m, v block-wise"
        ),
        "steps": steps,
        "tolerance": {
            "exact.param_abs": 0.002,
            "exact.param_after_1_abs": 1e-6,
            "exact.param_mean_abs": 2e-5,
            "state_codes_equal_fraction": 0.99,
            "why": (
                "a value on a code boundary may flip one code, which moves that element by up to one code step per "
                "later update"
            ),
        },
    })


def adamw_by_rule(start: torch.Tensor, gradients: list[torch.Tensor], hyper: dict) -> Tensors:
    """The parameter after the first and the last step, and the moments."""
    beta1, beta2, rate = hyper["beta1"], hyper["beta2"], hyper["lr"]
    tables, block = nearest.tables(), 256
    p, m, v = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    found = {}
    for step, gradient in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient * gradient
        p = p * (1 - rate * hyper["weight_decay"])
        root = v.sqrt() / (1 - beta2**step) ** 0.5 + hyper["eps"]
        p = p - rate / (1 - beta1**step) * (m / root)
        codes1, absmax1 = nearest.encode(m, tables["signed"], block)
        codes2, absmax2 = nearest.encode(v, tables["unsigned"], block)
        m = nearest.decode(codes1, absmax1, tables["signed"], block)
        v = nearest.decode(codes2, absmax2, tables["unsigned"], block)
        if step == 1:
            found["exact.param_after_1"] = p
    return found | {
        "exact.param": p, "exact.state1": codes1, "exact.state2": codes2, "exact.absmax1": absmax1,
        "exact.absmax2": absmax2,
    }


def stepped(
    optimizer, start: torch.Tensor, gradients: list[torch.Tensor], arguments: dict
) -> tuple[torch.Tensor, dict]:
    """The parameter after steps of an optimizer, and the optimizer's state of it."""
    parameter = torch.nn.Parameter(start.clone())
    steps = optimizer([parameter], **arguments)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        steps.step()
    return parameter.detach(), steps.state[parameter]
