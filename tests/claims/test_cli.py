import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from claims import cli, console, doctor
from claims.ledger import all_claims
from conetheory.contraction import limiting_cosine, paper_threshold, preactivation_correlation, sharp_threshold

ROOT = Path(__file__).parents[2]
CHEAP = ("liang.caps", "conetheory.theorem1.zero_cosine")
ONE = "liang.caps.2d.printed"
TOY = "from tests.claims.toys import claim\n"


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def python(*words, **options):
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=120, **{"cwd": ROOT} | options
    )


# --- verify ----------------------------------------------------------------------------------------------------------


def test_verify_says_what_it_found(conetheory):
    done = conetheory("verify", ONE, "--jobs", 1)
    assert (done.code, done.err) == (0, "")
    first, last = done.out.splitlines()
    assert first.startswith(f"ok  {all_claims()[ONE].expected}")
    assert ONE in first
    assert last.startswith("1 claims: 1 as expected, 0 not (")


def test_verify_with_json_prints_json_alone(conetheory):
    done = conetheory("verify", *CHEAP, "--jobs", 1, "--json")
    found = objects(done.out)
    assert done.code == 0
    assert [verdict["id"] for verdict in found] == [
        name for name in all_claims() if name in CHEAP or name.startswith("liang.caps.")
    ]
    assert all(verdict["as_expected"] for verdict in found)
    assert done.err.startswith(f"{len(found)} claims: {len(found)} as expected")


def test_verify_runs_the_planted_falsehoods(conetheory):
    done = conetheory("verify", "liang.caps", "--planted", "--jobs", 1, "--json")
    found = objects(done.out)
    assert done.code == 0
    assert {verdict["verdict"] for verdict in found} == {"refuted"}
    assert all("!" in verdict["id"] for verdict in found)
    assert f"{len(found)} planted falsehoods: {len(found)} as expected" in done.err


def test_a_planted_falsehood_that_is_not_caught_ends_with_1(conetheory, user_module):
    source = "from claims.ledger import Plant\n" + TOY
    source += "CLAIMS = [claim(plants=(Plant(name='true', statement='One is one.', predict=lambda: 1.0),))]"
    done = conetheory("verify", "toy", "--module", user_module(source), "--planted", "--jobs", 1)
    assert done.code == 1
    assert "toy.one!true" in done.out


@pytest.mark.parametrize(
    ("change", "outcome"),
    [("predict=lambda: 3.0", "refuted"), ("resolution=1e-13", "undecided"), ("expected='refuted'", "supported")],
)
def test_a_verdict_that_is_not_expected_ends_with_1(conetheory, user_module, change, outcome):
    name = user_module(TOY + f"CLAIMS = [claim('toy.right'), claim('toy.wrong', {change})]")
    done = conetheory("verify", "toy", "--module", name, "--jobs", 1)
    assert done.code == 1
    right, wrong, last = done.out.splitlines()
    assert right.startswith("ok  supported  toy.right")
    assert wrong.startswith(f"!!  {outcome}")
    assert last.startswith("2 claims: 1 as expected, 1 not (")


