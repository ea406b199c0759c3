r"""Modality swapping of Yaras et al.: in a random part of the steps the two modalities exchange entries or rows.

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909.
"""

import torch
from jaxtyping import Float

from conetheory._arrays import as_choice
from conetheory._scalars import number

from ._pair_blocks import working_pairs

__all__ = ["KINDS", "swap"]

KINDS = ("hard", "soft", "row")

Rows = Float[torch.Tensor, "n d"]


def swap(x: torch.Tensor, y: torch.Tensor, kind: str, p: float, generator: torch.Generator) -> tuple[Rows, Rows]:
    r"""Swap parts of two modalities, in this step with probability `p`.

    .. math:: x_{ij}' = (1-\lambda_{ij})\,x_{ij} + \lambda_{ij}\,y_{ij}, \qquad
              y_{ij}' = \lambda_{ij}\,x_{ij} + (1-\lambda_{ij})\,y_{ij}

    Parameters
    ----------
    x, y : Tensor, shape (n, d)
        Row i of both is pair i.
    kind : {"hard", "soft", "row"}
        Law of :math:`\lambda_{ij}`: 0 or 1 with equal chance; uniform on [0, 1]; 0 or 1, the same in a row.
    p : float
        Part of the steps in which anything is swapped, in [0, 1]; .001 to 1 for ``hard`` in [1]_.
    generator : Generator
        Where the numbers come from, on any device: two generators of the same state give the same swap.

    Returns
    -------
    tuple of two Tensors, shape (n, d)
        Differentiable; of each pair the sum x + y stays. The rows are not normalised again.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> x, y = swap(torch.zeros(1, 3), torch.ones(1, 3), "row", 1.0, torch.Generator().manual_seed(1))
    >>> print((x + y).tolist())
    [[1.0, 1.0, 1.0]]
    """
    as_choice("kind", kind, KINDS)
    if not 0 <= number("p", p) <= 1:
        raise ValueError(f"`p` must lie in [0, 1], got {p!r}.")
    working_pairs(x, y)
    if torch.rand((), generator=generator, device=generator.device) >= p:
        return x, y
    shape = (len(x), 1) if kind == "row" else tuple(x.shape)
    part = torch.rand(shape, generator=generator, device=generator.device).to(x.device)
    if kind == "soft":
        part = part.to(x.dtype)
        return torch.lerp(x, y, part), torch.lerp(y, x, part)
    return torch.where(part < 0.5, y, x), torch.where(part < 0.5, x, y)
