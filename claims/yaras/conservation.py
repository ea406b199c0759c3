"""Lemma 3.1: gap and temperature move along a curve that the features do not know."""

from functools import cache

import numpy as np
from scipy.special import spence

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import Computed
from claims.yaras import PAPER
from claims.yaras.rows import descend, march, noisy_pairs
from conetheory.gap_conservation import conserved_log_gamma, speed_ratio
from conetheory.temperature_laws import exponential_law, linear_law, softplus_law

__all__ = ["CLAIMS"]

_GAMMA, _BETA = 0.4, 2.0
_TIMES = np.array([0.5, 2.0, 6.0])
_LAWS = {"exp": exponential_law(), "exp2": exponential_law(2.0), "linear": linear_law(), "softplus": softplus_law()}
_PRINTED = {  # logit scale of the parameter, and the parameter at _BETA
    "exp": (np.exp, np.log(_BETA)),
    "exp2": (lambda nu: np.exp(nu / 2), 2 * np.log(_BETA)),
    "linear": (lambda nu: nu, _BETA),
    "softplus": (lambda nu: np.log1p(np.exp(nu)), np.log(np.expm1(_BETA))),
}
_GRID = tuple({"law": float(i), "t": float(t)} for i in range(len(_LAWS)) for t in _TIMES)
_LATE = np.array([1e4, 1e9, 1e14])


@cache
def _descent(name: str, matched: bool) -> np.ndarray:
    """Return (γ, β) at `_TIMES` of descent on the rows."""
    beta_of, nu = _PRINTED[name]
    h, k = noisy_pairs(5, 6, 0.1, 1) if matched else noisy_pairs(6, 3, 0.8, 4)
    states = descend(h, k, beta_of, (float(nu), _GAMMA), _TIMES, 90)
    return np.stack([states[:, 1], np.asarray(beta_of(states[:, 0]))], axis=1)


def _all(matched: bool, of) -> list[float]:
    return [float(of(name, *state)) for name in _LAWS for state in _descent(name, matched)]


def _change(name: str, gamma: float, beta: float) -> float:
    """Return the change of the logarithm of what is printed, or derived, as conserved."""

    def value(g: float, b: float) -> float:
        q = np.exp(-b)
        integral = {
            "exp": np.log(b),
            "exp2": 4 * np.log(b),
            "linear": b**2 / 2,
            "softplus": b**2 / 2 + (1 + b) * np.log(1 - q) - spence(1 - q) - b / np.expm1(b),
        }[name]
        return np.log(g) - g**2 / 2 + 2 * integral

    return value(gamma, beta) - value(_GAMMA, _BETA)


def _ratio_times_beta() -> list[float]:
    """Return -β dγ/dβ at late times over that at the start, by differences along the flow of a simplex of 64."""
    margin = 64 / 63

    def force(a: float) -> float:
        weight = 63 * np.exp(-margin * a)
        return margin * weight / (1 + weight)

    times = np.concatenate([[1e-3], *([t, 1.001 * t] for t in _LATE)])
    states = march(force, lambda b: b, (0.3, 14.3), times)
    gamma, beta = np.append(0.3, np.exp(states[:, 0])), np.append(14.3, states[:, 1])
    first = (gamma[1] - gamma[0]) / (beta[1] - beta[0]) * 14.3
    late = [(gamma[i + 1] - gamma[i]) / (beta[i + 1] - beta[i]) * beta[i] for i in (2, 4, 6)]
    return [float(value / first) for value in late]


def _slopes() -> list[float]:
    """Return dγ/dβ of descent on the rows, by differences over a short time."""
    found = []
    for beta_of, nu in _PRINTED.values():
        h, k = noisy_pairs(5, 6, 0.1, 1)
        states = descend(h, k, beta_of, (float(nu), _GAMMA), np.array([0.002, 0.004]), 4)
        gamma, beta = states[:, 1], np.asarray(beta_of(states[:, 0]))
        second = ((gamma[1] - _GAMMA) / (beta[1] - _BETA), (gamma[0] - _GAMMA) / (beta[0] - _BETA))
        found.append(2 * second[1] - second[0])  # extrapolated to time 0
    return found


