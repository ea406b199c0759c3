"""What a proof costs: certificates in ball arithmetic, and the numbers they enclose against double precision."""

import numpy as np
import pytest
from scipy.optimize import root_scalar

from conetheory.contraction import limiting_cosine, sharp_threshold
from conetheory.proofs.certified import CERTIFICATES
from conetheory.proofs.certified_threshold import enclose_sharp_threshold


@pytest.mark.benchmark(group="certificates")
@pytest.mark.parametrize("name", [name for name in CERTIFICATES if "." not in name])
def test_certificate(benchmark, name):
    found = benchmark(CERTIFICATES[name])
    assert found.proven
    benchmark.extra_info |= {"subdivisions": found.subdivisions, "precision_bits": found.precision_bits}


@pytest.mark.benchmark(group="sharp threshold at norms 2 and 1")
@pytest.mark.parametrize("method", ["ours", "naive", "proven"])
def test_sharp_threshold(benchmark, method):
    exact = enclose_sharp_threshold(2, 1)

    def naive() -> float:
        return root_scalar(lambda c: float(limiting_cosine(c, 2.0, 1.0)) - c, bracket=(-1, 1), xtol=1e-15).root

    solve = {
        "proven": lambda: enclose_sharp_threshold(2, 1),
        "ours": lambda: sharp_threshold(2.0, 1.0),
        "naive": naive,
    }[method]
    found = benchmark(solve)
    benchmark.extra_info |= {"unit": "root", "error_of": "root; of `proven`, 32 digits, the width of the enclosure"}
    error = float(found.high - found.low) if method == "proven" else exact.distance(float(np.float64(found)))
    benchmark.extra_info["error"] = error
