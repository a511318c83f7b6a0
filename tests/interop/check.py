"""Exports of the command `lorakeet` in the programs that they are made for: transformers and PEFT, sentence-transformers,
llama.cpp, also in a browser (browser.py), MLX.

A short run trains an adapter on SmolLM2. Its exports are loaded by each program, whose answers are compared with those of
`lorakeet generate`, token by token. The adapters of the golden cases, which PEFT wrote and whose logits PEFT computed, are
exported too: transformers and MLX have to find the same logits. Classifiers and rankers answer in transformers' pipeline and in
CrossEncoder as here (heads.py). Models whose linears the command packed are loaded by transformers with
bitsandbytes, and compute what the command unpacks. Rows of embeddings that PEFT trained are merged, and PEFT loads those that the
command trained. Another run trains all-MiniLM-L6-v2 on how alike two texts are: sentence-transformers has to find the same cosines.
Runs of each task are exported as scripts for a cluster, which have to find the runs' losses on two processes. What the command fetches
from a hub lies where huggingface_hub puts it (hub.py). Prints a line for each comparison; ends with 1 after a failure.
"""

import argparse
import importlib.util
import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from browser import wllama
from heads import check_heads
from hub import check_hub

LOGITS = 1e-4
LOSSES = 5e-4
TOKENS = 32
PROMPTS = [
    "The capital of France is",
    "Once upon a time there was",
    "def add(a, b):",
    "My favourite animal is",
    "The three most important rules are",
]
failures = []


def report(name, passed, detail):
    print(f"{'ok    ' if passed else 'FAILED'} {name}: {detail}", flush=True)
    if not passed:
        failures.append(name)


