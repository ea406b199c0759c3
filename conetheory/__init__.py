"""Theory of the cone effect and of the modality gap, in NumPy and SciPy.

Every module is one idea and is imported by name (``from conetheory import contraction``); nothing slow is loaded
before it is asked for.
"""

__version__ = "0.1.0"
