"""Layers of real towers: normalisation, residual blocks, pooling, attention, and a transformer built of them."""

from functools import lru_cache, partial

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Computed, Joint, Mean, PerCell, Tally
from conetheory.attention import average_pool, two_token_attention, uniform_attention
from conetheory.normalisation import PairState, activate, dense, layer_norm, rms_norm
from conetheory.residual import mlp, residual_curve
from conetheory.transformer import mlp_kernel, normalised_kernel, token_cosines, transformer_curve
from sims.towers import attention_kernels, normalised_cosines, residual_cosines, transformer_cosines

__all__ = ["CLAIMS"]

_WIDTH, _RHO = 256, 0.6
_LAYERS, _BLOCKS = (1, 3, 5), (1, 3, 6)
_LAYER_GRID = tuple({"rho": _RHO, "layers": float(layer), "width": float(_WIDTH)} for layer in _LAYERS)
_BLOCK_GRID = tuple({"rho": _RHO, "blocks": float(block), "width": float(_WIDTH)} for block in _BLOCKS)
_APART, _BIASED_DEPTH, _BIAS_GRID = 0.1, 8, tuple({"sigma_b2": s} for s in (0.2, 0.5, 1.0))
_START = PairState(var_u=1.0, var_v=1.0, complement=1 - _RHO)
_MLP = partial(mlp, activation="relu", sigma_w2=2.0)
_LOG_DEPTHS, _SLOPE_GRID = (100, 400), tuple({"sigma_b2": s} for s in (0.5, 1.0, 3.0))
_HEAD_WIDTH = 64
_BLOCK_DEPTH, _TRANSFORMER_WIDTH, _TRANSFORMER_HEADS = 2, 128, 8


def _normalised(norm=layer_norm) -> list[float]:
    """Return the cosine after ReLU and a normalisation, layer by layer."""
    state, curve = _START, [_RHO]
    for _ in range(max(_LAYERS)):
        state = norm(activate(dense(state), "relu"))
        curve.append(float(state.cosine))
    return [curve[layer] for layer in _LAYERS]


def _draw_normalised(rng: np.random.Generator, n: int) -> Tally:
    return Tally.of(normalised_cosines(_RHO, "relu", _WIDTH, n, depth=max(_LAYERS), rng=rng)[:, _LAYERS])


def _biased(sigma_b2: float) -> float:
    """Return the cosine after eight layers with biases, ReLU and LayerNorm, from a cosine of .1."""
    state = PairState(var_u=1.0, var_v=1.0, complement=1 - _APART)
    for _ in range(_BIASED_DEPTH):
        state = layer_norm(activate(dense(state, sigma_b2=sigma_b2), "relu"))
    return float(state.cosine)


def _draw_biased(rng: np.random.Generator, n: int, at: At) -> Tally:
    curves = normalised_cosines(_APART, "relu", _WIDTH, n, depth=_BIASED_DEPTH, sigma_b2=at["sigma_b2"], rng=rng)
    return Tally.of(curves[:, -1])


def _residual(placement: str) -> list[float]:
    curve = 1 - residual_curve(_START, _MLP, max(_BLOCKS), placement=placement)
    return [float(curve[block]) for block in _BLOCKS]


def _draw_residual(rng: np.random.Generator, n: int, *, placement: str) -> Tally:
    curves = residual_cosines(_RHO, "relu", _WIDTH, n, depth=max(_BLOCKS), placement=placement, sigma_w2=2.0, rng=rng)
    return Tally.of(curves[:, _BLOCKS])


def _networks(draw) -> Joint:
    return Joint(rule=Mean(), first=1 << 8, quick=1 << 12, full=1 << 14, draw=draw)


def _angles(theta: float, sigma_b2: float, depth: int) -> list[float]:
    """Iterate the pre-norm stream of ReLU branches in the plane: inner products and lengths, no complement."""
    size, inner, found = 1.0, np.cos(theta), [theta]
    for _ in range(depth):
        rho = (inner / size + sigma_b2) / (1 + sigma_b2)
        angle = np.arccos(rho)
        inner += (1 + sigma_b2) / 2 * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
        size += (1 + sigma_b2) / 2
        found.append(float(np.arccos(inner / size)))
    return found


