r"""Amended initialisation: a frozen rotation that puts the cone of one tower on that of the other before training.

Liang et al. close the gap at initialisation by the orthogonal matrix that carries the embeddings of one tower closest
to those of the other, applied after normalisation and never trained ([1]_, Sec. 4.4): a gap that is there afterwards
was made by training. Fahim et al. move the target along the gap first, so that a part of it is left ([2]_, their code).

References
----------
.. [1] W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053.
.. [2] A. Fahim, A. Murphy and A. Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
   2024, arXiv:2405.18570.
"""

import torch
from jaxtyping import Float
from torch import nn

from conetheory._scalars import number

from ._pair_blocks import working_pairs

__all__ = ["FrozenRotation", "amending_rotation"]


def amending_rotation(x: torch.Tensor, y: torch.Tensor, *, translation: float = 0.0) -> Float[torch.Tensor, "d d"]:
    r"""Orthogonal Q that carries the unit rows of `y` closest to those of `x`, or to those of `x` moved along the gap.

    .. math:: Q = \arg\min_{Q^\top Q = I}\|YQ - X'\|_F = UV^\top, \qquad Y^\top X' = U\Sigma V^\top, \qquad
              x_i' = x_i - \lambda\,(\bar x - \bar y)

    Parameters
    ----------
    x, y : Tensor, shape (n, d)
        Embeddings at initialisation; row i of both is pair i; rows are normalised here.
    translation : float
        λ, the part of the gap that the target is moved by; with 0 Q is that of [1]_ and of
        `conetheory.gap.procrustes_rotation`.

    Returns
    -------
    Tensor, shape (d, d)
        Float64. Apply as ``y @ Q``: norms stay, so that it may stand before or after normalisation. Not unique where
        YᵀX' is singular, as always for n < d; the residual is.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or a row is zero.

    Examples
    --------
    >>> amending_rotation(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.eye(2))
    tensor([[ 0.,  1.],
            [-1.,  0.]], dtype=torch.float64)
    """
    x, y = (_unit(name, rows) for name, rows in zip("xy", working_pairs(x, y), strict=True))
    target = x - number("translation", translation) * (x.mean(dim=0) - y.mean(dim=0))
    left, _, right = torch.linalg.svd(y.T @ target)
    return left @ right


def _unit(name: str, rows: torch.Tensor) -> Float[torch.Tensor, "n d"]:
    norms = torch.linalg.vector_norm(rows.double(), dim=1, keepdim=True)
    if not bool((norms > 0).all()):
        raise ValueError(f"`{name}` must have no zero row, got norm {norms.min():.3g} in row {int(norms.argmin())}.")
    return rows.detach().double() / norms


class FrozenRotation(nn.Module):
    """A linear map that is not trained: after normalisation, or before, of one tower.

    Parameters
    ----------
    rotation : Tensor, shape (d, d)
        Orthogonal, as `amending_rotation` returns it; kept in float32, in the ``state_dict``.

    Raises
    ------
    ValueError
        If `rotation` is not orthogonal to 1e-4.
    """

    rotation: torch.Tensor

    def __init__(self, rotation: torch.Tensor) -> None:
        super().__init__()
        size = rotation.shape[0]
        if rotation.shape != (size, size):
            raise ValueError(f"`rotation` must have shape (d, d), got {tuple(rotation.shape)}.")
        error = float((rotation.double().T @ rotation.double() - torch.eye(size, device=rotation.device)).abs().max())
        if not error < 1e-4:
            raise ValueError(f"`rotation` must be orthogonal, got an error of {error:.3g}.")
        self.register_buffer("rotation", rotation.detach().float())

    def forward(self, rows: Float[torch.Tensor, "n d"]) -> Float[torch.Tensor, "n d"]:
        """Return the rotated rows."""
        return rows @ self.rotation.to(rows.dtype)
