"""What a sweep costs beside its trials: two hundred blocks that take no time, handed out, taken back and stored."""

from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from benchmarks.sweep_overheads import Inline, dask_cluster, empty_sweep
from sims._sweep_pool import LocalPool
from sims._sweep_tasks import run_block
from sims.sweep import run_sweep
from sims.sweep_executors import DaskExecutor

BLOCKS = 200


def one_file_a_block(pool: ProcessPoolExecutor, folder: Path) -> int:
    """All tasks at once, and a file for each: what one writes first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    sweep = empty_sweep(BLOCKS)
    futures = [pool.submit(run_block, sweep.sampler, 0, sweep.points[0], block, 1) for block in range(BLOCKS)]
    for block, future in enumerate(futures):
        rows = [dict(zip(("quantity", "n", "total", "spread"), row, strict=True)) for row in future.result().rows]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{block}.parquet")
    return len(list(folder.iterdir()))


@pytest.mark.benchmark(group="two hundred empty blocks of a sweep")
@pytest.mark.parametrize("method", ["ours", "plain", "peer-dask", "naive"])
def test_empty_blocks(benchmark, method, tmp_path):
    """`ours` on one local process, `plain` without any, `peer-dask` on a cluster of one worker."""
    folders = (tmp_path / f"{i}" for i in count())
    where: Any = nullcontext(Inline())
    if method == "peer-dask":
        pytest.importorskip("distributed")
        where = dask_cluster(tmp_path, n_workers=1)
    elif method == "ours":
        where = LocalPool(1)
    elif method == "naive":
        where = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with where as opened:
        executor = DaskExecutor(opened) if method == "peer-dask" else opened

        def run() -> int:
            if method == "naive":
                return one_file_a_block(executor, next(folders))
            return run_sweep(empty_sweep(BLOCKS), next(folders), executor=executor).blocks_run

        assert run() == BLOCKS  # started and imported before it is timed
        benchmark.pedantic(run, rounds=7)
    benchmark.extra_info["work"] = BLOCKS
