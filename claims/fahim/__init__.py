"""Fahim, Murphy and Fyshe, "It's Not a Modality Gap" (2024, arXiv:2405.18570), and what we found about its
statements.
"""

PAPER = "Fahim et al. 2024"
