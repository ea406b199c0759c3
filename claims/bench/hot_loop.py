"""What a compiled kernel does where it spends its time: the instructions of its innermost loop, counted in assembly."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numba

__all__ = ["HotLoop", "hot_loop", "loops", "parse_loops"]

_LABEL = re.compile(r"^(\.?\w+):")
_VECTOR = re.compile(r"%([xyz])mm\d+")
_JUMP = re.compile(r"^j\w+\s+(\.?\w+)")
_STACK = re.compile(r"\(%r[sb]p")
_SCALAR = re.compile(r"(?<!broadcast)(ss|sd)$")  # one number of a vector register: addss, vcvtsi2sd, ...
_MULTIPLY = re.compile(r"^v?(pmul|mulp|fn?m(add|sub)|pmadd)")
_MOVE = re.compile(r"^v?(mov[aud]|p?broadcast)")
_ROOT = re.compile(r"^v?(sqrtp|divp)")
_BITS = {"x": 128, "y": 256, "z": 512}


@dataclass(frozen=True, slots=True, kw_only=True)
class HotLoop:
    """Instructions of one pass through a loop that holds no other.

    Attributes
    ----------
    vector : int
        Instructions on vectors, loads into and stores from a register among them.
    multiplies : int
        Those of them that multiply, fused or not, floats or words.
    roots : int
        Those of them that divide or take a square root, for which no processor has more than one slow port.
    moves : int
        Those of them that only move a vector, or spread a constant from memory.
    stack : int
        Those of them that touch the stack: registers that did not suffice.
    scalar : int
        All other instructions.
    bits : int
        Width of the widest vector.
    """

    vector: int
    multiplies: int
    roots: int
    moves: int
    stack: int
    scalar: int
    bits: int


def _counted(body: list[str]) -> HotLoop:
    names = [line.split(None, 1)[0] for line in body]
    on_vectors = [
        (name, line)
        for name, line in zip(names, body, strict=True)
        if _VECTOR.search(line) and not _SCALAR.search(name)
    ]
    return HotLoop(
        vector=len(on_vectors),
        multiplies=sum(bool(_MULTIPLY.match(name)) for name, _ in on_vectors),
        roots=sum(bool(_ROOT.match(name)) for name, _ in on_vectors),
        moves=sum(bool(_MOVE.match(name)) for name, _ in on_vectors),
        stack=sum(bool(_STACK.search(line)) for _, line in on_vectors),
        scalar=len(body) - len(on_vectors),
        bits=max((_BITS[width] for _, line in on_vectors for width in _VECTOR.findall(line)), default=0),
    )


def parse_loops(assembly: str) -> tuple[HotLoop, ...]:
    """Return the innermost loops of x86 assembly in AT&T syntax, in order: from a label to a jump back to it."""
    lines: list[str] = []
    labels: dict[str, int] = {}
    spans: list[tuple[int, int]] = []
    for raw in assembly.splitlines():
        line = raw.split("#")[0].strip()
        if label := _LABEL.match(line):
            labels[label[1]] = len(lines)
        elif line and not line.startswith("."):
            lines.append(line)
            if (jump := _JUMP.match(line)) and jump[1] in labels:
                spans.append((labels[jump[1]], len(lines)))
    innermost = [
        span
        for span in spans
        if not any(span != other and span[0] <= other[0] < other[1] <= span[1] for other in spans)
    ]
    return tuple(_counted(lines[first:last]) for first, last in innermost)


@cache
def loops(kernel: Any, signature: Any = None) -> tuple[HotLoop, ...]:
    """Return the innermost loops of `kernel` as numba compiles it for this processor.

    Parameters
    ----------
    kernel : dispatcher
        A function under ``@njit``. It is compiled again: what numba's cache holds has no assembly.
    signature : tuple of numba types, optional
        The arguments' types; the last ones that `kernel` was compiled for by default.

    Raises
    ------
    ValueError
        If `kernel` has not been compiled and no signature is given.
    """
    if signature is None and not kernel.signatures:
        raise ValueError(f"`signature` must be given for a kernel that was never called, got None for {kernel}.")
    options = {name: value for name, value in kernel.targetoptions.items() if name in ("nogil", "error_model")}
    fresh = numba.njit(**options)(kernel.py_func)
    chosen = signature or kernel.signatures[-1]
    fresh.compile(chosen)
    return parse_loops(fresh.inspect_asm(fresh.signatures[0]))


def hot_loop(kernel: Any, signature: Any = None) -> HotLoop:
    """Return the innermost loop of `kernel` that has most vector instructions; same arguments and errors as `loops`.

    Raises
    ------
    ValueError
        Also where no loop works on vectors, as on processors other than x86.
    """
    found = [loop for loop in loops(kernel, signature) if loop.vector]
    if not found:
        raise ValueError(f"`kernel` must have a loop over x86 vectors, got {kernel}.")
    return max(found, key=lambda loop: loop.vector)
