"""The roof: every claim of every paper, predicted by `conetheory`, measured by `sims` and `empirical`, and decided."""

__all__ = ["SCHEMA"]

SCHEMA = 1  # of all JSON objects; CONTRIBUTING.md says how long one is kept

__all__ = ["SCHEMA"]

SCHEMA = 1  # of all JSON objects; CONTRIBUTING.md says how long one is kept
