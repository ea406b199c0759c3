"""What is written about a run: the rows, the ratios, the machine and its limits, ready for JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from claims import SCHEMA
from claims.bench.table import lines_of

__all__ = ["summary"]


def summary(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the object: ``schema``, ``environment``, ``simd``, ``kernels``, ``limits``, ``jobs``, ``rows``.

    Parameters
    ----------
    records : sequence of dict
        As `claims.bench.table.as_records` returns them. `limits` are measured now.
    """
    from claims.doctor import examine
    from claims.folder import environment

    installation = examine()
    return {
        "schema": SCHEMA,
        "environment": environment(),
        "simd": installation["simd"],
        "kernels": installation["kernels"],
        "limits": _limits(),
        "jobs": [asdict(line) for line in lines_of(records)],
        "rows": list(records),
    }


def _limits() -> dict[str, float]:
    """Return what the machine does at most: vector instructions, floating-point operations and bytes a second."""
    import numpy as np

    from claims.bench.limits import KINDS, gemm_rate, instruction_rate, stream_rate, vector_bits

    return {
        "vector_bits": vector_bits(),
        **{f"{kind}_instructions_a_second": instruction_rate(kind) for kind in KINDS},
        "float32_product_flops": gemm_rate(np.float32),
        "float64_product_flops": gemm_rate(np.float64),
        "read_bytes_a_second": stream_rate(),
    }
