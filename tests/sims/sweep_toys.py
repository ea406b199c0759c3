"""Small sweeps of samplers with known laws, and of some that kill their process or dawdle; importable by workers."""

import os
import signal
import time
from pathlib import Path

from sims.moments import Moments
from sims.sweep import Sweep

__all__ = ["MEANS", "dawdling", "kills_always", "kills_first", "no_moments", "normal", "same", "toy"]

MEANS = {"mean": [0.0, 0.5, 2.0]}


def toy(name="normal", grid=MEANS, n_trials=1000, block_trials=100, seed=0):
    return Sweep(f"{__name__}:{name}", grid, n_trials=n_trials, block_trials=block_trials, seed=seed)


def same(table, other):
    """Say whether two tables are equal to the bit."""
    assert list(table) == list(other)
    for name in table:
        assert table[name].dtype == other[name].dtype
        assert table[name].tolist() == other[name].tolist()
    return True


def normal(rng, n, *, mean, sd=1.0):
    x = rng.normal(mean, sd, n)
    return {"x": Moments.of(x), "positive": Moments.of_count(int((x > 0).sum()), n)}


def dawdling(rng, n, *, mean, seconds):
    time.sleep(seconds)
    return normal(rng, n, mean=mean)


def _first(folder):
    """Say whether this is the first call that asks in `folder`, of all processes."""
    try:
        os.close(os.open(Path(folder) / "asked", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def kills_first(rng, n, *, mean, folder):
    if _first(folder):
        os.kill(os.getpid(), signal.SIGKILL)
    return normal(rng, n, mean=mean)


def kills_always(rng, n, *, mean):
    if mean == 2:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    return normal(rng, n, mean=mean)


def no_moments(rng, n, *, mean):
    return {"x": mean}
