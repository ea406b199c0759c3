"""What a run of pytest-benchmark found: a table of ratios, JSON, a figure; and whether a ratio has fallen.

``python -m benchmarks.report results/bench/pytest.json`` writes ``bench.json``, ``table.md`` and ``ratios.svg`` beside
the file, prints the table and the jobs that have no bound yet, and ends with 1 where a ratio is below `EXPECTED`. With
``--renew`` it writes half of what was measured as the new lower bounds for this machine's vector extension instead.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from claims.bench.summary import summary
from claims.bench.table import Line, lines_of, markdown
from claims.figures.bench import ratios_figure
from claims.figures.canvas import save_figures
from conetheory._files import write_atomically

__all__ = ["EXPECTED", "fallen", "main", "records_of", "renewed"]

EXPECTED = Path(__file__).with_name("expected_ratios.json")
_MARGIN = 0.5  # of a ratio: what a busy machine and another model of processor may cost


def records_of(measured: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of pytest-benchmark's JSON that have a method, in the form of `claims.bench.table`."""
    return [
        {
            "unit": "call",
            "work": 1,
            **row["extra_info"],
            "job": row["group"] or row["name"],
            "method": row["params"]["method"],
            "seconds": row["stats"]["median"],
            "rounds": row["stats"]["rounds"],
        }
        for row in measured["benchmarks"]
        if "method" in (row["params"] or {})
    ]


def fallen(lines: Sequence[Line], expected: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield a sentence for each ratio below its bound in `expected`, by job and method, and for what was not measured.

    Ratios, not times: a slower machine is no regression. A peer need not be installed.
    """
    found = {line.job: line.ratios for line in lines}
    for job, bounds in expected.items():
        if job not in found:
            yield f"{job}: not measured."
            continue
        for method, bound in bounds.items():
            ratio = found[job].get(method)
            if ratio is None:
                if not method.startswith("peer-"):
                    yield f"{job}: {method} was not measured."
            elif not ratio >= bound:
                yield f"{job}: ours is {ratio:.3g} times as fast as {method}, below {bound:.3g}."


def renewed(lines: Sequence[Line]) -> dict[str, dict[str, float]]:
    """Return lower bounds for `fallen`: half of each ratio, to two digits."""
    return {
        line.job: {method: float(f"{_MARGIN * ratio:.2g}") for method, ratio in line.ratios.items()} for line in lines
    }


def main(words: Sequence[str]) -> int:
    """Report the run in the file that `words` names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description="Report a run of the benchmarks.")
    parser.add_argument("source", type=Path, help="what pytest --benchmark-json wrote")
    parser.add_argument("--renew", action="store_true", help="keep half of these ratios as the new lower bounds")
    options = parser.parse_args(words)
    source: Path = options.source
    records = records_of(json.loads(source.read_text()))
    lines, found = lines_of(records), summary(records)
    write_atomically(source.with_name("bench.json"), json.dumps(found, indent=2) + "\n")
    write_atomically(source.with_name("table.md"), markdown(lines))
    save_figures({"ratios": ratios_figure(lines)}, source.parent)
    print(f"\n{markdown(lines)}\n{found['simd']}; kernels: {found['kernels']}; written to {source.parent}")
    level, all_expected = found["simd"].split()[0], json.loads(EXPECTED.read_text())
    if options.renew:
        all_expected["simd"][level] = renewed(lines)
        write_atomically(EXPECTED, json.dumps(all_expected, indent=2, ensure_ascii=False) + "\n")
        return 0
    bounds = all_expected["simd"].get(level, {})
    if free := [line.job for line in lines if line.ratios and line.job not in bounds]:
        print(f"Without a bound for {level}: {'; '.join(free)}.")
    regressions = list(fallen(lines, bounds))
    print("\n".join(regressions) or "No ratio has fallen.")
    return 1 if regressions else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
