"""Kernels and closed forms: the routes of each job measured in turn, those of peers where they are installed."""

from functools import cache

import pytest

from benchmarks import closed_forms, pair_forms
from benchmarks.peers.client import MISSING, with_neural_tangents
from benchmarks.replay import REPLAYED, replay_row
from claims.bench import layers
from claims.bench.closed_forms import DUAL, TANH
from claims.bench.job import Job, Row, measure
from claims.bench.jobs import JOBS as SHORT

_ELSEWHERE = (DUAL, TANH)  # with more rows in test_duals
JOBS = {job.name: job for job in (*SHORT, *closed_forms.JOBS, *pair_forms.JOBS) if job not in _ELSEWHERE}
JOBS[layers.ONE_LAYER.name] = with_neural_tangents(layers.ONE_LAYER)


@cache
def rows_of(job: Job) -> dict[str, Row]:
    return {row.method: row for row in measure(job)}


@REPLAYED
@pytest.mark.parametrize(("job", "method"), [(name, method) for name, job in JOBS.items() for method in job.methods])
def test_job(benchmark, job, method):
    rows = rows_of(JOBS[job])
    if method not in rows:
        pytest.skip(MISSING)
    replay_row(benchmark, rows[method])
