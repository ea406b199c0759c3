import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import claims.figures
from claims.figures import CAPTIONS, claim_svg, inline_svg, plot_claim, save_figures, showcase
from claims.figures.depth import plot_initialisation
from claims.figures.landscapes import plot_shift, plot_sphere
from claims.figures.numerals import numeral, with_error
from claims.figures.overview import standardised
from conetheory.meanfield import cone_curve
from tests.claims.synthetic import cell, many_verdicts, six_pairs_loss, verdict

VERDICTS = many_verdicts()
BY_ID = {found["id"]: found for found in VERDICTS}


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture(scope="module")
def figures():
    return showcase(VERDICTS)


@pytest.fixture(scope="module")
def bare():
    return showcase([])


def line(ax, label):
    return next(artist for artist in ax.lines if artist.get_label() == label)


def dots(ax, marker="o"):
    return next(artist for artist in ax.lines if artist.get_marker() == marker)


def curve(relation, predicted=(1.0, 2.0, 3.0, 4.0, 5.0), **changes):
    cells = [cell({"layer": float(i)}, p, p + 0.1, 0.05) for i, p in enumerate(predicted)]
    return verdict("a.curve", cells, relation=relation, **changes)


def test_one_coordinate_is_the_x_axis(ax):
    shuffled = curve("equal")
    shuffled["cells"] = shuffled["cells"][::-1]
    plot_claim(shuffled, ax=ax)
    assert_allclose(line(ax, "theory").get_xydata(), np.column_stack([range(5), range(1, 6)]))
    assert_allclose(sorted(dots(ax).get_ydata()), np.arange(1, 6) + 0.1)
    bars = next(artist for artist in ax.collections if isinstance(artist, LineCollection))
    assert_allclose([np.ptp(segment[:, 1]) for segment in bars.get_segments()], 4 * 0.05)  # ±2 s.e.
    assert ax.get_xlabel() == "layer"


@pytest.mark.parametrize(("relation", "allowed", "forbidden"), [("at_least", 1, -1), ("at_most", -1, 1)])
def test_bound_is_shaded_on_the_allowed_side(ax, relation, allowed, forbidden):
    plot_claim(curve(relation), ax=ax)
    shade = next(artist for artist in ax.collections if isinstance(artist, PolyCollection)).get_paths()[0]
    assert shade.contains_point((2.0, 3.0 + 0.5 * allowed))
    assert not shade.contains_point((2.0, 3.0 + 0.5 * forbidden))


def test_few_cells_are_not_joined(ax):
    cells = [cell({"delta": at}, at, at, 0.0, tolerance=0.1) for at in (0.0, 1.0)]
    plot_claim(verdict("a.pair", cells), ax=ax)
    assert len(next(artist for artist in ax.collections if artist.get_label() == "theory").get_segments()) == 2
    assert_allclose([(bar.get_y(), bar.get_height()) for bar in ax.patches], [(-0.1, 0.2), (0.9, 0.2)])


def test_tolerance_is_a_band(ax):
    cells = [cell({"layer": float(i)}, 1.0, 1.0, 0.01, tolerance=0.2) for i in range(5)]
    plot_claim(verdict("a.band", cells), ax=ax)
    band = next(artist for artist in ax.collections if isinstance(artist, PolyCollection)).get_paths()[0]
    assert band.contains_point((2.0, 1.19))
    assert not band.contains_point((2.0, 1.21))


def test_several_coordinates_are_measured_against_predicted(ax):
    cells = [cell({"a": a, "b": b}, a * b, a * b + 0.01, 0.01) for a in (1.0, 2.0) for b in (1.0, 3.0)]
    plot_claim(verdict("a.scatter", cells), ax=ax)
    assert_allclose(dots(ax).get_xdata(), [1, 3, 2, 6])
    assert_allclose(*line(ax, "measured = predicted").get_data())


def test_margins_of_an_upper_bound_are_positive_below_it(ax):
    cells = [cell({"a": a, "b": b}, 1.0, 0.7, 0.01) for a in (1.0, 2.0) for b in (1.0, 3.0)]
    plot_claim(verdict("a.margins", cells, relation="at_most"), ax=ax)
    assert_allclose(dots(ax).get_ydata(), 0.3)
    assert ax.get_ylabel() == "bound − measured"


