"""``conetheory bench``: how rows are measured, how a table comes of them, how the limits of a machine are found."""

import json
import platform

import numpy as np
import pytest
from numba import njit

from claims.bench import hot_loop, job, layers, limits, table
from claims.bench.closed_forms import FAILURE
from claims.bench.job import Job, Limit, Route, Row, measure
from claims.bench.jobs import JOBS
from claims.figures.bench import ratios_figure
from sims import _layer_trials
from sims import _simd as simd

X86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="counts x86 instructions")


# --- measuring --------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the routes of a test move."""
    now = [0.0]
    monkeypatch.setattr(job.time, "process_time", lambda: now[0])

    def taking(*seconds, result=None):
        each = iter(seconds)

        def call():
            now[0] += next(each, seconds[-1])
            return result

        return call

    return taking


def a_job(**routes):
    return Job(name="a job", unit="item", methods=tuple(routes), routes=lambda: routes)


def test_a_row_is_the_median_of_repeats_taken_in_turn():
    calls = []
    made = a_job(
        ours=Route(call=lambda: calls.append("ours"), seconds=lambda: calls.append("o") or 1.0),
        naive=Route(call=lambda: calls.append("naive"), seconds=lambda: calls.append("n") or 2.0),
    )
    rows = measure(made, repeats=3)
    assert calls == ["ours", "o", "naive", "n"] + ["o", "n"] * 3
    assert [(row.method, row.seconds) for row in rows] == [("ours", (1.0,) * 3), ("naive", (2.0,) * 3)]


def test_a_call_is_timed_in_processor_time_and_the_first_one_is_not(clock):
    made = a_job(ours=Route(call=clock(50.0, 0.5, 1.0, 9.0, 2.0), work=4, accuracy=lambda found: {"error": 0.25}))
    (row,) = measure(made, repeats=3)
    assert row.seconds == (1.0, 9.0, 2.0)
    assert row.median == 2.0
    assert (row.work, row.accuracy, row.limit) == (4, {"error": 0.25}, None)


def test_a_short_call_is_repeated(clock):
    (row,) = measure(a_job(ours=Route(call=clock(1e-4))), repeats=2)
    assert row.seconds == pytest.approx((1e-4, 1e-4))


def test_the_limit_is_the_median_of_those_measured_beside_the_rows():
    found = iter([3.0, 1.0, 2.0])
    route = Route(call=int, limit=lambda: Limit(seconds=next(found), of="what"), seconds=lambda: 4.0)
    (row,) = measure(a_job(ours=route), repeats=3)
    assert row.limit == Limit(seconds=2.0, of="what")


def test_only_named_methods_are_measured():
    made = a_job(ours=Route(call=int), naive=Route(call=int))
    assert [row.method for row in measure(made, repeats=1, methods=["naive"])] == ["naive"]


# --- the table --------------------------------------------------------------------------------------------------------


def a_row(method, seconds, work=1.0, limit=None, **accuracy):
    return Row(
        job="a job", unit="item", method=method, work=work, seconds=(seconds,) * 3, accuracy=accuracy, limit=limit
    )


ROWS = [
    a_row("ours", 2e-3, 1000, Limit(seconds=1e-3, of="arithmetic"), error=1e-7, error_of="loss"),
    a_row("naive", 4.0, 10, z=-1.25),
    a_row("peer-x", 1e-6),
]


def test_a_ratio_is_of_the_times_of_one_unit():
    (line,) = table.lines_of(table.as_records(ROWS))
    assert line.seconds == pytest.approx(2e-6)
    assert line.ratios == pytest.approx({"naive": 2e5, "peer-x": 0.5})
    assert (line.share, line.limit_of) == (0.5, "arithmetic")
    assert line.accuracy == {"ours": "1.0e-07", "naive": "z -1.2"}


def test_a_line_in_words():
    (line,) = table.lines_of(table.as_records(ROWS))
    assert table.table_cells(line) == ("a job", "2 µs / item", "1.0e-07", "naive 200,000 (z -1.2), peer-x 0.5", "50%")
    text = table.markdown([line]).splitlines()
    assert text[0] == "| job | ours | accuracy | times as fast as | of the limit |"
    assert text[2].endswith("| 50% |")