CLAIMS = (
    Claim(
        id="yaras.lemma31.conserved",
        paper=PAPER,
        section="Lemma 3.1",
        statement="Descent in (ν, γ) on the parallel rows keeps β²γe^(−γ²/2) for β = e^ν, and its kin for three other laws of the temperature.",
        formula=r"\ln\gamma - \tfrac12\gamma^2 + 2F(\beta) = \mathrm{const}",
        kind="identity",
        predict=lambda: [0.0] * len(_GRID),
        measure=Computed(compute=lambda: _all(True, _change), error=1e-6),
        grid=_GRID,
        resolution=5e-6,
        plants=(
            Plant(
                name="without_the_square",
                statement="It keeps β²γ and its kin, without the factor e^(−γ²/2).",
                measure=Computed(
                    compute=lambda: _all(True, lambda name, g, b: _change(name, g, b) + (g**2 - _GAMMA**2) / 2),
                    error=1e-6,
                ),
            ),
        ),
        note="The lemma has β = e^ν alone; laws 1 to 3 are e^(ν/2), ν and softplus, ours.",
    ),
    Claim(
        id="conetheory.gap_flow.conserved_mismatched",
        paper=OURS,
        section="docs/theory.md, section 21",
        statement="Mismatched pairs keep the same quantity: the gap is a function of the temperature alone.",
        formula=r"\gamma^2 = -W_0(-e^{2K(\beta)})",
        kind="identity",
        predict=lambda: _all(False, lambda name, _, b: np.exp(conserved_log_gamma(_LAWS[name], _GAMMA, _BETA, b))),
        measure=Computed(compute=lambda: _all(False, lambda _, gamma, __: gamma), error=1e-6),
        grid=_GRID,
        resolution=5e-6,
        plants=(
            Plant(
                name="small_gaps_only",
                statement="The gap is e^K: what its square adds does not matter.",
                predict=lambda: _all(
                    False,
                    lambda name, g, b: np.exp(float(conserved_log_gamma(_LAWS[name], _GAMMA, _BETA, b)) - g**2 / 2),
                ),
            ),
        ),
    ),
    Claim(
        id="conetheory.gap_flow.speed_ratio",
        paper=OURS,
        section="docs/theory.md, section 21",
        statement="The ratio of the speeds of gap and temperature is −2βγ/(β'²(1 − γ²)) for every law.",
        formula=r"\frac{d\gamma}{d\beta} = -\frac{2\beta\gamma}{\beta'(\nu)^2(1-\gamma^2)}",
        kind="identity",
        predict=lambda: [float(speed_ratio(law, _GAMMA, _BETA)) for law in _LAWS.values()],
        measure=Computed(compute=_slopes, error=1e-4),
        grid=tuple({"law": float(i)} for i in range(len(_LAWS))),
        resolution=1e-3,
        plants=(
            Plant(
                name="law_of_clip_for_all",
                statement="It is that of β = e^ν for every law.",
                predict=lambda: [float(speed_ratio(exponential_law(), _GAMMA, _BETA))] * len(_LAWS),
            ),
        ),
    ),
    Claim(
        id="yaras.lemma31.order_of_the_ratio",
        paper=PAPER,
        section="Lemma 3.1",
        statement="The ratio of speeds is of the order of 1/β: times β it does not fall below a quarter of what it was.",
        formula=r"R = \Theta(1/\beta)",
        kind="rate",
        relation="at_least",
        predict=lambda: [0.25] * len(_LATE),
        measure=Computed(compute=_ratio_times_beta, error=1e-3),
        grid=tuple({"t": float(t)} for t in _LATE),
        resolution=0.01,
        expected="refuted",
        plants=(
            Plant(
                name="constant",
                statement="Times β it does not fall at all.",
                predict=lambda: [1.0] * len(_LATE),
            ),
        ),
        note="It is −2γ/(β(1 − γ²)), and γ itself falls like 1/β²: the order is β⁻³. 1/β is only an upper bound.",
    ),
)
