"""Proofs by machine: symbolic derivations from definitions (SymPy) and certificates in ball arithmetic (python-flint).

Nothing outside this package imports either library. ``docs/theory.md``, section 20, says what each proves.
"""
