r"""The named activations, and what is known of each: its slope, and its closed forms where there are any."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from scipy.special import erf, expit, ndtr

from conetheory._arrays import as_array
from conetheory._dual_forms import FORMS

__all__ = ["ACTIVATIONS", "Activation", "pointwise", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """An activation and what is known of it in closed form.

    Attributes
    ----------
    name : str
        Name shown in results and errors.
    function : callable or None
        Elementwise map of a float array to one of the same shape; None where there is none (maxout2, which takes two
        pre-activations), and then the three closed forms must be there.
    slope : callable, optional
        Derivative of `function`, which must then be continuous, away from 0; without it `dual_derivative`
        differentiates numerically.
    dual : callable, optional
        ``dual(rho, var_u, var_v)``, the dual activation in closed form; without it quadrature serves.
    derivative : callable, optional
        ``derivative(rho, var_u, var_v)``, its derivative in rho in closed form.
    complement : callable, optional
        ``complement(eps, var)``: 1 - C-map at correlation 1 - eps in closed form.
    degree : float, optional
        p, if the activation is homogeneous: a positive factor c of the argument is a factor c^p of the value. Its C-map
        then does not depend on the variance.
    """

    name: str
    function: Callable | None
    slope: Callable | None = None
    dual: Callable | None = None
    derivative: Callable | None = None
    complement: Callable | None = None
    degree: float | None = None


_LEAKY_SLOPE = 0.01
_QUICK = 1.702


def _elu(x: np.ndarray | np.float64 | float) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _swish_slope(x: np.ndarray, beta: float) -> np.ndarray:
    """Return the derivative of x sigmoid(beta x)."""
    return expit(beta * x) * (1 + beta * x * expit(-beta * x))


def _closed(name: str, function: Callable | None, *, degree: float | None = None, **parameters: float) -> Activation:
    """Return an activation with its three closed forms."""
    dual, derivative, complement = (partial(form, **parameters) for form in FORMS[name])
    return Activation(
        name=name, function=function, dual=dual, derivative=derivative, complement=complement, degree=degree
    )


#: The named activations. GELU is x Phi(x), SiLU x sigmoid(x), QuickGELU x sigmoid(1.702 x); leaky ReLU has slope 0.01,
#: ELU alpha = 1; step is 1 for x > 0, else 0; gaussian is exp(-x^2); maxout2 the greater of two independent
#: pre-activations of one variance.
ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        activation.name: activation
        for activation in (
            _closed("linear", lambda x: +x, degree=1),
            _closed("relu", lambda x: np.maximum(x, 0), degree=1),
            _closed("leaky_relu", lambda x: np.where(x > 0, x, _LEAKY_SLOPE * x), degree=1, slope=_LEAKY_SLOPE),
            _closed("abs", np.abs, degree=1),
            _closed("step", lambda x: (x > 0).astype(x.dtype), degree=0),
            _closed("maxout2", None, degree=1),
            _closed("erf", erf),
            _closed("gelu", lambda x: x * ndtr(x)),
            _closed("gaussian", lambda x: np.exp(-x * x)),
            _closed("sin", np.sin),
            _closed("cos", np.cos),
            Activation(name="sigmoid", function=expit, slope=lambda x: expit(x) * expit(-x)),
            Activation(name="tanh", function=np.tanh, slope=lambda x: 1 - np.tanh(x) ** 2),
            Activation(name="silu", function=lambda x: x * expit(x), slope=partial(_swish_slope, beta=1.0)),
            Activation(
                name="quick_gelu", function=lambda x: x * expit(_QUICK * x), slope=partial(_swish_slope, beta=_QUICK)
            ),
            Activation(name="elu", function=_elu, slope=lambda x: np.exp(np.minimum(x, 0))),
        )
    }
)


def _checked(function: Callable) -> Callable:
    """Return `function` with its values checked: a finite real array of the shape of the argument."""

    def checked(x: np.ndarray) -> np.ndarray:
        values = as_array("activation(x)", function(x))
        if values.shape != np.shape(x):
            raise ValueError(f"`activation` must keep the shape of its argument: {np.shape(x)} became {values.shape}.")
        return values

    return checked


def resolve(activation: str | Callable | Activation) -> Activation:
    """Return `activation` as an `Activation`: looked up by name, or a user's function with its values checked."""
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        if activation not in ACTIVATIONS:
            raise ValueError(f"`activation` must be a function or one of {', '.join(ACTIVATIONS)}, got {activation!r}.")
        return ACTIVATIONS[activation]
    if not callable(activation):
        raise TypeError(f"`activation` must be a function or one of {', '.join(ACTIVATIONS)}, got {activation!r}.")
    return Activation(name=getattr(activation, "__name__", "activation"), function=_checked(activation))


def pointwise(activation: Activation) -> Callable:
    """Return the function of `activation`; one that is no function of a single pre-activation is an error."""
    if activation.function is None:
        raise ValueError(
            f"`activation` must be a function of one pre-activation, got {activation.name!r}, which takes two: draw "
            "two weight rows a unit and keep the greater."
        )
    return activation.function
