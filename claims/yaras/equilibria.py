"""Where the gap comes to rest: mismatched pairs at fixed and trained temperatures; the gap that costs nothing."""

from functools import cache

import numpy as np
from scipy.optimize import minimize_scalar, root_scalar

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import Computed
from claims.yaras.rows import descend, etf_rows, noisy_pairs, rows_loss, settle
from conetheory.gap_equilibria import (
    critical_closing_limit,
    fixed_relaxation_rate,
    fixed_rest,
    free_gap,
    resting_scale,
    trained_rest,
)
from conetheory.loss_profiles import MatrixProfile, matrix_profile
from conetheory.temperature_laws import exponential_law, linear_law

__all__ = ["CLAIMS", "REST_ID"]

REST_ID = "conetheory.gap_flow.fixed_rest"
"""Id of the claim that a figure draws."""

_SECTION = "docs/theory.md, section 21"
_RATIOS = (0.6, 1.5, 4.0)
_STARTS = ((0.6, 6.0), (0.05, 3.0), (0.9, 12.0))  # γ₀, β₀
_FREE = ((64, 0.01), (64, 0.02), (64, 0.03), (64, 0.05), (1024, 0.01), (1024, 0.03))
_CRITICAL = np.array([50.0, 200.0])


@cache
def _pairs() -> tuple[np.ndarray, np.ndarray]:
    return noisy_pairs(6, 3, 0.8, 4)


@cache
def _profile() -> MatrixProfile:
    h, k = _pairs()
    return matrix_profile(h @ k.T)


