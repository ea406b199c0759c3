import numpy as np
import pytest
from numpy.testing import assert_allclose

sympy = pytest.importorskip("sympy")

from conetheory.proofs import symbolic_gap_flow  # noqa: E402
from conetheory.temperature_laws import softplus_law  # noqa: E402


@pytest.mark.parametrize("name", symbolic_gap_flow.__all__)
def test_the_definition_gives_the_closed_form(name):
    found = getattr(symbolic_gap_flow, name)()
    assert found.closed
    assert found.residuals
    assert all(residual == 0 for residual in found.residuals.values()), found.residuals


def test_the_first_integral_of_softplus_is_that_of_the_package():
    (symbol,) = (integral := symbolic_gap_flow.softplus_integral().closed["F"]).free_symbols
    for beta in (0.1, 1.0, 7.0):
        assert_allclose(float(integral.subs(symbol, beta).evalf()), softplus_law().first_integral(beta), rtol=1e-12)


def test_the_rate_at_rest_is_that_of_the_package():
    rate = symbolic_gap_flow.gap_pitchfork().closed["rate"]
    values = {str(symbol): symbol for symbol in rate.free_symbols}
    found = rate.subs({values["beta"]: 4, values["s"]: 3, values["c"]: 0.5})
    assert_allclose(float(found), 4 * 4 * (4 - 3) * 0.5)
    assert np.isfinite(float(found))
