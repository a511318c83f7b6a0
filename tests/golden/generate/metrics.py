"""Group E: metrics of scikit-learn and scipy, and of rules that are written out here."""

import math
import warnings
from pathlib import Path

import numpy
import scipy.stats
import torch
from sklearn import metrics as sklearn

from .inputs import below
from .write import Settings, save_case, save_json

STABLE = {"ties": "stable: lower index first"}


def parts(settings: Settings) -> dict:
    """The function that makes the case."""
    return {"E": lambda folder: make(settings, folder)}


def make(settings: Settings, folder: Path) -> None:
    """Writes all metrics of all inputs."""
    generator = settings.generator("E")
    rows = settings.sizes.metric_rows
    cases = []
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        # Degenerate input is part of the cases.
        warnings.simplefilter("ignore")
        cases += classification(generator, rows)
        cases += multi_label(generator, rows // 2 - 1, settings.sizes.multi_labels)
        cases += confidence(generator, rows - 4)
        cases += regression(generator, rows - 5)
        cases += ranking(generator)
        cases += gains(generator, rows // 2 - 2)
        cases += perplexities(generator, rows - 8)
    save_json(folder / "cases.json", cases)
    save_case(folder, {
        "conventions": {
            "balanced_accuracy": "mean recall over the classes present in y_true",
            "f1/precision/recall": (
                "zero_division=0; the label set is the union of y_true and y_pred; macro = plain mean over that set"
            ),
            "mcc": "0.0 when the denominator is 0",
            "pearson": "nan for constant input; fewer than 2 samples: error",
            "r2": "constant truth: 1.0 if exact, else 0.0; fewer than 2 samples: nan",
            "spearman": "average ranks for ties; nan for constant input",
        },
        "count": len(cases),
        "group": "E",
        "sources": (
            "scikit-learn and scipy; mrr, map, ndcg, ndcg_exp and perplexity are written out in the generator's "
            "metrics.py (scikit-learn has no MRR, and its ndcg_score / average_precision_score treat ties "
            "differently), ndcg checked against ndcg_score where no scores are tied"
        ),
        "tolerance": {"abs": 1e-9, "rel": 1e-9},
    })


def case(metric: str, inputs: dict, compute, params: dict | None = None, name: str | None = None) -> dict:
    """A metric of these inputs; `name` may be another than the metric's."""
    try:
        expected = float(compute())
    except ValueError as error:
        expected = {"error": type(error).__name__}
    return {"name": name or metric, "metric": metric, "params": params or {}, "inputs": inputs, "expected": expected}


def whole(generator: torch.Generator, high: int, *shape: int) -> list:
    """Whole numbers from 0 to just below `high`."""
    return torch.randint(high, shape, generator=generator).tolist()


def real(generator: torch.Generator, count: int, digits: int, scale: float = 1.0) -> list[float]:
    """Normally distributed numbers of so many digits."""
    return [round(scale * value, digits) for value in torch.randn(count, generator=generator).tolist()]


def share(generator: torch.Generator, count: int, digits: int) -> list[float]:
    """Numbers between 0 and 1 of so many digits; with one digit most are tied."""
    return [round(value, digits) for value in torch.rand(count, generator=generator).tolist()]


def classification(generator: torch.Generator, rows: int) -> list[dict]:
    """Metrics of one class a row."""
    truth = whole(generator, 3, rows)
    luck = share(generator, rows, 4)
    mostly = [label if part < 0.8 else (label + 1) % 3 for label, part in zip(truth, luck, strict=True)]
    inputs = {
        "random": (whole(generator, 4, rows), whole(generator, 4, rows)),
        "binary": (whole(generator, 2, rows), whole(generator, 2, rows)),
        "perfect": ([0, 1, 2, 1, 0], [0, 1, 2, 1, 0]),
        "all_wrong": ([0, 0, 1, 1], [1, 1, 0, 0]),
        "constant_prediction": ([0, 1, 2, 1, 0, 1], [1] * 6),
        "constant_truth": ([1] * 4, [0, 1, 1, 2]),
        "both_constant": ([1] * 3, [1] * 3),
        "label_only_predicted": ([0, 0, 1, 1], [0, 2, 1, 2]),
        "one_sample": ([2], [2]),
        "one_sample_wrong": ([2], [0]),
        "empty": ([], []),
        "mostly_right": (truth, mostly),
    }
    found = []
    for name, (truth, predicted) in inputs.items():
        given = {"y_true": truth, "y_pred": predicted}

        def add(metric, function, params=None, given=given, name=name, **arguments):
            compute = lambda: function(given["y_true"], given["y_pred"], **arguments)
            found.append(case(metric, given, compute, params, f"{metric}/{name}"))

        add("accuracy", sklearn.accuracy_score)
        for average in ("macro", "micro", "weighted"):
            for metric in ("f1", "precision", "recall"):
                add(
                    f"{metric}_{average}", getattr(sklearn, f"{metric}_score"), {"zero_division": 0}, average=average,
                    zero_division=0,
                )
        add("mcc", sklearn.matthews_corrcoef)
        add("balanced_accuracy", sklearn.balanced_accuracy_score)
        if truth and set(truth + predicted) <= {0, 1}:
            add("f1_binary", sklearn.f1_score, {"positive": 1}, pos_label=1, zero_division=0)
    return found


def multi_label(generator: torch.Generator, rows: int, labels: int) -> list[dict]:
    """Metrics of several flags a row; the last row is right, and one has no flag at all."""
    given = {"y_true": whole(generator, 2, rows, labels), "y_pred": whole(generator, 2, rows, labels)}
    given["y_true"][1] = [0] * labels
    given["y_pred"][-1] = given["y_true"][-1]
    truth, predicted = (numpy.array(given[key]) for key in ("y_true", "y_pred"))
    found = []
    for average in ("macro", "micro", "samples"):
        compute = lambda average=average: sklearn.f1_score(truth, predicted, average=average, zero_division=0)
        found.append(case(f"multilabel_f1_{average}", given, compute, {"zero_division": 0}))
    found.append(case("multilabel_exact_match", given, lambda: sklearn.accuracy_score(truth, predicted)))
    return found


def confidence(generator: torch.Generator, rows: int) -> list[dict]:
    """The area under the ROC curve."""
    truth = whole(generator, 2, rows)
    truth[:2] = [0, 1]
    inputs = {
        "ties": {"y_true": truth, "scores": share(generator, rows, 1)},
        "one_class": {"y_true": [1, 1, 1], "scores": [0.1, 0.2, 0.3]},
    }
    return [
        case(
            "roc_auc", given, lambda given=given: sklearn.roc_auc_score(given["y_true"], given["scores"]),
            name=f"roc_auc/{name}",
        )
        for name, given in inputs.items()
    ]


def regression(generator: torch.Generator, rows: int) -> list[dict]:
    """Errors and correlations of numbers."""
    truth = real(generator, rows, 3, 2.0)
    near = [round(value + noise, 3) for value, noise in zip(truth, real(generator, rows, 3, 0.8), strict=True)]
    inputs = {
        "random": (truth, near),
        "ties": tuple([float(value) for value in whole(generator, 4, rows - 1)] for _ in range(2)),
        "exact": (truth, truth),
        "reversed": (truth, [-value for value in truth]),
        "constant_pred": (truth, [0.5] * rows),
        "constant_truth": ([2.0] * 4, [1.0, 2.0, 3.0, 2.5]),
        "constant_both": ([2.0] * 4, [2.0] * 4),
        "two": ([1.0, 3.0], [2.0, 2.5]),
        "one": ([1.0], [1.5]),
        "empty": ([], []),
        "monotone": ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 8.0, 27.0, 64.0, 125.0]),
        "large_offset": ([1e6 + value for value in truth], [1e6 + value / 2 for value in truth]),
    }
    metrics = {
        "mse": sklearn.mean_squared_error,
        "mae": sklearn.mean_absolute_error,
        "r2": sklearn.r2_score,
        "rmse": sklearn.root_mean_squared_error,
        "pearson": lambda *pair: scipy.stats.pearsonr(*pair).statistic,
        "spearman": lambda *pair: scipy.stats.spearmanr(*pair).statistic,
        "kendall_tau_b": lambda *pair: scipy.stats.kendalltau(*pair, variant="b").statistic,
    }
    return [
        case(
            metric, {"y_true": pair[0], "y_pred": pair[1]}, lambda function=function, pair=pair: function(*pair),
            name=f"{metric}/{name}",
        )
        for name, pair in inputs.items() for metric, function in metrics.items()
    ]


