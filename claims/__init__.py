"""The roof: every claim of every paper, predicted by `conetheory`, measured by `sims` and `empirical`, and decided."""

__all__ = ["OURS", "SCHEMA"]

OURS = "conetheory"  # the source of a claim that no paper makes
SCHEMA = 1  # of all JSON objects; CONTRIBUTING.md says how long one is kept