def test_rows_without_ours_make_no_line():
    assert table.lines_of(table.as_records(ROWS[1:])) == []


def test_the_figure_has_one_row_a_job_and_survives_an_empty_run():
    lines = table.lines_of(table.as_records(ROWS))
    left, right = ratios_figure(lines).axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["a job"]
    assert {artist.get_label(): list(artist.get_xdata()) for artist in left.lines[:2]} == {
        "by definition": pytest.approx([2e5]),
        "another library": pytest.approx([0.5]),
    }
    assert [patch.get_width() for patch in right.patches] == [0.5]
    assert ratios_figure([]).axes[0].lines


def test_no_route_is_left_out_of_the_figure():
    ratios = {"naive-mpmath": 2.0, "reduced": 3.0, "plain": 4.0, "peer-x": 5.0, "sampled": 6.0, "proven": 7.0}
    left, _ = ratios_figure([table.Line(job="a job", unit="trial", seconds=1.0, ratios=ratios)]).axes
    drawn = [float(x) for artist in left.lines if artist.get_marker() not in ("", "None") for x in artist.get_xdata()]
    assert sorted(drawn) == sorted(ratios.values())


# --- limits -----------------------------------------------------------------------------------------------------------

ASSEMBLY = """
kernel:
	vmovaps	(%rdi), %ymm9
.LBB0_1:
	movq	%rax, %rcx
.LBB0_2:                                # =>This Inner Loop
	vmulps	%ymm1, %ymm2, %ymm3
	vfmadd213ps	.LCPI0_0(%rip), %ymm3, %ymm4
	vmovaps	%ymm3, %ymm5
	vaddps	32(%rsp), %ymm5, %ymm6
	vbroadcastss	.LCPI0_1(%rip), %ymm7
	vaddss	%xmm1, %xmm2, %xmm3
	vpmulld	%ymm1, %ymm2, %ymm3
	incq	%rcx
	jne	.LBB0_2
	decq	%rax
	jne	.LBB0_1
	vzeroupper
"""


def test_the_innermost_loop_is_counted():
    (found,) = hot_loop.parse_loops(ASSEMBLY)
    assert found == hot_loop.HotLoop(vector=6, multiplies=3, roots=0, moves=2, stack=1, scalar=3, bits=256)


@njit
def five_instructions(words, out):
    a, b = simd.load(words, 0), simd.load(words, 16)
    for _ in range(words[0]):
        a = simd.rotate_left((a + b) ^ simd.shift_right(b, 3), 32 - 5) + b
        b = a ^ b
    simd.store(out, 0, a)


@X86
def test_a_kernel_whose_instructions_are_known():
    five_instructions(np.arange(32, dtype=np.uint32), np.empty(16, np.uint32))
    found = hot_loop.hot_loop(five_instructions)
    registers = 512 // found.bits
    rotate = 1 if found.bits == 512 else 3  # two shifts and an or
    assert found.multiplies == 0
    assert (found.vector - found.moves) % ((5 + rotate) * registers) == 0  # LLVM may unroll


@njit
def never_called(x):
    return x


def test_a_kernel_without_a_signature_is_refused():
    with pytest.raises(ValueError, match=r"`signature` must be given .* got None"):
        hot_loop.loops(never_called)


@X86
def test_a_kernel_without_vectors_is_refused():
    never_called(1.0)
    with pytest.raises(ValueError, match=r"`kernel` must have a loop over x86 vectors"):
        hot_loop.hot_loop(never_called)


@X86
@pytest.mark.parametrize(("kind", "multiplies"), [("fma", 1.0), ("words", 0.0), ("mixed", 0.5), ("root", 0.0)])
def test_a_rate_is_of_the_instructions_that_it_names(kind, multiplies):
    chains = limits._chains()
    kernel = limits._independent(kind, chains)
    found = max(
        hot_loop.parse_loops(kernel.inspect_asm(kernel.signatures[0])), key=lambda loop: loop.vector, default=None
    )
    registers = 512 // limits.vector_bits()
    assert found is not None
    assert found.vector % (chains * registers) == 0  # nothing was simplified, whatever is unrolled
    assert found.multiplies == multiplies * found.vector
    assert found.roots == (found.vector if kind == "root" else 0)
    assert found.moves == found.stack == 0


