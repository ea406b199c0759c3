"""What this machine can do at most, measured in this process: vector instructions, matrix products, memory.

A kernel that runs its instructions as fast as the best loop of independent ones runs them is at its limit; it can
gain by needing fewer, not by running them better. Nothing is remembered: what a core can do changes with its clock and
with what its other thread does, so a limit holds for what is measured beside it. Each rate is the best of a few runs
of milliseconds, in processor time.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from claims.bench.hot_loop import HotLoop, parse_loops

__all__ = ["KINDS", "gemm_rate", "instruction_rate", "least_seconds", "stream_rate", "vector_bits"]

KINDS = ("fma", "words", "mixed", "root")
"""Loops of independent instructions: fused multiply-adds; additions of words; as many of both; square roots."""

_LANES = 16
_FLOATS, _WORDS = ir.VectorType(ir.FloatType(), _LANES), ir.VectorType(ir.IntType(32), _LANES)
_PASSES = 1 << 18


def _fma(builder: Any, slots: list[Any], i: int) -> Any:
    """Return x/2 + 1/4 for the i-th number x: bounded, and nothing that a compiler may simplify."""
    declared = ir.FunctionType(_FLOATS, (_FLOATS,) * 3)
    function = cgutils.get_or_insert_function(builder.module, declared, f"llvm.fma.v{_LANES}f32")
    half, quarter = (ir.Constant(_FLOATS, [x] * _LANES) for x in (0.5, 0.25))
    return builder.call(function, (builder.load(slots[i]), half, quarter))


def _root(builder: Any, slots: list[Any], i: int) -> Any:
    """Return the square root of the i-th number."""
    declared = ir.FunctionType(_FLOATS, (_FLOATS,))
    function = cgutils.get_or_insert_function(builder.module, declared, f"llvm.sqrt.v{_LANES}f32")
    return builder.call(function, (builder.load(slots[i]),))


def _add(builder: Any, slots: list[Any], i: int) -> Any:
    """Return the sum of the i-th number and its neighbour."""
    return builder.add(builder.load(slots[i]), builder.load(slots[(i + 1) % len(slots)]))


@cache
def _independent(kind: str, chains: int) -> Any:
    """Return a kernel: `chains` instructions of `kind` a pass, none of which waits for another one of its pass."""
    n_floats = {"fma": chains, "words": 0, "mixed": chains // 2, "root": chains}[kind]
    on_floats = _root if kind == "root" else _fma

    @intrinsic
    def repeat(typingctx, passes):
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            starts = [ir.Constant(_FLOATS, [1.05 + 0.1 * i] * _LANES) for i in range(n_floats)]
            floats = [cgutils.alloca_once_value(builder, start) for start in starts]
            starts = [ir.Constant(_WORDS, [2 * i + 1] * _LANES) for i in range(chains - n_floats)]
            words = [cgutils.alloca_once_value(builder, start) for start in starts]
            with cgutils.for_range(builder, values[0]):
                for i in range(max(len(floats), len(words))):
                    for slots, step in ((floats, on_floats), (words, _add)):
                        if i < len(slots):
                            builder.store(step(builder, slots, i), slots[i])
            found = ir.Constant(_WORDS, [0] * _LANES)
            for slot in [*floats, *words]:
                found = builder.xor(found, builder.bitcast(builder.load(slot), _WORDS))
            return builder.extract_element(found, ir.Constant(ir.IntType(32), 0))

        return types.uint32(types.intp), codegen

    intrinsics: Any = repeat

    @numba.njit(nogil=True)
    def kernel(passes):
        return intrinsics(passes)

    kernel(1)  # compiled
    return kernel


def _chains() -> int:
    """Return how many vectors of sixteen lanes the registers hold, with some to spare."""
    features = binding.get_host_cpu_features()
    return 12 if features.get("avx512f") else 6 if features.get("avx2") or not features.get("sse2") else 2


def _best_seconds(call: Callable[[], Any], runs: int = 3) -> float:
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return min(seconds)


@cache
def vector_bits() -> int:
    """Return the width of the registers that hold sixteen lanes of 32 bits: 512, 256 or 128."""
    kernel = _independent("fma", _chains())
    return max((loop.bits for loop in parse_loops(kernel.inspect_asm(kernel.signatures[0]))), default=0) or 128


def instruction_rate(kind: str) -> float:
    """Return how many vector instructions of `kind` this machine runs a second on one core, at its own width.

    Raises
    ------
    ValueError
        If `kind` is not one of `KINDS`.
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS}, got {kind!r}.")
    chains, passes = _chains(), _PASSES // 16 if kind == "root" else _PASSES
    kernel = _independent(kind, chains)
    return passes * chains * (512 // vector_bits()) / _best_seconds(lambda: kernel(passes))


def gemm_rate(dtype: Any = np.float32) -> float:
    """Return the floating-point operations a second of NumPy's matrix product, order 1024, `dtype` float32 or 64."""
    n = 1024
    a, b, out = np.ones((n, n), dtype), np.ones((n, n), dtype), np.empty((n, n), dtype)
    return 2 * n**3 / _best_seconds(lambda: np.matmul(a, b, out=out))


def stream_rate() -> float:
    """Return the bytes a second that one core reads from memory: the sum of the squares of 256 MiB."""
    x = np.ones(1 << 26, np.float32)
    return x.nbytes / _best_seconds(lambda: x @ x)


def least_seconds(loop: HotLoop, passes: float) -> float:
    """Return the least time of `passes` passes of `loop` on this machine.

    All its vector instructions but the plain moves, at the rate of the fastest mix; those that multiply, for which some
    processors have fewer ports, at the rate of multiply-adds; divisions and roots at theirs: whichever takes longest.
    """
    rate = {kind: instruction_rate(kind) for kind in KINDS}
    return passes * max(
        (loop.vector - loop.moves) / max(rate.values()), loop.multiplies / rate["fma"], loop.roots / rate["root"]
    )
