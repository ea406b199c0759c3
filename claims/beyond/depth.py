"""Two inputs through deep ReLU networks of finite width: angle, cosine and norm after each layer."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtr

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Computed, Joint, Mean, PerCell, Proportion, Tally
from conetheory._layer_cumulants import expand, log_tan_square
from conetheory.angle_law import AngleLaw, angle_law
from conetheory.cosine_propagation import propagate_cosine
from conetheory.depth_degeneracy import (
    jakub_nica_mean,
    jakub_nica_mean_error,
    jakub_nica_variance,
    jakub_nica_variance_error,
    log_sine_expansion,
    small_angle_mean_change,
    small_angle_variance,
)
from conetheory.meanfield import cone_curve
from conetheory.norm_fluctuations import log_norm_law, log_norm_variance_first_order
from sims.angle_chain import AngleChains, sample_angle_chains, sample_chains_direct

__all__ = ["CLAIMS", "LAW_GRID"]

_PAPER = "Jakub and Nica 2024"
_THEOREM = "Theorem 1, small angles"
_TINY = 1e-6  # an angle so small that the limit is exact to 1e-6
_RIGHT = float(np.pi / 2)

_LIMIT_GRID = tuple({"theta": _TINY, "width": float(n)} for n in (32, 128, 256, 1024))
_STEP_GRID = tuple({"theta": theta, "width": 32.0} for theta in (0.1, 0.5, 1.5))
_RATE_GRID = tuple({"width": float(n)} for n in (8, 16))
_NORM_GRID = tuple({"width": float(n), "depth": 4.0} for n in (4, 16))
_WIDE_GRID = tuple({"width": float(n), "depth": 16.0} for n in (64, 256, 1024))

_WIDTH, _LEVELS = 64, {1: (0.1, 0.5, 0.9), 8: (0.25, 0.75), 32: (0.25, 0.75)}
_LAW_RESOLUTION = {1: 0.014, 8: 0.06, 32: 0.09}  # a layer is cheap, and there the law is furthest from a normal step
_LAWS = {depth: angle_law(_RIGHT, _WIDTH, depth) for depth in _LEVELS}
LAW_GRID = tuple(
    {"width": float(_WIDTH), "depth": float(depth), "theta": round(float(theta), 3)}
    for depth, law in _LAWS.items()
    for theta in np.asarray(law.quantile(_LEVELS[depth]))
)

_BIASED: dict[str, Any] = {"norm_u": 1.0, "norm_v": 30.0, "sigma_w2": 1.5, "sigma_b2": 0.3}
_BIASED_WIDTH = 32
_BIASED_GRID = tuple(
    {"cosine": 0.9, "width": float(_BIASED_WIDTH), "layer": float(layer), **_BIASED} for layer in (1, 2, 3)
)


def _log_sine(chains: AngleChains, layer: int) -> np.ndarray:
    """Return ln sin² θ after `layer` of the networks in which it is finite."""
    complement = chains.complement[:, layer]
    complement = complement[complement > 0]
    return np.log(complement * (2 - complement))


def _draw_step(rng: np.random.Generator, n: int, at: At, power: int) -> Tally:
    """Tally ln sin² θ' after one layer, or its squared distance from the mean."""
    values = _log_sine(sample_angle_chains(at["theta"], int(at["width"]), 1, n, rng=rng), 1)
    return Tally.of(values if power == 1 else (values - values.mean()) ** 2)


