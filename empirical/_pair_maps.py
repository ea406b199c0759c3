r"""What infinite width says of torch modules: `conetheory.normalisation.PairState` through dense layers, activations,
normalisations and residual sums. Private.

The variances are those of the weights at hand, :math:`\sigma_w^2` = fan-in times the mean square of the weights,
:math:`\sigma_b^2` the mean square of the biases; the law they stand for is centred and independent of the input, which
trained weights are not. Modules with a forward of their own are traced by ``torch.fx``.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev

from conetheory.dual import ACTIVATIONS, Activation
from conetheory.errors import ConvergenceError
from conetheory.normalisation import PairState, activate, dense, layer_norm, rms_norm
from conetheory.residual import add

__all__ = ["NoPrediction", "PairFlow", "predict"]

_NODES = 33
_BY_CLASS_NAME = {  # activations outside torch.nn, by the name of their class
    "QuickGELUActivation": "quick_gelu",
    "GELUActivation": "gelu",
    "SiLUActivation": "silu",
}


class NoPrediction(Exception):
    """A module is not a map of pairs at infinite width; the message is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairFlow:
    """Pairs of points between two modules.

    Attributes
    ----------
    state : PairState
        One entry a pair.
    gaussian : bool
        Whether the units are centred Gaussians in the limit, as behind a dense layer.
    weights : frozenset of int
        Which dense layers were passed.
    fresh : int or None
        The last dense layer, if nothing from before it was added since: the units are then independent of whatever has
        not passed that layer.
    """

    state: PairState
    gaussian: bool = False
    weights: frozenset[int] = frozenset()
    fresh: int | None = None


def predict(module: Any, flow: PairFlow, *, pooled: bool) -> PairFlow:
    """Return `flow` after the torch `module`; `pooled`: a point is a mean over tokens, which only linear maps see.

    Raises
    ------
    NoPrediction
        Where a part of the module has no map, or the theory refuses a state.
    """
    try:
        return _through(module, flow, pooled)
    except (ValueError, TypeError, ConvergenceError) as error:
        raise NoPrediction(f"{type(module).__name__}: {error}") from None


@lru_cache
def _activations() -> dict[type, str | None]:
    """Return the activations of torch.nn: their name in conetheory, None where the module itself is integrated."""
    from torch import nn

    named = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid", nn.SiLU: "silu"}
    return named | dict.fromkeys((nn.GELU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.Mish), None)


@lru_cache
def _functions() -> dict[Any, str]:
    """Return the functions and methods that are activations."""
    import torch
    from torch.nn import functional

    found = {functional.relu: "relu", torch.relu: "relu", functional.gelu: "gelu", functional.silu: "silu"}
    found |= {torch.tanh: "tanh", functional.tanh: "tanh", torch.sigmoid: "sigmoid", functional.sigmoid: "sigmoid"}
    return found | {name: name for name in ("relu", "tanh", "sigmoid")}


def _through(module: Any, flow: PairFlow, pooled: bool) -> PairFlow:
    from torch import nn

    kind = type(module)
    if kind is nn.Linear:
        return _dense(module, flow)
    if kind in (nn.Identity, nn.Dropout):  # the model is in evaluation mode
        return flow
    if isinstance(module, nn.Sequential):
        for child in module:
            flow = _through(child, flow, pooled)
        return flow
    if kind is nn.LayerNorm:
        return _normalised(module, flow, layer_norm, pooled)
    if _is_rms_norm(module):
        return _normalised(module, flow, rms_norm, pooled)
    if (phi := _activation(module)) is not None:
        return _activated(phi, flow, pooled)
    if kind.__module__.startswith("torch.nn."):
        raise NoPrediction(f"{kind.__name__} is no map of pairs of points")
    return _traced(module, flow, pooled)


def _dense(module: Any, flow: PairFlow) -> PairFlow:
    layer = id(module.weight)
    if layer in flow.weights:
        raise NoPrediction("a weight is used twice: the layers are not independent")
    bias = 0.0 if module.bias is None else _mean_square(module.bias)
    state = dense(flow.state, sigma_w2=module.in_features * _mean_square(module.weight), sigma_b2=bias)
    return PairFlow(state=state, gaussian=True, weights=flow.weights | {layer}, fresh=layer)


def _mean_square(parameter: Any) -> float:
    return float(parameter.detach().double().square().mean())


