"""Made-up verdicts as a run would write them: every kind, relation and outcome, one cell and many."""

import math

import numpy as np

__all__ = ["ENVIRONMENT", "cell", "many_verdicts", "six_pairs_loss", "summary_of", "verdict"]

ENVIRONMENT = {
    "conetheory": "0.1.0",
    "commit": None,
    "python": "3.11.2",
    "platform": "Linux-6.1-x86_64",
    "cpus": 2,
    "libraries": {"numpy": "2.4.0", "scipy": "1.17.0", "torch": None},
    "command": ["conetheory", "verify", "--out", "a & b"],
    "started": "2025-01-31T12:00:00+00:00",
}

_PAPERS = ("Liang et al. 2022", "Cho and Saul 2009", "conetheory", "Wang and Isola 2020")
_KINDS = ("identity", "inequality", "rate", "value", "qualitative")
_ACTIVATIONS = ("linear", "relu", "leaky_relu", "sigmoid", "tanh")
_SCALES = (1, 5, 35, 50, 100)
_AZIMUTHS = np.radians([-20, 0, 20, 40, 60, 80])


def cell(at, predicted, measured, stderr, *, n=20000, tolerance=0.0, outcome="supported"):
    return {
        "at": at,
        "predicted": predicted,
        "measured": measured,
        "stderr": stderr,
        "interval": [measured - 6.5 * stderr, measured + 6.5 * stderr],
        "tolerance": tolerance,
        "resolution": 0.02,
        "n": n,
        "verdict": outcome,
    }


def verdict(name, cells, **changes):
    """Return a verdict with `cells`; the last cell gives the headline numbers."""
    head = {key: value for key, value in cells[-1].items() if key != "verdict"}
    found = {
        "schema": 1,
        "id": name,
        "source": "sampled" if cells[-1]["stderr"] else "computed",
        "paper": "Liang et al. 2022",
        "section": "Theorem 1",
        "statement": "The cosine of two inputs rises through a random ReLU layer with high probability.",
        "formula": r"\mathbb{P}\left(c' > c_0\right) \ge 1 - \frac{K}{d}",
        "kind": "inequality",
        "expected": "supported",
        "verdict": "supported",
        "relation": "equal",
        "level": "quick",
        "alpha": 1e-9,
        "coverage": "exact",
        "looks": 2,
        "seed": 0,
        "seconds": 0.84,
        "note": "",
        **head,
        "cells": cells,
        **changes,
    }
    return found | {"as_expected": found["verdict"] == found["expected"]}


def summary_of(verdicts):
    """Return the summary that a run with `verdicts` writes."""
    surprising = [verdict["id"] for verdict in verdicts if not verdict["as_expected"]]
    return {
        "schema": 1,
        "conetheory": "0.1.0",
        "seed": 0,
        "level": "quick",
        "planted": False,
        "claims": len(verdicts) + 1,
        "decided": len(verdicts),
        "complete": False,
        "as_expected": len(verdicts) - len(surprising),
        "not_as_expected": surprising,
        "skipped": ["liang.features.gap"],
        **{
            outcome: sum(v["verdict"] == outcome for v in verdicts) for outcome in ("supported", "refuted", "undecided")
        },
    }


def _curve(name, rng, key, x, values, error, **changes):
    cells = [
        cell({key: at}, float(value), float(value + error * rng.standard_normal()), error)
        for at, value in zip(x, values, strict=True)
    ]
    return verdict(name, cells, **changes)


def six_pairs_loss(scale, degrees):
    """Symmetric cross entropy of the six pairs of which the first two are swapped."""
    cosine = np.cos(_AZIMUTHS[:, None] - _AZIMUTHS[[1, 0, 2, 3, 4, 5]][None, :]) * math.cos(math.radians(degrees))
    logits = scale * cosine
    rows = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    columns = np.log(np.exp(logits).sum(axis=0)) - np.diag(logits)
    return float((rows.mean() + columns.mean()) / 2)


