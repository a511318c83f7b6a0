"""Group B: losses of small outputs and their gradients.

A family is a function that draws its inputs and lists its subcases. A subcase's loss is a function of the inputs, so
that the same function gives the numbers in float32 and in float64.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F

from .cases import Sizes
from .inputs import IGNORED, Tensors, below
from .reference import widened
from .write import FACTOR, Settings, save_case, save_tensors, tolerance

RELATIVE = {"loss": 2e-6, "grad": 1e-5}
"""The part of a tolerance that grows with the number: about ten roundings of it, and of the terms of its sum."""
LEAST = {"loss": 2e-6, "grad": 1e-6}
"""The least of the part that does not."""


@dataclass(frozen=True)
class Subcase:
    """One loss: what it is called, computed from and differentiated by."""

    name: str
    formula: str
    inputs: list[str]
    gradients: list[str]
    loss: Callable[[Tensors], torch.Tensor]
    knobs: dict = field(default_factory=dict)
    more: Callable[[Tensors], Tensors] = lambda inputs: {}
    """Numbers on the way to the loss that are written too."""


@dataclass(frozen=True)
class Family:
    """Losses of one kind on the same inputs."""

    about: str
    inputs: Tensors
    subcases: list[Subcase]
    more: Tensors = field(default_factory=dict)
    """Tensors that belong to no subcase."""


def parts(settings: Settings) -> dict:
    """The functions that make the cases, by name."""
    return {
        f"B/{name}": lambda folder, name=name, family=family: make(settings, name, family, folder)
        for name, family in FAMILIES.items()
    }


def make(settings: Settings, name: str, family: Callable[[Sizes, torch.Generator], Family], folder: Path) -> None:
    """Writes inputs, losses and gradients of a family."""
    made = family(settings.sizes, settings.generator(f"B/{name}"))
    expected, described, excess = dict(made.more), {}, {"loss": 0.0, "grad": 0.0}
    for subcase in made.subcases:
        loss, gradients = differentiated(subcase, made.inputs)
        exact_loss, exact_gradients = differentiated(subcase, widened(made.inputs))
        excess["loss"] = max(excess["loss"], beyond_relative("loss", loss, exact_loss))
        expected[f"{subcase.name}.loss"] = loss
        for input_name, gradient in gradients.items():
            excess["grad"] = max(excess["grad"], beyond_relative("grad", gradient, exact_gradients[input_name]))
            expected[f"{subcase.name}.grad.{input_name}"] = gradient
        expected |= {f"{subcase.name}.{key}": value for key, value in subcase.more(made.inputs).items()}
        described[subcase.name] = subcase.knobs | {
            "formula": subcase.formula, "gradients": subcase.gradients, "inputs": sorted(subcase.inputs),
            "loss": loss.item(),
        }
    save_tensors(folder / "inputs.safetensors", made.inputs)
    save_tensors(folder / "expected.safetensors", expected)
    tolerances = {f"{part}_abs": tolerance(excess[part], LEAST[part]) for part in excess}
    tolerances |= {f"{part}_rel": relative for part, relative in RELATIVE.items()}
    save_case(folder, {"about": made.about, "group": "B", "subcases": described, "tolerance": tolerances})


def differentiated(subcase: Subcase, inputs: Tensors) -> tuple[torch.Tensor, Tensors]:
    """Loss and gradients of a subcase."""
    leaves = {name: inputs[name].clone().requires_grad_() for name in subcase.gradients}
    loss = subcase.loss(inputs | leaves)
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    return loss.detach(), dict(zip(leaves, gradients, strict=True))


def beyond_relative(part: str, found: torch.Tensor, exact: torch.Tensor) -> float:
    """How far float32 is off beyond the part of its error that the relative tolerance covers."""
    off = (found.double() - exact).abs() - RELATIVE[part] / FACTOR * exact.abs()
    return max(0.0, off.max().item())


# Classification


def normal(generator: torch.Generator, *shape: int, scale: float = 1.0) -> torch.Tensor:
    """Normally distributed numbers."""
    return scale * torch.randn(shape, generator=generator)


def class_weights(sizes: Sizes, generator: torch.Generator) -> torch.Tensor:
    """Weights between 0.5 and 3."""
    return 0.5 + 2.5 * torch.rand(sizes.loss_classes, generator=generator)


def cross_entropy(sizes: Sizes, generator: torch.Generator) -> Family:
    """Cross-entropy with weights, smoothing and labels that are ignored."""
    rows, classes = sizes.loss_rows, sizes.loss_classes
    labels = torch.randint(classes, (rows,), generator=generator)
    ignore = labels.clone()
    ignore[[1, rows // 2]] = IGNORED
    inputs = {
        "logits": normal(generator, rows, classes, scale=2.0),
        "logits_extreme": normal(generator, rows, classes, scale=60.0),
        "class_weights": class_weights(sizes, generator),
        "labels": labels,
        "labels_ignore": ignore,
    }

    def subcase(name, formula, logits="logits", labels="labels", weights=None, smoothing=0.0, **knobs):
        def loss(x):
            return F.cross_entropy(
                x[logits], x[labels], weight=x[weights] if weights else None, label_smoothing=smoothing,
                ignore_index=IGNORED,
            )

        knobs |= {"label_smoothing": smoothing} if smoothing else {}
        return Subcase(name, formula, [logits, labels] + ([weights] if weights else []), [logits], loss, knobs)

    found = [
        subcase("plain", "mean_i -log softmax(x_i)[y_i]"),
        subcase("ignore", "mean over the labels that are not -100", labels="labels_ignore", ignore_index=IGNORED),
        subcase(
            "weights", "sum_i w[y_i]*l_i / sum_i w[y_i]  (torch: weighted mean, not a plain mean)",
            weights="class_weights",
        ),
        subcase("extreme", "as plain, logits of size ~60: needs a stable log-softmax", logits="logits_extreme"),
    ]
    for smoothing in (0.1, 0.3):
        found += [
            subcase(
                f"smooth_{smoothing}",
                "(1-e)*mean nll + e*mean_i mean_c(-log p_ic); same as transformers LabelSmoother", smoothing=smoothing,
            ),
            subcase(
                f"smooth_ignore_{smoothing}", "as smooth, both terms averaged over the non-ignored rows only",
                labels="labels_ignore", smoothing=smoothing,
            ),
            subcase(
                f"smooth_weights_{smoothing}",
                "((1-e)*sum_i w[y_i]*nll_i + (e/C)*sum_i sum_c w[c]*(-log p_ic)) / sum_i w[y_i]  (torch)",
                weights="class_weights", smoothing=smoothing,
            ),
        ]
    return Family("single-label classification", inputs, found)


def token_classification(sizes: Sizes, generator: torch.Generator) -> Family:
    """Cross-entropy of tokens, some of which have no label."""
    rows, tokens, classes = 3, sizes.loss_rows + 2, sizes.loss_classes
    labels = torch.randint(classes, (rows, tokens), generator=generator)
    labels[:, 0] = IGNORED
    labels[1, tokens // 2 :] = IGNORED
    inputs = {
        "logits": normal(generator, rows, tokens, classes, scale=1.5),
        "class_weights": class_weights(sizes, generator),
        "labels": labels,
    }

    def loss(x, weight=None):
        return F.cross_entropy(x["logits"].flatten(0, 1), x["labels"].flatten(), weight=weight, ignore_index=IGNORED)

    return Family("cross-entropy per token, -100 ignored", inputs, [
        Subcase(
            "plain", "mean over all tokens of the batch whose label is not -100", ["logits", "labels"], ["logits"],
            loss,
        ),
        Subcase(
            "weights", "weighted mean over the same tokens", ["logits", "labels", "class_weights"], ["logits"],
            lambda x: loss(x, x["class_weights"]),
        ),
    ])


def focal(sizes: Sizes, generator: torch.Generator) -> Family:
    """Focal loss of classes and of a single flag."""
    rows, classes = sizes.loss_rows, sizes.loss_classes
    binary_alpha = 0.25
    inputs = {
        "logits": normal(generator, rows, classes, scale=2.0),
        "logits_extreme": normal(generator, rows, classes, scale=40.0),
        "alpha": 0.5 + torch.rand(classes, generator=generator),
        "labels": torch.randint(classes, (rows,), generator=generator),
        "binary_logits": normal(generator, rows, scale=2.0),
        "binary_targets": torch.randint(2, (rows,), generator=generator).float(),
    }

    def focal_term(log_p, alpha, gamma):
        return (-alpha * (1 - log_p.exp()) ** gamma * log_p).mean()

    def softmax(logits, gamma, alpha=None):
        def loss(x):
            log_p = F.log_softmax(x[logits], dim=1).gather(1, x["labels"][:, None])[:, 0]
            return focal_term(log_p, x[alpha][x["labels"]] if alpha else 1, gamma)

        return loss

    def sigmoid(gamma, alpha=None):
        def loss(x):
            target = x["binary_targets"]
            log_p = F.logsigmoid(torch.where(target == 1, x["binary_logits"], -x["binary_logits"]))
            return focal_term(log_p, 1 if alpha is None else torch.where(target == 1, alpha, 1 - alpha), gamma)

        return loss

    found = []
    for gamma in (0, 1, 2, 5):
        knobs, flag = {"gamma": gamma}, ["binary_logits", "binary_targets"]
        found += [
            Subcase(
                f"softmax_g{gamma}", "p_t = softmax(x)[y]; alpha_t = 1", ["logits", "labels"], ["logits"],
                softmax("logits", gamma), knobs,
            ),
            Subcase(
                f"softmax_alpha_g{gamma}",
                "p_t = softmax(x)[y]; alpha_t = alpha[y]; divided by the number of samples, not by sum alpha",
                ["logits", "labels", "alpha"], ["logits"], softmax("logits", gamma, "alpha"), knobs,
            ),
            Subcase(
                f"softmax_extreme_g{gamma}", "logits of size ~40", ["logits_extreme", "labels"], ["logits_extreme"],
                softmax("logits_extreme", gamma), knobs,
            ),
            Subcase(
                f"sigmoid_g{gamma}", "p_t = sigmoid(x) if t else 1-sigmoid(x); alpha_t = 1", flag, ["binary_logits"],
                sigmoid(gamma), knobs,
            ),
            Subcase(
                f"sigmoid_alpha_g{gamma}", "alpha_t = alpha for t=1, 1-alpha for t=0", flag, ["binary_logits"],
                sigmoid(gamma, binary_alpha), knobs | {"alpha": binary_alpha},
            ),
        ]
    return Family("focal loss, mean over samples of -(alpha_t)*(1-p_t)^gamma*log p_t", inputs, found)


def bce_multilabel(sizes: Sizes, generator: torch.Generator) -> Family:
    """Binary cross-entropy of several labels a row."""
    rows, classes = sizes.loss_rows, sizes.loss_classes
    inputs = {
        "logits": normal(generator, rows, classes, scale=2.0),
        "logits_extreme": normal(generator, rows, classes, scale=80.0),
        "pos_weight": 1 + 3 * torch.rand(classes, generator=generator),
        "targets": torch.randint(2, (rows, classes), generator=generator).float(),
    }

    def subcase(name, formula, logits="logits", weight=None):
        def loss(x):
            return F.binary_cross_entropy_with_logits(
                x[logits], x["targets"], pos_weight=x[weight] if weight else None
            )

        return Subcase(name, formula, [logits, "targets"] + ([weight] if weight else []), [logits], loss)

    return Family("multi-label: sigmoid + binary cross-entropy, mean over all n*c elements", inputs, [
        subcase("plain", "mean of max(x,0) - x*t + log(1+exp(-|x|))"),
        subcase("pos_weight", "mean of -(pos_weight_c*t*log s + (1-t)*log(1-s))", weight="pos_weight"),
        subcase("extreme", "same, |x| ~ 80", logits="logits_extreme"),
    ])


# Numbers and ranks


def regression(sizes: Sizes, generator: torch.Generator) -> Family:
    """Squares, magnitudes and what lies between; one prediction is exact, one is off by 1, where Huber bends."""
    rows = sizes.loss_rows + 4
    inputs = {"pred": normal(generator, rows, scale=1.5), "target": normal(generator, rows, scale=2.0)}
    inputs["target"][3] = inputs["pred"][3]
    inputs["pred"][4] = 0.25
    inputs["target"][4] = -0.75

    def subcase(name, formula, penalty, **knobs):
        return Subcase(
            name, formula, ["pred", "target"], ["pred"], lambda x: penalty(x["pred"], x["target"], **knobs), knobs
        )

    found = [
        subcase("mse", "mean (x-y)^2", F.mse_loss),
        subcase("mae", "mean |x-y|, gradient 0 where x == y", F.l1_loss),
    ]
    for bend in (0.5, 1.0, 2.0):
        found += [
            subcase(f"huber_{bend}", "mean of 0.5*e^2 if |e|<d else d*(|e|-0.5*d)", F.huber_loss, delta=bend),
            subcase(
                f"smooth_l1_{bend}", "mean of 0.5*e^2/b if |e|<b else |e|-0.5*b   (= huber/b)", F.smooth_l1_loss,
                beta=bend,
            ),
        ]
    return Family("one output per sample; x = prediction, y = target", inputs, found)


def ranking_pairs(sizes: Sizes, generator: torch.Generator) -> Family:
    """Losses of pairs of which the first should score above the second."""
    groups = [4] + [3] * (sizes.loss_lists - 2)
    items = sum(groups)
    group = torch.tensor([name for name, count in enumerate(groups) for _ in range(count)])
    first = torch.randint(items, (sizes.loss_pairs,), generator=generator)
    pairs = torch.stack([first, (first + torch.randint(1, items, first.shape, generator=generator)) % items], dim=1)
    relevance = torch.randint(3, (items,), generator=generator).float()
    relevance[:4] = torch.tensor([2.0, 0.0, 0.0, 1.0])
    derived = torch.tensor([
        (i, j)
        for i in range(items) for j in range(items)
        if group[i] == group[j] and relevance[i] > relevance[j]
    ])
    inputs = {
        "scores": normal(generator, items, scale=1.5), "pairs": pairs, "group": group, "relevance": relevance,
    }

    def gaps(x, pairs):
        return x["scores"][pairs[:, 0]] - x["scores"][pairs[:, 1]]

    found = []
    for margin in (0.0, 0.5, 1.0):
        found.append(Subcase(
            f"margin_{margin}", "mean max(0, margin-(s_i-s_j))", ["scores", "pairs"], ["scores"],
            lambda x, margin=margin: F.relu(margin - gaps(x, x["pairs"])).mean(), {"margin": margin},
        ))
    for sigma in (0.5, 1.0):
        found.append(Subcase(
            f"ranknet_{sigma}", "mean log(1+exp(-sigma*(s_i-s_j)))", ["scores", "pairs"], ["scores"],
            lambda x, sigma=sigma: F.softplus(-sigma * gaps(x, x["pairs"])).mean(), {"sigma": sigma},
        ))
    found.append(Subcase(
        "ranknet_from_relevance",
        "all pairs of one group with relevance_i > relevance_j (derived_pairs), mean over all pairs",
        ["scores", "relevance", "group"], ["scores"], lambda x: F.softplus(-gaps(x, derived)).mean(), {"sigma": 1.0},
    ))
    about = "pairs (i, j): item i should score above item j; mean over pairs"
    return Family(about, inputs, found, {"derived_pairs": derived})


def ranking_listwise(sizes: Sizes, generator: torch.Generator) -> Family:
    """Losses of whole lists; the last one has no relevant item."""
    lists, length = sizes.loss_lists, sizes.loss_list
    mask = (torch.arange(length) < length - torch.arange(lists)[:, None]).long()
    relevance = torch.randint(4, (lists, length), generator=generator).float() * mask
    relevance[:, 0] = 1
    relevance[-1] = 0
    inputs = {
        "scores": normal(generator, lists, length, scale=1.5), "relevance": relevance, "mask": mask,
        "positive": torch.stack([torch.randint(length - row, (), generator=generator) for row in range(lists)]),
    }

    def log_softmax(values, mask):
        return F.log_softmax(values.masked_fill(mask == 0, float("-inf")), dim=1)

    def against(x, target):
        # A target of padding is 0, and so is its part of the sum.
        logs = log_softmax(x["scores"], x["mask"]).masked_fill(x["mask"] == 0, 0.0)
        return -(target * logs).sum(dim=1)

    def shares(x):
        total = x["relevance"].sum(dim=1, keepdim=True)
        kept = total[:, 0] > 0
        return against(x, x["relevance"] / total.clamp(min=1e-30))[kept].mean()

    return Family("lists padded to the same length; mask 0 = padding, excluded from every softmax", inputs, [
        Subcase(
            "listnet", "mean over lists of -sum_j softmax(relevance)_j*log softmax(s)_j",
            ["scores", "relevance", "mask"], ["scores"],
            lambda x: against(x, log_softmax(x["relevance"], x["mask"]).exp()).mean(),
        ),
        Subcase(
            "softmax_one_positive", "mean over lists of -log softmax(s)[positive]", ["scores", "positive", "mask"],
            ["scores"],
            lambda x: -log_softmax(x["scores"], x["mask"]).gather(1, x["positive"][:, None]).mean(),
        ),
        Subcase(
            "softmax_relevance",
            "target_j = relevance_j / sum relevance; lists whose relevance is all zero are dropped (not counted in the "
            "mean)",
            ["scores", "relevance", "mask"], ["scores"], shares,
        ),
    ])


# Embeddings and preferences


def contrastive(sizes: Sizes, generator: torch.Generator) -> Family:
    """InfoNCE over a batch, with and without negatives of its own, in one and in both directions."""
    rows, width = sizes.loss_rows - 2, sizes.loss_width
    inputs = {name: normal(generator, rows, width) for name in ("query", "document", "negative")}
    own = torch.arange(rows)

    def similarity(x, columns):
        return F.normalize(x["query"], dim=1, eps=1e-12) @ F.normalize(columns, dim=1, eps=1e-12).T

    found = []
    for temperature in (0.05, 0.5):
        def one_way(x, t=temperature):
            return F.cross_entropy(similarity(x, x["document"]) / t, own)

        def both_ways(x, t=temperature):
            scores = similarity(x, x["document"]) / t
            return 0.5 * (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own))

        def with_negatives(x, t=temperature):
            return F.cross_entropy(similarity(x, torch.cat([x["document"], x["negative"]])) / t, own)

        knobs, pair = {"temperature": temperature}, ["query", "document"]
        found += [
            Subcase(
                f"infonce_t{temperature}", "CE(cos(q_i, d_j)/tau, label i), mean over i", pair, pair, one_way, knobs,
                lambda x: {"similarity": similarity(x, x["document"])},
            ),
            Subcase(f"symmetric_t{temperature}", "0.5*(CE over rows + CE over columns)", pair, pair, both_ways, knobs),
            Subcase(
                f"hard_negatives_t{temperature}", "columns = all documents then all negatives of the batch; label i",
                [*pair, "negative"], [*pair, "negative"], with_negatives, knobs,
            ),
        ]
    about = (
        "rows of query/document/negative are embeddings before normalisation; similarity is cosine (x/max(|x|,1e-12)); "
        "gradient is with respect to the raw embeddings"
    )
    return Family(about, inputs, found)


def triplet(sizes: Sizes, generator: torch.Generator) -> Family:
    """Triplet losses; the first negative is so far away that its row has no loss."""
    rows, width = sizes.loss_rows - 2, sizes.loss_width
    anchor = normal(generator, rows, width)
    inputs = {
        "anchor": anchor,
        "positive": anchor + normal(generator, rows, width, scale=0.6),
        "negative": anchor + normal(generator, rows, width, scale=0.8),
    }
    inputs["negative"][0] = 10 * normal(generator, width)

    def euclidean(x, margin):
        return F.triplet_margin_loss(x["anchor"], x["positive"], x["negative"], margin=margin, eps=1e-6)

    def cosine(x, margin):
        near, far = (F.cosine_similarity(x["anchor"], x[name], dim=1) for name in ("positive", "negative"))
        return F.relu((1 - near) - (1 - far) + margin).mean()

    names = ["anchor", "positive", "negative"]
    found = [
        Subcase(
            f"euclidean_{margin}",
            "max(0, |a-p+1e-6| - |a-n+1e-6| + margin): torch adds eps=1e-6 to every component of the difference before "
            "the norm",
            names, names, lambda x, margin=margin: euclidean(x, margin), {"margin": margin, "eps": 1e-6},
        )
        for margin in (1.0, 3.0)
    ]
    found += [
        Subcase(
            f"cosine_{margin}", "max(0, (1-cos(a,p)) - (1-cos(a,n)) + margin)", names, names,
            lambda x, margin=margin: cosine(x, margin), {"margin": margin},
        )
        for margin in (0.2, 1.0)
    ]
    return Family("anchor, positive, negative rows; mean over rows", inputs, found)


def dpo(sizes: Sizes, generator: torch.Generator) -> Family:
    """Direct preference optimisation on log-probabilities of answers, and on logits."""
    pairs, tokens, vocab = sizes.loss_lists, sizes.loss_rows + 2, sizes.loss_vocab
    sides = [f"{model}_{answer}" for model in ("policy", "reference") for answer in ("chosen", "rejected")]
    inputs = {name: normal(generator, pairs, scale=2.5) - 20 for name in sides}
    inputs |= {f"{model}_logits": normal(generator, 2 * pairs, tokens, vocab) for model in ("policy", "reference")}
    labels = torch.randint(vocab, (2 * pairs, tokens), generator=generator)
    labels[:, : below(generator, 2, 4)] = IGNORED
    labels[1, tokens - 3 :] = IGNORED
    inputs["labels"] = labels

    def preferred(z, smoothing=0.0):
        return (-(1 - smoothing) * F.logsigmoid(z) - smoothing * F.logsigmoid(-z)).mean()

    def log_probabilities(logits, labels):
        targets = labels[:, 1:]
        logs = F.log_softmax(logits[:, :-1], dim=2).gather(2, targets.clamp(min=0)[..., None])[..., 0]
        return (logs * (targets != IGNORED)).sum(dim=1)

    def on_sequences(beta, smoothing):
        def loss(x):
            policy, reference = (x[f"{model}_chosen"] - x[f"{model}_rejected"] for model in ("policy", "reference"))
            return preferred(beta * (policy - reference), smoothing)

        def rewards(x):
            return {
                f"reward_{answer}": beta * (x[f"policy_{answer}"] - x[f"reference_{answer}"])
                for answer in ("chosen", "rejected")
            }

        return Subcase(
            f"sequence_b{beta}_e{smoothing}",
            "z = beta*((pc-pr)-(rc-rr)); mean of -(1-e)*logsigmoid(z) - e*logsigmoid(-z)", sides,
            ["policy_chosen", "policy_rejected"], loss, {"beta": beta, "label_smoothing": smoothing}, rewards,
        )

    def on_tokens(beta):
        def log_ps(x):
            return {
                f"{model}_logps": log_probabilities(x[f"{model}_logits"], x["labels"])
                for model in ("policy", "reference")
            }

        def loss(x):
            gap = log_ps(x)["policy_logps"] - log_ps(x)["reference_logps"]
            return preferred(beta * (gap[:pairs] - gap[pairs:]))

        return Subcase(
            f"tokens_b{beta}",
            "rows 0..n-1 chosen, n..2n-1 rejected; sequence log-prob = SUM over labels[1:] != -100 of log "
            "softmax(logits[:-1])",
            ["policy_logits", "reference_logits", "labels"], ["policy_logits"], loss, {"beta": beta}, log_ps,
        )

    return Family("direct preference optimisation, sigmoid loss", inputs, [
        on_sequences(0.1, 0.0), on_sequences(0.1, 0.2), on_sequences(0.5, 0.0), on_tokens(0.1),
    ])


FAMILIES = {
    function.__name__: function
    for function in (
        bce_multilabel, contrastive, cross_entropy, dpo, focal, ranking_listwise, ranking_pairs, regression,
        token_classification, triplet,
    )
}