def _activation(module: Any) -> str | Activation | None:
    """Return the activation that `module` is: a name, the module itself as a function of arrays, or None."""
    from torch import nn

    kind = type(module)
    if kind.__module__ == "transformers.activations":
        return _BY_CLASS_NAME.get(kind.__name__)
    if kind not in _activations():
        return None
    defaults = {nn.GELU: ("approximate", "none", "gelu"), nn.LeakyReLU: ("negative_slope", 0.01, "leaky_relu")}
    defaults |= {nn.ELU: ("alpha", 1.0, "elu")}
    if kind in defaults and getattr(module, defaults[kind][0]) == defaults[kind][1]:
        return defaults[kind][2]
    return _activations()[kind] or Activation(name=kind.__name__, function=_as_function(module))


def _as_function(module: Any) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    def function(x: np.ndarray) -> np.ndarray:
        values = torch.tensor(x, dtype=torch.float64)
        with torch.no_grad():  # a copy: an activation in place would change the nodes
            return module(values).numpy()

    return function


def _activated(phi: str | Activation, flow: PairFlow, pooled: bool) -> PairFlow:
    if pooled:
        raise NoPrediction("an activation does not see the mean over tokens: probe with tokens='first' or 'each'")
    if not flow.gaussian:
        raise NoPrediction("an activation needs Gaussian pre-activations, as behind a dense layer")
    has_form = (ACTIVATIONS[phi] if isinstance(phi, str) else phi).dual is not None
    return replace(flow, state=(activate if has_form else _activate_at_mean_variance)(flow.state, phi), gaussian=False)


def _activate_at_mean_variance(state: PairState, phi: str | Activation) -> PairState:
    """Return `state` after an activation that needs quadrature, at the mean variance of all points.

    The error is of second order in the relative spread of the variances. The map of cosines is smooth in the angle
    (``docs/theory.md``, 8.7): from `_NODES` Chebyshev points it is interpolated to 1e-9 or better at variances up to 9.
    """
    var = float(np.mean([np.asarray(state.var_u), np.asarray(state.var_v)]))
    angle = np.arccos(1 - np.asarray(state.complement))
    low, high = float(angle.min()), float(angle.max())
    if high - low < 1e-6:
        angles = np.array([(low + high) / 2])
    else:
        angles = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
    after = activate(PairState(var_u=var, var_v=var, complement=1 - np.cos(angles)), phi)
    series = Chebyshev.fit(angles, np.asarray(after.complement), len(angles) - 1, domain=[low, max(high, low + 1e-6)])
    complement = np.clip(series(angle), 0.0, 2.0)  # outside by rounding only
    mean, spread = np.asarray(after.mean_u).flat[0], np.asarray(after.var_u).flat[0]
    return PairState(var_u=spread, var_v=spread, complement=complement, mean_u=mean, mean_v=mean)


def _normalised(module: Any, flow: PairFlow, norm: Callable[[PairState], PairState], pooled: bool) -> PairFlow:
    r"""Return `flow` after a normalisation; gain g and bias b that differ from 1 and 0 act as a diagonal layer of
    variances mean g² and mean b².
    """
    if pooled:
        raise NoPrediction("a normalisation does not see the mean over tokens: probe with tokens='first' or 'each'")
    gain, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    if gain is not None and gain.ndim != 1:
        raise NoPrediction("a normalisation over several axes is no map of pairs of points")
    flow = replace(flow, state=_shrunk(module, flow.state, norm))
    plain = (gain is None or bool((gain == 1).all())) and (bias is None or bool((bias == 0).all()))
    if plain:
        return flow
    if np.any(np.asarray(flow.state.mean_u)) or np.any(np.asarray(flow.state.mean_v)):
        raise NoPrediction("a gain needs units of mean 0")
    square = 1.0 if gain is None else _mean_square(gain)
    shift = 0.0 if bias is None else _mean_square(bias)
    return replace(flow, state=dense(flow.state, sigma_w2=square, sigma_b2=shift), gaussian=False)


def _is_rms_norm(module: Any) -> bool:
    """Return whether `module` is nn.RMSNorm, or is called so and does the same: Gemma's, of gain 1 + weight, is not."""
    import torch

    if type(module) is torch.nn.RMSNorm:
        return True
    gain = getattr(module, "weight", None)
    if not type(module).__name__.endswith("RMSNorm") or gain is None or gain.ndim != 1:
        return False
    units = torch.linspace(1, 2, len(gain), dtype=gain.dtype, device=gain.device)
    with torch.no_grad():
        expected = gain * units / units.square().mean().sqrt()
        return torch.allclose(module(units[None])[0], expected, rtol=0.02, atol=1e-3)  # for half precision and any ε