class Command:
    """The command `lorakeet` on the CPU."""

    def __init__(self, program):
        self.program = program

    def run(self, *words):
        words = [self.program, "--device", "cpu", *map(str, words)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
        return done.stdout

    def export(self, what, to, folder, *more):
        shutil.rmtree(folder, ignore_errors=True)
        self.run("export", what, "--to", to, "--output_dir", folder, *more)
        return folder

    def generate(self, prompt, model, adapter=None):
        more = ["--adapter", adapter] if adapter else []
        return self.run("generate", prompt, "--model", model, "--max-new-tokens", TOKENS, *more)


def write_rows(path):
    """Sentences about cities, and beginnings of tales."""
    rows = [f"The capital of {land} is {city}, said the parrot.\n" for land, city in
            [("France", "Lyon"), ("Spain", "Seville"), ("Italy", "Milan"), ("Japan", "Kyoto")]]
    rows += [f"Once upon a time there was a {thing}, said the parrot.\n" for thing in ["king", "fox", "tower", "ship"]]
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    return path


def train(lorakeet, smollm2, work):
    """An adapter of every linear, with an rsLoRA scale."""
    data = write_rows(work / "rows.jsonl")
    run = work / "run.yaml"
    run.write_text("\n".join([
        f"model_name_or_path: {smollm2}", f"train_file: {data}", f"output_dir: {work / 'out'}",
        "target_modules: all-linear", "lora_r: 4", "lora_alpha: 8", "use_rslora: true", "cutoff_len: 32",
        "per_device_train_batch_size: 4", "gradient_accumulation_steps: 1", "learning_rate: 2e-3", "max_steps: 6",
        "lr_scheduler_type: constant", "val_size: 0", "save_steps: 0", "overwrite_output_dir: true", ""]))
    lorakeet.run("train", run)
    return work / "out"


def llama_cpp(model, adapter=None):
    """Greedy continuations of the prompts by llama.cpp."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.n_ctx, params.n_parallel, params.n_gpu_layers, params.verbosity = 256, 1, 0, 0
    params.warmup = False
    # As the engine has it: keys and values in 32 bits, and attention as it is written.
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    if adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    server = xllamacpp.Server(params)
    texts = []
    for prompt in PROMPTS:
        answer = server.handle_completions({
            "prompt": prompt, "n_predict": TOKENS, "temperature": 0, "top_k": 1, "cache_prompt": False})
        texts.append(answer["choices"][0]["text"])
    return texts


def same_texts(name, found, wanted):
    """Compares continuations, which end with a line end in the command's output."""
    for prompt, one, other in zip(PROMPTS, found, wanted):
        one, other = one.rstrip("\n"), other.rstrip("\n")
        same = len(next(filter(lambda i: one[:i] != other[:i], range(len(one) + 1)), one)) if one == other else None
        where = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
        detail = f"{TOKENS} tokens equal" if same is not None else f"differs at letter {where}: {one!r} and {other!r}"
        report(f"{name}, {prompt!r}", one == other, detail)


def check_smollm2(lorakeet, smollm2, browser, work):
    """`browser`: a Chromium, and the package wllama."""
    out = train(lorakeet, smollm2, work)
    base = lorakeet.export(smollm2, "gguf", work / "base", "--dtype", "float32") / "model.gguf"
    wanted = [lorakeet.generate(prompt, base, out) for prompt in PROMPTS]
    plain = [lorakeet.generate(prompt, base) for prompt in PROMPTS]
    report("the adapter changes the answers", wanted != plain, repr(wanted[0]))

    adapter = lorakeet.export(out, "gguf-adapter", work / "gguf-adapter") / "adapter.gguf"
    same_texts("llama.cpp, base", llama_cpp(base), plain)
    same_texts("llama.cpp, base and adapter", llama_cpp(base, adapter), wanted)
    for dtype in ["float32", "float16", "bfloat16", "q8_0", "q5_k_m", "q4_k_m", "q4_0", "q4_1"]:
        merged = lorakeet.export(out, "gguf", work / "merged", "--dtype", dtype) / "model.gguf"
        found = llama_cpp(merged)
        if dtype in ["float32", "float16"]:
            ours = [lorakeet.generate(prompt, merged) for prompt in PROMPTS]
            same_texts(f"llama.cpp, merged {dtype}", found, ours)
            if dtype == "float16":
                same_texts(f"wllama in Chromium, merged {dtype}", wllama(*browser, merged, PROMPTS, TOKENS), ours)
        else:
            # Its kernels round the inputs of such products, which the engine does not.
            report(f"llama.cpp, merged {dtype}", all(found), repr(found[0]))
    quantised = zip(llama_cpp(smollm2, adapter), wanted)
    equal = sum(one.rstrip("\n") == other.rstrip("\n") for one, other in quantised)
    report("llama.cpp, base as it was and adapter", True, f"{equal} of {len(PROMPTS)} answers equal (not held)")

    check_smollm2_in_transformers(lorakeet, smollm2, out, work, wanted)


def continued(model, tokenizer):
    """Greedy continuations of the prompts by transformers."""
    texts = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        made = model.generate(input_ids=ids, max_new_tokens=TOKENS, do_sample=False)
        texts.append(tokenizer.decode(made[0, ids.shape[1]:], skip_special_tokens=True))
    return texts


def check_smollm2_in_transformers(lorakeet, smollm2, out, work, wanted):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = lorakeet.export(smollm2, "merged", work / "folder", "--dtype", "float32")
    merged = lorakeet.export(out, "merged", work / "folder-merged", "--dtype", "float32")
    tokenizer = AutoTokenizer.from_pretrained(merged)
    models = {
        "PEFT, base and adapter": PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), out),
        "transformers, merged": AutoModelForCausalLM.from_pretrained(merged),
    }
    logits = []
    for name, model in models.items():
        same_texts(name, continued(model, tokenizer), wanted)
        with torch.no_grad():
            logits.append(model(tokenizer(PROMPTS[0], return_tensors="pt").input_ids).logits)
    worst = (logits[0] - logits[1]).abs().max().item()
    report("PEFT's logits and those of the merged model", worst < 10 * LOGITS, f"differ by {worst:.1e}")


