"""Liang et al., "Mind the Gap" (NeurIPS 2022, arXiv:2203.02053), and what we found about its statements."""

PAPER = "Liang et al. 2022"