def _shrunk(module: Any, state: PairState, norm: Callable[[PairState], PairState]) -> PairState:
    r"""Return the normalised state: of mean squares v/(v + ε) and not 1, v what the normalisation divides by."""
    eps = getattr(module, "eps", getattr(module, "variance_epsilon", None))
    eps = float(eps or 0.0)  # None is the rounding of the type at hand
    u, v = (state.var_u, state.var_v) if norm is layer_norm else (state.q_u, state.q_v)
    keep_u, keep_v = (1 / (1 + eps / np.asarray(square)) for square in (u, v))
    after = norm(state)
    return PairState(
        var_u=np.multiply(keep_u, after.var_u),
        var_v=np.multiply(keep_v, after.var_v),
        complement=after.complement,
        mean_u=np.multiply(np.sqrt(keep_u), after.mean_u),
        mean_v=np.multiply(np.sqrt(keep_v), after.mean_v),
    )


def _added(stream: PairFlow, branch: PairFlow) -> PairFlow:
    if not (_is_independent(stream, branch) or _is_independent(branch, stream)):
        raise NoPrediction("the summands are not independent: neither ends in a dense layer of its own")
    gaussian = stream.gaussian and branch.gaussian
    return PairFlow(state=add(stream.state, branch.state), gaussian=gaussian, weights=stream.weights | branch.weights)


def _is_independent(branch: PairFlow, other: PairFlow) -> bool:
    return branch.fresh is not None and branch.fresh not in other.weights


def _traced(module: Any, flow: PairFlow, pooled: bool) -> PairFlow:
    """Follow the graph of a module with a forward of its own."""
    from torch import fx

    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: Any, module_qualified_name: str) -> bool:
            return _activation(m) is not None or _is_rms_norm(m) or super().is_leaf_module(m, module_qualified_name)

    try:
        nodes = list(Tracer().trace(module).nodes)
    except Exception as error:  # tracing runs the user's forward, which may fail in any way on a proxy
        first = str(error).split("\n")[0][:80]
        raise NoPrediction(f"{type(module).__name__} cannot be traced ({type(error).__name__}: {first})") from None
    flows: dict[Any, PairFlow] = {}
    for node in nodes:
        if node.op == "output":
            return _known(flows, node.args[0])
        if node.op == "placeholder" and not flows:
            flows[node] = flow
        elif node.op == "call_module":
            child, (value, *others) = module.get_submodule(node.target), (*node.args, *node.kwargs.values(), None)[:2]
            if others != [None]:
                raise NoPrediction(f"{type(child).__name__} takes more than one tensor")
            _refuse_change_in_place(node, getattr(child, "inplace", False), flows)
            flows[node] = _through(child, _known(flows, value), pooled)
        elif node.op in ("call_function", "call_method"):
            changes = node.target in (operator.iadd, "add_") or bool(node.kwargs.get("inplace"))
            _refuse_change_in_place(node, changes, flows)
            flows[node] = _called(node.target, [_known(flows, arg) for arg in node.args], node.kwargs, pooled)
    raise NoPrediction(f"{type(module).__name__} returns nothing")


def _refuse_change_in_place(node: Any, changes: bool, flows: dict[Any, PairFlow]) -> None:
    """Refuse a node that changes its argument in place, if that is used afterwards by the name that it had before."""
    if changes and any(user is not node and user not in flows for user in node.all_input_nodes[0].users):
        raise NoPrediction(f"{getattr(node.target, '__name__', node.target)} changes in place what is used again")


def _known(flows: dict[Any, PairFlow], value: Any) -> PairFlow:
    if not isinstance(value, (str, int, float, list, tuple, dict, type(None))) and value in flows:
        return flows[value]
    raise NoPrediction(f"{value} is no pair of points that the theory follows")


def _called(target: Any, flows: list[PairFlow], options: dict[str, Any], pooled: bool) -> PairFlow:
    """Return what a function or method in a traced graph makes of its arguments."""
    import torch
    from torch.nn import functional

    if target in (operator.add, operator.iadd, torch.add, "add", "add_") and len(flows) == 2 and not options:
        return _added(*flows)
    if target in _functions() and len(flows) == 1 and set(options) <= {"inplace"}:
        return _activated(_functions()[target], flows[0], pooled)
    if target is functional.dropout and options.get("training") is False:
        return flows[0]
    raise NoPrediction(f"{getattr(target, '__name__', target)} is no map of pairs of points")