def ranked(scores: list[float], relevance: list) -> list:
    """The relevances by falling score; of equal scores the lower index comes first."""
    order = numpy.argsort(-numpy.array(scores, dtype=float), kind="stable")
    return [relevance[index] for index in order]


def reciprocal_rank(query: dict) -> float:
    """One over the place of the first relevant item; 0 without one."""
    places = [place for place, grade in enumerate(ranked(query["scores"], query["relevance"]), 1) if grade > 0]
    return 1 / places[0] if places else 0.0


def average_precision(query: dict) -> float:
    """The mean of the precision at the places of relevant items; 0 without one."""
    places = [place for place, grade in enumerate(ranked(query["scores"], query["relevance"]), 1) if grade > 0]
    precisions = [count / place for count, place in enumerate(places, 1)]
    return sum(precisions) / len(precisions) if precisions else 0.0


def mean(values: list[float]) -> float:
    """The mean; NaN of nothing."""
    return sum(values) / len(values) if values else math.nan


def ranking(generator: torch.Generator) -> list[dict]:
    """Metrics of relevant items among others, over queries."""

    def queries(digits):
        sizes = [below(generator, 4, 8) for _ in range(5)]
        return [{"scores": share(generator, size, digits), "relevance": whole(generator, 2, size)} for size in sizes]

    falling = [0.3, 0.2, 0.1]
    inputs = {
        "random": queries(6),
        "ties": queries(1),
        "no_relevant": [{"scores": falling, "relevance": [0, 0, 0]}],
        "mixed_no_relevant": [
            {"scores": falling, "relevance": [0, 1, 0]}, {"scores": falling, "relevance": [0, 0, 0]},
        ],
        "all_relevant": [{"scores": [0.1, 0.2], "relevance": [1, 1]}],
        "all_scores_equal": [{"scores": [0.5] * 4, "relevance": [0, 1, 0, 1]}],
        "empty": [],
    }
    inputs["random"][1]["relevance"] = [0] * len(inputs["random"][1]["relevance"])
    found, rule = [], STABLE | {"no_relevant": "0"}
    for name, given in inputs.items():
        for metric, function in (("mrr", reciprocal_rank), ("map", average_precision)):
            compute = lambda given=given, function=function: mean([function(query) for query in given])
            found.append(case(metric, {"queries": given}, compute, rule, f"{metric}/{name}"))
        for index, query in enumerate([] if name == "mixed_no_relevant" else given):
            found.append(case(
                "average_precision_threshold", query,
                lambda query=query: sklearn.average_precision_score(query["relevance"], query["scores"]),
                {"ties": "equal scores form one threshold (scikit-learn)"},
                f"sklearn_average_precision/{name}.{index}",
            ))
    return found


