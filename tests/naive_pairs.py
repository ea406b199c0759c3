"""Slow oracles for paired embeddings: the definitions as loops over rows, one pair at a time."""

import math

import numpy as np


def unit(rows):
    return [np.asarray(row, dtype=float) / math.sqrt(math.fsum(v * v for v in row)) for row in rows]


def mean(rows):
    return sum(unit(rows)) / len(rows)


def within_cosines(x):
    x = unit(x)
    return [float(x[i] @ x[j]) for i in range(len(x)) for j in range(i + 1, len(x))]


def matched_cosines(x, y):
    return [float(a @ b) for a, b in zip(unit(x), unit(y), strict=True)]


def unmatched_cosines(x, y):
    x, y = unit(x), unit(y)
    return [float(x[i] @ y[j]) for i in range(len(x)) for j in range(len(y)) if i != j]


def uniformity(x, t):
    x = unit(x)
    pairs = [(i, j) for i in range(len(x)) for j in range(len(x)) if i != j]
    return math.log(math.fsum(math.exp(-t * float((x[i] - x[j]) @ (x[i] - x[j]))) for i, j in pairs) / len(pairs))


def relative_modality_gap(x, y):
    def distance(cosines):
        return math.fsum((1 - c) / 2 for c in cosines) / len(cosines)

    matched = distance(matched_cosines(x, y))
    return matched / (matched + (distance(within_cosines(x)) + distance(within_cosines(y))) / 2)


def recall(x, y, k, groups):
    """Rank the rows of y for every row of x: by cosine, wrong before correct where two cosines agree to 9 digits."""
    x, y = unit(x), unit(y)
    hits = 0
    for i, query in enumerate(x):
        ranked = sorted(range(len(y)), key=lambda j: (-round(float(query @ y[j]), 9), groups[j] == groups[i]))
        hits += any(groups[j] == groups[i] for j in ranked[:k])
    return hits / len(x)


def cross_entropy(logits):
    losses = []
    for i, row in enumerate(logits):
        top = max(row)
        losses.append(top - row[i] + math.log(math.fsum(math.exp(v - top) for v in row)))
    return math.fsum(losses) / len(losses)


def clip_loss(x, y, temperature, direction, batch):
    x, y = unit(x), unit(y)
    total = 0.0
    for start in range(0, len(x), batch):
        xs, ys = x[start : start + batch], y[start : start + batch]
        logits = [[float(a @ b) / temperature for b in ys] for a in xs]
        transposed = [list(column) for column in zip(*logits, strict=True)]
        forward, backward = cross_entropy(logits), cross_entropy(transposed)
        loss = {"x-to-y": forward, "y-to-x": backward, "symmetric": (forward + backward) / 2}[direction]
        total += len(xs) * loss
    return total / len(x)


def shifted(x, y, lam):
    delta = mean(x) - mean(y)
    return unit([row - lam * delta for row in unit(x)]), unit([row + lam * delta for row in unit(y)])