def test_a_module_in_the_working_directory_is_found(tmp_path):
    (tmp_path / "my_claims.py").write_text(TOY + "CLAIMS = [claim('mine.right'), claim('mine.also')]")
    words = ("-P", "-c", f"import sys; sys.path.append({str(ROOT)!r}); from claims.cli import main; main()")
    done = python(*words, "verify", "mine", "--module", "my_claims", "--json", "--jobs", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [verdict["id"] for verdict in objects(done.stdout)] == ["mine.right", "mine.also"]


def test_claims_about_data_are_left_out_and_counted(conetheory, monkeypatch):
    monkeypatch.delenv("CONETHEORY_DATA", raising=False)
    data = next(claim.id for claim in all_claims().values() if claim.needs_data)
    done = conetheory("verify", ONE, data, "--jobs", 1)
    assert done.code == 0
    assert "1 claims about the published arrays were left out: name their folder with --data" in done.out


def test_the_data_folder_comes_from_the_option_or_the_environment(conetheory, user_module, tmp_path, monkeypatch):
    source = "from claims.measure import FromData, Reading\n" + TOY
    source += "CLAIMS = [claim(measure=FromData(compute=lambda d: Reading.of(float((d / 'one').read_text()), n=1)))]"
    words = ("verify", "toy", "--module", user_module(source), "--jobs", 1)
    monkeypatch.delenv("CONETHEORY_DATA", raising=False)
    assert conetheory(*words).code == 2
    (tmp_path / "one").write_text("1.0")
    assert conetheory(*words, "--data", tmp_path).code == 0
    monkeypatch.setenv("CONETHEORY_DATA", str(tmp_path))
    assert conetheory(*words).code == 0


@pytest.fixture
def one_figure(monkeypatch):
    """The showcase shortened, and the verdicts that it was to show: what is drawn belongs to other tests."""
    shown = []

    def short(verdicts):
        shown.append([verdict["id"] for verdict in verdicts])
        return {"sphere": Figure()}

    monkeypatch.setattr("claims.figures.showcase", short)
    return shown


def test_the_result_folder_does_not_depend_on_the_number_of_jobs(conetheory, tmp_path, one_figure):
    lines = []
    for jobs in (1, 2):
        out = tmp_path / f"jobs {jobs}"
        done = conetheory("verify", *CHEAP, "--jobs", jobs, "--out", out)
        assert done.code == 0, done.err
        lines.append([verdict | {"seconds": 0} for verdict in objects((out / "verdicts.jsonl").read_text())])
        assert str(out / "report.html") in done.out
        page = (out / "report.html").read_text(encoding="utf-8")
        assert all(verdict["id"] in page for verdict in lines[0])
        assert sorted(path.name for path in (out / "figures").iterdir()) == ["sphere.png", "sphere.svg"]
        assert json.loads((out / "summary.json").read_text())["complete"]
    assert lines[0] == lines[1]
    ids = [verdict["id"] for verdict in lines[0]]
    assert ids == [name for name in all_claims() if name in set(ids)]


KILLED = """
import os, signal
from pathlib import Path
import claims.figures
from claims.measure import Computed
from tests.claims.toys import claim

def counted(name):
    def compute():
        with Path("computed").open("a") as file:
            file.write(name + " ")
        if name == "second" and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0
    return Computed(compute=compute)

claims.figures.showcase = lambda _: {}
CLAIMS = [claim(f"mine.{name}", measure=counted(name)) for name in ("first", "second", "third")]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_run_that_is_killed_is_readable_and_taken_up_again(tmp_path):
    (tmp_path / "my_claims.py").write_text(KILLED)
    words = ("-P", "-c", f"import sys; sys.path.append({str(ROOT)!r}); from claims.cli import main; main()")
    words += ("verify", "mine", "--module", "my_claims", "--jobs", "1", "--out", "out")
    assert python(*words, cwd=tmp_path).returncode == -9
    assert [verdict["id"] for verdict in objects((tmp_path / "out/verdicts.jsonl").read_text())] == ["mine.first"]
    assert not json.loads((tmp_path / "out/summary.json").read_text())["complete"]
    again = python(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "computed").read_text().split() == ["first", "second", "second", "third"]
    assert len(objects((tmp_path / "out/verdicts.jsonl").read_text())) == 3
    assert (tmp_path / "out/report.html").exists()


def test_a_finished_run_is_not_done_again(conetheory, tmp_path, monkeypatch, one_figure):
    words = ("verify", "liang.caps", "--jobs", 1, "--json", "--out", tmp_path / "out")
    first = conetheory(*words)
    monkeypatch.setattr("claims.verify.decide", None)
    second = conetheory(*words)
    assert (second.code, second.out) == (0, first.out)


def test_verdicts_come_in_the_order_of_the_ledger_as_soon_as_they_can():
    coming = iter({"id": name} for name in "cabd")
    ordered = cli._in_order(coming, "abcd")
    assert next(ordered)["id"] == "a"
    assert next(coming)["id"] == "b"  # nothing was taken further than needed
    assert [verdict["id"] for verdict in cli._in_order(({"id": name} for name in "dcba"), "abcd")] == list("abcd")


def test_verify_from_a_checkout():
    done = python("-m", "claims", "verify", ONE, "--json", "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert [verdict["id"] for verdict in objects(done.stdout)] == [ONE]


# --- claims, doctor --------------------------------------------------------------------------------------------------


def test_claims_lists_every_claim(conetheory):
    found = objects(conetheory("claims", "--json").out)
    assert [claim["id"] for claim in found] == list(all_claims())
    assert {"paper", "section", "statement", "formula", "kind", "expected", "plants"} <= set(found[0])
    text = conetheory("claims", "liang.caps").out
    assert ONE in text
    assert all_claims()[ONE].statement in text
    assert "liang.theorem1" not in text


def test_claims_of_a_user_are_listed(conetheory, user_module):
    done = conetheory("claims", "toy", "--json", "--module", user_module(TOY + "CLAIMS = [claim()]"))
    assert [claim["id"] for claim in objects(done.out)] == ["toy.one"]


def test_doctor_knows_this_installation(conetheory, tmp_path):
    (found,) = objects(conetheory("doctor", "--json", "--data", tmp_path).out)
    assert found["libraries"]["numpy"] == np.__version__
    assert found["threads"]["usable"] >= 1
    assert set(found["optional"]) == {"torch", "umap", "dask", "pyarrow", "sympy"}
    assert "missing mind_the_gap/features_clip.npy" in found["data"]
    assert {"simd", "gpu", "cpus", "platform"} <= set(found)
    lines = conetheory("doctor").out.splitlines()
    assert [line.split()[0] for line in lines] == list(found)


def test_doctor_finds_the_data(data_folder):
    assert doctor.examine(data_folder)["data"] == f"{data_folder}: complete"


@pytest.mark.parametrize(
    ("driver", "says"),
    [(None, "none found (torch is missing)"), ("/nvidia-smi", "a driver is there, torch is missing")],
)
def test_doctor_without_torch(monkeypatch, driver, says):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: driver)
    found = doctor.examine()
    assert found["gpu"] == says
    assert found["optional"]["torch"] == "missing"


def test_doctor_with_a_processor_that_nobody_knows(monkeypatch):
    from llvmlite import binding

    monkeypatch.setattr(binding, "get_host_cpu_features", dict)
    assert doctor.examine()["simd"].startswith("none known on ")


# --- simulate --------------------------------------------------------------------------------------------------------


def test_sphere_finds_the_papers_minimisers_and_our_critical_scale(conetheory):
    done = conetheory(
        "simulate", "sphere", "--temperature", 1, "--temperature", "1/35", "--temperature", 0.01, "--json"
    )
    found = objects(done.out)
    assert (done.code, done.err, len(found)) == (0, "", 3)
    for one in found:
        assert {"delta_theta_deg", "loss", "minimisers_deg", "critical_scale"} <= set(one)
        assert one["delta_theta_deg"] == list(range(-90, 91))
        assert abs(one["critical_scale"] - 21.215837) < 1e-6
        assert min(one["loss"]) >= one["min_loss"] - 1e-12
        nearest = abs(one["delta_theta_deg"][np.argmin(one["loss"])])
        assert min(abs(nearest - abs(best)) for best in one["minimisers_deg"]) <= 1
    assert [one["temperature"] for one in found] == [1.0, 1 / 35, 0.01]
    assert np.allclose(found[0]["minimisers_deg"], [0.0])
    for one in found[1:]:
        low, high = one["minimisers_deg"]
        assert low == pytest.approx(-high)
        assert high > 1


def test_sphere_of_the_appendix(conetheory):
    (found,) = objects(conetheory("simulate", "sphere", "--spacing-deg", 15, "--step-deg", 45, "--json").out)
    assert found["delta_theta_deg"] == [-90, -45, 0, 45, 90]
    assert found["critical_scale"] != pytest.approx(21.215837, abs=1)


def test_sphere_without_a_swap_has_no_critical_scale(conetheory):
    (found,) = objects(conetheory("simulate", "sphere", "--swap", "", "--json").out)
    assert found["critical_scale"] is None
    assert found["minimisers_deg"] == pytest.approx([0.0], abs=1e-9)
    text = conetheory("simulate", "sphere", "--swap", "", "--step-deg", 45)
    assert text.code == 0
    assert "critical_scale" in text.out


def test_layer_has_theory_beside_it(conetheory):
    words = ("simulate", "layer", "--cosine", 0.3, "--norm-u", 2, "--norm-v", 0.5, "--width", 16, "--trials", 2000)
    done = conetheory(*words, "--sigma-b2", 0.5, "--seed", 3, "--json")
    (found,) = objects(done.out)
    given = {"sigma_w2": 1.0, "sigma_b2": 0.5}
    assert found["preactivation_correlation"] == pytest.approx(float(preactivation_correlation(0.3, 2, 0.5, **given)))
    assert found["limiting_cosine"] == pytest.approx(float(limiting_cosine(0.3, 2, 0.5, **given)))
    assert found["sharp_threshold"] == pytest.approx(float(sharp_threshold(2, 0.5, **given)))
    assert found["paper_threshold"] == pytest.approx(float(paper_threshold(2, 0.5)))
    assert 0 <= found["probability"] <= 1
    assert (found["cosine"], found["width"], found["n"]) == (0.3, 16, 2000)
    assert objects(conetheory(*words, "--sigma-b2", 0.5, "--seed", 3, "--json").out) == [found]
    assert objects(conetheory(*words, "--sigma-b2", 0.5, "--seed", 4, "--json").out) != [found]
    assert "probability" in conetheory(*words).out


def test_mlp_has_its_mean_field_curve_beside_it(conetheory):
    words = ("simulate", "mlp", "--width", 128, "--depth", 4, "--inputs", 16, "--networks", 40)
    (found,) = objects(conetheory(*words, "--bias", "none", "--json").out)
    assert found["layer"] == [0, 1, 2, 3, 4]
    assert found["n"] == 40
    assert len(found["mean_field"]) == len(found["mean_cosine"]) == len(found["stderr"]) == 5
    assert found["mean_cosine"][1:] == sorted(found["mean_cosine"][1:])
    assert np.max(np.abs(np.subtract(found["mean_field"], found["mean_cosine"]))) < 0.05
    assert "mean_field" in conetheory(*words).out


def test_mlp_of_one_network_has_no_standard_error(conetheory):
    (found,) = objects(
        conetheory("simulate", "mlp", "--width", 8, "--depth", 1, "--inputs", 4, "--networks", 1, "--json").out
    )
    assert found["stderr"] == [None, None]


# --- one line a number, a bar on a terminal --------------------------------------------------------------------------


def line(**changes):
    verdict = {"id": "a.b", "verdict": "refuted", "expected": "refuted", "as_expected": True, "relation": "at_most"}
    return console.verdict_line(
        verdict
        | {"measured": 0.5, "stderr": 0.01, "paper": "theirs", "predicted": 0.25, "tolerance": 0.01, "resolution": 0.02}
        | changes
    )


def test_a_verdict_in_one_line():
    assert line() == "ok  refuted    a.b  measured 0.5 ± 0.01, claimed ≤ 0.25 within 0.03, an erratum"
    assert line(paper="conetheory").endswith("within 0.03, does not hold")
    assert line(id="a.b!c", relation="equal").endswith("claimed 0.25 within 0.03")
    assert line(measured=None, stderr=None, expected="supported", as_expected=False, relation="at_least") == (
        "!!  refuted    a.b  measured —, claimed ≥ 0.25 within 0.03"
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal_alone(monkeypatch, capsys):
    with console.Progress(3, done=1) as progress:
        progress.advance("toy.one")
        progress.stage("half", 0.5)
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with console.Progress(3, done=1) as progress:
        progress.advance("toy.one")
    assert "2/3" in terminal.getvalue()
    assert "toy.one" in terminal.getvalue()
    assert capsys.readouterr().out == ""


# --- how it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("simulate",)])
def test_without_a_command_it_says_which_there_are(conetheory, words):
    done = conetheory(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("Usage: conetheory")
    assert len(done.err.splitlines()) > 5


def test_help_is_on_standard_output(conetheory):
    done = conetheory("verify", "--help")
    assert (done.code, done.err) == (0, "")
    for option in ("--level", "--seed", "--out", "--jobs", "--data", "--planted", "--json", "--module"):
        assert option in done.out


def test_an_interrupt_is_not_a_traceback(conetheory, monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    done = conetheory("verify")
    assert (done.code, done.out) == (130, "")
    assert done.err == "conetheory: interrupted; with --out, running again resumes.\n"


def test_an_error_of_ours_is_not_hidden(monkeypatch):
    def broken(**_):
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_an_operating_system_error_names_the_file(conetheory, monkeypatch):
    def failing(**_):
        raise OSError(13, "Permission denied", "/a/file")

    monkeypatch.setattr(cli, "app", failing)
    assert conetheory("verify").err == "conetheory: Permission denied: /a/file\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes of this kind")
def test_a_reader_who_leaves_is_not_an_error():
    """As in ``conetheory claims | head -1``."""
    started = subprocess.Popen(
        [sys.executable, "-m", "claims", "claims", "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert json.loads(started.stdout.readline())
    started.stdout.close()
    with started.stderr:
        assert started.stderr.read() == ""
    assert started.wait(60) == 0


# --- gap, shift, figures ---------------------------------------------------------------------------------------------


@pytest.fixture
def pairs(tmp_path):
    """Sixty pairs in six dimensions, with a gap."""
    rng = np.random.default_rng(0)
    first = np.eye(6)[0]
    x = rng.normal(size=(60, 6)) + 2 * first
    np.save(tmp_path / "pairs.npy", np.stack([x, x + 0.3 * rng.normal(size=(60, 6)) - 3 * first]))
    return tmp_path / "pairs.npy"


GAP_KEYS = (
    "n dim gap angle_deg rmg mean_cosine_x mean_cosine_y mean_cosine_matched mean_cosine_unmatched recall_x_to_y "
    "recall_y_to_x alignment uniformity_x uniformity_y wasserstein_uniformity linear_separability"
)


def test_gap_measures(conetheory, pairs):
    words = ("gap", pairs, "--bootstrap", 20)
    done = conetheory(*words, "--json")
    (found,) = objects(done.out)
    assert (done.code, done.err) == (0, "")
    assert set(GAP_KEYS.split()) <= set(found)
    assert (found["n"], found["dim"]) == (60, 6)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in np.load(pairs))
    assert found["gap"]["value"] == pytest.approx(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)), rel=1e-12)
    assert 0 < found["gap"]["stderr"] < 0.2
    assert set(found["recall_x_to_y"]) == {"1", "5", "10"}
    assert conetheory(*words, "--json").out == done.out
    text = conetheory(*words).out
    assert f"{pairs}: 60 pairs of dimension 6" in text
    assert f"{found['gap']['value']:.6g} ± " in text


def test_shift_finds_a_minimum_below_its_grid(conetheory, pairs):
    words = ("shift", pairs, "--temperature", 0.5, "--temperature", "1/100", "--batch", 30, "--points", 31)
    done = conetheory(*words, "--json")
    found = objects(done.out)
    assert (done.code, done.err) == (0, "")
    assert [one["temperature"] for one in found] == [0.5, 0.01]
    for one in found:
        assert len(one["lambda"]) == len(one["gap"]) == len(one["loss"]) == 31
        assert one["min_loss"] <= min(one["loss"]) + 1e-12
        best = int(np.argmin(one["loss"]))
        assert abs(one["argmin_lambda"] - one["lambda"][best]) <= 0.1 + 1e-9
        assert abs(one["argmin_gap"]) <= max(map(abs, one["gap"]))
    (full,) = objects(conetheory("shift", pairs, "--batch", "full", "--direction", "x-to-y", "--json").out)
    assert (full["batch"], full["direction"], full["temperature"]) == (60, "x-to-y", 0.01)
    assert len(conetheory(*words).out.splitlines()) == 2


def test_figures_without_and_with_results(conetheory, tmp_path, one_figure):
    assert conetheory("verify", ONE, "--jobs", 1, "--out", tmp_path / "out").code == 0
    for name, words in (("theory", ()), ("measured", ("--results", tmp_path / "out"))):
        done = conetheory("figures", *words, "--out", tmp_path / name)
        assert done.code == 0
        assert sorted(map(Path, done.out.splitlines())) == sorted((tmp_path / name).iterdir())
        assert {path.name for path in (tmp_path / name).iterdir()} == {"sphere.svg", "sphere.png"}
    assert one_figure == [[ONE], [], [ONE]]


def test_figures_of_embeddings(conetheory, pairs, tmp_path):
    done = conetheory("figures", "--embeddings", pairs, "--view", "svd", "--out", tmp_path / "figures")
    assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"embeddings_svd.svg", "embeddings_svd.png"}