def _landmarks(rng):
    """Verdicts with the ids that the showcase looks for."""
    layers = list(range(26))
    for activation, level in zip(_ACTIVATIONS, (0.03, 0.6, 0.59, 4.0, 0.08), strict=True):
        for bias in ("normal", "torch_default", "none"):
            strength = level * {"normal": 1.0, "torch_default": 0.6, "none": 0.3}[bias]
            yield _curve(
                f"liang.fig2b.{activation}.{bias}",
                rng,
                "layer",
                layers,
                1 - np.exp(-strength * np.array(layers) / 2),
                0.004,
                section="Figure 2(b)",
                kind="value",
            )
    degrees = list(range(-90, 91, 15))
    for scale in _SCALES:
        losses = [six_pairs_loss(scale, at) for at in degrees]
        yield _curve(
            f"liang.sphere.mismatched.spacing20.scale{scale}",
            rng,
            "dtheta_deg",
            degrees,
            losses,
            0.0,
            section="Figure 3",
            kind="identity",
        )
    cells = [
        cell({"cosine": c, "norm_u": 1.0, "norm_v": 1.0, "width": d}, min(1.0, 10 / d), math.exp(-0.5 - 0.04 * d), 1e-4)
        for c in (0.1, 0.5, 0.9)
        for d in (8.0, 64.0, 512.0)
    ]
    yield verdict("liang.theorem1.probability", cells, relation="at_most")
    shares = [0.426422, 0.751650, 0.886714, 0.946704, 0.974431, 0.987574]
    yield _curve(
        "conetheory.theorem2.relu_share", rng, "layer", range(1, 7), shares, 0.003, section="Theorem 2", kind="value"
    )
    for scale, gap in ((1, 0.02), (10, 0.21), (100, 0.86)):
        cells = [
            cell({"lambda": 0.1}, 0.1, 0.1, 0.0, n=500),
            cell({"gap": 0.0}, gap, gap + 0.001, 0.0, n=500, tolerance=0.01),
        ]
        yield verdict(
            f"liang.fig3.minimum.symmetric.scale{scale}", cells, section="Figure 3(b)", source="data", kind="value"
        )


def _edge_cases():
    """Verdicts that break a careless page or figure."""
    printed = cell({}, 0.0334, 0.0584, 0.0, n=0, tolerance=5e-5, outcome="refuted")
    yield verdict(
        "liang.caps.3d.printed",
        [printed],
        section="Section 2.2",
        kind="value",
        expected="refuted",
        verdict="refuted",
        statement="A cap of half-angle 27.97° covers 3.34 % of the sphere in ℝ³, where x < y & y > z.",
        note="The paper's own formula gives 5.84 %; <b>not bold</b> & 'quoted' \"twice\".",
        formula=r"\tfrac12 I_{\sin^2\psi}\left(\tfrac{d-1}{2}, \tfrac12\right) < \text{<b>x</b> & y}",
    )
    nothing = {
        **cell({}, 1.0, 0.0, 0.0),
        "measured": None,
        "stderr": None,
        "interval": [None, None],
        "verdict": "undecided",
    }
    yield verdict("liang.edge.missing", [nothing], verdict="undecided", formula="")
    tiny = [
        cell({"width": d}, 10.0 ** (-d / 64), 1.05 * 10.0 ** (-d / 64), 0.02 * 10.0 ** (-d / 64))
        for d in (64, 256, 1024, 2048)
    ]
    yield verdict("beyond.edge.tiny", tiny, paper="conetheory", kind="rate", formula=r"e^{-d I}", tolerance=0.0)
    bounds = [cell({"cosine": c, "norm_u": r}, c, c + 0.1, 0.01) for c in (0.1, 0.5, 0.9) for r in (0.5, 1, 4)]
    yield verdict("liang.edge.margins", bounds, relation="at_least")
    mixed = [
        cell({"lambda": 0.1}, 0.0, 0.004, 0.0, tolerance=0.01),
        cell({"gap": 0.7}, 0.7, 0.701, 0.0, tolerance=0.01),
    ]
    yield verdict("liang.edge.mixed", mixed, source="data")
    named = [cell({"activation": name}, 0.3, 0.31, 0.01) for name in _ACTIVATIONS]
    yield verdict("liang.edge.named", named, tolerance=0.02)
    yield verdict(
        "liang.theorem1.probability!wrong_sign",
        [cell({}, 0.5, 0.7, 0.01, outcome="refuted")],
        expected="refuted",
        verdict="refuted",
    )
    yield verdict(
        "liang.edge.surprise", [cell({}, 0.5, 0.62, 0.01, outcome="refuted")], verdict="refuted", relation="at_most"
    )


def many_verdicts(total=80, seed=1):
    """Return `total` verdicts; equal arguments, equal verdicts."""
    rng = np.random.default_rng(seed)
    found = [*_landmarks(rng), *_edge_cases()]
    for number in range(total - len(found)):
        relation = ("equal", "at_least", "at_most")[number % 3]
        shift = {"equal": 0.0, "at_least": 0.1, "at_most": -0.1}[relation]
        changes = {
            "relation": relation,
            "paper": _PAPERS[number % 4],
            "kind": _KINDS[number % 5],
            "section": f"Section {1 + number % 7}",
            "seconds": round(float(rng.exponential(2.0)), 3),
        }
        name = f"filler.section{number % 7}.claim{number}"
        if number % 2:
            x = [0.1, 0.3, 0.5, 0.7, 0.9]
            found.append(_curve(name, rng, "cosine", x, np.array(x) ** 2 + 0.1, 0.01, **changes))
        else:
            value = float(rng.uniform())
            found.append(
                verdict(name, [cell({}, value, value + shift + 0.01 * float(rng.standard_normal()), 0.01)], **changes)
            )
    return found[:total]
