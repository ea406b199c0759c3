"""Dual activations: the closed forms against Gaussian pairs that are drawn. The forms are the literature's and ours."""

from collections.abc import Callable

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Mean, PerCell, Tally
from conetheory.dual import (
    activation_function,
    c_map_complement,
    dual_activation,
    second_moment,
)

__all__ = ["CLAIMS"]

_NAMES = ("relu", "leaky_relu", "abs", "step", "erf", "gelu", "gaussian", "sin", "cos", "elu", "tanh")
_VARIANCES = (0.5, 3.0)
_VALUE_GRID = tuple({"activation": float(i), "rho": -0.6 if i % 2 else 0.7} for i in range(len(_NAMES)))
_SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: (x > 0).astype(float),
    "abs": np.sign,
    "erf": lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x),
    "gaussian": lambda x: -2 * x * np.exp(-x * x),
    "sin": np.cos,
    "tanh": lambda x: 1 / np.cosh(x) ** 2,
}
_SLOPE_GRID = tuple({"activation": float(_NAMES.index(name)), "rho": 0.4} for name in _SLOPES)
_H = 1e-3  # half-width of a central difference
_SMOOTH = ("relu", "abs", "erf", "gelu", "sin", "elu")  # no jump at 0: 1 - C-map is of the order of epsilon
_NEAR = 1e-12
_NEAR_GRID = tuple({"activation": float(_NAMES.index(name)), "epsilon": _NEAR} for name in _SMOOTH)
_MAXOUT_GRID = tuple({"rho": rho} for rho in (-0.8, 0.0, 0.8))
_JUMP_GRID = tuple({"epsilon": eps} for eps in (1e-2, 1e-4))


def _name(at: At) -> str:
    return _NAMES[int(at["activation"])]


