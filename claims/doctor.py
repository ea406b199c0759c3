"""What this installation has, for a person or for a bug report."""

import os
import platform
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from claims.folder import environment

__all__ = ["examine"]

_PUBLISHED = ("mind_the_gap/features_clip.npy", "mind_the_gap/features_clip_random.npy")


def examine(data: Path | None = None) -> dict[str, Any]:
    """Return versions, threads, SIMD, GPU and data, ready for JSON.

    Parameters
    ----------
    data : Path, optional
        Folder that should hold the published arrays.

    Returns
    -------
    dict
        ``conetheory``, ``commit``, ``python``, ``platform``, ``libraries``, ``optional`` (installed or not),
        ``cpus``, ``threads``, ``simd``, ``kernels``, ``gpu``, ``data``.
    """
    found = environment()
    optional = ("torch", "umap", "dask", "pyarrow", "sympy")
    return {
        "conetheory": found["conetheory"],
        "commit": found["commit"],
        "python": found["python"],
        "platform": found["platform"],
        "libraries": found["libraries"],
        "optional": {name: "installed" if find_spec(name) else "missing" for name in optional},
        "cpus": found["cpus"],
        "threads": _threads(),
        "simd": _simd(),
        "kernels": _kernels(),
        "gpu": _gpu(),
        "data": _data(data),
    }


def _threads() -> dict[str, int]:
    from numba import get_num_threads
    from threadpoolctl import threadpool_info

    pools = {f"{pool['internal_api']}": pool["num_threads"] for pool in threadpool_info()}
    return {
        "numba": get_num_threads(),
        "usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        **pools,
    }


def _simd() -> str:
    """Return the processor's widest vector extension that numba's compiler knows of."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    for name in ("avx512f", "avx2", "avx", "sse2", "sve", "neon"):
        if features.get(name):
            return f"{name} on {binding.get_host_cpu_name()}"
    return f"none known on {binding.get_host_cpu_name() or platform.machine()}"


def _kernels() -> str:
    """Return which kernels sample a random layer."""
    from sims._layer_trials import KERNELS

    return KERNELS


def _gpu() -> str:
    """Return the GPUs that torch sees; without torch, whether a driver is there."""
    if find_spec("torch") is None:
        return "a driver is there, torch is missing" if shutil.which("nvidia-smi") else "none found (torch is missing)"
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return ", ".join(names) or "none that torch sees"


def _data(folder: Path | None) -> str:
    if folder is None:
        return "no folder named: set CONETHEORY_DATA or --data to check claims about the published arrays"
    missing = [name for name in _PUBLISHED if not (folder / name).exists()]
    return f"{folder}: " + (f"missing {', '.join(missing)}" if missing else "complete")