def _best_gamma(beta: float) -> float:
    """Return the γ in [0, 1) of least loss of the rows: a grid, refined by a bounded search."""
    h, k = _pairs()
    grid = np.linspace(0, 0.999, 400)
    best = float(grid[int(np.argmin([rows_loss(h, k, gamma, beta) for gamma in grid]))])
    found = minimize_scalar(
        lambda gamma: rows_loss(h, k, gamma, beta),
        bounds=(max(best - 0.01, -0.01), min(best + 0.01, 0.999)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    return abs(float(found["x"]))  # pyright: ignore[reportIndexIssue] (scipy has no types here)


def _relaxation(ratio: float) -> float:
    """Return the rate of descent on the rows near its rest, from the loss in excess of the least one."""
    h, k = _pairs()
    beta = ratio * resting_scale(_profile())
    rest = _best_gamma(beta) if ratio > 1 else 0.0
    states = descend(h, k, lambda nu: nu, (beta, rest + 2e-3), np.array([0.2, 0.4]) / ratio, 20, trained=0.0)
    away = states[:, 1] - rest
    return float(np.log(away[0] / away[1]) * ratio / 0.2)


@cache
def _ends(name: str) -> np.ndarray:
    """Return where descent on the rows ends, (starts, 2): γ and β."""
    h, k = _pairs()
    found = []
    for gamma0, beta0 in _STARTS:
        beta_of, nu = (np.exp, np.log(beta0)) if name == "exp" else (lambda nu: nu, beta0)
        end, gamma = settle(h, k, beta_of, (float(nu), gamma0), 1e3)
        found.append([gamma, float(beta_of(end))])
    return np.array(found)


_LAWS = {"exp": exponential_law(), "linear": linear_law()}
_END_GRID = tuple({"linear": float(i), "gamma0": g, "beta0": b} for i in range(2) for g, b in _STARTS)


def _rests(part: str) -> list[float]:
    scale = resting_scale(_profile())
    return [float(getattr(trained_rest(law, scale, g, b), part)) for law in _LAWS.values() for g, b in _STARTS]


def _critical() -> list[float]:
    """Return 1/√(d γ⁻²/dt) of descent on the rows at the fixed temperature of the resting scale."""
    h, k = _pairs()
    scale = resting_scale(_profile())
    gamma = descend(h, k, lambda nu: nu, (scale, 0.2), _CRITICAL, 150, trained=0.0)[:, 1]
    return [float(np.sqrt((_CRITICAL[1] - _CRITICAL[0]) / (gamma[1] ** -2 - gamma[0] ** -2)))]


@cache
def _cheap_gap(n: int, temperature: float, loss: float = 1e-6) -> float:
    """Return the largest gap at which the rows of a simplex cost `loss`, by bisection on their loss."""
    rows = etf_rows(n)
    gamma = root_scalar(
        lambda g: np.log(rows_loss(rows, rows, g, 1 / temperature) / loss), bracket=(1e-3, 0.999), xtol=1e-6
    ).root
    return 2 * float(gamma)


CLAIMS = (
    Claim(
        id=REST_ID,
        paper=OURS,
        section=_SECTION,
        statement="At a fixed temperature mismatched pairs keep the gap 2√(1 − s*/β), and none for β ≤ s*, the scale at which their loss is least.",
        formula=r"\gamma_\infty = \sqrt{\max(0, 1 - s^*/\beta)}",
        kind="value",
        predict=lambda: [float(fixed_rest(1.0, ratio)) for ratio in _RATIOS],
        measure=Computed(
            compute=lambda: [_best_gamma(ratio * resting_scale(_profile())) for ratio in _RATIOS], error=1e-5
        ),
        grid=tuple({"beta_over_s": ratio} for ratio in _RATIOS),
        resolution=1e-4,
        plants=(
            Plant(
                name="gap_closes",
                statement="They close it at every temperature.",
                predict=lambda: [0.0] * len(_RATIOS),
            ),
            Plant(
                name="linear",
                statement="They keep 2 max(0, 1 − s*/β).",
                predict=lambda: [max(0.0, 1 - 1 / ratio) for ratio in _RATIOS],
            ),
        ),
        note="0, .57735 and .86603 at β/s* = .6, 1.5 and 4. Measured as the γ of least loss of the rows.",
    ),
    Claim(
        id="conetheory.gap_flow.relaxation",
        paper=OURS,
        section=_SECTION,
        statement="They come to rest with the rate 2βg(β) below s*, and 4β(β − s*)l''(s*) beyond.",
        formula=r"4\beta(\beta - s^*)\,l''(s^*)",
        kind="rate",
        predict=lambda: [fixed_relaxation_rate(_profile(), ratio * resting_scale(_profile())) for ratio in _RATIOS],
        measure=Computed(compute=lambda: [_relaxation(ratio) for ratio in _RATIOS], error=1e-4),
        grid=tuple({"beta_over_s": ratio} for ratio in _RATIOS),
        tolerance=[0.02 * fixed_relaxation_rate(_profile(), ratio * resting_scale(_profile())) for ratio in _RATIOS],
        resolution=1e-3,
        plants=(
            Plant(
                name="half_as_fast",
                statement="They come to rest half as fast.",
                predict=lambda: [
                    fixed_relaxation_rate(_profile(), ratio * resting_scale(_profile())) / 2 for ratio in _RATIOS
                ],
            ),
        ),
        note="The tolerance is for the distance .002 from rest, where the flow is not quite linear.",
    ),
    Claim(
        id="conetheory.gap_flow.critical_slowing",
        paper=OURS,
        section=_SECTION,
        statement="At β = s* the gap closes like 1/√t, with the constant 1/(2s*√l''(s*)).",
        formula=r"\gamma\sqrt t \to \frac1{2s^*\sqrt{l''(s^*)}}",
        kind="rate",
        predict=lambda: [critical_closing_limit(_profile())],
        measure=Computed(compute=_critical, error=1e-4),
        tolerance=0.01 * critical_closing_limit(_profile()),
        resolution=1e-4,
        plants=(
            Plant(
                name="root_two",
                statement="The constant is √2 times that.",
                predict=lambda: [np.sqrt(2) * critical_closing_limit(_profile())],
            ),
        ),
    ),
    Claim(
        id="conetheory.gap_flow.trained_rest.gap",
        paper=OURS,
        section=_SECTION,
        statement="With a trained temperature mismatched pairs never close the gap: it stops where the conserved curve meets β(1 − γ²) = s*.",
        formula=r"\beta(1-\gamma^2) = s^*, \quad \beta^2\gamma e^{-\gamma^2/2} = \beta_0^2\gamma_0e^{-\gamma_0^2/2}",
        kind="value",
        predict=lambda: _rests("gamma"),
        measure=Computed(compute=lambda: [float(x) for name in _LAWS for x in _ends(name)[:, 0]], error=1e-5),
        grid=_END_GRID,
        resolution=1e-4,
        plants=(
            Plant(name="it_closes", statement="It closes.", predict=lambda: [0.0] * len(_END_GRID)),
            Plant(
                name="initial_temperature",
                statement="It stops where a temperature fixed at its initial value would leave it.",
                predict=lambda: [float(fixed_rest(resting_scale(_profile()), b)) for _ in _LAWS for _, b in _STARTS],
            ),
        ),
        note="Measured by descent on the rows, for β = e^ν and β = ν.",
    ),
    Claim(
        id="conetheory.gap_flow.trained_rest.scale",
        paper=OURS,
        section=_SECTION,
        statement="There the logit scale is s*/(1 − γ²): above s*.",
        formula=r"\beta_\infty = s^*/(1-\gamma_\infty^2)",
        kind="value",
        predict=lambda: _rests("beta"),
        measure=Computed(compute=lambda: [float(x) for name in _LAWS for x in _ends(name)[:, 1]], error=1e-4),
        grid=_END_GRID,
        resolution=1e-3,
        plants=(
            Plant(
                name="resting_scale",
                statement="There the logit scale is s*.",
                predict=lambda: [resting_scale(_profile())] * len(_END_GRID),
            ),
        ),
    ),
    Claim(
        id="conetheory.gap_flow.free_gap",
        paper=OURS,
        section=_SECTION,
        statement="At τ = .01 a gap of 1.8 costs a simplex of 64 or 1,024 pairs less than a millionth of a nat.",
        formula=r"2\sqrt{1 - \tau\tfrac{n-1}n\ln\tfrac{n-1}{e^\epsilon-1}}",
        kind="value",
        predict=lambda: [float(free_gap(n, temperature, 1e-6)) for n, temperature in _FREE],
        measure=Computed(compute=lambda: [_cheap_gap(n, temperature) for n, temperature in _FREE], error=1e-5),
        grid=tuple({"n": float(n), "temperature": temperature} for n, temperature in _FREE),
        resolution=1e-4,
        plants=(
            Plant(
                name="independent_of_the_number",
                statement="It does not depend on the number of pairs.",
                predict=lambda: [float(free_gap(64, temperature, 1e-6)) for _, temperature in _FREE],
            ),
        ),
        note="1.815, 1.608, 1.371, .681 for 64 pairs at τ = .01, .02, .03, .05; 1.781, 1.230 for 1,024 at .01 and .03; at .07 no gap is that cheap.",
    ),
)
