"""What a run minimises: embeddings to a loss, with its temperature, its bias and its modality swapping."""

import torch
from jaxtyping import Float
from torch import nn

from .config import LossConfig, TemperatureConfig
from .contrastive_loss import clip_loss
from .distributed import World, gather_rows
from .modality_swap import swap
from .sigmoid_loss import sigmoid_loss
from .temperature import make_temperature
from .uniformity_loss import regularised_loss

__all__ = ["Objective"]

Rows = Float[torch.Tensor, "n d"]


class Objective(nn.Module):
    """A loss of two modalities, with the parameters that it has itself.

    Attributes
    ----------
    temperature : Temperature
        Of the law that was asked for.
    bias : Parameter or None
        SigLIP's.
    """

    bias: nn.Parameter | None

    def __init__(self, loss: LossConfig, temperature: TemperatureConfig, *, steps: int, seed: int) -> None:
        super().__init__()
        self._loss, self._steps, self._seed = loss, steps, seed
        law = temperature
        self.temperature = make_temperature(law.law, law.start, s=law.s, clamp=law.clamp, cycles=law.cycles)
        self.register_parameter("bias", nn.Parameter(torch.tensor(loss.bias)) if loss.kind == "siglip" else None)

    def forward(self, x: Rows, y: Rows, step: int, processes: World) -> Float[torch.Tensor, ""]:
        """Return the loss of the global batch.

        Parameters
        ----------
        x, y : Tensor, shape (n, d)
            Embeddings of this process's pairs as the towers give them; they are normalised here, in float32.
        step : int
            Fixes what is swapped, together with the seed of the run: a step that is repeated swaps the same.
        processes : World
            Those that have the other pairs.
        """
        x, y = (nn.functional.normalize(rows.float(), dim=1) for rows in (x, y))
        loss, scale, chunk = self._loss, self.temperature.scale(step, self._steps), self._loss.chunk or None
        if loss.swap != "none":
            x, y = self._swapped(x, y, step, processes)
        if loss.kind == "siglip":
            return sigmoid_loss(x, y, scale, self.bias, chunk=chunk, processes=processes)  # type: ignore[arg-type]
        if loss.kind == "clip":
            return clip_loss(x, y, scale, direction=loss.direction, chunk=chunk, processes=processes)
        weights = {"uniformity": loss.uniformity, "alignment": loss.alignment, "cross": loss.cross}
        return regularised_loss(x, y, scale, **weights, chunk=chunk, processes=processes)

    def _swapped(self, x: Rows, y: Rows, step: int, processes: World) -> tuple[Rows, Rows]:
        """Swap in the global batch, so that the number of processes changes nothing."""
        generator = torch.Generator().manual_seed((self._seed * 1_000_003 + step) % (1 << 63))
        x, y = (gather_rows(rows, processes) for rows in (x, y))
        x, y = swap(x, y, self._loss.swap, self._loss.swap_fraction, generator)
        return processes.own(x), processes.own(y)
