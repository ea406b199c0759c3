"""Theorem 3.2 and App. C: how slowly the gap of matched pairs closes."""

from functools import cache

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import Computed
from claims.yaras import PAPER
from claims.yaras.rows import descend, etf_rows, march
from conetheory.closing_laws import fixed_closing_rate, late_scale, schedule_exponent
from conetheory.gap_closing import closing_bound, printed_closing_bound, sharp_closing_bound
from conetheory.gap_conservation import conserved_log_gamma
from conetheory.loss_profiles import exponential_profile, simplex_profile
from conetheory.temperature_laws import exponential_law, linear_law

__all__ = ["CLAIMS"]

_THEOREM, _APPENDIX, _SECTION = "Theorem 3.2", "App. C", "docs/theory.md, section 21"
_TIMES = np.array([1e-2, 1e2, 1e6, 1e10, 1e14])
_SMALL = (16, 1.0, 0.05, float(np.log(60) / (1 - 0.05**2)))  # n, margin, γ₀, β₀: the condition of the theorem, just met
_CASES = (_SMALL, (16, 16 / 15, 0.3, 14.3), (64, 64 / 63, 0.6, 14.3), (1024, 0.3, 0.5, 60.0))
_GRID = tuple({"case": float(i), "t": float(t)} for i in range(len(_CASES)) for t in _TIMES)
_FIXED = 2.0
_SCHEDULE = (2.0, 6.0)
_HORIZONS = (200.0, 400.0)
_LINEAR = np.array([1e4, 1e14])


@cache
def _flow(case: tuple[int, float, float, float]) -> np.ndarray:
    """Return γ at `_TIMES` where all margins are the least one, β = e^ν."""
    n, margin, gamma0, beta0 = case

    def force(a: float) -> float:
        weight = (n - 1) * np.exp(-margin * a)
        return margin * weight / (1 + weight)

    return np.exp(march(force, lambda b: b, (gamma0, beta0), _TIMES, 1200)[:, 0])


def _flows() -> list[float]:
    return [float(gamma) for case in _CASES for gamma in _flow(case)]


def _bounds(bound, factor: float = 1.0) -> list[float]:
    return [
        factor * float(value)
        for n, margin, gamma0, beta0 in _CASES
        for value in bound(_TIMES, n, margin, gamma0, beta0=beta0)
    ]


def _printed() -> list[float]:
    n, margin, gamma0, beta0 = _SMALL
    return np.ravel(printed_closing_bound(np.append(0.0, _TIMES), n, margin, gamma0, beta0=beta0)).tolist()


def _fallen(slope, times: np.ndarray, start: tuple[float, float] = (0.3, 2.0)) -> np.ndarray:
    """Return (ln γ, β) at `times` for the simplified loss."""
    return march(lambda a: np.exp(-a), slope, start, times, 1200)


def _scheduled(horizon: float) -> float:
    """Return ln γ at the end of the straight schedule: a march at a temperature frozen for short whiles."""
    pieces, log_gamma = 2000, np.log(0.3)
    for i in range(pieces):
        beta = _SCHEDULE[0] + (_SCHEDULE[1] - _SCHEDULE[0]) * (i + 0.5) / pieces
        push = 2 * beta * np.exp(-beta) * horizon / pieces
        middle = log_gamma - push / 2 * np.exp(beta * np.exp(2 * log_gamma))
        log_gamma -= push * np.exp(beta * np.exp(2 * middle))
    return float(log_gamma)


def _measured_exponent() -> list[float]:
    return [(_scheduled(_HORIZONS[0]) - _scheduled(_HORIZONS[1])) / (_HORIZONS[1] - _HORIZONS[0])]


def _fixed_rates() -> list[float]:
    """Return the rates at which small gaps fall: the simplified loss, and 16 corners of a simplex as rows."""
    simple = _fallen(lambda _: 0.0, np.array([20.0, 40.0]), (0.3, _FIXED))[:, 0]
    corners = etf_rows(16)
    times = np.array([1.0, 2.0])
    states = descend(corners, corners, lambda nu: nu, (4.0, 0.002), times, 20, trained=0.0)
    return [float(simple[0] - simple[1]) / 20, float(np.log(states[0, 1] / states[1, 1]))]


