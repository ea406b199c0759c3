"""Two inputs through deep networks: the reduced chain against drawn weights, and the computed law; with z-scores."""

import numpy as np
import pytest

from conetheory.angle_law import angle_law
from sims import angle_chain
from sims.angle_chain import AngleChains, sample_angle_chains, sample_chains_direct

WIDTH, DEPTH, THETA0 = 256, 32, 0.1  # the setting of Jakub and Nica
NETWORKS = {"ours": 1024, "plain": 16, "naive": 4, "law": 1}


def _z(chains: AngleChains) -> float:
    law, x = angle_law(THETA0, WIDTH, DEPTH), 2 * np.log(np.tan(chains.theta[:, -1] / 2))
    return float((x.mean() - law.mean) / np.sqrt(law.variance / x.size))


@pytest.mark.benchmark(group="two inputs through 32 layers of width 256, a network (or their law)")
@pytest.mark.parametrize("method", ["ours", "plain", "naive", "law"])
def test_angle_after_many_layers(benchmark, monkeypatch, method):
    if method == "plain":
        monkeypatch.setattr(angle_chain, "KERNELS", "plain")
    run = {
        "ours": lambda: sample_angle_chains(THETA0, WIDTH, DEPTH, NETWORKS["ours"], rng=0),
        "plain": lambda: sample_angle_chains(THETA0, WIDTH, DEPTH, NETWORKS["plain"], rng=0),
        "naive": lambda: sample_chains_direct(THETA0, WIDTH, DEPTH, NETWORKS["naive"], rng=0),
        "law": lambda: angle_law(THETA0, WIDTH, DEPTH),
    }[method]
    run()  # compiled, and the table of steps computed, before it is timed
    result = benchmark(run)
    benchmark.extra_info["work"] = NETWORKS[method]
    if isinstance(result, AngleChains):
        benchmark.extra_info["z"] = _z(result)