def test_single_cell_lies_on_a_line(ax):
    plot_claim(verdict("a.point", [cell({}, 0.5, 0.52, 0.01)]), ax=ax)
    assert line(ax, "theory").get_xdata()[0] == 0.5
    assert_allclose(line(ax, "interval").get_xdata(), [0.52 - 0.065, 0.52 + 0.065])
    assert_allclose(dots(ax).get_xydata(), [[0.52, 0]])


def test_wide_ranges_are_logarithmic(ax):
    plot_claim(BY_ID["beyond.edge.tiny"], ax=ax)
    assert ax.get_xscale() == ax.get_yscale() == "log"


@pytest.mark.parametrize("cells", [[cell({}, 0.5, 0.52, 0.01)], curve("equal")["cells"]])
def test_experiment_is_drawn_as_crosses(ax, cells):
    plot_claim(verdict("a.data", cells, source="data"), ax=ax)
    assert len(dots(ax, "x").get_xdata()) == len(cells)


@pytest.mark.parametrize(
    "found", [curve("at_least"), verdict("a.point", [cell({}, 0.5, 0.52, 0.01)])], ids=["curve", "point"]
)
def test_legend_lies_above_the_axes(found):
    svg = ElementTree.fromstring(claim_svg(found))
    top = float(next(svg.iter("rect")).get("y"))  # the axes clip what they hold
    words = [node for node in svg.iter("text") if node.text == "simulation ±2 s.e."]
    assert len(words) == 1
    assert float(words[0].get("y")) < top


def test_inline_svgs_share_no_id_and_refer_to_their_own():
    seen = set()
    for found in [*VERDICTS[:20:4], *VERDICTS[20:36]]:
        svg = ElementTree.fromstring(claim_svg(found))
        ids = {node.get("id") for node in svg.iter() if node.get("id")}
        text = " ".join(value for node in svg.iter() for value in node.attrib.values())
        assert set(re.findall(r"url\(#([^)]+)\)", text)) | {n.get("href")[1:] for n in svg.iter("use")} == ids
        assert not ids & seen
        seen |= ids


@pytest.mark.parametrize("name", ["liang.fig2b.relu.normal", "liang.edge.missing", "liang.edge.margins"])
def test_inline_svg_is_small_and_the_same_each_time(name):
    svg = claim_svg(BY_ID[name])
    assert svg == claim_svg(BY_ID[name])
    assert len(svg) < 20_000
    assert not re.search(r"<metadata|<style|Date|DOCTYPE|#0072b2(?!\))", svg)  # colours only as fallback of a variable


def test_text_stays_text():
    assert "theory" in {node.text for node in ElementTree.fromstring(claim_svg(curve("equal"))).iter("text")}


def test_inline_svg_leaves_the_figure_as_it_was(figures):
    inline_svg(figures["sphere"], name="again", label="again")
    assert figures["sphere"].get_facecolor() == (1, 1, 1, 1)


def test_users_style_neither_matters_nor_changes():
    expected = claim_svg(curve("equal"))
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "path"}):
        before = dict(mpl.rcParams)
        assert claim_svg(curve("equal")) == expected
        assert dict(mpl.rcParams) == before


def test_pyplot_is_never_used():
    sources = [path.read_text() for path in Path(claims.figures.__file__).parent.glob("*.py")]
    assert sources
    assert not [source for source in sources if "pyplot" in source]


def test_showcase_names_what_it_draws(figures, bare):
    assert list(figures) == list(CAPTIONS)
    assert list(bare) == [name for name in CAPTIONS if name not in ("overview", "shift")]


def test_showcase_has_no_legend_over_a_dot(figures):
    for name, figure in figures.items():
        for ax in figure.axes:
            if not (legend := ax.get_legend()):
                continue
            box = legend.get_window_extent().padded(-1)
            covered = [
                point
                for artist in ax.lines
                if artist.get_transform() == ax.transData
                for point in ax.transData.transform(artist.get_xydata())
                if ax.bbox.contains(*point) and box.contains(*point)
            ]
            assert not covered, name