CLAIMS = (
    Claim(
        id="yaras.theorem32.printed_bound",
        paper=PAPER,
        section=_THEOREM,
        statement="The explicit bound printed in the proof holds: 16 pairs of margin 1 from γ = .05 stay above it.",
        formula=r"\gamma(t) \ge c_2/\ln\bigl(c_3t + e^{c_4/\sqrt{\gamma_0}}\bigr)^2",
        kind="inequality",
        relation="at_least",
        predict=_printed,
        measure=Computed(compute=lambda: [0.05, *_flow(_SMALL)], error=1e-7),
        grid=tuple({"t": float(t)} for t in (0.0, *_TIMES)),
        resolution=1e-5,
        expected="refuted",
        plants=(
            Plant(
                name="reached_from_below",
                statement="Half of it is a bound from above.",
                relation="at_most",
                predict=lambda: [x / 2 for x in _printed()],
            ),
        ),
        note="It is .0689 at t = 0. The constant in front must be c₄² and the rate c₃c₄: with them, it is γ₀ there.",
    ),
    Claim(
        id="conetheory.gap_flow.closing_bound",
        paper=OURS,
        section=_SECTION,
        statement="With the constants that the proof gives, the bound of Theorem 3.2 holds at all times.",
        formula=r"\gamma(t) \ge c_4^2/\ln\bigl(c_3c_4t + e^{c_4/\sqrt{\gamma_0}}\bigr)^2",
        kind="inequality",
        relation="at_least",
        predict=lambda: _bounds(closing_bound),
        measure=Computed(compute=_flows, error=1e-7),
        grid=_GRID,
        resolution=1e-6,
        plants=(
            Plant(
                name="a_tenth_more",
                statement="So does a bound a tenth higher.",
                predict=lambda: _bounds(closing_bound, 1.1),
            ),
        ),
    ),
    Claim(
        id="conetheory.gap_flow.sharp_bound",
        paper=OURS,
        section=_SECTION,
        statement="The sharper bound by the exponential integral holds at all times; it is reached as t grows where all margins are equal.",
        formula=r"\int_{\omega_0}^{\omega} e^{cw}w^{-2}dw = \tfrac12c_1e^{\alpha\beta_0\gamma_0^2}\,t, \quad \gamma \ge \omega^{-2}",
        kind="inequality",
        relation="at_least",
        predict=lambda: _bounds(sharp_closing_bound),
        measure=Computed(compute=_flows, error=1e-7),
        grid=_GRID,
        resolution=1e-6,
        plants=(
            Plant(
                name="a_twentieth_more",
                statement="So does a bound a twentieth higher.",
                predict=lambda: _bounds(sharp_closing_bound, 1.05),
            ),
        ),
    ),
    Claim(
        id="conetheory.gap_flow.late_gap",
        paper=OURS,
        section=_SECTION,
        statement="For β = e^ν the late temperature is a Lambert function of time, whatever the start, and the gap follows it.",
        formula=r"\beta \approx -\tfrac2\alpha W_{-1}\bigl(-\tfrac{\alpha}{2\sqrt T}\bigr), \quad T = \alpha^2(n-1)t",
        kind="rate",
        predict=lambda: [
            float(conserved_log_gamma(exponential_law(), gamma0, beta0, late_scale(exponential_law(), t, n, margin)))
            for (n, margin, gamma0, beta0) in _CASES[:3]
            for t in _TIMES[4:]
        ],
        measure=Computed(compute=lambda: [float(np.log(_flow(case)[4])) for case in _CASES[:3]], error=1e-6),
        grid=tuple({"case": float(i), "t": 1e14} for i in range(3)),
        tolerance=0.02,
        resolution=0.001,
        plants=(
            Plant(
                name="plain_logarithm",
                statement="The late temperature is ln T/α.",
                predict=lambda: [
                    float(
                        conserved_log_gamma(exponential_law(), gamma0, beta0, late_scale(linear_law(), 1e14, n, margin))
                    )
                    for (n, margin, gamma0, beta0) in _CASES[:3]
                ],
            ),
        ),
    ),
    Claim(
        id="yaras.appendix_c.linear",
        paper=PAPER,
        section=_APPENDIX,
        statement="For β = ν, and for softplus, the gap is of the order of 1/(t ln t): times t ln t it changes by less than a factor e⁵ from t = 10⁴ to 10¹⁴.",
        formula=r"\gamma = \Theta(1/(t\ln t))",
        kind="rate",
        predict=lambda: [0.0, 0.0],
        measure=Computed(
            compute=lambda: [
                float(np.diff(_fallen(slope, _LINEAR)[:, 0] + np.log(_LINEAR * np.log(_LINEAR)))[0])
                for slope in (lambda _: 1.0, lambda b: 1 - np.exp(-b))
            ],
            error=1e-4,
        ),
        grid=({"softplus": 0.0}, {"softplus": 1.0}),
        tolerance=5.0,
        resolution=1.0,
        expected="refuted",
        plants=(
            Plant(
                name="it_grows",
                statement="Times t ln t it grows more than a thousandfold.",
                relation="at_least",
                predict=lambda: [np.log(1e3)] * 2,
                tolerance=0.0,
            ),
        ),
        note="By the ODE of that page the gap is e^(−ln²t/α² (1 + o(1))): it closes faster than every power of t.",
    ),
    Claim(
        id="conetheory.gap_flow.linear",
        paper=OURS,
        section=_SECTION,
        statement="For β = ν, and for softplus, −ln γ/ln²t tends to 1/α²: at t = 10¹⁴ it is there to .004.",
        formula=r"-\ln\gamma/\ln^2t \to 1/\alpha^2",
        kind="rate",
        predict=lambda: [1.0, 1.0],
        measure=Computed(
            compute=lambda: [
                -float(_fallen(slope, np.array([1e14]))[0, 0]) / np.log(1e14) ** 2
                for slope in (lambda _: 1.0, lambda b: 1 - np.exp(-b))
            ],
            error=1e-6,
        ),
        grid=({"softplus": 0.0}, {"softplus": 1.0}),
        tolerance=0.004,
        resolution=1e-3,
        plants=(
            Plant(name="half", statement="It tends to 1/2.", predict=lambda: [0.5, 0.5]),
            Plant(
                name="printed",
                statement="It is that of 1/(t ln t).",
                predict=lambda: [float(np.log(1e14 * np.log(1e14)) / np.log(1e14) ** 2)] * 2,
            ),
        ),
    ),
    Claim(
        id="yaras.appendix_c.fixed",
        paper=PAPER,
        section=_APPENDIX,
        statement="At a fixed temperature the gap closes with the rate βe^(−β): .270671 for β = 2.",
        formula=r"\gamma = \Theta(e^{-\beta e^{-\beta}t})",
        kind="rate",
        predict=lambda: [_FIXED * np.exp(-_FIXED)],
        measure=Computed(compute=lambda: _fixed_rates()[:1], error=1e-6),
        grid=({"scale": _FIXED},),
        resolution=1e-4,
        expected="refuted",
        plants=(Plant(name="e_to_the_minus_beta", statement="It is e^(−β).", predict=lambda: [np.exp(-_FIXED)]),),
        note="The rate is .541341: the factor 2 of dγ/dt = −2βγg is lost.",
    ),
    Claim(
        id="conetheory.gap_flow.fixed",
        paper=OURS,
        section=_SECTION,
        statement="At a fixed temperature small gaps close with the rate 2β|l'(β)|, for the simplified loss and for a simplex.",
        formula=r"-\dot\gamma/\gamma \to 2\beta|l'(\beta)|",
        kind="rate",
        predict=lambda: [
            float(fixed_closing_rate(exponential_profile(), _FIXED)),
            float(fixed_closing_rate(simplex_profile(16), 4.0)),
        ],
        measure=Computed(compute=_fixed_rates, error=1e-5),
        grid=({"scale": _FIXED, "pairs": 0.0}, {"scale": 4.0, "pairs": 16.0}),
        resolution=1e-4,
        plants=(
            Plant(
                name="without_the_two",
                statement="The rate is β|l'(β)|.",
                predict=lambda: [
                    float(fixed_closing_rate(exponential_profile(), _FIXED)) / 2,
                    float(fixed_closing_rate(simplex_profile(16), 4.0)) / 2,
                ],
            ),
        ),
    ),
    Claim(
        id="yaras.appendix_c.schedule",
        paper=PAPER,
        section=_APPENDIX,
        statement="A straight schedule from β = 2 to 6 closes the gap like e^(−cT) with the printed c.",
        formula=r"c = \frac{(\beta_0+1)e^{-\beta_0} - (\beta_1+1)e^{-\beta_1}}{\beta_1-\beta_0}",
        kind="rate",
        predict=lambda: [(3 * np.exp(-2) - 7 * np.exp(-6)) / 4],
        measure=Computed(compute=_measured_exponent, error=1e-5),
        grid=({"start": 2.0, "stop": 6.0},),
        resolution=1e-3,
        expected="refuted",
        plants=(
            Plant(name="mean_temperature", statement="It is that of β = 4, fixed.", predict=lambda: [8 * np.exp(-4.0)]),
        ),
        note="It is twice that: .194327 in place of .097163.",
    ),
    Claim(
        id="conetheory.gap_flow.schedule",
        paper=OURS,
        section=_SECTION,
        statement="It closes the gap like e^(−cT) with twice the printed c.",
        formula=r"\gamma = \Theta\bigl(e^{-2\int\beta e^{-\beta}dt}\bigr)",
        kind="rate",
        predict=lambda: [schedule_exponent(*_SCHEDULE)],
        measure=Computed(compute=_measured_exponent, error=1e-5),
        grid=({"start": 2.0, "stop": 6.0},),
        tolerance=1e-5,
        resolution=1e-3,
        plants=(
            Plant(
                name="printed",
                statement="The printed c is right.",
                predict=lambda: [schedule_exponent(*_SCHEDULE) / 2],
            ),
        ),
    ),
)
