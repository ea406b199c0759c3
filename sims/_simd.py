"""Sixteen lanes of 32 bits: a vector type for numba, and the few instructions that the kernels need.

An instruction is one IEEE operation a lane: fused where it says `fma` and nowhere else, nothing reordered. LLVM lays a
vector into one 512-bit, two 256-bit or four 128-bit registers, so the bits are the same on every processor; one without
fused multiply-add is slow. ``+ - *`` work on floats, ``+ - ^ & |`` on words.

A change here compiles anew whatever is built on it (`sims._kernel_cache`).
"""

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

__all__ = [
    "LANES",
    "as_floats",
    "as_words",
    "bits_per_byte",
    "divide",
    "floats",
    "fma",
    "largest",
    "load",
    "maximum",
    "minimum",
    "minimum_words",
    "rotate_left",
    "select_less",
    "shift_left",
    "shift_right",
    "shift_right_each",
    "sign_shift_right",
    "smallest",
    "square_root",
    "store",
    "to_floats",
    "words",
]

LANES = 16

_WORD = ir.IntType(32)
_LLVM = {"f32x16": ir.VectorType(ir.FloatType(), LANES), "u32x16": ir.VectorType(_WORD, LANES)}
_FLOATS, _WORDS = _LLVM.values()


class _Vector(types.Type):
    """A vector as numba knows it: ``f32x16`` or ``u32x16``."""


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    """A vector is a value of its own, like a number."""

    def __init__(self, manager: Any, kind: _Vector) -> None:
        super().__init__(manager, kind, _LLVM[kind.name])


_F, _U = _Vector("f32x16"), _Vector("u32x16")
_ELEMENTS = {_F: types.float32, _U: types.uint32}


def _any(instruction: Any) -> Any:
    """Return `instruction` as it is: what it takes inside a kernel is not what its Python signature says."""
    return instruction


def _unary(result: _Vector, operand: _Vector, emit: Callable) -> Any:
    @intrinsic
    def instruction(typingctx, a):
        return result(operand), lambda context, builder, signature, values: emit(builder, *values)

    return instruction


def _binary(kind: _Vector, emit: Callable) -> Any:
    @intrinsic
    def instruction(typingctx, a, b):
        return kind(kind, kind), lambda context, builder, signature, values: emit(builder, *values)

    return instruction


def _shift(emit: Callable) -> Any:
    """Return an instruction whose second argument is a literal number of bits, the same in all lanes."""

    @intrinsic(prefer_literal=True)
    def instruction(typingctx, a, bits):
        places = ir.Constant(_WORDS, [bits.literal_value] * LANES)
        return _U(_U, bits), lambda context, builder, signature, values: emit(builder, values[0], places)

    return instruction


def _call(builder: Any, name: str, kind: ir.VectorType, values: Any) -> Any:
    """Emit a call of the LLVM intrinsic `name` on vectors of one kind."""
    suffix = "f32" if kind is _FLOATS else "i32"
    declared = ir.FunctionType(kind, (kind,) * len(values))
    function = cgutils.get_or_insert_function(builder.module, declared, f"llvm.{name}.v{LANES}{suffix}")
    return builder.call(function, values)


def _splat(kind: _Vector) -> Any:
    @intrinsic
    def instruction(typingctx, x):
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            vector = _LLVM[kind.name]
            undefined = ir.Constant(vector, ir.Undefined)
            element = context.cast(builder, values[0], signature.args[0], _ELEMENTS[kind])
            first = builder.insert_element(undefined, element, ir.Constant(_WORD, 0))
            return builder.shuffle_vector(first, undefined, ir.Constant(_WORDS, [0] * LANES))

        return kind(x), codegen

    return instruction


floats, words = _splat(_F), _splat(_U)
"""``floats(x)``, ``words(n)``: the same number in every lane."""

