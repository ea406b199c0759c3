"""How long the main job takes, on the wall clock: the aim is a minute for the quick level on two cores.

The full level, whose aim is ten minutes, is not run here: ``time conetheory verify --level full``.
"""

import os
import time

import pytest

from claims.verify import plan, run


@pytest.mark.benchmark(group="deciding every claim, quick level", timer=time.perf_counter)
def test_verify_every_claim(benchmark):
    run_plan = plan(level="quick")
    verdicts = benchmark.pedantic(lambda: list(run(run_plan)), rounds=1, iterations=1)
    benchmark.extra_info |= {
        "claims": len(verdicts),
        "cpus": os.cpu_count(),
        "as_expected": sum(v["as_expected"] for v in verdicts),
    }
    assert len(verdicts) == len(run_plan.ids)