def compared(name, found, expected, mask):
    """Logits against PEFT's, where the mask is 1."""
    found = np.asarray(found, dtype=np.float64).reshape(expected.shape)
    difference = np.abs(found - expected)
    if mask is not None:
        difference = difference[mask.astype(bool)]
    worst = float(difference.max())
    report(name, worst < LOGITS, f"logits differ from PEFT's by {worst:.1e}")


def golden_adapters(golden):
    for case in sorted((golden / "A").iterdir()):
        for adapter in sorted((case / "adapters").glob("*/adapter_config.json")):
            yield case, adapter.parent


def check_transformers(lorakeet, golden, work):
    import torch
    import transformers

    for case, adapter in golden_adapters(golden):
        described = json.loads((case / "case.json").read_text())
        config = json.loads((case / "config.json").read_text())
        folder = lorakeet.export(adapter, "merged", work / "case", "--base", case)
        model = getattr(transformers, config["architectures"][0]).from_pretrained(folder).eval()
        inputs = {name: torch.from_numpy(tensor.astype(np.int64))
                  for name, tensor in load_file(case / "inputs.safetensors").items()
                  if name in ("input_ids", "attention_mask", "token_type_ids")}
        labels = load_file(case / "inputs.safetensors")["labels"]
        if described["kind"] == "seq2seq":
            inputs["labels"] = torch.from_numpy(labels.astype(np.int64))
        with torch.no_grad():
            logits = model(**inputs).logits.numpy()
        masked = described.get("compare_logits_where") == "attention_mask == 1"
        mask = inputs["attention_mask"].numpy() if masked else None
        compared(f"transformers, {case.name} {adapter.name} merged", logits,
                 load_file(adapter / "expected.safetensors")["logits"], mask)


def check_mlx(lorakeet, golden, work):
    """Adapters and merged models in MLX: each other's logits, and PEFT's where MLX computes the base as transformers does."""
    import mlx.core as mx
    from mlx_lm.tuner.utils import load_adapters
    from mlx_lm.utils import load_model

    mx.set_default_device(mx.cpu)
    known = ["llama", "qwen2", "qwen3", "gemma2", "gemma3_text"]
    for case, adapter in golden_adapters(golden):
        config = json.loads((case / "config.json").read_text())
        if config["model_type"] not in known or not config["architectures"][0].endswith("ForCausalLM"):
            continue
        # mlx-lm reads the keys that transformers had before its release 5.
        base = work / "mlx-base"
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir()
        older = case / "config.v4.json"
        shutil.copy(older if older.is_file() else case / "config.json", base / "config.json")
        shutil.copy(case / "model.safetensors", base)
        inputs = load_file(case / "inputs.safetensors")
        # Only rows without padding: mlx-lm takes no mask.
        whole = inputs["attention_mask"].all(axis=1)
        ids = mx.array(inputs["input_ids"][whole].astype(np.int32))

        def logits(folder, adapter=None):
            model, _ = load_model(folder)
            if adapter:
                model = load_adapters(model, str(adapter))
            model.eval()
            return np.array(model(ids), dtype=np.float64)

        name = f"{case.name} {adapter.name}"
        try:
            plain = logits(base)
        except Exception as error:  # a model of two layers that mlx-lm does not build
            print(f"left out MLX, {name}: mlx-lm cannot load the base ({error!r})")
            continue
        found = logits(base, lorakeet.export(adapter, "mlx", work / "mlx", "--base", base))
        merged = logits(lorakeet.export(adapter, "merged", work / "mlx-merged", "--base", base))
        worst, changed = np.abs(found - merged).max(), np.abs(found - plain).max()
        report(f"MLX, {name}", worst < LOGITS < changed,
               f"adapter and merged model differ by {worst:.1e}, from the base by {changed:.1e}")
        expected = load_file(case / "expected.safetensors")["logits"]
        expected = expected.reshape(len(whole), -1, expected.shape[-1])[whole]
        if np.abs(plain - expected).max() < LOGITS:
            wanted = load_file(adapter / "expected.safetensors")["logits"]
            wanted = wanted.reshape(len(whole), -1, wanted.shape[-1])[whole]
            compared(f"MLX, {name} and PEFT", found, wanted, None)