def _log_growth() -> list[float]:
    low, high = _LOG_DEPTHS
    angles = _angles(0.02, 0.0, high)
    return [
        (1 / angles[high] - 1 / angles[low]) / np.log((high + 2) / (low + 2))
    ]  # the length after l blocks is 1 + l/2


def _exponents() -> list[float]:
    low, high = _LOG_DEPTHS
    found = []
    for at in _SLOPE_GRID:
        angles, offset = _angles(0.002, at["sigma_b2"], high), 2 / (1 + at["sigma_b2"])
        found.append(-2 * np.log(angles[high] / angles[low]) / np.log((high + offset) / (low + offset)))
    return found


@lru_cache
def _sequences(n: int, tokens: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sequences of tokens that share a direction, of mean square 1, and their kernel."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, tokens, width)) + 0.7 * rng.standard_normal((n, 1, width))
    x -= x.mean(axis=2, keepdims=True)
    x /= np.sqrt(np.mean(x * x, axis=2, keepdims=True))
    return x, np.einsum("asd,btd->asbt", x, x) / width


_POOLED = ((0, 0), (0, 1), (0, 2), (1, 2))


def _pick(kernels: np.ndarray) -> np.ndarray:
    return np.stack([kernels[..., a, b] for a, b in _POOLED], axis=-1)


def _pooled() -> np.ndarray:
    return _pick(average_pool(mlp_kernel(_sequences(3, 5, 40, 0)[1], "relu", sigma_w2=2.0)))


def _pooled_first() -> np.ndarray:
    kernel = average_pool(_sequences(3, 5, 40, 0)[1])[:, None, :, None]
    return _pick(mlp_kernel(kernel, "relu", sigma_w2=2.0)[:, 0, :, 0])


def _one_token() -> np.ndarray:
    return _pick(mlp_kernel(_sequences(3, 5, 40, 0)[1], "relu", sigma_w2=2.0)[:, 0, :, 0])


def _draw_pooled(rng: np.random.Generator, n: int) -> Tally:
    """Tally products of ReLU units that are averaged over the tokens, a unit a trial."""
    x = _sequences(3, 5, 40, 0)[0]
    units = np.maximum(x @ rng.standard_normal((x.shape[2], n)) * np.sqrt(2 / x.shape[2]), 0).mean(axis=1)
    return Tally.of(_pick(np.einsum("an,bn->nab", units, units)))


@lru_cache
def _opposed() -> tuple[np.ndarray, np.ndarray]:
    """Return two similar sequences of two tokens, of cosine -.6 within: their logits differ, and in step."""
    p, q, r, s = np.linalg.qr(np.random.default_rng(1).standard_normal((32, 4)))[0].T * np.sqrt(32)
    x = np.array([[p, 0.8 * q - 0.6 * p], [0.8 * p + 0.6 * r, 0.8 * s - 0.6 * p]])
    return x, np.einsum("asd,btd->asbt", x, x) / 32


def _entries(kernels: np.ndarray) -> np.ndarray:
    """Return the mean square of token 0, its product with token 1, and that with the other sequence."""
    return np.stack([kernels[..., 0, 0, 0, 0], kernels[..., 0, 0, 0, 1], kernels[..., 0, 0, 1, 0]], axis=-1)


def _draw_attention(rng: np.random.Generator, n: int, *, power: float = 0.5) -> Tally:
    x = _opposed()[0]
    return Tally.of(_entries(attention_kernels(x, 4, _HEAD_WIDTH, n, logit_power=power, rng=rng)))


def _attention(draw) -> Joint:
    return Joint(rule=Mean(), first=1 << 8, quick=1 << 10, full=1 << 13, draw=draw)


@lru_cache
def _transformer() -> tuple[float, ...]:
    kernel = _sequences(2, 4, _TRANSFORMER_WIDTH, 2)[1]
    curve = transformer_curve(kernel, "gelu", _BLOCK_DEPTH, n_samples=512, rng=0)
    return tuple(float(x) for x in (*curve.within[1:], *curve.between[1:]))


def _without_attention() -> list[float]:
    kernel, found = _sequences(2, 4, _TRANSFORMER_WIDTH, 2)[1], []
    for _ in range(_BLOCK_DEPTH):
        kernel = kernel + mlp_kernel(normalised_kernel(kernel), "gelu")
        found.append(token_cosines(kernel))
    return [cosines[i] for i in (0, 1) for cosines in found]


def _draw_transformer(rng: np.random.Generator, n: int) -> Tally:
    x = _sequences(2, 4, _TRANSFORMER_WIDTH, 2)[0]
    curves = transformer_cosines(x, "gelu", n, depth=_BLOCK_DEPTH, heads=_TRANSFORMER_HEADS, rng=rng)
    return Tally.of(np.concatenate([curves[:, 1:, 0], curves[:, 1:, 1]], axis=1))


CLAIMS = (
    Claim(
        id="conetheory.towers.layer_norm_after_relu",
        paper=OURS,
        section="docs/theory.md, section 9",
        statement="LayerNorm after ReLU takes the mean of the units away and lets the cosines fall, layer by layer.",
        formula=r"\rho' = \frac{\kappa(\rho) - 1/\pi}{1 - 1/\pi}",
        kind="value",
        predict=_normalised,
        tolerance=4 / _WIDTH,
        measure=_networks(_draw_normalised),
        grid=_LAYER_GRID,
        resolution=0.04,
        plants=(
            Plant(
                name="rms_norm",
                statement="It is RMSNorm: the cosines rise as without it.",
                predict=lambda: _normalised(rms_norm),
            ),
        ),
        note="The exponential approach to orthogonality is the theorem of Joudaki, Daneshmand and Bach (2023).",
    ),
    *(
        Claim(
            id=f"conetheory.towers.{placement}_norm",
            paper=OURS,
            section="docs/theory.md, section 9",
            statement=f"The cosine in a {placement}-norm residual stream follows the map of its blocks.",
            formula=formula,
            kind="value",
            predict=partial(lambda p: _residual(p), placement),
            tolerance=2 / _WIDTH,
            measure=_networks(partial(_draw_residual, placement=placement)),
            grid=_BLOCK_GRID,
            resolution=0.02,
            plants=(
                Plant(
                    name="other_placement",
                    statement=f"So it does where the blocks are {other}-norm.",
                    predict=partial(lambda p: _residual(p), other),
                ),
            ),
        )
        for placement, other, formula in (
            ("pre", "post", r"x' = x + f(\mathrm{norm}(x))"),
            ("post", "pre", r"x' = \mathrm{norm}(x + f(x))"),
        )
    ),
    Claim(
        id="conetheory.towers.layer_norm_biases",
        paper=OURS,
        section="docs/theory.md, section 9",
        statement="With biases LayerNorm after ReLU does not prevent the cone: the cosines rise, to 1 if the biases have more than .467 of the weights' variance.",
        formula=r"\frac{d\rho'}{d\rho}\Big|_{\rho = 1} = \frac{\pi}{\pi - 1} \cdot \frac{\sigma_w^2}{\sigma_w^2 + \sigma_b^2}",
        kind="value",
        predict=lambda: [_biased(at["sigma_b2"]) for at in _BIAS_GRID],
        tolerance=4 / _WIDTH,
        measure=PerCell(rule=Mean(), first=1 << 8, quick=1 << 11, full=1 << 14, draw=_draw_biased),
        grid=_BIAS_GRID,
        resolution=0.05,
        plants=(
            Plant(
                name="no_cone",
                statement="They fall as without biases.",
                predict=lambda: [_biased(0.0)] * len(_BIAS_GRID),
            ),
        ),
        note="Cosines after eight layers from .1. At .2 the fixed point is below 1; at .5 and 1 it is 1.",
    ),
    Claim(
        id="conetheory.towers.pre_norm_logarithm",
        paper=OURS,
        section="docs/theory.md, section 9",
        statement="Without biases a pre-norm stream of ReLU branches closes its cone like the logarithm of depth.",
        formula=r"\theta_l \sim \frac{3\pi}{\ln l}, \quad \frac{d\,\theta^{-1}}{d \ln l} \to \frac1{3\pi}",
        kind="rate",
        predict=lambda: [1 / (3 * np.pi)],
        tolerance=0.02 / (3 * np.pi),
        measure=Computed(compute=_log_growth, error=1e-6),
        resolution=1e-3,
        plants=(
            Plant(
                name="twice_as_fast",
                statement="The angle falls like 3π/(2 ln l).",
                predict=lambda: [2 / (3 * np.pi)],
            ),
        ),
        note="Measured from inner products and lengths between blocks 100 and 400; the tolerance of 2 % is for the terms of order θ and 1/l.",
    ),
    Claim(
        id="conetheory.towers.pre_norm_power",
        paper=OURS,
        section="docs/theory.md, section 9",
        statement="With biases in its branches a pre-norm stream closes its cone like a power of depth, one minus the slope of the branch.",
        formula=r"1 - \rho_l \sim C\,l^{-(1 - \chi)}, \quad \chi = \frac{\sigma_w^2}{\sigma_w^2 + \sigma_b^2}",
        kind="rate",
        predict=lambda: [1 - 1 / (1 + at["sigma_b2"]) for at in _SLOPE_GRID],
        tolerance=0.01,
        measure=Computed(compute=_exponents, error=1e-4),
        grid=_SLOPE_GRID,
        resolution=1e-3,
        plants=(
            Plant(
                name="slope_itself",
                statement="The power is the slope.",
                predict=lambda: [1 / (1 + at["sigma_b2"]) for at in _SLOPE_GRID],
            ),
        ),
    ),
    Claim(
        id="conetheory.towers.average_pooling",
        paper=OURS,
        section="docs/theory.md, section 9",
        statement="Average pooling averages the kernel of the tokens: of ReLU units, the dual activation of every pair of tokens.",
        formula=r"\bar K_{ab} = T^{-2} \sum_{st} \mathbb{E}\,\phi(z_{as}) \phi(z_{bt})",
        kind="value",
        predict=_pooled,
        measure=Joint(rule=Mean(), first=1 << 12, quick=1 << 18, full=1 << 21, draw=_draw_pooled),
        grid=tuple({"first": a + 1.0, "second": b + 1.0} for a, b in _POOLED),
        resolution=0.02,
        plants=(
            Plant(name="before_the_layer", statement="So it does before the layer.", predict=_pooled_first),
            Plant(name="one_token", statement="It has the kernel of one token.", predict=_one_token),
        ),
        note="Three sequences of five tokens; a unit is a trial, so the mean is exact at every width.",
    ),
    Claim(
        id="conetheory.towers.attention",
        paper=OURS,
        section="docs/theory.md, section 9",
        statement="Softmax attention with many wide heads maps the kernel of two tokens by the dual activation of the logistic function.",
        formula=r"K' = \bar K + \mathbb{E}[\eta(g)\eta(g')]\,\Delta, \quad \eta = \tfrac12\tanh\tfrac{x}{2}",
        kind="value",
        predict=lambda: _entries(two_token_attention(_opposed()[1])),
        tolerance=1 / _HEAD_WIDTH,
        measure=_attention(_draw_attention),
        grid=({"entry": 1.0}, {"entry": 2.0}, {"entry": 3.0}),
        resolution=0.06,
        plants=(
            Plant(
                name="uniform_attention",
                statement="It averages over the tokens.",
                predict=lambda: _entries(uniform_attention(_opposed()[1])),
            ),
            Plant(
                name="logits_over_the_head_width",
                statement="So does attention whose logits are divided by the head width.",
                measure=_attention(partial(_draw_attention, power=1.0)),
            ),
        ),
    ),
    Claim(
        id="conetheory.towers.transformer",
        paper=OURS,
        section="docs/theory.md, section 9",
        statement="The mean cosines of the tokens of a random transformer follow the maps of its blocks, and rise.",
        formula=r"x \mapsto x + \mathrm{Attn}(\mathrm{LN}(x)), \quad x \mapsto x + \mathrm{MLP}(\mathrm{LN}(x))",
        kind="value",
        predict=_transformer,
        tolerance=0.02,
        measure=Joint(rule=Mean(), first=1 << 6, quick=1 << 8, full=1 << 10, draw=_draw_transformer),
        grid=tuple({"within": w, "blocks": float(b + 1)} for w in (1.0, 0.0) for b in range(_BLOCK_DEPTH)),
        resolution=0.08,
        plants=(Plant(name="no_attention", statement="Attention does not change them.", predict=_without_attention),),
        note="Width 128 and 8 heads of 16 against the limit: the tolerance is for 1/width, 1/heads and the logits' distance from normal.",
    ),
)
