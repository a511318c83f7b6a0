"""Models with heads, as people use them: transformers' `pipeline("text-classification")` and sentence-transformers'
`CrossEncoder` on what the command exports, against the answers of `lorakeet predict`."""

import csv
import math
import shutil

PROBABILITIES = 1e-4
KINDS = {
    "weather": ["It rains all day.", "The sun is out again.", "Snow fell at night.", "A storm comes from the west."],
    "food": ["The soup is too salty.", "We baked bread.", "She likes apples.", "He cooks rice and beans."],
    "travel": ["The train was late.", "We fly to Rome.", "The road is closed.", "They took the ferry."],
}


def trained(lorakeet, minilm, work, task, columns, rows, more=()):
    """A short run on these rows, and what `predict` says of them, a dictionary a line."""
    data, out, run, table = (work / name for name in ["heads.csv", "heads-out", "heads.yaml", "heads-answers.csv"])
    shutil.rmtree(out, ignore_errors=True)
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    run.write_text("\n".join([
        f"model_name_or_path: {minilm}", f"train_file: {data}", f"output_dir: {out}", f"task: {task}", "target_modules: all-linear",
        "lora_r: 4", "cutoff_len: 32", "per_device_train_batch_size: 4", "gradient_accumulation_steps: 1", "learning_rate: 2e-3",
        "max_steps: 8", "lr_scheduler_type: constant", "val_size: 0", "save_steps: 0", *more, ""]))
    lorakeet.run("train", run)
    lorakeet.run("predict", out, "--data", data, "--output", table)
    with table.open(newline="") as file:
        return out, list(csv.DictReader(file))


def check_pipeline(lorakeet, minilm, work, report):
    from transformers import pipeline

    rows = [(text, kind) for kind, texts in KINDS.items() for text in texts]
    for name, more in [(", first token", ["classifier_pooling: cls"]), (", mean of tokens", []),
                       (", mean and hidden layer", ["classifier_hidden_size: 16", "classifier_activation: tanh"])]:
        out, ours = trained(lorakeet, minilm, work, "classification", ("text", "label"), rows, more)
        folder = str(lorakeet.export(out, "merged", work / "heads-merged"))
        classify = pipeline("text-classification", model=folder, top_k=None, trust_remote_code=True)
        worst, same = 0.0, True
        for answer in ours:
            text = rows[int(answer["row"]) - 2][0]
            best = max(classify([text])[0], key=lambda one: one["score"])
            same = same and best["label"] == answer["prediction"]
            worst = max(worst, abs(best["score"] - float(answer["confidence"])))
        several = len({answer["prediction"] for answer in ours}) > 1
        refused = refuses(folder)
        report(f"pipeline('text-classification'){name}, without trust", refused == bool(name != ", first token"),
               "refused" if refused else "loaded")
        report(f"pipeline('text-classification'){name}", len(ours) == len(rows) and same and several and worst < PROBABILITIES,
               f"{len(ours)} answers, probabilities differ by {worst:.1e}")


def refuses(folder):
    """Whether transformers refuses a folder that it may run no code of: none is read as another model."""
    from transformers import AutoModelForSequenceClassification

    try:
        AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=False)
    except ValueError as error:
        return "trust_remote_code" in str(error)
    return False


def check_numbers(lorakeet, minilm, work, report):
    """A regression, whose targets are scaled while it is trained."""
    from transformers import pipeline

    rows = [(text, 100 + 10 * len(text)) for texts in KINDS.values() for text in texts]
    out, ours = trained(lorakeet, minilm, work, "regression", ("text", "label"), rows)
    folder = str(lorakeet.export(out, "merged", work / "heads-merged"))
    predict = pipeline("text-classification", model=folder, function_to_apply="none", trust_remote_code=True)
    worst = max(abs(predict([rows[int(answer["row"]) - 2][0]])[0]["score"] - float(answer["prediction"])) for answer in ours)
    report("pipeline('text-classification'), numbers", len(ours) == len(rows) and worst < 0.01, f"predictions differ by {worst:.1e}")


def gain_of(grades):
    return sum((2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(grades[:10]))


def check_cross_encoder(lorakeet, minilm, work, report):
    from sentence_transformers import CrossEncoder

    texts = [(text, kind) for kind, some in KINDS.items() for text in some]
    rows = [(f"Something about {kind}?", text, 2 if own == kind else 0) for kind in KINDS for text, own in texts]
    out, ours = trained(lorakeet, minilm, work, "ranking", ("query", "document", "grade"), rows)
    model = CrossEncoder(str(lorakeet.export(out, "merged", work / "heads-merged")), device="cpu", trust_remote_code=True)
    worst, same = 0.0, True
    for answer in ours:
        query = rows[int(answer["row"]) - 2][0]
        graded = [(document, grade) for asked, document, grade in rows if asked == query]
        scores = model.predict([(query, document) for document, _ in graded])
        order = sorted(range(len(graded)), key=lambda place: -scores[place])
        found = gain_of([graded[place][1] for place in order]) / gain_of(sorted((grade for _, grade in graded), reverse=True))
        worst = max(worst, abs(found - float(answer["ndcg_at_10"])))
        same = same and graded[order[0]][0] in answer["first_document"]
    report("CrossEncoder", len(ours) == len(KINDS) and same and worst < 1e-3,
           f"the order of the documents of {len(ours)} queries, NDCG differs by {worst:.1e}")


def check_heads(lorakeet, minilm, work, report):
    check_pipeline(lorakeet, minilm, work, report)
    check_numbers(lorakeet, minilm, work, report)
    check_cross_encoder(lorakeet, minilm, work, report)
