"""Slow and obvious versions of the flow of free features: its right-hand side by definition, and reduced flows."""

import numpy as np
from scipy.integrate import solve_ivp


def naive_loss(x, y, beta):
    """Return the symmetric cross-entropy by definition, row by row."""
    n, logits = len(x), beta * (x @ y.T)
    total = 0.0
    for i in range(n):
        for line in (logits[i], logits[:, i]):
            total += np.log(sum(np.exp(value - line[i]) for value in line))
    return total / (2 * n)


def naive_gradient(x, y, beta):
    """Return the gradients by x, by y and by beta of `naive_loss`, from its softmax matrices."""
    n, logits = len(x), beta * (x @ y.T)
    rows, columns = np.exp(logits), np.exp(logits)
    rows /= rows.sum(axis=1, keepdims=True)
    columns /= columns.sum(axis=0, keepdims=True)
    weights = (rows + columns - 2 * np.eye(n)) / (2 * n)
    return beta * weights @ y, beta * weights.T @ x, float(np.sum(weights * (x @ y.T)))


def naive_flow(x, y, slope, beta0, times, rate=1.0, schedule=None):
    """Return rows and logit scales at `times` by SciPy's DOP853, tangent parts taken by definition."""
    n, dim = x.shape

    def speed(t, state):
        beta = schedule(t) if schedule else state[-1]
        rows = state[:-1].reshape(2, n, dim)
        grad_x, grad_y, grad_beta = naive_gradient(*rows, beta)
        moved = np.empty_like(rows)
        for side, grad in enumerate((grad_x, grad_y)):
            for i in range(n):
                point = rows[side, i]
                moved[side, i] = -2 * n * (np.eye(dim) - np.outer(point, point) / (point @ point)) @ grad[i]
        return np.append(moved.ravel(), -rate * slope(beta) ** 2 * grad_beta)

    start = np.append(np.stack([x, y]).ravel(), beta0)
    found = solve_ivp(speed, (0, times[-1]), start, t_eval=times, method="DOP853", rtol=1e-10, atol=1e-12)
    rows = found.y[:-1].T.reshape(len(times), 2, n, dim)
    return rows, found.y[-1]


def simplex_corners(n):
    """Return n unit rows in n - 1 dimensions with equal cosines -1/(n - 1)."""
    rows = np.linalg.svd(np.eye(n) - 1 / n)[0][:, : n - 1]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def simplex_flow(n, slope, start, times):
    """Return (γ, β) at `times` of simplex corners with a common coordinate ±γ, from the loss's one derivative."""

    def speed(_, state):
        gamma, beta = state
        margin = n / (n - 1)
        weight = (n - 1) * np.exp(-margin * beta * (1 - gamma**2))
        force = margin * weight / (1 + weight)
        return [-2 * beta * gamma * (1 - gamma**2) * force, slope(beta) ** 2 * (1 - gamma**2) * force]

    return solve_ivp(speed, (0, times[-1]), start, t_eval=times, method="LSODA", rtol=1e-11, atol=1e-13).y


def ring_rows(n, latitude, shift):
    """Return images at equal steps of a circle of latitude, and texts on the opposite one, turned by `shift`."""
    angles = 2 * np.pi * np.arange(n) / n
    x, y = (
        np.stack([np.cos(latitude) * np.cos(a), np.cos(latitude) * np.sin(a), np.full(n, np.sin(lat))], axis=1)
        for a, lat in ((angles, latitude), (angles + shift, -latitude))
    )
    return x, y


def ring_flow(n, slope, start, times):
    """Return (latitude, shift, β) at `times`: minus the gradient of the ring's loss by central differences."""

    def loss(latitude, shift, beta):
        cosines = np.cos(latitude) ** 2 * np.cos(2 * np.pi * np.arange(n) / n - shift)
        return np.log(np.sum(np.exp(beta * (cosines - cosines[0]))))

    def speed(_, state):
        step, grad = 1e-5, np.empty(3)
        for k in range(3):
            move = step * np.eye(3)[k]
            grad[k] = (loss(*(state + move)) - loss(*(state - move))) / (2 * step)
        return [-grad[0], -4 * grad[1] / np.cos(state[0]) ** 2, -(slope(state[2]) ** 2) * grad[2]]

    return solve_ivp(speed, (0, times[-1]), start, t_eval=times, method="LSODA", rtol=1e-10, atol=1e-12).y
