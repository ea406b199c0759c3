import json

import pytest

from claims import SCHEMA
from claims import certify as module
from claims.certify import certificate_lines, certify, select_certificates
from conetheory.proofs.certified import CERTIFICATES
from conetheory.proofs.certified_layer import arc_cosine_lift
from conetheory.proofs.certified_threshold import (
    chebyshev_at_unit_norms,
    enclose_sharp_threshold,
    sharp_threshold_within,
)


def test_no_name_means_all_in_order():
    assert select_certificates([]) == list(CERTIFICATES)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["rate.0.5_1_1"], ["rate.0.5_1_1"]),
        (["rate.0.5_2_1", "arc_cosine_lift"], ["arc_cosine_lift", "rate.0.5_2_1"]),
        (["arc_cosine*"], ["arc_cosine_lift", "arc_cosine_increases"]),
        (["sharp_threshold"], [name for name in CERTIFICATES if name.startswith("sharp_threshold.")]),
    ],
)
def test_names_beginnings_and_patterns(names, expected):
    assert select_certificates(names) == expected


def test_an_unknown_name_is_an_error_before_anything_runs(monkeypatch):
    monkeypatch.setattr(module, "CERTIFICATES", dict.fromkeys(CERTIFICATES, pytest.fail))
    with pytest.raises(ValueError, match=r"Unknown certificate 'arc_cosine_lfit'; did you mean 'arc_cosine_lift'\?"):
        certify(["arc_cosine_lfit"])


def test_entries_are_ready_for_json():
    (found,) = certify(["chebyshev_at_unit_norms"])
    again = json.loads(json.dumps(found))
    assert again == found
    assert found["schema"] == SCHEMA
    assert found["proven"]
    assert found["witness"] is None
    low, high = found["values"]["K as c₀ → 1"]
    assert float(low) <= 21 <= float(high)
    lines = certificate_lines(found)
    assert lines[0] == "proven      chebyshev_at_unit_norms"
    assert "K < 21 − 12 √(1 − c₀)" in lines[1]
    assert "17 boxes, 80 bits" in lines[2]
    assert "K as c₀ → 1 in [20.99" in lines[3]


def test_what_is_false_says_where(monkeypatch):
    monkeypatch.setattr(
        module,
        "CERTIFICATES",
        {"K": lambda: chebyshev_at_unit_norms("12.4"), "lift": lambda: arc_cosine_lift("0.0323")},
    )
    for found in certify():
        assert not found["proven"]
        assert found["open_share"] == 1
        assert json.loads(json.dumps(found))["witness"]
        lines = certificate_lines(found)
        assert lines[0].startswith("NOT PROVEN")
        assert lines[-1].strip().startswith("false on [[")


def test_what_is_open_says_so(monkeypatch):
    found = enclose_sharp_threshold(2, 1)
    coarse = sharp_threshold_within(2, 1, found, precision_bits=53)
    monkeypatch.setattr(module, "CERTIFICATES", {"too few bits": lambda: coarse})
    (found,) = certify()
    assert not found["proven"]
    assert found["witness"] is None
    assert "open: " in certificate_lines(found)[-1]