def check_sentence_transformers(lorakeet, minilm, work):
    """The cosines of pairs after a short run, and those of the model as it came."""
    from sentence_transformers import SentenceTransformer

    pairs = [(f"The parrot says {one}.", f"{other} is what the bird said, at length and with great care.", score)
             for one, other, score in [("hello", "Hello", 1.0), ("yes", "No", 0.0), ("good morning", "Good day", 0.75),
                                       ("nothing", "Everything", 0.25), ("a word", "A word", 1.0), ("rain", "Sun", 0.0)]]
    data = work / "pairs.csv"
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([("sentence1", "sentence2", "score"), *pairs])
    run = work / "pairs.yaml"
    run.write_text("\n".join([
        f"model_name_or_path: {minilm}", f"train_file: {data}", f"output_dir: {work / 'pairs'}", "task: embedding",
        "target_modules: all-linear", "lora_r: 4", "cutoff_len: 16", "per_device_train_batch_size: 4",
        "gradient_accumulation_steps: 1", "learning_rate: 2e-3", "max_steps: 6", "lr_scheduler_type: constant",
        "val_size: 0", "save_steps: 0", "overwrite_output_dir: true", ""]))
    lorakeet.run("train", run)
    table = work / "cosines.csv"
    lorakeet.run("predict", work / "pairs", "--data", data, "--output", table)
    with table.open(newline="") as file:
        # Rows are counted with the line of the columns' names.
        ours = {int(row["row"]) - 2: float(row["prediction"]) for row in csv.DictReader(file)}
    wanted = np.array([ours[i] for i in range(len(pairs))])

    def cosines(what, *more):
        model = SentenceTransformer(str(lorakeet.export(what, "sentence-transformers", work / "sentence", *more)), device="cpu")
        first, second = (model.encode([pair[i] for pair in pairs]).astype(np.float64) for i in range(2))
        lengths = np.linalg.norm(np.concatenate([first, second]), axis=1)
        return (first * second).sum(axis=1), np.abs(lengths - 1).max(), model.max_seq_length

    found, off, tokens = cosines(work / "pairs")
    plain, _, _ = cosines(minilm)
    worst, changed = np.abs(found - wanted).max(), np.abs(found - plain).max()
    report("sentence-transformers, cosines", worst < 1e-5 < changed,
           f"differ by {worst:.1e}, from the base's by {changed:.1e}")
    report("sentence-transformers, lengths and tokens", off < 1e-5 and tokens == 16, f"1 but for {off:.1e}; {tokens} tokens")


def losses(log):
    """The loss of each step in a log of JSON lines."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return {event["step"]: event["loss"] for event in events if "step" in event and "learning_rate" in event}


def check_cluster(lorakeet, smollm2, work):
    """The script for a cluster on two processes, from the run's first step and from a checkpoint: the losses of the run."""
    base = lorakeet.export(smollm2, "merged", work / "cluster-base", "--dtype", "float32")
    out = work / "cluster-out"
    shutil.rmtree(out, ignore_errors=True)
    run = work / "cluster.yaml"
    run.write_text("\n".join([
        f"model_name_or_path: {base}", f"train_file: {write_rows(work / 'cluster.jsonl')}", f"output_dir: {out}",
        "lora_r: 4", "lora_dropout: 0", "packing: false", "cutoff_len: 32", "per_device_train_batch_size: 2",
        "gradient_accumulation_steps: 2", "learning_rate: 2e-3", "max_steps: 3", "warmup_ratio: 0", "val_size: 1",
        "weight_decay: 0.01", "save_steps: 1", ""]))
    lorakeet.run("train", run)
    wanted = losses(out / "train_log.jsonl")
    for name, what, first in [("from the beginning", run, 1), ("from a checkpoint", out / "checkpoint-2", 3)]:
        script = run_script(lorakeet, name, what, wanted, first, work)
    check_groups(script / "train.py")
    check_answers(lorakeet, base, work)


