"""Matrix products in tiles that fit a processor's vector registers.

Notation: C (M, N) = A (M, K) B (K, N). A tile is a few rows of C by a few vectors of columns; its
numbers stay in registers while k runs. B is packed in panels, each of a tile's columns, so that it
is read from one end to the other. Small products that follow each other find their data in cache
and start at once, which a library for large ones does not offer.

Addresses are in bytes, strides in numbers.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import numba as nb
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["VECTOR_BYTES", "panel_width", "product_address"]

_FEATURES = llvm.get_host_cpu_features()
VECTOR_BYTES = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx") else 16


def _tile(rows: int, vectors: int) -> Any:
    """``C (+)= A B`` for one tile, as a numba intrinsic.

    Its arguments: a number that tells the dtype; whether to add to C; address and two strides of A;
    address and stride of the panel of B; address and stride of C; K.
    """

    @intrinsic
    def kernel(
        typingctx: Any,
        like: Any,
        add: Any,
        a: Any,
        a_row: Any,
        a_k: Any,
        b: Any,
        b_k: Any,
        c: Any,
        c_row: Any,
        count: Any,
    ) -> Any:
        size = like.bitwidth // 8
        lanes = VECTOR_BYTES // size
        signature = types.void(like, types.boolean, *([types.intp] * 8))

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _, add, a, a_row, a_k, b, b_k, c, c_row, count = args
            number = ir.DoubleType() if size == 8 else ir.FloatType()
            vector = ir.VectorType(number, lanes)
            word, short = ir.IntType(64), ir.IntType(32)
            fused = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(vector, [vector] * 3),
                f"llvm.fmuladd.v{lanes}f{8 * size}",
            )
            a_row, a_k, b_k, c_row = (
                builder.mul(stride, ir.Constant(word, size)) for stride in (a_row, a_k, b_k, c_row)
            )
            no_vector = ir.Constant(vector, ir.Undefined)
            every_lane = ir.Constant(ir.VectorType(short, lanes), [0] * lanes)

            def at(address: Any, v: int) -> Any:
                offset = ir.Constant(word, v * VECTOR_BYTES)
                return builder.inttoptr(builder.add(address, offset), vector.as_pointer())

            c_rows, a_offsets = [c], [ir.Constant(word, 0)]
            for _ in range(1, rows):
                c_rows.append(builder.add(c_rows[-1], c_row))
                a_offsets.append(builder.add(a_offsets[-1], a_row))
            start = builder.block
            load, body, done = (
                builder.append_basic_block(f"tile.{name}") for name in ("load", "body", "done")
            )
            builder.cbranch(add, load, body)
            builder.position_at_end(load)
            before = [
                [builder.load(at(row, v), align=size) for v in range(vectors)] for row in c_rows
            ]
            builder.branch(body)
            builder.position_at_end(body)
            k, a_now, b_now = builder.phi(word), builder.phi(word), builder.phi(word)
            sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]
            panel = [builder.load(at(b_now, v), align=size) for v in range(vectors)]
            after = []
            for r in range(rows):
                place = builder.inttoptr(builder.add(a_now, a_offsets[r]), number.as_pointer())
                single = builder.insert_element(
                    no_vector, builder.load(place), ir.Constant(short, 0)
                )
                spread = builder.shuffle_vector(single, no_vector, every_lane)
                after.append(
                    [builder.call(fused, [spread, panel[v], sums[r][v]]) for v in range(vectors)]
                )
            k_next = builder.add(k, ir.Constant(word, 1))
            a_next, b_next = builder.add(a_now, a_k), builder.add(b_now, b_k)
            builder.cbranch(builder.icmp_signed("<", k_next, count), body, done)
            begins = ((k, ir.Constant(word, 0), k_next), (a_now, a, a_next), (b_now, b, b_next))
            for phi, first, following in begins:
                phi.add_incoming(first, start)
                phi.add_incoming(first, load)
                phi.add_incoming(following, body)
            zero = ir.Constant(vector, [0.0] * lanes)
            for r in range(rows):
                for v in range(vectors):
                    sums[r][v].add_incoming(zero, start)
                    sums[r][v].add_incoming(before[r][v], load)
                    sums[r][v].add_incoming(after[r][v], body)
            builder.position_at_end(done)
            for r in range(rows):
                for v in range(vectors):
                    builder.store(after[r][v], at(c_rows[r], v), align=size)
            return context.get_dummy_value()

        return signature, codegen

    return kernel


@intrinsic
def _size_of(typingctx: Any, like: Any) -> Any:
    """Bytes of a number."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(64), like.bitwidth // 8)

    return types.intp(like), codegen


