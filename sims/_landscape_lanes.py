"""Sums of exponentials of the cosines of shifted pairs, sixteen shifts at a time: float32, no branches.

A lane is a shift λ. With S, p, q, D of `conetheory.shift` and r = ln 2,

    x_ij = (c_ij(λ) - m(λ))/r = ((S_ij + Q_j) A_i + P_i) B_j - m/r,
    A_i = 1/a_i,  P_i = A_i (λ p_i - λ² D/2),  B_j = 1/(r b_j),  Q_j = -λ q_j - λ² D/2,

and each temperature needs the sums of 2^(β x_ij), β = 1/τ, over j ≠ i and over i ≠ j. Rows and columns share the
exponentials, as they share the level m; an inverse temperature that is the sum of two others needs a product instead.

All arrays are flat: sixteen lanes of one number lie together.
"""

import numpy as np
from numba import njit

from sims._lane_functions import power_of_two
from sims._simd import (
    LANES,
    as_floats,
    as_words,
    divide,
    floats,
    fma,
    load,
    maximum,
    minimum,
    select_less,
    shift_right,
    square_root,
    store,
    words,
)

__all__ = ["LANES", "LARGEST", "LEAST", "add_panel"]

_f = np.float32
LEAST, LARGEST = -125, 100
"""An exponential below 2^LEAST is taken for that; a sum above 2^LARGEST is not trusted."""

_ROWS = 4  # rows whose exponentials are added to a column at once
_STRIP = 16  # columns whose exponentials are kept at once: with the rows above and six temperatures, in L1
_TILE = 256  # columns whose sums stay in L2 while all rows of a panel pass
_STEP = _ROWS * LANES
_SLOT = _STRIP * _STEP
_ABSENT = _f(-3e38)  # x of what is no pair of two
_INVERSE_LN_2 = _f(1 / np.log(2))


@njit(cache=True)
def _fill_rows(p, shift, a, b):
    """Fill A_i and P_i of the rows with products `p`."""
    lam, one, half = load(shift, 0), load(shift, LANES), load(shift, 2 * LANES)
    for i in range(p.size):
        product = floats(p[i])
        inverse = divide(floats(_f(1)), square_root(one - (lam + lam) * product))
        store(a, i * LANES, inverse)
        store(b, i * LANES, fma(product, lam, floats(_f(0)) - half) * inverse)


@njit(cache=True)
def _fill_columns(q, shift, a, b):
    """Fill Q_j and B_j of the columns with products `q`."""
    lam, one, half = load(shift, 0), load(shift, LANES), load(shift, 2 * LANES)
    for j in range(q.size):
        product = floats(q[j])
        store(a, j * LANES, floats(_f(0)) - fma(product, lam, half))
        store(b, j * LANES, divide(floats(_INVERSE_LN_2), square_root(fma(lam + lam, product, one))))


@njit(cache=True)
def _fill_strip(products, i, j, count, row_a, row_p, column_q, column_b, level, own, out):
    """Fill `out` with x of `_ROWS` rows from `i` on and `count` columns from `j` on; row i is paired with `own` + i."""
    for r in range(_ROWS):
        if i + r < products.shape[0]:
            line = products[i + r]
            a, p = load(row_a, (i + r) * LANES), load(row_p, (i + r) * LANES)
            for k in range(count):
                x = floats(line[j + k]) + load(column_q, (j + k) * LANES)
                x = fma(fma(x, a, p), load(column_b, (j + k) * LANES), level)
                store(out, (k * _ROWS + r) * LANES, x)
            pair = own + i + r - j
            if 0 <= pair < count:
                store(out, (pair * _ROWS + r) * LANES, floats(_ABSENT))
        else:
            for k in range(count):
                store(out, (k * _ROWS + r) * LANES, floats(_ABSENT))


@njit(cache=True)
def _fill_exponentials(work, to, beta, size):
    """Write 2^(β x) to the slot `to` of `work`."""
    factor, low, high = floats(beta), floats(_f(LEAST) / beta), floats(_f(-LEAST) / beta)
    for k in range(0, size, LANES):
        store(work, to + k, power_of_two(minimum(maximum(load(work, k), low), high), factor))


@njit(cache=True)
def _fill_products(work, to, one, other, floor_one, floor_other, size):
    """Write the products of the slots `one` and `other`, each no less than its floor, to the slot `to`."""
    low, lower = floats(floor_one), floats(floor_other)
    for k in range(0, size, LANES):
        store(work, to + k, maximum(load(work, one + k), low) * maximum(load(work, other + k), lower))


@njit(cache=True)
def _add_sums(work, slot, size, row_sums, row, column_sums, column):
    """Add the numbers of a slot to the sums of their `_ROWS` rows and of their columns."""
    s0, s1 = load(row_sums, row), load(row_sums, row + LANES)
    s2, s3 = load(row_sums, row + 2 * LANES), load(row_sums, row + 3 * LANES)
    for k in range(slot, slot + size, _STEP):
        w0, w1 = load(work, k), load(work, k + LANES)
        w2, w3 = load(work, k + 2 * LANES), load(work, k + 3 * LANES)
        s0, s1, s2, s3 = s0 + w0, s1 + w1, s2 + w2, s3 + w3
        store(column_sums, column, load(column_sums, column) + ((w0 + w1) + (w2 + w3)))
        column += LANES
    store(row_sums, row, s0)
    store(row_sums, row + LANES, s1)
    store(row_sums, row + 2 * LANES, s2)
    store(row_sums, row + 3 * LANES, s3)


