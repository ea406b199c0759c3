r"""The temperature of a run: fixed, trained under one of four laws, or on one of the schedules of Yaras et al.

============  ==========================================  ==================================================
name          logit scale :math:`\beta = 1/\tau`          parameter
============  ==========================================  ==================================================
fixed         :math:`1/\tau_0`                            none
exp           :math:`e^\nu`, CLIP's                       trained
exp_scaled    :math:`e^{\nu/s}`                           trained
softplus      :math:`\ln(1 + e^\nu)`                      trained
linear        :math:`\nu`                                 trained
S0 ... S3     :math:`\tau` straight from :math:`\tau_0`   none
              to 2, 3, 4, 5 times it
A0, A1        :math:`\tau` up to 2, 4 times               none
              :math:`\tau_0` and back, along a cosine
============  ==========================================  ==================================================

In the paper [1]_ :math:`\tau_0` of the schedules is 0.01; it gives no number of cycles. Formulas and inverses of the
trained laws are those of `conetheory.temperature_laws`.

References
----------
.. [1] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909.
"""

import math

import torch
from jaxtyping import Float
from torch import nn

from conetheory._arrays import as_choice, as_count
from conetheory._scalars import positive_number
from conetheory.temperature_laws import ExponentialLaw, LearnableLaw, exponential_law, linear_law, softplus_law

__all__ = ["LAWS", "Temperature", "make_temperature"]

TRAINED = ("exp", "exp_scaled", "softplus", "linear")
RISES = {"S0": 2.0, "S1": 3.0, "S2": 4.0, "S3": 5.0}  # last temperature over the first
SWINGS = {"A0": 2.0, "A1": 4.0}  # highest temperature over the lowest
LAWS = ("fixed", *TRAINED, *RISES, *SWINGS)
LEAST = 1e-2  # logit scale: at τ = 100 a batch looks uniform, and below 0, which the linear law could reach, reversed


class Temperature(nn.Module):
    r"""A temperature, as built by `make_temperature`; its ``state_dict`` is all that a checkpoint needs.

    Attributes
    ----------
    law : str
        One of `LAWS`.
    start : float
        Temperature at the start, :math:`\tau_0`.
    clamp : float
        Greatest logit scale of a trained law.
    parameter : Parameter or None
        :math:`\nu`, float32, where the law is trained.
    """

    parameter: nn.Parameter | None
    _like: torch.Tensor

    def __init__(self, law: str, start: float, *, s: float, clamp: float, cycles: int) -> None:
        super().__init__()
        self.law, self.start, self.clamp, self.cycles = law, start, clamp, cycles
        found = _trained_law(law, s) if law in TRAINED else None
        self._s = found.scale if isinstance(found, ExponentialLaw) else 1.0
        nu = None if found is None else nn.Parameter(torch.tensor(float(found.nu(1.0 / start))))
        self.register_parameter("parameter", nu)
        self._bounds = (-math.inf, math.inf) if found is None else (float(found.nu(LEAST)), float(found.nu(clamp)))
        self.register_buffer("_like", torch.zeros(()), persistent=False)  # moves with the module, for its device

    def scale(self, step: int, total: int) -> Float[torch.Tensor, ""]:
        r"""Return the logit scale β at a step, differentiable by the parameter.

        Parameters
        ----------
        step : int
            From 0 to `total`; the schedules depend on their ratio alone.
        total : int
            Steps of the run, at least 1.

        Returns
        -------
        Tensor
            :math:`1/\tau`, on the device of the module.

        Raises
        ------
        ValueError, TypeError
            If a step is out of range.
        """
        total = as_count("total", total)
        if not 0 <= step <= total:
            raise ValueError(f"`step` must lie in 0 ... {total}, got {step}.")
        if self.parameter is None:
            return torch.full_like(self._like, 1.0 / self._scheduled(step / total))
        if self.law == "softplus":
            return nn.functional.softplus(self.parameter, threshold=40.0)  # beyond, the parameter itself in any type
        return self.parameter.clone() if self.law == "linear" else (self.parameter / self._s).exp()

    @torch.no_grad()
    def project_(self) -> None:
        """Bring a trained parameter back to where β is at most `clamp`, and at least 0.01: after each optimiser step.

        A projection, as in CLIP, and not a clamp of β itself, whose gradient would vanish beyond it.
        """
        if self.parameter is not None:
            self.parameter.clamp_(*self._bounds)

    def extra_repr(self) -> str:
        """Return what ``print`` shows."""
        return f"{self.law}, start={self.start}"

    def _scheduled(self, part: float) -> float:
        if self.law in RISES:
            return self.start * (1.0 + (RISES[self.law] - 1.0) * part)
        if self.law in SWINGS:
            return self.start * (1.0 + (SWINGS[self.law] - 1.0) * math.sin(math.pi * self.cycles * part) ** 2)
        return self.start


def make_temperature(
    law: str, temperature: float, *, s: float = 2.0, clamp: float = 100.0, cycles: int = 1
) -> Temperature:
    r"""Build the temperature of a run.

    Parameters
    ----------
    law : str
        One of `LAWS`; see the table of this module.
    temperature : float
        :math:`\tau_0`, positive: at the start, fixed, or least of a schedule.
    s : float
        Of ``exp_scaled``; 2 and 10 in [1]_.
    clamp : float
        Greatest logit scale of a trained law; the start may not be beyond it.
    cycles : int
        Times that A0 and A1 rise and fall in a run.

    Returns
    -------
    Temperature
        A module.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range.

    Examples
    --------
    >>> print(round(make_temperature("softplus", 0.25).scale(0, 1).item(), 6))
    4.0
    >>> [round(1 / make_temperature("S1", 0.01).scale(step, 100).item(), 6) for step in (0, 50, 100)]
    [0.01, 0.02, 0.03]
    """
    as_choice("law", law, LAWS)
    temperature, clamp, s = (
        positive_number(*pair) for pair in (("temperature", temperature), ("clamp", clamp), ("s", s))
    )
    if law in TRAINED and not LEAST <= 1.0 / temperature <= clamp:
        raise ValueError(f"`temperature` must have its reciprocal in [{LEAST}, {clamp}], got {temperature}.")
    return Temperature(law, temperature, s=s, clamp=clamp, cycles=as_count("cycles", cycles))


def _trained_law(law: str, s: float) -> LearnableLaw:
    laws: dict[str, LearnableLaw] = {
        "exp": exponential_law(),
        "exp_scaled": exponential_law(s),
        "softplus": softplus_law(),
        "linear": linear_law(),
    }
    return laws[law]