def _draw_rate(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally the change of ln sin² in one layer at a tiny angle; below −25 the angle is 0 but for rounding."""
    chains = sample_angle_chains(_TINY, int(at["width"]), 1, n, rng=rng)
    change = _log_sine(chains, 1) - np.log(np.sin(_TINY) ** 2)
    return Tally.of(change[change > -25])


def _draw_law(rng: np.random.Generator, n: int, at: At) -> Tally:
    theta = sample_angle_chains(_RIGHT, _WIDTH, int(at["depth"]), n, rng=rng).theta[:, -1]
    return Tally.count(int(np.sum(theta <= at["theta"])), n)


def _draw_log_angle(rng: np.random.Generator, n: int, at: At) -> Tally:
    theta = sample_angle_chains(_RIGHT, int(at["width"]), int(at["depth"]), n, rng=rng).theta[:, -1]
    return Tally.of(np.log(theta[theta > 0]))


def _draw_biased(rng: np.random.Generator, n: int) -> Tally:
    """Tally 1 − cos after each layer of networks of drawn weights: the chain would share the algebra of the claim."""
    chains = sample_chains_direct(np.arccos(0.9), _BIASED_WIDTH, 3, n, rng=rng, **_BIASED)
    return Tally.of(chains.complement[:, 1:])


def _draw_log_norm(rng: np.random.Generator, n: int, at: At, power: int) -> Tally:
    """Tally the change of ln of the squared norm over the layers, or its squared distance from the mean."""
    energy = sample_angle_chains(0.0, int(at["width"]), int(at["depth"]), n, rng=rng).energy[:, -1, 0]
    change = np.log(energy[np.isfinite(energy)])
    return Tally.of(change if power == 1 else (change - change.mean()) ** 2)


def _each(grid: tuple[dict[str, float], ...], function: Callable[[float, int], object]) -> list[float]:
    return [float(np.asarray(function(at["theta"], int(at["width"])))) for at in grid]


def _widths(at: At) -> list[int]:
    return [int(at["width"])] * int(at["depth"])


def _law_cdf(laws: Callable[[int], AngleLaw]) -> list[float]:
    found = {depth: laws(depth) for depth in _LEVELS}
    return [float(found[int(at["depth"])].cdf(at["theta"])) for at in LAW_GRID]


def _normal_steps(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Probabilities of the cells between `edges` after a step from each x = ln tan²(θ/2), normal of first order in 1/n."""
    step = expand(log_tan_square, 2 * np.arctan(np.exp(x / 2)))
    mean, sd = step.mean[0] + step.mean[1] / _WIDTH, np.sqrt(step.variance[1] / _WIDTH)
    return np.diff(ndtr((edges - mean[:, None]) / sd[:, None]))


def _first_order_normal_cdf() -> list[float]:
    edges = np.linspace(-12.0, 6.0, 1201)
    masses = [_normal_steps(np.array([0.0]), edges)[0]]
    step = _normal_steps((edges[1:] + edges[:-1]) / 2, edges)
    for _ in range(max(_LEVELS) - 1):
        masses.append(masses[-1] @ step)
    below = {depth: np.append(0.0, np.cumsum(masses[depth - 1])) for depth in _LEVELS}
    return [float(np.interp(2 * np.log(np.tan(at["theta"] / 2)), edges, below[int(at["depth"])])) for at in LAW_GRID]


def _infinite_width_angle(depth: int) -> float:
    complement = float(cone_curve("relu", depth, sigma_w2=2.0).complement[-1])
    return 2 * float(np.arcsin(np.sqrt(complement / 2)))


def _printed_angle(depth: int, width: int) -> float:
    """Angle after `depth` layers of the printed mean, iterated without noise."""
    theta = _RIGHT
    for _ in range(depth):
        theta = float(np.arcsin(np.exp(float(jakub_nica_mean(theta, width)) / 2)))
    return theta


CLAIMS = (
    Claim(
        id="jakub_nica.log_sine_mean",
        paper=_PAPER,
        section=_THEOREM,
        statement="At small angles the printed mean of ln sin² after a layer is right up to O(1/n²).",
        formula=r"\mathbb{E}\ln\sin^2\theta' = \mu(\theta, n) + O(n^{-2})",
        kind="rate",
        predict=lambda: _each(_LIMIT_GRID, lambda theta, n: jakub_nica_mean(theta, n) - np.log(np.sin(theta) ** 2)),
        measure=Computed(
            compute=lambda: [float(small_angle_mean_change(int(at["width"]))) for at in _LIMIT_GRID], error=1e-6
        ),
        grid=_LIMIT_GRID,
        tolerance=_each(_LIMIT_GRID, lambda theta, n: abs(jakub_nica_mean_error(theta)) / n**2),
        resolution=1e-5,
        plants=(
            Plant(
                name="exact_to_second_order",
                statement="It is right up to 10/n².",
                tolerance=[10 / at["width"] ** 2 for at in _LIMIT_GRID],
            ),
        ),
        note="Measured by the exact law at small angles; the printed mean is too low by 92/n².",
    ),
    Claim(
        id="jakub_nica.log_sine_variance",
        paper=_PAPER,
        section=_THEOREM,
        statement="At small angles the printed variance of ln sin² after a layer is right up to O(1/n²).",
        formula=r"\mathrm{Var}\ln\sin^2\theta' = \sigma^2(\theta, n) + O(n^{-2})",
        kind="rate",
        predict=lambda: _each(_LIMIT_GRID, jakub_nica_variance),
        measure=Computed(
            compute=lambda: [float(small_angle_variance(int(at["width"]))) for at in _LIMIT_GRID], error=1e-6
        ),
        grid=_LIMIT_GRID,
        tolerance=_each(_LIMIT_GRID, lambda theta, n: 1.2 * abs(jakub_nica_variance_error(theta)) / n**2),
        resolution=1e-5,
        plants=(
            Plant(
                name="within_a_twentieth",
                statement="It is right to 4 % at every width from 32 on.",
                tolerance=_each(_LIMIT_GRID, lambda theta, n: 0.04 * jakub_nica_variance(theta, n)),
            ),
        ),
        note="It is too small by 112/n²: by 31, 10 and 5 % at widths 32, 128 and 256; 1.2 covers the next order there.",
    ),
    Claim(
        id="conetheory.depth.log_sine_mean",
        paper=OURS,
        section="docs/theory.md, section 15",
        statement="The mean of ln sin² after a layer is the expansion to third order in 1/n.",
        formula=r"\mathbb{E}\ln\sin^2\theta' = \ell_0 + \ell_1/n + \ell_2/n^2 + \ell_3/n^3 + O(n^{-4})",
        kind="rate",
        predict=lambda: _each(_STEP_GRID, lambda theta, n: log_sine_expansion(theta).at(n).mean),
        tolerance=_each(_STEP_GRID, lambda theta, n: abs(log_sine_expansion(theta).mean[3]) / n**3),
        measure=PerCell(
            rule=Mean(), first=1 << 13, quick=1 << 16, full=1 << 20, draw=lambda rng, n, at: _draw_step(rng, n, at, 1)
        ),
        grid=_STEP_GRID,
        resolution=0.03,
        plants=(
            Plant(
                name="printed_formula",
                statement="It is the first-order formula of Jakub and Nica, exactly.",
                predict=lambda: _each(_STEP_GRID, jakub_nica_mean),
            ),
        ),
        note="Width 32. The tolerance is the last term kept.",
    ),
    Claim(
        id="conetheory.depth.log_sine_variance",
        paper=OURS,
        section="docs/theory.md, section 15",
        statement="The variance of ln sin² after a layer is the expansion to third order in 1/n.",
        formula=r"\mathrm{Var}\ln\sin^2\theta' = v_1/n + v_2/n^2 + v_3/n^3 + O(n^{-4})",
        kind="rate",
        predict=lambda: _each(_STEP_GRID, lambda theta, n: log_sine_expansion(theta).at(n).variance),
        tolerance=_each(_STEP_GRID, lambda theta, n: abs(log_sine_expansion(theta).variance[3]) / n**3),
        measure=PerCell(
            rule=Mean(), first=1 << 14, quick=1 << 17, full=1 << 20, draw=lambda rng, n, at: _draw_step(rng, n, at, 2)
        ),
        grid=_STEP_GRID,
        resolution=0.02,
        plants=(
            Plant(
                name="printed_formula",
                statement="It is the first-order formula of Jakub and Nica, exactly.",
                predict=lambda: _each(_STEP_GRID, jakub_nica_variance),
            ),
        ),
        note="Width 32, where the printed variance is a quarter to a third too small. The tolerance is the last term kept.",
    ),
    Claim(
        id="conetheory.depth.collapse_rate",
        paper=OURS,
        section="docs/theory.md, section 15",
        statement="At small angles a layer of width n lowers ln sin² by an exact mean, at every width.",
        formula=r"\mathbb{E}\left[\psi\left(\tfrac{N-1}{2}\right) - \psi\left(\tfrac{N}{2}\right)\right],\quad N \sim \mathrm{Bin}(n, \tfrac12)",
        kind="identity",
        predict=lambda: [float(small_angle_mean_change(int(at["width"]))) for at in _RATE_GRID],
        measure=PerCell(rule=Mean(), first=1 << 14, quick=1 << 17, full=1 << 20, draw=_draw_rate),
        grid=_RATE_GRID,
        resolution=[0.06, 0.03],
        plants=(
            Plant(
                name="first_order_only",
                statement="It is 2/n.",
                predict=lambda: [-2 / at["width"] for at in _RATE_GRID],
            ),
        ),
        note="Given that two units or more are active; with fewer the angle is 0 after the layer.",
    ),
    Claim(
        id="conetheory.depth.angle_law",
        paper=OURS,
        section="docs/theory.md, section 15",
        statement="The angle of two orthogonal inputs after L layers of width 64 has the law of the Edgeworth chain.",
        formula=r"P(\theta_L \le \theta)",
        kind="value",
        predict=lambda: _law_cdf(lambda depth: _LAWS[depth]),
        tolerance=0.002,
        measure=PerCell(rule=Proportion(), first=1 << 11, quick=1 << 17, full=1 << 18, draw=_draw_law),
        grid=LAW_GRID,
        resolution=[_LAW_RESOLUTION[int(at["depth"])] for at in LAW_GRID],
        plants=(
            Plant(
                name="first_order_normal_chain",
                statement="The steps are normal, their mean and variance of first order in 1/n.",
                predict=_first_order_normal_cdf,
            ),
        ),
    ),
    Claim(
        id="conetheory.depth.finite_width_cone",
        paper=OURS,
        section="docs/theory.md, section 15",
        statement="After 30 layers of width 64 the geometric mean of the angle is .164, not .237 as at infinite width.",
        formula=r"\mathbb{E}\ln\theta_{30}",
        kind="value",
        predict=lambda: [float((law := angle_law(_RIGHT, 64, 30)).expectation(np.log(law.theta)))],
        measure=PerCell(rule=Mean(), first=1 << 11, quick=1 << 14, full=1 << 16, draw=_draw_log_angle),
        grid=({"width": 64.0, "depth": 30.0},),
        resolution=0.12,
        plants=(
            Plant(
                name="infinite_width",
                statement="It is the angle at infinite width.",
                predict=lambda: [np.log(_infinite_width_angle(30))],
            ),
            Plant(
                name="printed_recursion",
                statement="It is .144, the printed mean of Jakub and Nica iterated.",
                predict=lambda: [np.log(_printed_angle(30, 64))],
            ),
        ),
        note="The mean cosine, .9729, hardly differs from the .9720 at infinite width: the angle spreads while it falls.",
    ),
    Claim(
        id="conetheory.depth.biased_mean",
        paper=OURS,
        section="docs/theory.md, section 15",
        statement="With biases and unequal norms the mean cosine follows the first-order propagation, up to 1/d².",
        formula=r"\mathbb{E}(1 - c_l) = e_l + s_l/d + O(d^{-2})",
        kind="rate",
        predict=lambda: propagate_cosine(0.9, _BIASED_WIDTH, 3, **_BIASED).complement[1:],
        tolerance=8 * propagate_cosine(0.9, _BIASED_WIDTH, 3, **_BIASED).complement[1:] / _BIASED_WIDTH**2,
        measure=Joint(rule=Mean(), first=1 << 11, quick=1 << 13, full=1 << 15, draw=_draw_biased),
        grid=_BIASED_GRID,
        resolution=0.015,
        plants=(
            Plant(
                name="infinite_width",
                statement="It is the cosine at infinite width.",
                predict=lambda: propagate_cosine(0.9, _BIASED_WIDTH, 3, **_BIASED).infinite_width[1:],
            ),
            Plant(
                name="equal_norms",
                statement="The norms of the inputs do not matter.",
                predict=lambda: propagate_cosine(0.9, _BIASED_WIDTH, 3, **{**_BIASED, "norm_v": 1.0}).complement[1:],
            ),
        ),
        note="Cells show 1 − cos. The tolerance allows a constant of 8, relative to 1 − cos.",
    ),
    Claim(
        id="conetheory.depth.log_norm_mean",
        paper=OURS,
        section="docs/theory.md, section 15",
        statement="The mean of ln of the squared norm after L layers is exact at every width.",
        formula=r"\mathbb{E}\ln\|h_L\|^2 = \sum_l\left[\ln\tfrac{4}{d_l} + \mathbb{E}\psi(N_l/2)\right]",
        kind="identity",
        predict=lambda: [log_norm_law(_widths(at)).mean for at in _NORM_GRID],
        measure=PerCell(
            rule=Mean(),
            first=1 << 13,
            quick=1 << 17,
            full=1 << 20,
            draw=lambda rng, n, at: _draw_log_norm(rng, n, at, 1),
        ),
        grid=_NORM_GRID,
        resolution=[0.25, 0.06],
        plants=(
            Plant(
                name="first_order_only",
                statement="It is −5/(2d) a layer.",
                predict=lambda: [-2.5 * at["depth"] / at["width"] for at in _NORM_GRID],
            ),
        ),
        note="Given that no layer is zero.",
    ),
    Claim(
        id="conetheory.depth.log_norm_variance",
        paper=OURS,
        section="docs/theory.md, section 15",
        statement="The variance of ln of the squared norm after L layers is exact at every width.",
        formula=r"\mathrm{Var}\ln\|h_L\|^2 = \sum_l\left[\mathbb{E}\psi_1(N_l/2) + \mathrm{Var}\,\psi(N_l/2)\right]",
        kind="identity",
        predict=lambda: [log_norm_law(_widths(at)).variance for at in _NORM_GRID],
        measure=PerCell(
            rule=Mean(),
            first=1 << 14,
            quick=1 << 19,
            full=1 << 21,
            draw=lambda rng, n, at: _draw_log_norm(rng, n, at, 2),
        ),
        grid=_NORM_GRID,
        resolution=[0.5, 0.11],
        plants=(
            Plant(
                name="second_order_only",
                statement="It is 5/d + 18.5/d² a layer.",
                predict=lambda: [at["depth"] * (5 / at["width"] + 18.5 / at["width"] ** 2) for at in _NORM_GRID],
            ),
        ),
        note="Given that no layer is zero.",
    ),
    Claim(
        id="hanin_nica.log_norm_variance",
        paper="Hanin and Nica 2020",
        section="ReLU networks",
        statement="The variance of ln of the squared norm is five times the sum of the inverse widths, up to O(1/d²).",
        formula=r"\mathrm{Var}\ln\|h_L\|^2 \approx 5\sum_l \frac1{d_l}",
        kind="rate",
        predict=lambda: [log_norm_variance_first_order(_widths(at)) for at in _WIDE_GRID],
        tolerance=[25 * at["depth"] / at["width"] ** 2 for at in _WIDE_GRID],
        measure=Computed(compute=lambda: [log_norm_law(_widths(at)).variance for at in _WIDE_GRID]),
        grid=_WIDE_GRID,
        resolution=1e-6,
        plants=(
            Plant(
                name="six_times",
                statement="It is six times that sum, the second moment of the square of a unit in place of its variance.",
                predict=lambda: [6 * at["depth"] / at["width"] for at in _WIDE_GRID],
            ),
        ),
        note="Measured by the exact law. The next term is 18.5/d² a layer.",
    ),
)
