import numpy as np
import pytest

from sims._streams import BLOCK, block_streams, map_blocks


def draws(streams):
    return [stream.random() for stream in streams]


def test_streams_repeat_and_differ():
    first = draws(block_streams(3, 50))
    assert first == draws(block_streams(3, 50))
    assert len(set(first)) == 50
    assert set(first).isdisjoint(draws(block_streams(4, 50)))


def test_streams_do_not_depend_on_how_many_are_asked_for():
    assert draws(block_streams(3, 5)) == draws(block_streams(3, 50))[:5]


def test_streams_do_not_depend_on_the_order_of_use():
    assert draws(block_streams(3, 5)[::-1]) == draws(block_streams(3, 5))[::-1]


def test_one_generator_gives_new_streams_at_each_call():
    rng = np.random.default_rng(3)
    assert set(draws(block_streams(rng, 5))).isdisjoint(draws(block_streams(rng, 5)))


@pytest.mark.parametrize("n", [1, BLOCK - 1, BLOCK, BLOCK + 1, 12_345])
@pytest.mark.parametrize("block", [1, 64, BLOCK])
def test_blocks_cover_each_trial_once(n, block):
    covered = np.concatenate(map_blocks(lambda _, trials: np.arange(n)[trials], n, rng=0, block=block))
    assert np.array_equal(covered, np.arange(n))


def kernel(stream, trials):
    return stream.random(trials.stop - trials.start).tolist()


def test_result_does_not_depend_on_the_number_of_workers():
    assert map_blocks(kernel, 10_000, rng=5) == map_blocks(kernel, 10_000, rng=5, workers=4)


def test_more_trials_begin_with_the_same_ones():
    few, many = (np.concatenate(map_blocks(kernel, n, rng=5)) for n in (3000, 10_000))
    assert np.array_equal(few, many[:3000])