def check_answers(lorakeet, base, work):
    """The script of a run on pairs of answers: DPO from the log-probabilities that the rows have."""
    answers = work / "answers.jsonl"
    rows = [{"prompt": text, "chosen": f" Yes, {text.lower()}", "rejected": " " + text.upper()} for text in TEXTS]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, loss in [("two answers", "dpo"), ("two answers, smoothed", "dpo(beta=0.5, label_smoothing=0.1)")]:
        out = work / "answers-out"
        shutil.rmtree(out, ignore_errors=True)
        run = work / "answers.yaml"
        run.write_text("\n".join([
            f"model_name_or_path: {base}", f"train_file: {answers}", f"output_dir: {out}", "task: preference", f"loss: {loss}",
            "lora_r: 4", "lora_dropout: 0", "cutoff_len: 96", "per_device_train_batch_size: 2", "gradient_accumulation_steps: 2",
            "learning_rate: 1e-3", "max_steps: 3", "warmup_ratio: 0", "val_size: 1", "save_steps: 0", ""]))
        lorakeet.run("train", run)
        run_script(lorakeet, name, run, losses(out / "train_log.jsonl"), 1, work)


def run_script(lorakeet, name, what, wanted, first, work):
    """A run as a script on two processes: its losses from step `first` on are those of the run."""
    script = lorakeet.export(what, "script", work / "cluster-script")
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script / "train.py", "--cpu"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    if done.returncode != 0:
        report(f"script, {name}", False, done.stderr[-2000:])
        return script
    found = losses(script / "output" / "train_log.jsonl")
    expected = {step: loss for step, loss in wanted.items() if step >= first}
    worst = max((abs(found.get(step, float("inf")) - loss) for step, loss in expected.items()), default=float("inf"))
    passed = bool(expected) and found.keys() == expected.keys() and worst < LOSSES
    report(f"script, {name}", passed, f"the losses of {len(expected)} steps on two processes differ by {worst:.1e}")
    return script


TEXTS = ["The parrot says hello.", "No rain today.", "A word, and another one.", "Nothing at all.", "Good morning!", "The tower fell."]


