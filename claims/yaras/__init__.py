"""Yaras, Chen, Wang and Qu, "Explaining and Mitigating the Modality Gap" (CPAL 2025, arXiv:2412.07909), and what we
found about its statements.
"""

PAPER = "Yaras et al. 2025"