def panel_width(left: int, lanes: int) -> int:
    """Return the columns of the next panel where `left` remain: of 3 vectors, 2 or 1."""
    vectors = (left + lanes - 1) // lanes
    if vectors >= 3 and vectors != 4:  # four are two and two
        return 3 * lanes
    return 2 * lanes if vectors >= 2 else lanes


_panel_width = nb.njit(nogil=True, error_model="numpy")(panel_width)


def _strip(rows: int, vectors: int) -> Any:
    """Tiles under one another, from row i on while they fit; returns the first row that is left."""
    tile = _tile(rows, vectors)

    @nb.njit(nogil=True, error_model="numpy")
    def run(
        like: Any, add: Any, a: Any, strides: Any, panel: Any, c: Any, count: Any, i: Any, end: Any
    ) -> Any:
        a_row, a_k, b_k, c_row = strides
        size = _size_of(like)
        while i + rows <= end:
            left, place = a + i * a_row * size, c + i * c_row * size
            tile(like, add, left, a_row, a_k, panel, b_k, place, c_row, count)
            i += rows
        return i

    return run


_strip_4x3, _strip_2x3, _strip_1x3 = _strip(4, 3), _strip(2, 3), _strip(1, 3)
_strip_4x2, _strip_1x2 = _strip(4, 2), _strip(1, 2)
_strip_8x1, _strip_1x1 = _strip(8, 1), _strip(1, 1)


def _product(
    like: Any,
    add: Any,
    a: Any,
    a_row: Any,
    a_k: Any,
    rows: Any,
    count: Any,
    b: Any,
    b_k: Any,
    panel_rows: Any,
    columns: Any,
    c: Any,
    c_row: Any,
) -> Any:
    """``C (+)= A B``; N is rounded up to whole vectors.

    B has rows `b_k` apart, or, where that is 0, lies in panels of `panel_rows` rows.
    """
    size = _size_of(like)
    lanes = VECTOR_BYTES // size
    j = 0
    while j < columns:
        width = _panel_width(columns - j, lanes)
        panel, step = b + j * size, b_k
        if b_k == 0:
            panel, step = b + j * panel_rows * size, width
        strides, place, i = (a_row, a_k, step, c_row), c + j * size, 0
        if width == 3 * lanes:
            i = _strip_4x3(like, add, a, strides, panel, place, count, i, rows)
            i = _strip_2x3(like, add, a, strides, panel, place, count, i, rows)
            _strip_1x3(like, add, a, strides, panel, place, count, i, rows)
        elif width == 2 * lanes:
            i = _strip_4x2(like, add, a, strides, panel, place, count, i, rows)
            _strip_1x2(like, add, a, strides, panel, place, count, i, rows)
        else:
            i = _strip_8x1(like, add, a, strides, panel, place, count, i, rows)
            _strip_1x1(like, add, a, strides, panel, place, count, i, rows)
        j += width


def product_address(dtype: Any) -> int:
    """Return the address of the compiled product of numpy dtype `dtype`, as C calls it."""
    return int(_compiled[dtype.itemsize].address)


_compiled = {
    kind.bitwidth // 8: nb.cfunc(
        types.void(kind, types.boolean, *([types.intp] * 11)),
        cache=True,
        nopython=True,
        error_model="numpy",
    )(_product)
    for kind in (types.float64, types.float32)
}
