"""`conetheory shift` and `conetheory simulate shift`, and the claims and the figure that go with them."""

import json

import numpy as np
import pytest
import typer
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from claims.cli_shift import shift as simulate
from claims.figures.landscapes import LANDSCAPE_SCALES, plot_landscape
from claims.liang.published_landscape import PUBLISHED, PUBLISHED_SCALES, REFERENCE, published_lambda
from conetheory.gap import center, gap_norm
from conetheory.shift import critical_temperature
from conetheory.shift_limit import batch_loss, shift_limit, shift_scale
from conetheory.shift_temperature import best_shift_temperatures, best_temperature
from sims.shift_bootstrap import bootstrap_critical_temperature
from sims.shift_clouds import sample_parallel_clouds, simulate_shift
from tests.claims.synthetic import cell, verdict


@pytest.fixture
def pairs(tmp_path):
    """A hundred pairs of parallel clouds."""
    found = sample_parallel_clouds(16, 0.5, 0.4, 50, rng=0)
    np.save(tmp_path / "pairs.npy", np.stack([found.x, found.y]))
    return tmp_path / "pairs.npy"


def test_shift_says_all_it_can(conetheory, pairs):
    words = ("shift", pairs, "--batch", 20, "--points", 7, "--best-temperature", "--centring", "--bootstrap", 400)
    done = conetheory(*words, "--temperature", "1/20", "--seed", 3, "--json")
    assert (done.code, done.err) == (0, "")
    landscape, best, centring, critical = map(json.loads, done.out.splitlines())
    x, y = np.load(pairs)
    curve = best_shift_temperatures(x, y, landscape["lambda"], batch=20)
    assert_allclose(best["best_temperature"]["temperature"], curve.temperatures, rtol=1e-12)
    assert_allclose(best["best_temperature"]["loss"], curve.loss, rtol=1e-12)
    assert best["best"]["loss"] == min(best["best_temperature"]["loss"])
    moved = center(x, y)
    assert_allclose(centring["centring"]["centred"]["gap"], gap_norm(moved.x, moved.y), atol=1e-12)
    assert_allclose(centring["centring"]["unmoved"]["best_loss"], best_temperature(x, y, batch=20).loss, rtol=1e-9)
    found = bootstrap_critical_temperature(x, y, batch=20, n_bootstrap=400, rng=3)
    assert critical["critical_temperature"]["value"] == found.value
    assert critical["critical_temperature"]["interval_95"] == [found.interval().low, found.interval().high]
    assert_allclose(critical["critical_temperature"]["in_file_order"], critical_temperature(x, y, batch=20), rtol=1e-12)
    assert len(conetheory(*words).out.splitlines()) == 5


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--temperature", 0.001), "--temperature"),
        (("--temperature", "nan"), "--temperature"),
        (("--batch", 101), "--batch"),
        (("--batch", 0), "--batch"),
        (("--direction", "up"), "--direction"),
        (("--bootstrap", 5), "--bootstrap"),
        (("--bootstrap", -1), "--bootstrap"),
        (("--seed", -1), "--seed"),
    ],
)
def test_bad_options_of_shift_are_named(conetheory, pairs, words, named):
    done = conetheory("shift", pairs, *words)
    assert done.code == 2
    assert done.out == ""
    assert named in done.err


def run(*words):
    app = typer.Typer()
    app.command()(simulate)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_simulated_shift_is_that_of_the_library():
    words = ("--batches", 2, "--clouds", 3, "--points", 5, "--seed", 4, "--temperature", "1/20", "--temperature", 0.5)
    done = run(*words, "--json")
    assert done.exit_code == 0
    rows = [json.loads(line) for line in done.output.splitlines()]
    found = simulate_shift(16, 0.5, 0.425, np.linspace(-0.5, 1.5, 5), [0.05, 0.5], n_batches=2, n_clouds=3, rng=4)
    for k, row in enumerate(rows):
        tau = row["temperature"]
        assert_allclose(row["loss"], found.mean[k], rtol=1e-12)
        assert_allclose(row["stderr"], found.stderr[k], rtol=1e-12)
        expected = batch_loss(16, 0.5, shift_scale(row["lambda"], tau, 0.425), 50)
        assert_allclose(row["expected_loss"], expected, rtol=1e-12)
        assert row["minimisers"] == list(shift_limit(16, 0.5, 0.425, tau, batch=50).minimisers)
    assert [len(row["minimisers"]) for row in rows] == [2, 1]
    assert len(run(*words).output.splitlines()) == 2 * (2 + 5)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--temperature", 0), "--temperature"),
        (("--matched-cosine", 1), "--matched-cosine"),
        (("--matched-cosine", 0), "--matched-cosine"),
        (("--gap", 2), "--gap"),
        (("--dim", 1), "--dim"),
        (("--batch", 1), "--batch"),
        (("--clouds", 1), "--clouds"),
    ],
)
def test_bad_options_of_simulated_shift_are_named(words, named):
    done = run(*words)
    assert done.exit_code != 0
    assert named in done.output + str(done.exception)


def test_published_table_is_a_landscape():
    """Ends near ln 50, minima where the notebooks' text says, gaps that fall along the shift."""
    assert PUBLISHED.shape == (40, 2 + len(PUBLISHED_SCALES))
    assert_allclose(np.diff(PUBLISHED[:, 0]), 0.25)
    assert np.all(np.diff(PUBLISHED[:, 1]) < 0)
    assert np.all(PUBLISHED[:, 2:] < np.log(50))
    assert np.all(np.diff(PUBLISHED[0, 2:]) > 0)
    assert PUBLISHED[PUBLISHED[:, 2].argmin(), 0] == 0
    assert_allclose(published_lambda()[[0, -1]], [-3.041, 2.889], atol=5.1e-4)


def landscape_verdict(scale, column):
    cells = [
        cell({"lambda": row[0], "kernel": k}, row[column], row[column], 0.0) for k in (0.0, 1.0) for row in REFERENCE
    ]
    return verdict(f"liang.fig3.landscape.scale{scale}", cells, source="data")


@pytest.mark.parametrize(("column", "scale"), list(enumerate(LANDSCAPE_SCALES, start=2)))
def test_figure_has_line_dots_and_published_points(column, scale):
    ax = Figure().add_subplot()
    plot_landscape([landscape_verdict(s, c) for c, s in enumerate(LANDSCAPE_SCALES, start=2)], scale=scale, ax=ax)
    drawn = {artist.get_label(): artist for artist in ax.lines}
    assert_allclose(drawn["theory, 500 pairs"].get_xydata(), REFERENCE[:, [0, column]])
    assert_allclose(drawn["kernel, 500 pairs"].get_ydata(), REFERENCE[::3, column])
    assert_allclose(drawn["published, 5,000 pairs"].get_ydata(), PUBLISHED[:, 2 + PUBLISHED_SCALES.index(scale)])
    bare = plot_landscape([], scale=scale, ax=Figure().add_subplot())
    assert not any(artist.get_label().endswith("500 pairs") for artist in bare.lines)
