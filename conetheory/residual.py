r"""Residual blocks at infinite width: two points in the stream of a tower, and how slowly a cone closes there.

A block adds to the stream x what a branch f makes of it, before or after a normalisation:

.. math:: x' = x + f(\mathrm{norm}(x)) \quad \text{(pre-norm)}, \qquad x' = \mathrm{norm}(x + f(x)) \quad
          \text{(post-norm)}

The last weights of the branch are independent of x and centred, so centred parts add as orthogonal vectors and means
add as numbers (``docs/theory.md``, 9.4). A branch is any function from `PairState` to `PairState`, such as `mlp`.

References
----------
.. [1] G. Yang and S. S. Schoenholz, "Mean Field Residual Networks: On the Edge of Chaos", NIPS 2017, arXiv:1712.08969.
.. [2] R. Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020, arXiv:2002.04745.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from conetheory._arrays import as_choice, as_count
from conetheory.dual import Activation
from conetheory.normalisation import PairState, activate, dense, layer_norm, sum_complement

__all__ = ["add", "branch_slope", "mlp", "post_norm_block", "pre_norm_block", "residual_curve"]

Layer = Callable[[PairState], PairState]

_NEAR, _NEARER = 1e-14, 1e-18  # the complements at which a slope at 0 is read off


def add(stream: PairState, branch: PairState) -> PairState:
    r"""Sum of a stream and of a branch whose last weights are centred and independent of the stream.

    .. math:: s' = s + s_f, \qquad m' = m + m_f, \qquad
              \sqrt{s'_u s'_v}\,\rho' = \sqrt{s_u s_v}\,\rho + \sqrt{s_{f,u} s_{f,v}}\,\rho_f

    Parameters
    ----------
    stream, branch : PairState
        The two summands.

    Returns
    -------
    PairState
        The sum; relative error of the complement a few eps, as `conetheory.normalisation.sum_complement`.

    Notes
    -----
    Source: [1]_ without means; ``docs/theory.md``, 9.4.

    Examples
    --------
    >>> same, apart = PairState(var_u=1, var_v=1, complement=0), PairState(var_u=1, var_v=1, complement=1)
    >>> float(add(same, apart).complement)
    0.5
    """
    return PairState(
        var_u=np.add(stream.var_u, branch.var_u),
        var_v=np.add(stream.var_v, branch.var_v),
        complement=sum_complement(
            (stream.var_u, stream.var_v, stream.complement), (branch.var_u, branch.var_v, branch.complement)
        ),
        mean_u=np.add(stream.mean_u, branch.mean_u),
        mean_v=np.add(stream.mean_v, branch.mean_v),
    )


def mlp(
    state: PairState,
    activation: str | Callable | Activation,
    *,
    sigma_w2: float = 1.0,
    sigma_b2: float = 0.0,
    readout_w2: float = 1.0,
    readout_b2: float = 0.0,
) -> PairState:
    r"""Multilayer perceptron :math:`x \mapsto W_2\,\phi(W_1 x + b_1) + b_2`, as in a transformer's block.

    Parameters
    ----------
    state : PairState
        Before.
    activation : str, callable or Activation
        As in `conetheory.dual.dual_activation`.
    sigma_w2, sigma_b2 : float
        Of the first layer: weight variance times its inputs, bias variance per unit.
    readout_w2, readout_b2 : float
        Of the second.

    Returns
    -------
    PairState
        After; of means 0.

    Raises
    ------
    ValueError, TypeError, ConvergenceError
        As `conetheory.normalisation.dense` and `conetheory.normalisation.activate`.

    Examples
    --------
    >>> round(float(mlp(PairState(var_u=1.0, var_v=1.0, complement=1.0), "relu").cosine * np.pi), 12)
    1.0
    """
    hidden = activate(dense(state, sigma_w2=sigma_w2, sigma_b2=sigma_b2), activation)
    return dense(hidden, sigma_w2=readout_w2, sigma_b2=readout_b2)


def pre_norm_block(state: PairState, branch: Layer, *, norm: Layer = layer_norm) -> PairState:
    r"""Block :math:`x + f(\mathrm{norm}(x))`.

    Parameters
    ----------
    state : PairState
        Before.
    branch, norm : callable
        f and the normalisation, from `PairState` to `PairState`.

    Returns
    -------
    PairState
        After.

    Notes
    -----
    With n blocks before it, the stream is about n times as large as the branch, so that the block turns it by 1/n of
    what the branch would: `residual_curve`. Source: [2]_ for the block.

    Examples
    --------
    >>> start = PairState(var_u=1.0, var_v=1.0, complement=1.0)
    >>> pre_norm_block(start, lambda state: mlp(state, "relu")).cosine.round(6)
    np.float64(0.106103)
    """
    return add(state, branch(norm(state)))


def post_norm_block(state: PairState, branch: Layer, *, norm: Layer = layer_norm) -> PairState:
    r"""Block :math:`\mathrm{norm}(x + f(x))`.

    Parameters
    ----------
    state, branch, norm
        As in `pre_norm_block`.

    Returns
    -------
    PairState
        After.

    Examples
    --------
    >>> start = PairState(var_u=1.0, var_v=1.0, complement=1.0)
    >>> float(post_norm_block(start, lambda state: mlp(state, "relu")).var_u)
    1.0
    """
    return norm(add(state, branch(state)))


def residual_curve(
    state: PairState, branch: Layer, depth: int, *, placement: str = "pre", norm: Layer = layer_norm
) -> Float[np.ndarray, " blocks ..."]:
    r"""1 - cosine of two points after each of `depth` residual blocks.

    Parameters
    ----------
    state : PairState
        The input.
    branch, norm : callable
        As in `pre_norm_block`.
    depth : int
        Number of blocks, at least 0.
    placement : {"pre", "post"}
        `pre_norm_block` or `post_norm_block`.

    Returns
    -------
    ndarray, shape (depth + 1, ...)
        Complements of the cosine, index 0 the input.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, besides what `branch` and `norm` raise.

    Notes
    -----
    Let :math:`\chi` be the slope of the branch (`branch_slope`), r its mean square after a normalised input. Pre-norm:
    :math:`1 - \rho_l \sim C l^{-(1 - \chi)}` if :math:`\chi < 1`, and :math:`9\pi^2 / (2 \ln^2 l)` for ReLU without
    biases, where :math:`\chi = 1`. Post-norm: :math:`1 - \rho_l \sim C\,((1 + r\chi)/(1 + r))^l`, and
    :math:`9\pi^2(1 + r)^2/(2 r^2 l^2)`. Source: ours, ``docs/theory.md``, 9.5 and 9.6.

    Examples
    --------
    >>> start = PairState(var_u=1.0, var_v=1.0, complement=1.0)
    >>> residual_curve(start, lambda state: mlp(state, "relu", sigma_w2=2.0), 3).round(4)
    array([1.    , 0.8408, 0.7599, 0.708 ])
    """
    as_choice("placement", placement, ("pre", "post"))
    block = pre_norm_block if placement == "pre" else post_norm_block
    curve = [state.cosine_complement]
    for _ in range(as_count("depth", depth, minimum=0)):
        state = block(state, branch, norm=norm)
        curve.append(state.cosine_complement)
    return np.array(curve)


def branch_slope(branch: Layer) -> float:
    r"""Slope :math:`\chi` at cosine 1 of the cosine after a branch, for normalised inputs.

    Parameters
    ----------
    branch : callable
        From `PairState` to `PairState`.

    Returns
    -------
    float
        :math:`\lim_{\epsilon \to 0} (1 - \rho_f)/\epsilon`, read off at :math:`\epsilon = 10^{-14}`: to about 1e-6.
        Infinite where the ratio grows by more than 1 % from there to :math:`10^{-18}`, as behind an activation that
        jumps.

    Notes
    -----
    For `mlp` with ReLU it is :math:`\sigma_w^2/(\sigma_w^2 + \sigma_b^2)` times the share of the second weights in the
    mean square of the output. Source: ours, ``docs/theory.md``, 9.5.

    Examples
    --------
    >>> round(branch_slope(lambda state: mlp(state, "relu", sigma_b2=1.0)), 6)
    0.5
    >>> branch_slope(lambda state: mlp(state, "step"))
    inf
    """
    slope, nearer = (
        float(branch(PairState(var_u=1.0, var_v=1.0, complement=eps)).cosine_complement) / eps
        for eps in (_NEAR, _NEARER)
    )
    return math.inf if nearer > 1.01 * slope else slope