def test_an_unknown_kind_of_instruction_is_refused():
    with pytest.raises(ValueError, match=r"`kind` must be one of .*, got 'exp'"):
        limits.instruction_rate("exp")


def test_rates_are_those_of_a_processor():
    assert 1e8 < limits.instruction_rate("fma") < 1e11
    assert limits.gemm_rate(np.float32) > 1e8
    assert 1e8 < limits.stream_rate() < 1e13


def test_the_least_time_is_that_of_the_scarcer_resource(monkeypatch):
    monkeypatch.setattr(limits, "instruction_rate", {"fma": 2.0, "words": 4.0, "mixed": 3.0, "root": 0.5}.__getitem__)

    def loop(vector, multiplies=0, moves=0, roots=0):
        counts = {"vector": vector, "multiplies": multiplies, "roots": roots, "moves": moves}
        return hot_loop.HotLoop(**counts, stack=0, scalar=0, bits=256)

    assert limits.least_seconds(loop(10, 2, moves=2), 3) == 3 * 8 / 4
    assert limits.least_seconds(loop(10, 8), 3) == 3 * 8 / 2
    assert limits.least_seconds(loop(10, 8, roots=3), 3) == 3 * 3 / 0.5


# --- jobs and the command ---------------------------------------------------------------------------------------------


def test_jobs_have_names_of_their_own_and_ours_first():
    assert len({made.name for made in JOBS}) == len(JOBS)
    assert all(made.methods[0] == "ours" for made in JOBS)


def test_the_plain_kernels_run_and_the_others_come_back():
    before = _layer_trials.KERNELS
    with layers.plain_kernels():
        assert _layer_trials.KERNELS == "plain"
    assert before == _layer_trials.KERNELS


@pytest.mark.parametrize("made", [layers.ONE_LAYER, layers.CHAIN, FAILURE], ids=lambda made: made.name)
def test_routes_to_one_law_agree(made):
    for method, route in made.routes().items():
        assert method in made.methods
        found = route.accuracy(route.call())
        assert abs(found.get("z", 0.0)) < 4.5
        assert found.get("error", 0.0) < 1e-3


def test_the_command_prints_a_table(conetheory):
    done = conetheory("bench", "ReLU layer", "--repeats", 3)
    assert done.code == 0
    assert "one ReLU layer" in done.out
    assert "naive" in done.out
    assert done.out.splitlines()[-1].startswith(("avx", "sse", "none", "neon"))


def test_the_command_writes_json_and_a_figure(conetheory, tmp_path):
    out, figure = tmp_path / "found.json", tmp_path / "ratios.svg"
    done = conetheory("bench", "dual activation of ReLU", "--repeats", 3, "--json", "--out", out, "--figure", figure)
    assert done.code == 0
    found = json.loads(done.out)
    assert found == json.loads(out.read_text())
    assert [line["job"] for line in found["jobs"]] == ["dual activation of ReLU, a million correlations"]
    assert set(found) == {"schema", "environment", "simd", "kernels", "limits", "jobs", "rows"}
    assert figure.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no such job"], "`names` must be words from the names of jobs, got 'no such job'"),
        (["--figure", "ratios.pdf"], "`--figure` must end in .svg or .png, got 'ratios.pdf'"),
        (["--repeats", "2"], "2 is below 3"),
        (["--out", "no/such/found.json"], "`--out` must be a file in a folder that exists, got 'no/such/found.json'"),
        (["--out", "."], "`--out` must be a file in a folder that exists, got '.'"),
        (["--figure", "no/such/ratios.svg"], "`--figure` must be a file in a folder that exists"),
    ],
)
def test_bad_input_is_one_line(conetheory, words, message):
    done = conetheory("bench", *words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