_add, _subtract, _multiply, divide = (
    _binary(_F, lambda builder, a, b, name=name: getattr(builder, name)(a, b))
    for name in ("fadd", "fsub", "fmul", "fdiv")
)
_add_words, _subtract_words, _xor, _and, _or = (
    _binary(_U, lambda builder, a, b, name=name: getattr(builder, name)(a, b))
    for name in ("add", "sub", "xor", "and_", "or_")
)
maximum = _binary(_F, lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
minimum = _binary(_F, lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b))
minimum_words = _binary(_U, lambda builder, a, b: builder.select(builder.icmp_unsigned("<", a, b), a, b))
square_root = _unary(_F, _F, lambda builder, a: _call(builder, "sqrt", _FLOATS, (a,)))
to_floats = _unary(_F, _U, lambda builder, a: builder.sitofp(a, _FLOATS))  # words read as signed
as_floats = _unary(_F, _U, lambda builder, a: builder.bitcast(a, _FLOATS))
as_words = _unary(_U, _F, lambda builder, a: builder.bitcast(a, _WORDS))
shift_left = _shift(lambda builder, a, places: builder.shl(a, places))
shift_right = _shift(lambda builder, a, places: builder.lshr(a, places))
sign_shift_right = _shift(lambda builder, a, places: builder.ashr(a, places))
rotate_left = _shift(lambda builder, a, places: _call(builder, "fshl", _WORDS, (a, a, places)))
shift_right_each = _binary(_U, lambda builder, a, places: builder.lshr(a, places))  # places below 32


@_any
@intrinsic
def bits_per_byte(typingctx, a):
    """Return the numbers of bits set in the four bytes of each word, in these bytes."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.VectorType(ir.IntType(8), 4 * LANES)
        name = f"llvm.ctpop.v{4 * LANES}i8"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, (kind,)), name)
        return builder.bitcast(builder.call(function, (builder.bitcast(values[0], kind),)), _WORDS)

    return _U(_U), codegen


def _across(name: str) -> Any:
    """Return an instruction that makes one word of the sixteen, read as unsigned."""

    @intrinsic
    def instruction(typingctx, a):
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            declared = ir.FunctionType(_WORD, (_WORDS,))
            full_name = f"llvm.vector.reduce.{name}.v{LANES}i32"
            function = cgutils.get_or_insert_function(builder.module, declared, full_name)
            return builder.call(function, values)

        return types.uint32(_U), codegen

    return instruction


largest, smallest = _across("umax"), _across("umin")


@_any
@intrinsic
def fma(typingctx, a, b, c):
    """Return a b + c with one rounding."""
    return _F(_F, _F, _F), lambda context, builder, signature, values: _call(builder, "fma", _FLOATS, values)


@_any
@intrinsic
def select_less(typingctx, a, b, yes, no):
    """Return `yes` in the lanes where a < b, words read as unsigned, `no` in the others."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.select(builder.icmp_unsigned("<", values[0], values[1]), values[2], values[3])

    return _F(_U, _U, _F, _F), codegen


def _element_pointer(context: Any, builder: Any, signature: Any, values: Any, vector: ir.VectorType) -> Any:
    array = context.make_array(signature.args[0])(context, builder, values[0])
    index = context.cast(builder, values[1], signature.args[1], types.intp)
    pointer = cgutils.get_item_pointer(
        context, builder, signature.args[0], array, [index], wraparound=False, boundscheck=False
    )
    return builder.bitcast(pointer, vector.as_pointer())


@_any
@intrinsic
def load(typingctx, array, i):
    """Return the sixteen elements of a contiguous array of float32 or uint32 from `i` on; no bounds are checked."""
    kind = _F if array.dtype == types.float32 else _U

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        found = builder.load(_element_pointer(context, builder, signature, values, _LLVM[kind.name]))
        found.align = 4
        return found

    return kind(array, i), codegen


@_any
@intrinsic
def store(typingctx, array, i, vector):
    """Write the sixteen lanes of `vector` to a contiguous array of its kind from `i` on; no bounds are checked."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        where = _element_pointer(context, builder, signature, values, _LLVM[vector.name])
        builder.store(values[2], where).align = 4
        return context.get_dummy_value()

    return types.none(array, i, vector), codegen


def _operator(symbol: Callable, on_floats: Any, on_words: Any) -> None:
    """Let `symbol` stand for an instruction between two vectors of one kind."""

    @overload(symbol)
    def choose(a, b):
        instruction = on_floats if (a, b) == (_F, _F) else on_words if (a, b) == (_U, _U) else None
        return None if instruction is None else lambda a, b: instruction(a, b)


for _symbol, _on_floats, _on_words in (
    (operator.add, _add, _add_words),
    (operator.sub, _subtract, _subtract_words),
    (operator.mul, _multiply, None),
    (operator.xor, None, _xor),
    (operator.and_, None, _and),
    (operator.or_, None, _or),
):
    _operator(_symbol, _on_floats, _on_words)