def test_sphere_theory_and_dots(ax):
    plot_sphere(VERDICTS, ax=ax)
    for scale, label in ((1, "τ = 1"), (35, "τ = 1/35"), (100, "τ = 1/100")):
        degrees, loss = line(ax, label).get_data()
        assert_allclose(loss, [six_pairs_loss(scale, at) for at in degrees], rtol=1e-12)
    measured = [artist for artist in ax.lines if artist.get_marker() == "o"]
    assert [len(artist.get_xdata()) for artist in measured] == [13] * 5


def test_minima_of_real_features_are_crosses_in_order(ax):
    plot_shift(VERDICTS[::-1], ax=ax)
    assert_allclose(line(ax, "symmetric loss").get_xydata(), [[1, 0.02], [10, 0.21], [100, 0.86]])
    assert_allclose(dots(ax, "x").get_xydata(), [[1, 0.021], [10, 0.211], [100, 0.861]])


def test_cone_theory_and_dots(figures):
    left = figures["cone"].axes[0]
    rho = cone_curve("tanh", 25, sigma_b2=1 / 512).rho
    assert_allclose(line(left, "tanh").get_ydata(), rho)
    measured = [artist.get_ydata() for artist in left.lines if artist.get_marker() == "o"]
    expected = [row["measured"] for row in BY_ID["liang.fig2b.tanh.normal"]["cells"]]
    assert any(np.array_equal(found, expected) for found in measured)


def test_planted_falsehoods_give_no_dots(ax):
    share = BY_ID["conetheory.theorem2.relu_share"]
    for name, expected in ((share["id"], 1), (f"{share['id']}!wrong", 0)):
        plot_initialisation([{**share, "id": name}], ax=ax)
        assert len([artist for artist in ax.lines if artist.get_marker() == "o"]) == expected
        ax.clear()


@pytest.mark.parametrize(
    ("relation", "expected"), [("equal", [1, 2, 3]), ("at_least", [1, 2, 3]), ("at_most", [-3, -2, -1])]
)
def test_standardised_is_positive_on_the_allowed_side(relation, expected):
    single = {**cell({}, 1.0, 1.2, 0.0, tolerance=0.06), "interval": [1.1, 1.3], "resolution": 0.04}
    assert_allclose(standardised(verdict("a.b", [single], relation=relation)), expected)


def test_layout_is_solved_once(figures, tmp_path):
    places = [ax.get_position().bounds for figure in figures.values() for ax in figure.axes]
    save_figures({"cone": figures["cone"], "overview": figures["overview"]}, tmp_path)
    assert [ax.get_position().bounds for figure in figures.values() for ax in figure.axes] == places


def test_saved_figures_are_byte_stable_and_leave_nothing_else(bare, tmp_path):
    chosen, fresh = ({name: found[name] for name in ("sphere", "theorem1")} for found in (bare, showcase([])))
    first, second = save_figures(chosen, tmp_path / "a"), save_figures(fresh, tmp_path / "b")
    assert [path.name for path in second] == ["sphere.svg", "sphere.png", "theorem1.svg", "theorem1.png"]
    assert [path.read_bytes() for path in second] == [path.read_bytes() for path in first]
    assert sorted(tmp_path.glob("*/*")) == sorted([*first, *second])


def test_unknown_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`formats` must hold svg or png, got 'gif'"):
        save_figures({}, tmp_path, formats=("gif",))


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.5103342, 0.00123, "0.5103 ± 0.0012"),
        (-1234.5, 12.0, "−1234 ± 12"),
        (4.1e-38, 2e-39, "(4.10 ± 0.20)×10⁻³⁸"),
        (0.0, 1e-9, "(0.0 ± 1.0)×10⁻⁹"),
        (0.25, None, "0.25"),
        (None, 0.1, "–"),
        (float("inf"), 0.1, "–"),
        (5e-324, 5e-324, "(4.9 ± 4.9)×10⁻³²⁴"),
    ],
)
def test_value_and_error_have_matching_digits(value, stderr, text):
    assert with_error(value, stderr) == text


def test_powers_of_ten_have_no_one_before_them():
    assert [numeral(x) for x in (1e-9, -1e-9, 2e-9, 0.0, -3)] == ["10⁻⁹", "−10⁻⁹", "2×10⁻⁹", "0", "−3"]
