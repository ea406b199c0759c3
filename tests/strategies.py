"""Hypothesis strategies that several test files share."""

from hypothesis import strategies as st

cosines = st.floats(-1, 1)
norms = st.floats(0.01, 100)
widths = st.integers(1, 4096)
seeds = st.integers(0, 2**32 - 1)