def ndcg(given: dict, k: int, gain) -> float:
    """Discounted gain of the first k places over that of the best order; 0 where nothing has a gain."""

    def discounted(grades):
        return sum(gain(grade) / math.log2(place + 1) for place, grade in enumerate(grades[:k], 1))

    best = discounted(sorted(given["relevance"], reverse=True))
    return discounted(ranked(given["scores"], given["relevance"])) / best if best > 0 else 0.0


def gains(generator: torch.Generator, count: int) -> list[dict]:
    """Normalised discounted cumulative gain, with linear and exponential gains, and with ties averaged."""
    rising = [1.0, 2.0, 3.0, 4.0]
    inputs = {
        "random": {"scores": share(generator, count, 4), "relevance": whole(generator, 4, count)},
        "ties": {
            "scores": [float(score) for score in whole(generator, 4, count)], "relevance": whole(generator, 4, count),
        },
        "no_gain": {"scores": [0.1, 0.2, 0.3, 0.4], "relevance": [0, 0, 0, 0]},
        "ideal": {"scores": rising[::-1], "relevance": [3, 2, 1, 0]},
        "worst": {"scores": rising, "relevance": [3, 2, 1, 0]},
        "equal_scores": {"scores": [1.0] * 4, "relevance": [3, 0, 1, 2]},
    }
    found = []
    for name, given in inputs.items():
        for k in (1, 3, 5, 10):
            def averaged(given=given, k=k):
                return sklearn.ndcg_score([given["relevance"]], [given["scores"]], k=k)

            rule = {"k": k, "no_gain": "0"} | STABLE
            linear = case(
                "ndcg", given, lambda given=given, k=k: ndcg(given, k, float), rule | {"gain": "linear"},
                f"ndcg@{k}/{name}",
            )
            if len(set(given["scores"])) == len(given["scores"]):
                assert math.isclose(linear["expected"], averaged(), abs_tol=1e-12), name
            found += [
                linear,
                case(
                    "ndcg_exp", given, lambda given=given, k=k: ndcg(given, k, lambda grade: 2**grade - 1),
                    rule | {"gain": "2^rel-1"}, f"ndcg_exp@{k}/{name}",
                ),
                case(
                    "ndcg_ties_averaged", given, averaged,
                    {"gain": "linear", "k": k, "ties": "scikit-learn default: the gain of tied items is averaged"},
                    f"ndcg_sklearn@{k}/{name}",
                ),
            ]
    return found


def perplexity(given: dict) -> float:
    """exp of the mean loss of all tokens; NaN without tokens, infinite where the mean is too large."""
    tokens = sum(given["tokens"])
    if tokens == 0:
        return math.nan
    loss = sum(nll * count for nll, count in zip(given["mean_nll"], given["tokens"], strict=True)) / tokens
    return float(numpy.exp(loss))


def perplexities(generator: torch.Generator, rows: int) -> list[dict]:
    """Perplexity over batches of different sizes."""
    losses = [round(-math.log(value), 5) for value in torch.rand(rows, generator=generator).tolist()]
    inputs = {
        "tokens": (losses, [1.0] * rows),
        "batches": (losses, [1.0 + value for value in whole(generator, 39, rows)]),
        "certain": ([0.0] * 5, [1.0] * 5),
        "huge": ([900.0] * 3, [1.0] * 3),
        "empty": ([], []),
        "zero_weight": (losses[:2], [0.0, 0.0]),
    }
    rule = {"rule": "exp(sum(mean_nll*tokens)/sum(tokens)), never the mean of perplexities"}
    found = []
    for name, (nll, tokens) in inputs.items():
        given = {"mean_nll": nll, "tokens": tokens}
        found.append(case("perplexity", given, lambda given=given: perplexity(given), rule, f"perplexity/{name}"))
    return found
