"""Monte Carlo and simulation of random networks and landscapes: what theory predicts, sampled."""

import sys
from typing import Any


class _BeforeKernels:
    """Import finder that finds nothing: before private modules, where kernels are, it readies their cache.

    Only then, as numba is slow to load and some public modules do without. It stays: taken out during a search, it
    would make Python pass over the finder after it.
    """

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith(f"{__name__}._") and name != f"{__name__}._kernel_cache":
            from sims._kernel_cache import register

            register()


sys.meta_path.insert(0, _BeforeKernels)
