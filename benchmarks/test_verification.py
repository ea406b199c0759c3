"""How long the main job takes: the aim is a minute for the quick level and ten for the full one, on two cores."""

import os

import pytest

from claims.verify import plan, run


@pytest.mark.parametrize("level", ["quick", "full"])
def test_verify_every_claim(benchmark, level):
    run_plan = plan(level=level)
    verdicts = benchmark.pedantic(lambda: list(run(run_plan)), rounds=1, iterations=1)
    benchmark.extra_info |= {
        "claims": len(verdicts),
        "cpus": os.cpu_count(),
        "as_expected": sum(v["as_expected"] for v in verdicts),
    }
    assert len(verdicts) == len(run_plan.ids)
