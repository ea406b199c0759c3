import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

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


@pytest.mark.parametrize(("beta0", "gamma0"), [(14.3, 0.6), (5.0, 0.1)])
def test_the_gap_flow_conserves_its_quantity(beta0, gamma0):
    """A solver of order 8 on the flow of a loss with a finite minimiser, which moves beta and gamma a good way."""
    quantity = sympy.lambdify(
        sympy.symbols("beta gamma", positive=True), symbolic_gap_flow.closed_temperature_laws().closed["exp(nu)"]
    )

    def speed(_, state):
        nu, gamma = state
        slope = np.tanh(np.exp(nu) * (1 - gamma**2) - 9.0)  # l'(a), l = ln cosh(a - 9)
        return [-slope * np.exp(nu) * (1 - gamma**2), 2 * slope * np.exp(nu) * gamma]

    found = solve_ivp(speed, (0, 2), [np.log(beta0), gamma0], method="DOP853", rtol=1e-12, atol=1e-14)
    nu, gamma = found.y[:, -1]
    assert abs(gamma - gamma0) > 1e-3
    assert_allclose(quantity(np.exp(nu), gamma), quantity(beta0, gamma0), rtol=1e-10)
