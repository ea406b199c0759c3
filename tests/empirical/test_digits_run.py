"""A CLIP trained end to end: the preset of digits, half a minute of a processor, and the curve of its gap."""

import json
import math

import pytest

torch = pytest.importorskip("torch", reason="training is torch's: pip install 'conetheory[empirical]'")
pytest.importorskip("transformers", reason="the towers are those of transformers: pip install 'conetheory[empirical]'")

from empirical.config import load_config  # noqa: E402
from empirical.train import train  # noqa: E402
from tests.empirical.small_runs import one_thread  # noqa: E402, F401


def test_digits_are_learnt_and_the_gap_is_followed(tmp_path):
    """Chance is ln n of n pairs; ln(n/10) is about the best, as captions of one digit of the ten hardly differ."""
    config = load_config("digits")
    train(config, tmp_path)
    found = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in found] == list(range(0, 301, 20))
    chance, floor = math.log(config.batch), math.log(config.batch / 10)
    assert floor - 0.3 < found[-1]["train_loss"] < (chance + floor) / 2
    held_out = math.log(config.data.held_out)
    assert found[0]["loss"] > held_out - 0.1
    assert found[-1]["loss"] < held_out - 0.5
    gaps = [line["gap_norm"] for line in found]
    assert all(0 < gap < 2 for gap in gaps)
    assert gaps[-1] < 0.8 * max(gaps)