@njit(cache=True)
def _fill_losses(sums, width, first, n, own, betas, cost, mantissa, exponent, bad):
    """Multiply 1 + 2^(-β x_ii) Σ into `mantissa` 2^`exponent` for `n` rows; one that is not trusted is marked instead.

    `sums` are those of `width` rows a temperature, in flat order; `own` is x_ii, from the row `first` on. `cost` times
    2^(-β x_ii) is how far the exponentials at their least may lead astray, in units of what is allowed.
    """
    zero, one, most, top = floats(_f(0)), floats(_f(1)), floats(_f(2.0**LARGEST)), floats(_f(2.0 ** (-LEAST - 1)))
    ratios = np.empty(betas.size * LANES, dtype=np.float32)
    wrong = np.empty(LANES, dtype=np.float32)
    for i in range(n):
        x = zero - load(own, (first + i) * LANES)
        worst = zero
        for t in range(betas.size):
            low, high = floats(_f(LEAST) / betas[t]), floats(_f(-LEAST) / betas[t])
            inverse = power_of_two(minimum(maximum(x, low), high), floats(betas[t]))
            total = load(sums, (t * width + i) * LANES)
            ratio = total * inverse
            store(ratios, t * LANES, ratio)
            fits = select_less(as_words(total), as_words(most), zero, one)
            fits = maximum(fits, select_less(as_words(ratio), as_words(most), zero, one))
            fits = maximum(fits, select_less(as_words(inverse), as_words(top), zero, one))
            fits = maximum(fits, select_less(as_words(inverse * floats(cost)), as_words(one + ratio), zero, one))
            worst = maximum(worst, fits)
        store(wrong, 0, worst)
        found = False
        for k in range(LANES):
            found = found or wrong[k] > 0
        bad[i] = found
        if not found:
            for t in range(0, betas.size * LANES, LANES):
                bits = as_words(load(mantissa, t) * (one + load(ratios, t)))
                store(exponent, t, load(exponent, t) + shift_right(bits, 23))
                store(mantissa, t, as_floats((bits & words(0x7FFFFF)) | words(0x3F800000)))


@njit(nogil=True, error_model="numpy", cache=True)
def add_panel(products, first, p, q, shift, plan, betas, floors, cost, columns, column_sums, mantissa, exponent, bad):
    """Add the losses of some rows of one batch, or of some whole batches, to those of sixteen shifts.

    Parameters
    ----------
    products : float32, shape (batches, rows, columns)
        S, from the row `first` of each batch on; more than one batch only where they are whole.
    p, q : float32, shape (batches * columns,)
        Of all pairs of these batches.
    shift : float32, shape (64,)
        λ, 1 + λ²D, λ²D/2 and -m/ln 2.
    plan : int64, shape (T, 2)
        The two temperatures whose exponentials are multiplied, or -1 twice.
    betas, floors : float32, shape (T,), (T, 2)
        Inverse temperatures; least factors of the products.
    cost : float
        See `_fill_losses`.
    columns, column_sums : float32, shape (3, columns * 16), (T * columns * 16,)
        Q, B and x_jj of the columns and the sums so far: kept from one panel of a batch to the next.
    mantissa, exponent : float32 and uint32, shape (2, T * 16)
        Product of 1 + ratio over all rows so far, and over all columns.
    bad : uint8, shape (2, batches * columns)
        Which rows and columns were left out.
    """
    n_rows, n_columns, n_betas = products.shape[1], products.shape[2], betas.size
    padded = (n_rows + _ROWS - 1) // _ROWS * _ROWS
    row_a, row_p = np.empty(n_rows * LANES, dtype=np.float32), np.empty(n_rows * LANES, dtype=np.float32)
    column_q, column_b, own = columns[0], columns[1], columns[2]
    row_sums = np.empty(n_betas * padded * LANES, dtype=np.float32)
    work = np.empty((n_betas + 1) * _SLOT, dtype=np.float32)
    level = load(shift, 3 * LANES)
    for s in range(products.shape[0]):
        start, batch = s * n_columns, products[s]
        _fill_rows(p[start + first : start + first + n_rows], shift, row_a, row_p)
        if first == 0:
            _fill_columns(q[start : start + n_columns], shift, column_q, column_b)
            column_sums[:] = 0
        for i in range(n_rows):
            j = (first + i) * LANES
            x = floats(products[s, i, first + i]) + load(column_q, j)
            x = fma(x, load(row_a, i * LANES), load(row_p, i * LANES))
            store(own, j, fma(x, load(column_b, j), level))
        row_sums[:] = 0
        for tile in range(0, n_columns, _TILE):
            for i in range(0, n_rows, _ROWS):
                for j in range(tile, min(tile + _TILE, n_columns), _STRIP):
                    count = min(_STRIP, n_columns - j)
                    _fill_strip(batch, i, j, count, row_a, row_p, column_q, column_b, level, first, work)
                    for t in range(n_betas):
                        row, column = (t * padded + i) * LANES, (t * n_columns + j) * LANES
                        slot, size = (t + 1) * _SLOT, count * _STEP
                        if plan[t, 0] < 0:
                            _fill_exponentials(work, slot, betas[t], size)
                        else:
                            one, other = (plan[t, 0] + 1) * _SLOT, (plan[t, 1] + 1) * _SLOT
                            _fill_products(work, slot, one, other, floors[t, 0], floors[t, 1], size)
                        _add_sums(work, slot, size, row_sums, row, column_sums, column)
        at = start + first
        _fill_losses(
            row_sums, padded, first, n_rows, own, betas, cost, mantissa[0], exponent[0], bad[0, at : at + n_rows]
        )
        if first + n_rows == n_columns:
            end = start + n_columns
            _fill_losses(
                column_sums,
                n_columns,
                0,
                n_columns,
                own,
                betas,
                cost,
                mantissa[1],
                exponent[1],
                bad[1, start:end],
            )
