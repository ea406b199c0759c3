"""All certificates by name: what ``conetheory certify`` runs.

A name is that of the function that makes the certificate; values at given layers follow it after a dot:
``sharp_threshold.2_1`` (norms 2 and 1), ``rate.0.5_2_1`` (cosine .5, norms 2 and 1).
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from conetheory.proofs import certified_depth, certified_layer, certified_rate, certified_threshold
from conetheory.proofs.balls import Exact
from conetheory.proofs.subdivision import Certificate

__all__ = ["CERTIFICATES", "RATE_LAYERS", "THRESHOLD_NORMS"]

THRESHOLD_NORMS: tuple[tuple[Exact, Exact], ...] = ((2, 1), (4, 1), (1, "0.5"), (10, 5), (1, "0.1"))
"""Norms at which the sharp threshold is certified; for equal norms it is 1 (`contraction_at_unit_norms`)."""

RATE_LAYERS: tuple[tuple[Exact, Exact, Exact], ...] = (
    ("0.1", 1, 1),
    ("0.5", 1, 1),
    ("0.9", 1, 1),
    ("0.99", 1, 1),
    ("0.5", 2, 1),
    ("0.9", 10, 10),
)
"""Cosine and norms at which the rate is certified."""


def _sharp_threshold(norm_u: Exact, norm_v: Exact) -> Certificate:
    found = certified_threshold.enclose_sharp_threshold(norm_u, norm_v)
    return certified_threshold.sharp_threshold_within(norm_u, norm_v, found)


def _rate(cosine: Exact, norm_u: Exact, norm_v: Exact) -> Certificate:
    found = certified_rate.enclose_rate(cosine, norm_u, norm_v)
    return certified_rate.rate_within(cosine, norm_u, norm_v, found)


_STATEMENTS: tuple[Callable[[], Certificate], ...] = (
    certified_layer.arc_cosine_lift,
    certified_layer.arc_cosine_increases,
    certified_depth.complement_at_least_half,
    certified_layer.variance_positive,
    certified_layer.contraction_at_unit_norms,
    certified_layer.contraction_on_box,
    certified_layer.paper_threshold_suffices,
    certified_layer.summand_variance_increases,
    certified_layer.summand_ratio_decreases,
    certified_depth.he_initialisation_rate,
    certified_layer.theorem_4_constant,
    certified_threshold.chebyshev_at_unit_norms,
    certified_threshold.chebyshev_on_box,
    certified_rate.rate_at_unit_norms,
    certified_rate.rate_on_box,
)

#: Certificate makers by name, in the order in which they are shown.
CERTIFICATES: Mapping[str, Callable[[], Certificate]] = MappingProxyType(
    {make.__name__: make for make in _STATEMENTS}
    | {f"sharp_threshold.{a}_{b}": partial(_sharp_threshold, a, b) for a, b in THRESHOLD_NORMS}
    | {f"rate.{c}_{a}_{b}": partial(_rate, c, a, b) for c, a, b in RATE_LAYERS}
)
