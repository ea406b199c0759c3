"""Temperature laws and schedules against conetheory, their bounds, and their way through a checkpoint."""

import math

import numpy as np
import pytest

from conetheory.temperature_laws import exponential_law, linear_law, softplus_law

torch = pytest.importorskip("torch", reason="the module is torch's: pip install 'conetheory[empirical]'")

from empirical.temperature import LAWS, make_temperature  # noqa: E402

THEORY = {
    "exp": exponential_law(),
    "exp_scaled": exponential_law(10.0),
    "softplus": softplus_law(),
    "linear": linear_law(),
}


@pytest.mark.parametrize("law", THEORY)
@pytest.mark.parametrize("beta", [0.05, 1.0, 14.3, 99.0])
def test_trained_laws_are_those_of_conetheory(law, beta):
    found, theory = make_temperature(law, 1 / beta, s=10.0), THEORY[law]
    scale = found.scale(3, 10)
    scale.backward()
    assert found.parameter.item() == pytest.approx(float(theory.nu(beta)), rel=1e-6)
    assert scale.item() == pytest.approx(beta, rel=1e-5)
    assert found.parameter.grad.item() == pytest.approx(float(theory.slope(beta)), rel=1e-5)
    with torch.no_grad():
        found.parameter.fill_(1.7)
    assert found.scale(0, 10).item() == pytest.approx(float(theory.beta(1.7)), rel=1e-6)


@pytest.mark.parametrize(("law", "last"), [("S0", 2e-2), ("S1", 3e-2), ("S2", 4e-2), ("S3", 5e-2)])
def test_linear_schedules_are_those_of_the_paper(law, last):
    found = make_temperature(law, 1e-2)
    assert found.parameter is None
    taus = [1 / found.scale(step, 1000).item() for step in range(0, 1001, 50)]
    np.testing.assert_allclose(taus, np.linspace(1e-2, last, 21), rtol=1e-6)


@pytest.mark.parametrize(("law", "highest"), [("A0", 2e-2), ("A1", 4e-2)])
@pytest.mark.parametrize("cycles", [1, 3])
def test_cosine_schedules_alternate_between_the_two_temperatures(law, highest, cycles):
    found = make_temperature(law, 1e-2, cycles=cycles)
    parts = np.arange(0, 601, 10) / 600
    taus = [1 / found.scale(round(600 * part), 600).item() for part in parts]
    expected = 1e-2 + (highest - 1e-2) * (1 - np.cos(2 * np.pi * cycles * parts)) / 2
    np.testing.assert_allclose(taus, expected, rtol=1e-6)
    assert max(taus) == pytest.approx(highest, rel=1e-6)


def test_a_fixed_temperature_stays():
    found = make_temperature("fixed", 0.07)
    assert {found.scale(step, 10).item() for step in range(11)} == {np.float32(1 / 0.07).item()}
    assert list(found.parameters()) == []
    assert found.state_dict() == {}


@pytest.mark.parametrize("law", THEORY)
def test_projection_keeps_the_scale_between_its_bounds(law):
    found = make_temperature(law, 0.1, s=10.0, clamp=50.0)
    for beyond, bound in ((1e3, 50.0), (-1e3, 1e-2)):
        with torch.no_grad():
            found.parameter.fill_(beyond)
        found.project_()
        assert found.scale(0, 1).item() == pytest.approx(bound, rel=1e-5)
    before = found.parameter.clone()
    found.project_()
    assert torch.equal(before, found.parameter)


def test_a_parameter_at_the_bound_can_leave_it():
    found = make_temperature("exp", 0.01)
    for direction, moves in ((1.0, False), (-1.0, True)):
        (slope,) = torch.autograd.grad(found.scale(0, 1), found.parameter)
        with torch.no_grad():
            found.parameter += 1e-4 * direction * slope
        found.project_()
        assert (found.scale(0, 1).item() < 99.99) == moves


def test_state_survives_a_checkpoint():
    found, other = (make_temperature("softplus", tau) for tau in (0.1, 0.05))
    other.load_state_dict(found.state_dict())
    assert torch.equal(other.scale(0, 1), found.scale(0, 1))
    assert list(found.state_dict()) == ["parameter"]


@pytest.mark.parametrize("law", LAWS)
def test_every_law_starts_where_it_was_told(law):
    scale = make_temperature(law, 0.02).scale(0, 7)
    assert scale.dtype == torch.float32
    assert scale.shape == ()
    assert scale.item() == pytest.approx(50.0, rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_temperature("cosine", 0.1), r"`law` must be one of fixed, exp, .* got 'cosine'"),
        (lambda: make_temperature("exp", 0.0), r"`temperature` must be positive, got 0.0"),
        (lambda: make_temperature("exp", math.nan), r"`temperature` must be finite, got nan"),
        (lambda: make_temperature("exp", 0.005), r"reciprocal in \[0.01, 100.0\], got 0.005"),
        (lambda: make_temperature("exp_scaled", 0.1, s=-1.0), r"`s` must be positive, got -1.0"),
        (lambda: make_temperature("A0", 0.1, cycles=0), r"`cycles` must be at least 1, got 0"),
        (lambda: make_temperature("S0", 0.1).scale(11, 10), r"`step` must lie in 0 ... 10, got 11"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
