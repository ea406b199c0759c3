"""Figures: theory a solid line, simulation dots with two standard errors either side, experiment crosses."""

from .canvas import inline_svg, save_figures
from .claim import claim_svg, plot_claim
from .showcase import CAPTIONS, showcase

__all__ = ["CAPTIONS", "claim_svg", "inline_svg", "plot_claim", "save_figures", "showcase"]
