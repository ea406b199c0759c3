"""What ``conetheory bench`` measures, in its order."""

from claims.bench import closed_forms, landscapes, layers, networks
from claims.bench.job import Job

__all__ = ["JOBS"]

JOBS: tuple[Job, ...] = (
    layers.ONE_LAYER,
    layers.CHAIN,
    networks.NORMALS,
    networks.WIDE_NETWORK,
    networks.FIGURE_2B,
    closed_forms.RARE_FAILURE,
    landscapes.BATCHED,
    landscapes.FULL,
    closed_forms.DUAL,
    closed_forms.TANH,
    closed_forms.FAILURE,
)
