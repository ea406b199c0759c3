"""What the inversion of the Laplace transform is built of: its nodes and its logarithm."""

import mpmath as mp
import numpy as np
import pytest

from conetheory._failure_inversion import _NARROW, _WIDE, _log, _ridged_nodes


@pytest.mark.parametrize("grid", [*_WIDE, *_NARROW], ids=str)
def test_nodes_solve_their_equation(grid):
    """Uniform in the sum of three arsinh, whose ridges may be 1e-5 wide at a distance of 1000."""
    shift = np.sinh(np.linspace(0.1, grid.reach, 12))[:, None]
    spread = np.exp(np.linspace(0, 4, 5))[:, None, None] if grid.ridge < 1 else np.ones((1, 1, 1))
    y, weights = _ridged_nodes(shift, spread, grid)
    right, left = grid.ridge * spread, grid.ridge / spread
    position = np.arcsinh(y) + np.arcsinh((y - shift) / right) + np.arcsinh((y + shift) / left)
    expected = grid.step_s * (np.arange(y.shape[2]) - y.shape[2] // 2 + 0.5)
    np.testing.assert_allclose(position, np.broadcast_to(expected, y.shape), rtol=0, atol=1e-9)
    slope = 1 / np.hypot(1, y) + 1 / np.hypot(right, y - shift) + 1 / np.hypot(left, y + shift)
    np.testing.assert_allclose(weights * slope, grid.step_s, rtol=1e-12)


def test_logarithm_is_that_of_mpmath():
    for z in (0.3 + 0.2j, -2.0 + 1e-9j, -2.0 - 1e-9j, 1.0 + 1e-12j, 1e-90 - 3e-90j, 0.4):
        assert abs(complex(mp.log(z)) - complex(_log(z))) < 1e-15 * (1 + abs(complex(mp.log(z))))
