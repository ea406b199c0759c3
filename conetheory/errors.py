"""Errors that a caller may want to catch by name."""

__all__ = ["ConvergenceError"]


class ConvergenceError(ArithmeticError):
    """A numerical method stopped before it reached the accuracy it promises.

    Attributes
    ----------
    value : float
        The last value reached.
    error : float
        Its estimated absolute error.
    """

    def __init__(self, message: str, *, value: float, error: float) -> None:
        super().__init__(message)
        self.value = value
        self.error = error
