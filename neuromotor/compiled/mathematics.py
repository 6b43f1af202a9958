"""tanh, sine and cosine that a compiler can do for several numbers at once.

Notation: x argument, n a whole number, g or r the rest, s = 2^n. Each function is free of branches,
so that a loop over an array becomes vector instructions. numba's own call a library, one number at
a time.

- tanh: |x| = g + n ln(2) / 2 with |g| <= ln(2) / 4. Lambert's continued fraction gives
  ``tanh g = p / q``, and ``exp(2 |x|) = s (q + p) / (q - p)``. So, with D = (s + 1) q + (s - 1) p::

      tanh |x| = ((s + 1) p + (s - 1) q) / D = 1 - 2 (q - p) / D

  The first form is exact where tanh is small, the second where it is near one.
- sine and cosine: x = r + n pi / 2 with |r| <= pi / 4, by three parts of pi / 2 (Cody & Waite
  1980), and Taylor's series of r. For |x| up to 1e5; a joint does not turn farther.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import RequireLiteralValue
from numba.extending import intrinsic, overload

from neuromotor.compiled.functions import (
    chosen,
    exponential,
    hyperbolic_tangent,
    number,
    power,
    sine_and_cosine,
    square_root,
)

__all__: list[str] = []  # importing it teaches numba the functions of `functions.py`

_QUIET: dict[str, Any] = {"error_model": "numpy", "forceinline": True}


def _bits(kind: Any) -> tuple[Any, Any, str]:
    """A float's type in LLVM, that of its bits, and its name in intrinsics."""
    if kind == types.float64:
        return ir.DoubleType(), ir.IntType(64), "f64"
    return ir.FloatType(), ir.IntType(32), "f32"


def _llvm(name: str, operands: int) -> Any:
    """An operation of LLVM on floats of one type."""

    def typed(kind: Any) -> tuple[Any, Any]:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            float_type, _, suffix = _bits(signature.return_type)
            signature_type = ir.FunctionType(float_type, [float_type] * operands)
            function = cgutils.get_or_insert_function(
                builder.module, signature_type, f"llvm.{name}.{suffix}"
            )
            return builder.call(function, args)

        return kind(*[kind] * operands), codegen

    if operands == 1:
        return intrinsic(lambda typingctx, a: typed(a))
    if operands == 2:
        return intrinsic(lambda typingctx, a, b: typed(a))
    return intrinsic(lambda typingctx, a, b, c: typed(a))


_fused = _llvm("fmuladd", 3)
_absolute = _llvm("fabs", 1)
_with_sign = _llvm("copysign", 2)


@intrinsic
def _power_of_two(typingctx: Any, m: Any) -> Any:
    """2^n of n + `magic`, whose lowest bits are n."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        float_type, bits_type, name = _bits(signature.return_type)
        bias, shift = (1023, 52) if name == "f64" else (127, 23)
        bits = builder.bitcast(args[0], bits_type)
        bits = builder.shl(
            builder.add(bits, ir.Constant(bits_type, bias)), ir.Constant(bits_type, shift)
        )
        return builder.bitcast(bits, float_type)

    return m(m), codegen


@intrinsic
def _quadrant(typingctx: Any, m: Any, first: Any, second: Any, sine: Any) -> Any:
    """`second` for odd n else `first`, negative in two of four quadrants; n as in `m`'s low bits.

    `sine` says which two: those with bit 1 of n for the sine, of n + 1 for the cosine.
    """
    if not isinstance(sine, types.Literal):
        raise RequireLiteralValue("sine")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        float_type, bits_type, _ = _bits(signature.return_type)
        bits = builder.bitcast(args[0], bits_type)
        value = builder.select(builder.trunc(bits, ir.IntType(1)), args[2], args[1])
        if not signature.args[3].literal_value:
            bits = builder.add(bits, ir.Constant(bits_type, 1))
        width = bits_type.width
        sign = builder.shl(bits, ir.Constant(bits_type, width - 2))
        sign = builder.and_(sign, ir.Constant(bits_type, 1 << (width - 1)))
        return builder.bitcast(builder.xor(builder.bitcast(value, bits_type), sign), float_type)

    return m(m, first, second, sine), codegen


@nb.njit(**_QUIET)
def _fraction_64(g: Any, square: Any) -> Any:
    """Lambert's p and q to the terms that float64 needs."""
    p = g * _fused(_fused(21.0, square, 1260.0), square, 10395.0)
    return p, _fused(_fused(square + 210.0, square, 4725.0), square, 10395.0)


_P1, _P0, _Q1, _Q0 = np.float32(10), np.float32(105), np.float32(45), np.float32(105)


