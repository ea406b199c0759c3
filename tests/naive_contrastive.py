"""Slow oracles of the contrastive losses: definitions as loops, at 40 digits where the name says so."""

import math

import mpmath as mp
import numpy as np

DIGITS = 40


def unit(rows):
    return [[mp.mpf(float(v)) / mp.sqrt(mp.fsum(mp.mpf(float(w)) ** 2 for w in row)) for v in row] for row in rows]


def dot(a, b):
    return mp.fsum(p * q for p, q in zip(a, b, strict=True))


def one_way(x, y, beta):
    """Return the direction x to y of rows that are mpmath numbers already, normalised or not."""
    n = len(x)
    return (
        mp.fsum(mp.log(mp.fsum(mp.exp(beta * (dot(x[i], y[j]) - dot(x[i], y[i]))) for j in range(n))) for i in range(n))
        / n
    )


def loss(x, y, beta, direction):
    forward, backward = one_way(x, y, beta), one_way(y, x, beta)
    return {"x-to-y": forward, "y-to-x": backward, "symmetric": (forward + backward) / 2}[direction]


def gradient_x(x, y, temperature, direction, digits=70):
    """Return loss and gradient by x of the unit rows, by central differences at `digits` digits."""
    with mp.workdps(digits):
        x, y, beta, step = unit(x), unit(y), 1 / mp.mpf(temperature), mp.mpf(10) ** -25
        found = np.zeros((len(x), len(x[0])))
        for i in range(len(x)):
            for k in range(len(x[0])):
                ends = []
                for sign in (1, -1):
                    moved = [list(row) for row in x]
                    moved[i][k] += sign * step
                    ends.append(loss(moved, y, beta, direction))
                found[i, k] = float((ends[0] - ends[1]) / (2 * step))
        return float(loss(x, y, beta, direction)), found


def sigmoid_loss(x, y, scale, bias):
    n = len(x)
    return (
        mp.fsum(
            mp.log(1 + mp.exp((-1 if i == j else 1) * (scale * dot(x[i], y[j]) + bias)))
            for i in range(n)
            for j in range(n)
        )
        / n
    )


def cross_potential(x, y, t):
    """Return the sum over j != k of exp(-t |x_j - y_k|^2)."""
    total = [
        math.exp(-t * sum((a - b) ** 2 for a, b in zip(x[j], y[k], strict=True)))
        for j in range(len(x))
        for k in range(len(y))
        if j != k
    ]
    return math.fsum(total)


def bessel_floor(dim, temperature):
    """Return -beta + ln(Gamma(nu+1) (2 tau)^nu I_nu(beta)) at 40 digits, by the series or, far out, by an integral."""
    with mp.workdps(DIGITS + 10):
        beta, order = 1 / mp.mpf(temperature), mp.mpf(dim) / 2
        term, total, k = mp.mpf(1), mp.mpf(0), 0
        while term > total * mp.mpf(10) ** -45:
            total += term
            k += 1
            term *= (beta / 2) ** 2 / (k * (order + k - 1))
        return float(mp.log(total) - beta)
