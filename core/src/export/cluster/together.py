"""Losses of rows whose texts belong together: two answers to a prompt, documents of a query, two texts that are alike.

train.py gives what the model makes of all texts, one behind the other, and divides each sum by its count over the whole optimizer step.
"""

import torch
import torch.nn.functional as F

IGNORED = -100  # the label that nothing is learnt from


# What the model makes of texts


def answers_log_probs(logits, labels):
    """log p of each answer, summed over its tokens: [texts, tokens, vocabulary] and [texts, tokens] -> [texts]."""
    logits, labels = logits[:, :-1], labels[:, 1:]
    log_probs = logits.log_softmax(dim=-1).gather(-1, labels.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return log_probs.masked_fill(labels == IGNORED, 0.0).sum(dim=-1)


def vectors(states, mask, pooling):
    """The vector of each text, of those of its tokens: the first, the last, or their mean."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "lasttoken":
        return states[torch.arange(len(states), device=states.device), mask.sum(dim=1) - 1]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


# Losses


def sums(outputs, rows, answers, terms, penalty):
    """The sum of each term of the loss over these rows, times the term's weight. `penalty` is what the error of a number costs."""
    if answers == "answers":
        return weighted(terms, lambda term: dpo(term, outputs, rows))
    if answers == "scores":
        lists = outputs.split([len(row["texts"]) for row in rows])
        grades = [torch.tensor(grades_of(row), device=outputs.device) for row in rows]
        return weighted(terms, lambda term: sum(of_list(term, *one, penalty) for one in zip(lists, grades)))
    if "likeness" in rows[0]:
        likeness = torch.tensor([row["likeness"] for row in rows], device=outputs.device)
        cosines = (F.normalize(outputs[0::2]) * F.normalize(outputs[1::2])).sum(dim=1)
        return weighted(terms, lambda term: penalty(term, cosines - likeness).sum())
    # A triplet has one negative, losses over the batch take all there are.
    last = 2 if any(term["loss"] == "triplet" for term in terms) else None
    places = [place for row in rows for place in range(len(row["texts"]))]
    chosen = {
        name: outputs[torch.tensor([i for i, place in enumerate(places) if is_one(place)], dtype=torch.long, device=outputs.device)]
        for name, is_one in {
            "queries": lambda place: place == 0,
            "documents": lambda place: place == 1,
            "negatives": lambda place: place > 1 and (last is None or place <= last),
        }.items()
    }
    return weighted(terms, lambda term: of_vectors(term, **chosen))


def weighted(terms, loss_of):
    return torch.stack([term["weight"] * loss_of(term) for term in terms])


def count_of(term, row, answers):
    """What the sum of a term is divided by, with the other rows' of the step: rows, items, pairs, or lists that count."""
    if answers != "scores" or term["loss"] == "listnet":
        return 1
    grades = grades_of(row)
    if term["loss"] in ("ranknet", "margin"):
        return len(pairs_of(grades)[0])
    return int(any(grade > 0 for grade in grades)) if term["loss"] == "softmax" else len(grades)


def dpo(term, log_probs, rows):
    """Direct preference optimisation (Rafailov et al., 2023, equation 7) with conservative smoothing (Mitchell, 2023):

    -(1 - e) log sigmoid(z) - e log sigmoid(-z), z = beta ((log p(chosen) - log r(chosen)) - (log p(rejected) - log r(rejected))),

    where r is the model that the run began with, without an adapter; its log-probabilities stand in the rows as `reference`.
    """
    if term["loss"] != "dpo":
        raise unknown(term)
    reference = torch.tensor([[text["reference"] for text in row["texts"]] for row in rows], device=log_probs.device)
    gains = log_probs.view(-1, 2) - reference
    z, e = term["beta"] * (gains[:, 0] - gains[:, 1]), term["label_smoothing"]
    return ((1.0 - e) * F.softplus(-z) + e * F.softplus(z)).sum()


def of_vectors(term, queries, documents, negatives):
    if term["loss"] == "infonce":
        # InfoNCE (van den Oord et al., 2018) with in-batch negatives: -log softmax of cos(query, document) / temperature, over all
        # documents and negatives of the batch; where it is symmetric, its mean with the same of each document over all queries.
        candidates = torch.cat([documents, negatives])
        logits = F.normalize(queries) @ F.normalize(candidates).T / term["temperature"]
        own = torch.arange(len(queries), device=logits.device)
        loss = F.cross_entropy(logits, own, reduction="sum")
        if term["symmetric"]:
            loss = (loss + F.cross_entropy(logits[:, : len(queries)].T, own, reduction="sum")) / 2
        return loss
    if term["loss"] != "triplet":
        raise unknown(term)
    # Triplet loss (Schroff et al., 2015): max(0, d(query, document) - d(query, negative) + margin).
    if term["distance"] == "euclidean":
        farther = F.pairwise_distance(queries, documents) - F.pairwise_distance(queries, negatives)
    else:
        farther = F.cosine_similarity(queries, negatives) - F.cosine_similarity(queries, documents)
    return F.relu(farther + term["margin"]).sum()


def of_list(term, scores, grades, penalty):
    """The documents of one query: scores [items] and how relevant each is [items]."""
    if term["loss"] == "bce":
        weights = torch.tensor(term["pos_weight"] or [1.0], device=scores.device)
        # A grade of 1 or more says relevant, a share of 1 how much so.
        targets = grades.clamp(max=1.0)
        return (weights * targets * F.softplus(-scores) + (1.0 - targets) * F.softplus(scores)).sum()
    if term["loss"] in ("ranknet", "margin"):
        better, worse = pairs_of(grades.tolist())
        difference = scores[torch.tensor(better, dtype=torch.long)] - scores[torch.tensor(worse, dtype=torch.long)]
        if term["loss"] == "margin":
            return F.relu(term["margin"] - difference).sum()
        # RankNet (Burges et al., 2005): log(1 + exp(-sigma (better - worse))).
        return F.softplus(-term["sigma"] * difference).sum()
    if term["loss"] == "listnet":
        # ListNet, top-one (Cao et al., 2007): the cross-entropy of softmax(scores) against softmax(grades).
        return -(grades.softmax(dim=0) * scores.log_softmax(dim=0)).sum()
    if term["loss"] == "softmax":
        # The same against each grade's share; without a grade above 0 the list does not count.
        shares = grades / grades.sum() if grades.sum() > 0 else torch.zeros_like(grades)
        return -(shares * scores.log_softmax(dim=0)).sum()
    return penalty(term, scores - grades).sum()


def grades_of(row):
    return [text["grade"] for text in row["texts"]]


def pairs_of(grades):
    """All pairs of items whose grades differ: the better ones, and the worse one of each."""
    pairs = [(a, b) for a, one in enumerate(grades) for b, other in enumerate(grades) if one > other]
    return [a for a, _ in pairs], [b for _, b in pairs]


def unknown(term):
    return ValueError(f"loss: {term['loss']} is not known to this script")
