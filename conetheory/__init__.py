"""Theory of the cone effect and of the modality gap, in NumPy and SciPy.

Every module is one idea, such as ``conetheory.contraction`` or ``conetheory.gap``; nothing slow is loaded before it is
asked for.
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_MODULES = (
    "contraction",
    "contrastive",
    "dual",
    "errors",
    "finite_width",
    "gap",
    "gaussian",
    "init_variance",
    "meanfield",
    "mismatch",
    "retrieval",
    "shift",
    "shift_minimum",
    "spectrum",
    "sphere",
)


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*globals(), *_MODULES))