def check_tasks(lorakeet, minilm, work):
    """Scripts of all-MiniLM-L6-v2 on each task of an encoder, with losses and heads of a run's own."""
    answers = [i % 2 for i in range(len(TEXTS))]
    tables = {
        "classification": [("text", "label")] + [(text, ["yes", "no"][answer]) for text, answer in zip(TEXTS, answers)],
        "regression": [("text", "label")] + [(text, 10.5 * i + 100 * answer) for i, (text, answer) in enumerate(zip(TEXTS, answers))],
        "alike": [("sentence1", "sentence2", "score")] + [(text, TEXTS[i - 1], 0.1 * i) for i, text in enumerate(TEXTS)],
        "ranking": [("query", "document", "grade")]
        + [(text, TEXTS[(i + j) % len(TEXTS)], grade) for i, text in enumerate(TEXTS) for j, grade in enumerate([2, 1, 0])],
    }
    files = {}
    for task, rows in tables.items():
        files[task] = work / f"{task}.csv"
        with files[task].open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    for task, rows in {
        "multi_label": [{"text": text, "labels": [["a"], ["a", "b"], []][i % 3]} for i, text in enumerate(TEXTS)],
        "token_classification": [{"tokens": text.split(), "tags": [["O", "X"][len(word) % 2] for word in text.split()]} for text in TEXTS],
        "embedding": [{"query": text, "positive": TEXTS[i - 1], "negative": TEXTS[i - 2]} for i, text in enumerate(TEXTS)],
    }.items():
        files[task] = work / f"{task}.jsonl"
        files[task].write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, task, more in [
        ("classes", "classification", []),
        ("classes, focal and mse", "classification", ["loss: 0.7*focal(gamma=1.5, alpha=[1, 2]) + 0.3*mse"]),
        ("classes, smoothed and weighed", "classification", ["loss: cross_entropy(label_smoothing=0.1, class_weights=[1, 3])"]),
        ("classes, hidden layer", "classification", ["classifier_hidden_size: 16", "classifier_activation: tanh"]),
        ("classes, mean of tokens", "classification", ["classifier_pooling: mean"]),
        ("classes, mean and hidden layer", "classification", ["classifier_pooling: mean", "classifier_hidden_size: 16"]),
        ("labels", "multi_label", []),
        ("labels, focal and weights", "multi_label", ["loss: 0.5*focal(alpha=[0.25]) + 0.5*bce(pos_weight=[2]) + 0.1*mae"]),
        ("numbers", "regression", []),
        ("numbers, huber and smooth_l1", "regression", ["loss: 0.5*huber(delta=0.5) + 0.5*smooth_l1(beta=0.3)"]),
        ("tokens", "token_classification", []),
        ("tokens, focal", "token_classification", ["loss: focal(gamma=2)"]),
        ("documents, bce and mse", "ranking", ["loss: 0.5*bce + 0.5*mse"]),
        ("documents, pairs", "ranking", ["loss: 0.5*ranknet(sigma=2) + 0.5*margin(margin=0.5)"]),
        ("documents, lists", "ranking", ["loss: 0.5*listnet + 0.5*softmax"]),
        ("vectors", "embedding", []),
        ("vectors, both ways", "embedding", ["loss: infonce(temperature=0.1, symmetric=true)", "classifier_pooling: cls"]),
        ("vectors, triplets", "embedding", ["loss: 0.5*triplet(margin=0.5) + 0.5*triplet(margin=0.2, distance=cosine)"]),
        ("texts that are alike", "alike", ["loss: 0.5*mse + 0.5*smooth_l1(beta=0.1)"]),
    ]:
        out = work / "tasks-out"
        shutil.rmtree(out, ignore_errors=True)
        run = work / "tasks.yaml"
        run.write_text("\n".join([
            f"model_name_or_path: {minilm}", f"train_file: {files[task]}", f"output_dir: {out}",
            f"task: {'embedding' if task == 'alike' else task}", "lora_r: 4",
            "lora_dropout: 0", "cutoff_len: 16", "per_device_train_batch_size: 2", "gradient_accumulation_steps: 2",
            "learning_rate: 2e-3", "max_steps: 3", "warmup_ratio: 0", "val_size: 0", "save_steps: 0", *more, ""]))
        lorakeet.run("train", run)
        run_script(lorakeet, name, run, losses(out / "train_log.jsonl"), 1, work)


def unpacked_four_bits(model):
    """A model whose linears in 4 bits are plain ones of the numbers that bitsandbytes unpacks. A matrix is unpacked as one row: release
    0.50.2 gives other numbers on the CPU where rows are no whole blocks, also of what it packed itself, and computes in 16 bits."""
    import torch
    from bitsandbytes.functional import dequantize_4bit

    for name, module in list(model.named_modules()):
        if type(module).__name__ != "Linear4bit":
            continue
        state = module.weight.quant_state
        sizes, state.shape = state.shape, torch.Size([1, state.shape.numel()])
        plain = torch.nn.Linear(sizes[1], sizes[0], bias=module.bias is not None)
        plain.weight.data = dequantize_4bit(module.weight.data, state).reshape(sizes).float()
        if module.bias is not None:
            plain.bias.data = module.bias.data.float()
        model.set_submodule(name, plain)
    return model


