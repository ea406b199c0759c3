import numpy as np
import pytest
from matplotlib.figure import Figure

from claims.figures.mitigations import plot_gap_by_fraction, plot_gap_by_temperature
from claims.yaras.published import FIXED, HARD_SWAP


@pytest.mark.parametrize(("plot", "printed"), [(plot_gap_by_temperature, FIXED), (plot_gap_by_fraction, HARD_SWAP)])
def test_dots_fall_beside_the_printed_crosses(plot, printed):
    ax = plot(ax=Figure().subplots())
    dots, crosses = (
        next(line for line in ax.get_lines() if line.get_marker() == marker).get_data() for marker in ("o", "x")
    )
    assert np.all(np.diff(dots[1]) < 0)
    assert list(crosses[1]) == [printed[at] for at in crosses[0]]
    assert list(dots[0]) == list(crosses[0])
