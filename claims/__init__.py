"""The roof: every claim of every paper, predicted by `conetheory`, measured by `sims` and `empirical`, and decided."""