def check_quantized(lorakeet, smollm2, golden, work):
    """Models that the command packed, in transformers with bitsandbytes: the logits of what the command unpacks again."""
    import torch
    import transformers

    def load(config, folder):
        return getattr(transformers, config["architectures"][0]).from_pretrained(folder, dtype=torch.float32).eval()

    for name in ["llama_tied", "llama_untied", "qwen2", "gemma2", "gpt2", "bert_seqcls", "roberta_seqcls", "distilbert_seqcls",
                 "modernbert_seqcls", "t5"]:
        case = golden / "A" / name
        if not case.is_dir():
            continue
        config = json.loads((case / "config.json").read_text())
        inputs = {key: torch.from_numpy(tensor.astype(np.int64))
                  for key, tensor in load_file(case / "inputs.safetensors").items()
                  if key in ("input_ids", "attention_mask", "token_type_ids", "labels")}
        if not config["architectures"][0].endswith("ForConditionalGeneration"):
            inputs.pop("labels", None)
        mask = inputs["attention_mask"].bool()
        with torch.no_grad():
            before = load(config, case)(**inputs).logits
            for packing in ["bnb-nf4", "bnb-fp4", "bnb-int8"]:
                packed = work / "packed"
                shutil.rmtree(packed, ignore_errors=True)
                lorakeet.run("quantize", case, "--to", packing, "--output_dir", packed)
                unpacked = lorakeet.export(packed, "merged", work / "unpacked", "--dtype", "float32")
                model = load(config, packed)
                linears = sum(type(module).__name__ in ("Linear4bit", "Linear8bitLt") for module in model.modules())
                # In 8 bits it rounds the inputs of linears as well, which is no matter of the files.
                model = model.dequantize() if packing == "bnb-int8" else unpacked_four_bits(model)
                found, wanted = model(**inputs).logits, load(config, unpacked)(**inputs).logits
                if found.shape[:2] == mask.shape:
                    found, wanted, plain = found[mask], wanted[mask], before[mask]
                else:
                    plain = before
                worst, changed = (found - wanted).abs().max().item(), (wanted - plain).abs().max().item()
                report(f"bitsandbytes, {name} {packing}", worst < LOGITS < changed and linears > 0,
                       f"logits of {linears} packed linears differ by {worst:.1e}, from the model's own by {changed:.1e}")

    folder = lorakeet.export(smollm2, "merged", work / "folder", "--dtype", "float32")
    packed = work / "packed"
    shutil.rmtree(packed, ignore_errors=True)
    lorakeet.run("quantize", folder, "--to", "bnb-nf4", "--output_dir", packed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(packed)
    model = unpacked_four_bits(transformers.AutoModelForCausalLM.from_pretrained(packed, dtype=torch.float32).eval())
    same_texts("bitsandbytes, SmolLM2 in NF4", continued(model, tokenizer), [lorakeet.generate(prompt, packed) for prompt in PROMPTS])


def check_token_rows(lorakeet, smollm2, golden, work):
    """Trained rows of embeddings: PEFT's are merged by the command, the command's are loaded by PEFT."""
    import torch
    import transformers
    from peft import LoraConfig, PeftModel, get_peft_model

    torch.manual_seed(1)
    for name, module, rows in [
        ("llama_tied", "q_proj", [5, 2, 9]),
        ("llama_untied", "q_proj", {"embed_tokens": [5, 2], "lm_head": [7]}),
        ("gpt2", "c_attn", {"wte": [3, 4]}),
        ("gemma2", "q_proj", [5, 2, 9]),
    ]:
        case = golden / "A" / name
        if not case.is_dir():
            continue
        config = json.loads((case / "config.json").read_text())
        ids = torch.from_numpy(load_file(case / "inputs.safetensors")["input_ids"].astype(np.int64))
        tokens = rows if isinstance(rows, list) else next(iter(rows.values()))
        ids[:, : len(tokens)] = torch.tensor(tokens)
        model = getattr(transformers, config["architectures"][0]).from_pretrained(case, dtype=torch.float32)
        wish = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=[module], trainable_token_indices=rows, fan_in_fan_out=name == "gpt2")
        model = get_peft_model(model, wish)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.copy_(torch.randn_like(parameter) * 0.1)
        adapter = work / "token-rows"
        shutil.rmtree(adapter, ignore_errors=True)
        model.eval().save_pretrained(adapter)
        folder = lorakeet.export(adapter, "merged", work / "case", "--base", case)
        merged = getattr(transformers, config["architectures"][0]).from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            worst = (model(input_ids=ids).logits - merged(input_ids=ids).logits).abs().max().item()
        report(f"token rows of PEFT, {name}", worst < LOGITS, f"logits of the merged model differ by {worst:.1e}")

    base = lorakeet.export(smollm2, "merged", work / "folder", "--dtype", "float32")
    out = work / "rows-out"
    run = work / "rows.yaml"
    run.write_text("\n".join([
        f"model_name_or_path: {base}", f"train_file: {write_rows(work / 'token-rows.jsonl')}", f"output_dir: {out}",
        "lora_r: 4", "lora_dropout: 0", "cutoff_len: 32", "trainable_token_indices: [504, 253, 17]", "max_steps: 4",
        "per_device_train_batch_size: 4", "gradient_accumulation_steps: 1", "learning_rate: 2e-3", "val_size: 0", "save_steps: 0",
        "overwrite_output_dir: true", ""]))
    lorakeet.run("train", run)
    merged = lorakeet.export(out, "merged", work / "folder-merged", "--dtype", "float32")
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    ids = tokenizer(PROMPTS[0], return_tensors="pt").input_ids
    plain = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    with torch.no_grad():
        before = plain(ids).logits
        found = PeftModel.from_pretrained(plain, out).eval()(ids).logits
        wanted = transformers.AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32).eval()(ids).logits
    worst, changed = (found - wanted).abs().max().item(), (found - before).abs().max().item()
    report("token rows in PEFT", worst < 10 * LOGITS < changed, f"logits differ by {worst:.1e}, from the base's by {changed:.1e}")


