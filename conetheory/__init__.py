"""Theory of the cone effect and of the modality gap, in NumPy and SciPy.

Every module is one idea, such as ``conetheory.contraction`` or ``conetheory.gap``; nothing slow is loaded before it is
asked for.
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_MODULES = (
    "activation_rate",
    "angle_law",
    "attention",
    "closing_laws",
    "cone_band",
    "cones",
    "contraction",
    "contrastive",
    "contrastive_floors",
    "contrastive_gradient",
    "contrastive_uniformity",
    "cosine_propagation",
    "covariance_sde",
    "depth_degeneracy",
    "depth_laws",
    "displacement",
    "displacement_forms",
    "dual",
    "early_enlargement",
    "errors",
    "finite_width",
    "fixed_points",
    "gap",
    "gap_closing",
    "gap_conservation",
    "gap_equilibria",
    "gap_flow",
    "gaussian",
    "init_variance",
    "initialisations",
    "large_deviation",
    "leaky_relu",
    "loss_profiles",
    "matched_triple",
    "meanfield",
    "mismatch",
    "mismatch_phases",
    "mlp_shares",
    "norm_fluctuations",
    "normalisation",
    "orthogonal",
    "phases",
    "proofs",
    "regularised_gap",
    "residual",
    "retrieval",
    "shift",
    "shift_gap",
    "shift_limit",
    "shift_minimum",
    "shift_temperature",
    "sigmoid_loss",
    "spectrum",
    "sphere",
    "swapped_pairs",
    "temperature_laws",
    "transformer",
    "variance_components",
    "von_mises_fisher",
)


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*globals(), *_MODULES))
