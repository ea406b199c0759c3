"""The embedding shift of ideal clouds: the exact expected loss against clouds drawn at random."""

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import Computed, Joint, Mean, Tally
from conetheory.shift_limit import batch_loss, best_scale, limit_loss, shift_limit, shift_scale
from conetheory.von_mises_fisher import log_partition
from sims.shift_clouds import simulate_shift

__all__ = ["CLAIMS"]

_SECTION = "docs/theory.md, section 7"
_DIM, _RHO, _HEIGHT, _BATCH = 16, 0.5, 0.425, 50
_SHIFTS, _SCALES = (-0.5, 0.0, 0.25, 0.5, 1.5), (10.0, 40.0)
_CELLS = tuple({"lambda": lam, "scale": s} for s in _SCALES for lam in _SHIFTS)
_ROUNDING = 2e-6  # nats: the landscape is in float32
_RHOS = (0.2, 0.4, 0.6)
_MANY = 10**6


def _draw(rng: np.random.Generator, n: int) -> Tally:
    """Return the tally of the losses of `n` clouds in every cell, each of sixteen batches and their mirror images."""
    taus = [1 / scale for scale in _SCALES]
    found = simulate_shift(_DIM, _RHO, _HEIGHT, _SHIFTS, taus, batch=_BATCH, n_batches=16, n_clouds=n, rng=rng)
    return Tally.of(found.loss.reshape(n, -1))


def _expected(*, batch: int = _BATCH, normalised: bool = True) -> list[float]:
    kappas = [
        shift_scale(at["lambda"], 1 / at["scale"], _HEIGHT) if normalised else at["scale"] * (1 - _HEIGHT**2)
        for at in _CELLS
    ]
    return [float(batch_loss(_DIM, _RHO, k, batch)) for k in kappas]


def _jensen() -> list[float]:
    """Return ln(1 + (b − 1) e^(ψ − κρ)): the mean taken before the logarithm."""
    kappas = np.array([shift_scale(at["lambda"], 1 / at["scale"], _HEIGHT) for at in _CELLS])
    return np.log1p((_BATCH - 1) * np.exp(log_partition(_DIM, kappas) - kappas * _RHO)).tolist()


def _searched() -> list[float]:
    """Return the least points of the expected loss on either side of ½ at 1/20, and over all at 1/14."""
    found = []
    for low, high, tau in ((-0.5, 0.5, 0.05), (0.5, 1.5, 0.05), (-0.5, 0.5, 1 / 14)):
        coarse = _least(np.linspace(low, high, 51), tau)
        found.append(_least(np.linspace(max(coarse - 0.02, low), min(coarse + 0.02, high), 21), tau))
    return found


def _least(lambdas: np.ndarray, tau: float) -> float:
    losses = batch_loss(_DIM, _RHO, shift_scale(lambdas, tau, _HEIGHT), _BATCH)
    return float(lambdas[int(np.argmin(losses))])


CLAIMS = (
    Claim(
        id="conetheory.shift_limit.loss",
        paper=OURS,
        section=_SECTION,
        statement="The expected loss of a batch of 50 pairs of parallel clouds along the shift is one double integral, at every shift and temperature.",
        formula=r"L_b(\kappa) = \int_0^\infty \tfrac{e^{-t}}{t}\bigl(1 - \varphi(t)^{b-1}\bigr)\,dt,\ \kappa = \kappa(\lambda)",
        kind="value",
        predict=_expected,
        tolerance=_ROUNDING,
        measure=Joint(draw=_draw, rule=Mean(), first=64, quick=1024, full=8192),
        grid=_CELLS,
        resolution=0.03,
        plants=(
            Plant(
                name="mean_before_the_logarithm",
                statement="The mean may be taken before the logarithm.",
                predict=_jensen,
            ),
            Plant(
                name="shift_changes_nothing",
                statement="The shift does not change the logit scale.",
                predict=lambda: _expected(normalised=False),
            ),
            Plant(
                name="batch_of_25",
                statement="A batch of 25 has the same loss.",
                predict=lambda: _expected(batch=25),
            ),
        ),
        note="Clouds come with their mirror images, so that their gap vector is that of the law.",
    ),
    Claim(
        id="conetheory.shift_limit.many_pairs",
        paper=OURS,
        section=_SECTION,
        statement="For many pairs the loss less ln b tends to the log partition function of von Mises and Fisher less κρ.",
        formula=r"L_b(\kappa) - \ln b \to \psi_d(\kappa) - \kappa\rho",
        kind="rate",
        predict=lambda: [float(limit_loss(_DIM, rho, 8.0)) for rho in _RHOS],
        tolerance=1e-4,  # of order 1/b
        measure=Computed(
            compute=lambda: [float(batch_loss(_DIM, rho, 8.0, _MANY)) - np.log(_MANY) for rho in _RHOS], error=1e-10
        ),
        grid=tuple({"matched_cosine": rho} for rho in _RHOS),
        resolution=1e-3,
        plants=(
            Plant(
                name="one_dimension_less",
                statement="It is that of one dimension less.",
                predict=lambda: [float(limit_loss(_DIM - 1, rho, 8.0)) for rho in _RHOS],
            ),
        ),
    ),
    Claim(
        id="conetheory.shift_limit.small_batches_are_colder",
        paper=OURS,
        section=_SECTION,
        statement="The best logit scale of batches of 50 is above that of many pairs, the concentration whose mean resultant length is the matched cosine: so is the critical 1/τ.",
        formula=r"\kappa^*_b \ge A_d^{-1}(\rho)",
        kind="inequality",
        relation="at_least",
        predict=lambda: [best_scale(_DIM, rho) for rho in _RHOS],
        measure=Computed(compute=lambda: [best_scale(_DIM, rho, batch=_BATCH) for rho in _RHOS], error=1e-8),
        grid=tuple({"matched_cosine": rho} for rho in _RHOS),
        resolution=1e-3,
        plants=(Plant(name="warmer", statement="It is below.", relation="at_most"),),
        note="A ledger run, not a proof for all parameters.",
    ),
    Claim(
        id="conetheory.shift_limit.repulsion",
        paper=OURS,
        section=_SECTION,
        statement="At τ = 1/20 parallel clouds of gap .85 have two best shifts, −.176 and 1.176; at τ = 1/14 the gap closes.",
        formula=r"\kappa(\lambda^*) = \min(\kappa^*, 1/\tau)",
        kind="value",
        predict=lambda: [
            *shift_limit(_DIM, _RHO, _HEIGHT, 0.05, batch=_BATCH).minimisers,
            *shift_limit(_DIM, _RHO, _HEIGHT, 1 / 14, batch=_BATCH).minimisers,
        ],
        tolerance=0.0011,  # the step of the search
        measure=Computed(compute=_searched, error=1e-9),
        grid=({"scale": 20.0, "right": 0.0}, {"scale": 20.0, "right": 1.0}, {"scale": 14.0}),
        resolution=1e-3,
        plants=(
            Plant(
                name="half_way",
                statement="The gap closes at both temperatures.",
                predict=lambda: [0.5, 0.5, 0.5],
            ),
        ),
        note="A search of the loss itself over shifts .02 apart, then .002.",
    ),
)