def check_groups(path):
    """Examples of packed rows: each is in one pass, and no pass has more tokens, with padding, than the rows."""
    spec = importlib.util.spec_from_file_location("cluster_script", path)
    script = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(script)
    lengths, ids = [1024] + [8] * 128, list(range(2048))
    row = {"input_ids": ids, "labels": ids, "starts": [sum(lengths[:i]) for i in range(1, len(lengths))]}
    groups = script.groups_of([row])
    most = max(len(group) * max(len(example["input_ids"]) for example in group) for group in groups)
    visited = sorted(token for group in groups for example in group for token in example["input_ids"])
    report("script, packed rows", most <= 2048 and visited == ids, f"{len(groups)} passes over at most {most} tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lorakeet", required=True)
    parser.add_argument("--hub", required=True)
    parser.add_argument("--golden", type=Path, required=True)
    parser.add_argument("--smollm2", type=Path, required=True)
    parser.add_argument("--minilm", type=Path, required=True)
    parser.add_argument("--chromium", required=True)
    parser.add_argument("--wllama", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    names = "transformers, quantized, token-rows, mlx, sentence-transformers, heads, smollm2, cluster, tasks, hub"
    parser.add_argument("parts", nargs="*", help=f"{names}; all without")
    wish = parser.parse_args()
    wish.work.mkdir(parents=True, exist_ok=True)
    lorakeet = Command(wish.lorakeet)
    parts = {
        "transformers": lambda: check_transformers(lorakeet, wish.golden, wish.work),
        "quantized": lambda: check_quantized(lorakeet, wish.smollm2, wish.golden, wish.work),
        "token-rows": lambda: check_token_rows(lorakeet, wish.smollm2, wish.golden, wish.work),
        "mlx": lambda: check_mlx(lorakeet, wish.golden, wish.work),
        "sentence-transformers": lambda: check_sentence_transformers(lorakeet, wish.minilm, wish.work),
        "heads": lambda: check_heads(lorakeet, wish.minilm, wish.work, report),
        "smollm2": lambda: check_smollm2(lorakeet, wish.smollm2, (wish.chromium, wish.wllama), wish.work),
        "cluster": lambda: check_cluster(lorakeet, wish.smollm2, wish.work),
        "tasks": lambda: check_tasks(lorakeet, wish.minilm, wish.work),
        "hub": lambda: check_hub(wish.lorakeet, wish.hub, wish.work / "hub", report),
    }
    for name, check in parts.items():
        if not wish.parts or name in wish.parts:
            check()
    print(f"{len(failures)} comparisons failed")
    sys.exit(bool(failures))


main()