@nb.njit(**_QUIET)
def _fraction_32(g: Any, square: Any) -> Any:
    """The same to the terms that float32 needs."""
    return g * _fused(_P1, square, _P0), _fused(square + _Q1, square, _Q0)


def _make(dtype: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """tanh, and sine with cosine, of one dtype; their numbers are constants of the code."""
    double = dtype is np.float64
    number = float if double else dtype  # float32 with a Python float would become float64
    magic = number(1.5 * 2 ** (52 if double else 23))
    per_half_ln2 = number(2 / math.log(2))
    # ln(2) / 2 in two parts, of which n times the first is exact
    high = number(6.93147180369123816490e-01 / 2 if double else 0.693359375 / 2)
    low = number(1.90821492927058770002e-10 / 2 if double else -2.12194440054690583e-4 / 2)
    zero, one, two = number(0.0), number(1.0), number(2.0)
    top = number(20.0 if double else 10.0)  # beyond it tanh is 1
    fraction = _fraction_64 if double else _fraction_32

    @nb.njit(**_QUIET)
    def tanh(x: Any) -> Any:
        a = _absolute(x)
        a = top if a > top else a
        m = _fused(a, per_half_ln2, magic)
        n = m - magic
        s = _power_of_two(m)
        g = _fused(-n, low, _fused(-n, high, a))
        square = g * g
        p, q = fraction(g, square)
        near_one = n > two
        above = (p - q) + (p - q) if near_one else _fused(s + one, p, (s - one) * q)
        part = above / _fused(s + one, q, (s - one) * p)
        return _with_sign(part + (one if near_one else zero), x)

    pi_parts = [
        number(c)
        for c in (
            (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
            if double
            else (1.5703125, 4.837512969970703e-4, 7.549789948768648e-8)
        )
    ]
    pi_1, pi_2, pi_3 = pi_parts
    per_right_angle = number(2 / math.pi)
    terms = 9 if double else 6
    sines = [number((-1) ** k / math.factorial(2 * k + 1)) for k in range(1, terms - 1)]
    cosines = [number((-1) ** k / math.factorial(2 * k)) for k in range(1, terms)]
    sine_series, cosine_series = _series(sines), _series(cosines)

    @nb.njit(**_QUIET)
    def sincos(x: Any) -> Any:
        m = _fused(x, per_right_angle, magic)
        n = m - magic
        r = _fused(-n, pi_3, _fused(-n, pi_2, _fused(-n, pi_1, x)))
        square = r * r
        sine = _fused(sine_series(square) * square, r, r)
        cosine = _fused(cosine_series(square), square, one)
        return _quadrant(m, sine, cosine, True), _quadrant(m, cosine, sine, False)

    return tanh, sincos


def _series(coefficients: list[Any]) -> Callable[..., Any]:
    """A compiled polynomial, lowest coefficient first, by Horner's rule."""
    result = nb.njit(**_QUIET)(_constant(coefficients[-1]))
    for coefficient in reversed(coefficients[:-1]):
        result = nb.njit(**_QUIET)(_longer(result, coefficient))
    return result


def _constant(value: Any) -> Callable[..., Any]:
    return lambda square: value


def _longer(rest: Callable[..., Any], value: Any) -> Callable[..., Any]:
    return lambda square: _fused(rest(square), square, value)


_OF = {types.float64: _make(np.float64), types.float32: _make(np.float32)}


@overload(hyperbolic_tangent, jit_options=_QUIET)
def _tanh_of(x):  # numba compares this signature with the lambda's
    function = _OF[x][0]
    return lambda x: function(x)


@overload(sine_and_cosine, jit_options=_QUIET)
def _sine_and_cosine_of(x):  # numba compares this signature with the lambda's
    function = _OF[x][1]
    return lambda x: function(x)


@overload(exponential, jit_options=_QUIET)
def _exponential_of(x):  # numba compares this signature with the lambda's
    return lambda x: math.exp(x)


@overload(power, jit_options=_QUIET)
def _power_of(x, exponent):  # numba compares this signature with the lambda's
    return lambda x, exponent: x**exponent


@overload(square_root, jit_options=_QUIET)
def _square_root_of(x):  # numba compares this signature with the lambda's
    return lambda x: math.sqrt(x)


@overload(number, jit_options=_QUIET)
def _number_of(value, like):  # numba compares this signature with the lambda's
    return lambda value, like: type(like)(value)


@overload(chosen, jit_options=_QUIET)
def _chosen_of(x, above, otherwise):  # numba compares this signature with the lambda's
    return lambda x, above, otherwise: above if x > 0 else otherwise
