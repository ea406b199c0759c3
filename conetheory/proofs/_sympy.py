"""The one place that imports SymPy, which only the extra ``proofs`` installs."""

from typing import Any

try:
    import sympy as _library
except ImportError as error:
    raise ImportError("Symbolic derivations need SymPy: pip install 'conetheory[proofs]'.") from error

__all__ = ["sympy"]

sympy: Any = _library  # its functions return unions that no type checker can follow