def _pairs(rng: np.random.Generator, n: int, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw n standard normal pairs of correlation `rho`."""
    u, noise = rng.standard_normal((2, n))
    return u, rho * u + np.sqrt((1 - rho) * (1 + rho)) * noise


def _draw_value(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally phi(u) phi(v), u and v of unequal variances."""
    phi = activation_function(_name(at))
    u, v = _pairs(rng, n, at["rho"])
    return Tally.of(phi(np.sqrt(_VARIANCES[0]) * u) * phi(np.sqrt(_VARIANCES[1]) * v))


def _draw_slope(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally the central difference of phi(u) phi(v) in the correlation, u and the noise in v the same at either end."""
    phi, scales = activation_function(_name(at)), np.sqrt(_VARIANCES)
    u, noise = rng.standard_normal((2, n))
    ends = (phi(scales[1] * (r * u + np.sqrt((1 - r) * (1 + r)) * noise)) for r in (at["rho"] - _H, at["rho"] + _H))
    below, above = ends
    return Tally.of(phi(scales[0] * u) * (above - below) / (2 * _H))


def _draw_contrast(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally (phi(u) - phi(v))^2 / (2 epsilon): u and v from their mean and their difference, drawn apart."""
    phi, eps = activation_function(_name(at)), at["epsilon"]
    middle, half = rng.standard_normal((2, n)) * np.sqrt([[1 - eps / 2], [eps / 2]])
    return Tally.of((phi(middle + half) - phi(middle - half)) ** 2 / (2 * eps))


def _draw_maxout(rng: np.random.Generator, n: int, at: At, rows: int = 2) -> Tally:
    """Tally max(u_1, .., u_rows) max(v_1, .., v_rows) of independent pairs, a pair for each weight row."""
    u, v = _pairs(rng, rows * n, at["rho"])
    return Tally.of(u.reshape(rows, n).max(axis=0) * v.reshape(rows, n).max(axis=0))


def _draw_jump(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally (phi(u) - phi(v))^2 / (2 E phi^2 sqrt(epsilon)) of the step function, E phi^2 = 1/2."""
    phi = activation_function("step")
    u, v = _pairs(rng, n, 1 - at["epsilon"])
    return Tally.of((phi(u) - phi(v)) ** 2 / np.sqrt(at["epsilon"]))


def _values(grid: tuple[dict[str, float], ...], variances: tuple[float, float] = _VARIANCES) -> list[float]:
    u, v = variances
    return [float(dual_activation(_name(at), at["rho"], var_u=u, var_v=v)) for at in grid]


def _duals_of_slopes() -> list[float]:
    """Return E phi'(u) phi'(v), the slopes written out above, by quadrature."""
    u, v = _VARIANCES
    return [float(dual_activation(_SLOPES[_name(at)], at["rho"], var_u=u, var_v=v)) for at in _SLOPE_GRID]


def _derivatives() -> list[float]:
    return [np.sqrt(np.prod(_VARIANCES)) * value for value in _duals_of_slopes()]


def _contrasts(eps: float) -> list[float]:
    """Return (1 - C-map at 1 - `eps`) E phi^2 in units of the epsilon of the cells."""
    names = [_name(at) for at in _NEAR_GRID]
    return [float(c_map_complement(name, eps) * second_moment(name, 1.0)) / _NEAR for name in names]


CLAIMS = (
    Claim(
        id="conetheory.duals.values",
        paper=OURS,
        section="docs/theory.md, section 8",
        statement="The dual activations of eleven activations at variances ½ and 3 are the means of φ(u)φ(v) over Gaussian pairs.",
        formula=r"F_\phi(\rho) = \mathbb{E}\,\phi(u)\phi(v)",
        kind="value",
        predict=lambda: _values(_VALUE_GRID),
        measure=PerCell(rule=Mean(), first=1 << 16, quick=1 << 19, full=1 << 22, draw=_draw_value),
        grid=_VALUE_GRID,
        resolution=0.03,
        plants=(
            Plant(
                name="one_variance_for_both",
                statement="They are those of the geometric mean of the two variances.",
                predict=lambda: _values(_VALUE_GRID, (np.sqrt(1.5), np.sqrt(1.5))),
            ),
            Plant(
                name="half_of_it",
                statement="They are half of that, as the formula for J₁₁ is of κ.",
                predict=lambda: [value / 2 for value in _values(_VALUE_GRID)],
            ),
        ),
        note="Cells in the order relu, leaky_relu, abs, step, erf, gelu, gaussian, sin, cos, elu, tanh.",
    ),
    Claim(
        id="price.derivative",
        paper="Price 1958",
        section="theorem; docs/theory.md, section 8",
        statement="The derivative of a dual activation in the correlation is the dual activation of the derivative, times the standard deviations.",
        formula=r"\frac{d}{d\rho} F_\phi = \sqrt{s_u s_v}\,\mathbb{E}\,\phi'(u)\phi'(v)",
        kind="identity",
        predict=_derivatives,
        tolerance=1e-5,
        measure=PerCell(rule=Mean(), first=1 << 16, quick=1 << 20, full=1 << 22, draw=_draw_slope),
        grid=_SLOPE_GRID,
        resolution=0.02,
        plants=(
            Plant(
                name="without_the_standard_deviations",
                statement="It is the dual activation of the derivative alone.",
                predict=_duals_of_slopes,
            ),
            Plant(
                name="value_for_derivative",
                statement="The derivative is the dual activation itself.",
                predict=lambda: _values(_SLOPE_GRID),
            ),
        ),
        note="Measured as a central difference of half-width 10⁻³, which is off by 10⁻⁶/6 third derivatives.",
    ),
    Claim(
        id="conetheory.duals.complement",
        paper=OURS,
        section="docs/theory.md, section 8",
        statement="At correlation 1 − 10⁻¹² the complement of the C-map, times the mean square of an output, is half the mean square difference of two.",
        formula=r"(1 - c(1-\epsilon))\,\mathbb{E}\,\phi^2 = \tfrac12\,\mathbb{E}(\phi(u)-\phi(v))^2",
        kind="identity",
        predict=lambda: _contrasts(_NEAR),
        measure=PerCell(rule=Mean(), first=1 << 17, quick=1 << 19, full=1 << 22, draw=_draw_contrast),
        grid=_NEAR_GRID,
        resolution=0.05,
        plants=(
            Plant(
                name="three_times_as_far",
                statement="It is that at 1 − 3·10⁻¹²: what a relative error of 2 would leave.",
                predict=lambda: _contrasts(3 * _NEAR),
            ),
        ),
        note="Cells in the order relu, abs, erf, gelu, sin, elu; both sides divided by ε. By subtraction 1 − c keeps four digits here.",
    ),
    Claim(
        id="conetheory.duals.maxout",
        paper=OURS,
        section="docs/theory.md, section 8",
        statement="The greater of two independent pre-activations has twice the dual activation of ReLU, hence the C-map of ReLU.",
        formula=r"\mathbb{E}\max(u_1,u_2)\max(v_1,v_2) = 2\,\mathbb{E}\,u^+v^+",
        kind="identity",
        predict=lambda: [2 * float(dual_activation("relu", at["rho"])) for at in _MAXOUT_GRID],
        measure=PerCell(rule=Mean(), first=1 << 16, quick=1 << 19, full=1 << 22, draw=_draw_maxout),
        grid=_MAXOUT_GRID,
        resolution=0.02,
        plants=(
            Plant(
                name="three_rows",
                statement="So has the greatest of three.",
                measure=PerCell(
                    rule=Mean(),
                    first=1 << 16,
                    quick=1 << 19,
                    full=1 << 22,
                    draw=lambda rng, n, at: _draw_maxout(rng, n, at, rows=3),
                ),
            ),
            Plant(
                name="dual_of_relu",
                statement="It has the dual activation of ReLU.",
                predict=lambda: [float(dual_activation("relu", at["rho"])) for at in _MAXOUT_GRID],
            ),
        ),
    ),
    Claim(
        id="conetheory.duals.jump",
        paper=OURS,
        section="docs/theory.md, section 8",
        statement="An activation that jumps at 0 separates close points like the square root of their distance: its C-map has no finite slope at 1.",
        formula=r"1 - c(1-\epsilon) = \frac{2}{\pi}\arcsin\sqrt{\epsilon/2} \sim \frac{\sqrt{2\epsilon}}{\pi}",
        kind="rate",
        predict=lambda: [float(c_map_complement("step", at["epsilon"])) / np.sqrt(at["epsilon"]) for at in _JUMP_GRID],
        measure=PerCell(rule=Mean(), first=1 << 17, quick=1 << 20, full=1 << 22, draw=_draw_jump),
        grid=_JUMP_GRID,
        resolution=0.05,
        plants=(
            Plant(
                name="linear_in_the_distance",
                statement="It is proportional to their distance.",
                predict=lambda: [np.sqrt(2 * at["epsilon"]) / np.pi for at in _JUMP_GRID],
            ),
        ),
        note="The step function, both sides over √ε: the cells are the same up to a share ε/10, and tend to √2/π.",
    ),
)
