#!/usr/bin/env python3
"""How well samples of a class that was left out are told from others by several scores: the area under the curve, the
mean over classes. Half of the other samples is learnt from, the other half is what is known. `docs/heads.md` has the
numbers. Needs NumPy and scikit-learn.

usage: unknown_scores.py FEATURES.npy LABELS.npy
"""

import sys

import numpy as np
from sklearn.covariance import ledoit_wolf
from sklearn.metrics import roc_auc_score

MOST = 1500
NEIGHBOURS = 10


def inverse_covariance(rows):
    return np.linalg.inv(ledoit_wolf(rows)[0])


def distances(rows, centre, inverse):
    return np.einsum("ij,jk,ik->i", rows - centre, inverse, rows - centre, optimize=True)


def scores(learnt, labels, classes):
    """Functions that are larger for what is known."""
    mean, targets = learnt.mean(0), (labels[:, None] == classes).astype(float)
    centred = learnt - mean
    gram = centred @ centred.T
    # Ridge regression with λ the mean squared singular value.
    dual = np.linalg.solve(gram + np.trace(gram) / len(gram) * np.eye(len(gram)), targets - targets.mean(0))
    kernel = centred.T @ dual
    means = np.array([learnt[labels == k].mean(0) for k in classes])
    within = inverse_covariance(learnt - means[targets.argmax(1)])
    overall = inverse_covariance(centred)

    def logits(rows):
        return (rows - mean) @ kernel + targets.mean(0)

    def probability(rows):
        powers = np.exp(8 * (logits(rows) - logits(rows).max(1, keepdims=True)))
        return (powers / powers.sum(1, keepdims=True)).max(1)

    def directions(rows):
        return (rows - mean) / np.linalg.norm(rows - mean, axis=1, keepdims=True)

    def neighbours(rows):
        return np.sort(directions(rows) @ directions(learnt).T, 1)[:, -NEIGHBOURS]

    def mahalanobis(rows):
        return -np.min([distances(rows, centre, within) for centre in means], 0)

    return {
        "largest probability": probability,
        "largest logit": lambda rows: logits(rows).max(1),
        "cosine to the tenth neighbour": neighbours,
        "Mahalanobis": mahalanobis,
        "relative Mahalanobis": lambda rows: mahalanobis(rows) + distances(rows, mean, overall),
    }


def main(features, labels):
    rng = np.random.default_rng(0)
    rows, labels = np.load(features).astype(np.float64), np.load(labels).astype(int)
    if len(labels) > MOST:
        chosen = rng.permutation(len(labels))[:MOST]
        rows, labels = rows[chosen], labels[chosen]
    half = rng.integers(0, 2, len(labels))
    found = {}
    for left_out in np.unique(labels):
        learnt, known = (labels != left_out) & (half == 0), (labels != left_out) & (half == 1)
        unknown = labels == left_out
        classes = np.array([k for k in np.unique(labels) if k != left_out])
        truth = np.r_[np.ones(known.sum()), np.zeros(unknown.sum())]
        for name, score in scores(rows[learnt], labels[learnt], classes).items():
            area = roc_auc_score(truth, np.r_[score(rows[known]), score(rows[unknown])])
            found.setdefault(name, []).append(area)
    for name, areas in found.items():
        print(f"{name:30} {np.mean(areas):.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
