"""One ReLU layer a lane in Triton: the five sums of a block of trials in one pass over the units, no arrays between.

Philox makes the words where they are used, two units a call, so that the numbers depend on the seed and on the place of
a trial in its block and not on how the lanes are shared out. Angles are 1e-7 true; the library's sine and cosine have a
slow path for large arguments, which is most of their code and never taken here.
"""

from typing import Any

triton: Any
tl: Any
try:
    import triton
    import triton.language as tl
except ImportError:  # the trial then runs in plain torch
    triton = None

__all__ = ["MAX_WIDTH", "available", "layer_sums"]

MAX_WIDTH = 1 << 13  # the counter of Philox has 32 bits: half the units times the trials of a block


def available() -> bool:
    """Return whether Triton can be imported."""
    return triton is not None


def layer_sums(counts: Any, seed: int, law: tuple[float, float, float], *, lanes: int = 128) -> Any:
    """Return the five sums of `empirical.relu_trial` for trials with `counts` active units, shape (5, trials), float32.

    `counts` is an int32 tensor on the device, shape (trials,), a multiple of `lanes`, which are the trials of a
    program: a power of 2 that the numbers do not depend on. `law` is half the active arc, cos(θ/2) and sin(θ/2).
    """
    import torch

    n = counts.numel()
    sums = torch.empty((5, n), dtype=torch.float32, device=counts.device)
    _fill[(n // lanes,)](counts, sums, n, seed, *law, LANES=lanes)
    return sums


if triton is not None:

    @triton.jit
    def _add_unit(sums, alive, uniform, turn, active, cos_half, sin_half):
        inner, norm_u, norm_v, distance, excess = sums
        energy = tl.where(alive, -tl.log(tl.maximum(uniform, 2.0**-32)), 0.0)
        half = active * (turn - 0.5)  # of φ, in [-π/2, π/2]: two polynomials, and no case to tell apart
        square = half * half
        sine = 2.60510751e-6 * square - 1.98090172e-4
        sine = (sine * square + 8.33304971e-3) * square - 0.166666582
        sine = (sine * square + 1.0) * half
        cosine = -2.60506567e-7 * square + 2.47601092e-5
        cosine = (cosine * square - 1.38883607e-3) * square + 4.16666344e-2
        cosine = (cosine * square - 0.5) * square + 1.0
        centre = cos_half * (1.0 - 2.0 * sine * sine)
        offset = sin_half * (2.0 * sine * cosine)
        u = tl.maximum(centre - offset, 0.0)
        v = tl.maximum(centre + offset, 0.0)
        size = tl.abs(offset)
        gap = tl.minimum(size + size, centre + size)  # |u - v|, exact where both are active
        weighted = energy * gap
        inner += energy * u * v
        norm_u += energy * u * u
        norm_v += energy * v * v
        distance += weighted * gap
        excess += tl.where(offset < 0.0, weighted, -weighted) * (u + v)
        return inner, norm_u, norm_v, distance, excess

    @triton.jit(do_not_specialize=["seed"])
    def _fill(counts, out, n, seed, active, cos_half, sin_half, LANES: tl.constexpr):  # pyright: ignore[reportInvalidTypeForm]
        trial = tl.program_id(0) * LANES + tl.arange(0, LANES)
        count = tl.load(counts + trial)
        zero = tl.zeros((LANES,), tl.float32)
        sums = (zero, zero, zero, zero, zero)
        for pair in range((tl.max(count, axis=0) + 1) // 2):
            first, second, third, fourth = tl.rand4x(seed, pair * n + trial)
            sums = _add_unit(sums, 2 * pair < count, first, second, active, cos_half, sin_half)
            sums = _add_unit(sums, 2 * pair + 1 < count, third, fourth, active, cos_half, sin_half)
        for i in tl.static_range(5):
            tl.store(out + i * n + trial, sums[i])
