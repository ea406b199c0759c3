"""Deep wide random networks: the two phases, the line between them, how fast and how slowly cones close."""

import mpmath as mp
import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.optimize import root_scalar
from scipy.special import erf

from claims import OURS
from claims.ledger import Claim, Plant
from claims.measure import At, Bounded, Computed, Mean, PerCell, Tally
from conetheory.depth_laws import cone_amplitude, critical_decay, depth_to_cone, he_angle, he_constant
from conetheory.fixed_points import chi_1, q_fixed_point
from conetheory.phases import critical_point, critical_sigma_w2, phase
from sims.normals import standard_normals

__all__ = ["CLAIMS", "VARIANCES"]

_POOLE = "Poole et al. 2016"
_SCHOENHOLZ = "Schoenholz et al. 2017"
_HAYOU = "Hayou et al. 2019"
_NODES, _WEIGHTS = hermegauss(90)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_PRODUCT = np.outer(_WEIGHTS, _WEIGHTS)

VARIANCES = ((0.8, 0.05), (1.2, 0.3), (1.5, 0.05), (2.0, 0.2), (2.5, 0.05), (3.0, 0.3))  # of tanh networks
_GRID = tuple({"sigma_w2": w, "sigma_b2": b} for w, b in VARIANCES)
_WIDTH, _DEPTH = 1000, 60


def _settled_variance(function, at: At) -> float:
    """Return the variance of the pre-activations after 400 layers, by Gauss-Hermite quadrature."""
    k = 1.0
    for _ in range(400):
        k = at["sigma_w2"] * float(_WEIGHTS @ function(np.sqrt(k) * _NODES) ** 2) + at["sigma_b2"]
    return k


def _draw_slopes(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally σ_w² tanh'(√k z)²."""
    z = np.sqrt(_settled_variance(np.tanh, at)) * rng.standard_normal(n)
    return Tally.of(at["sigma_w2"] / np.cosh(z) ** 4)


def _slopes() -> PerCell:
    return PerCell(rule=Bounded(0.0, 3.0), first=1 << 14, quick=1 << 18, full=1 << 21, draw=_draw_slopes)


def _predicted_chi(bias: float = 1.0) -> list[float]:
    found = []
    for w, b in VARIANCES:
        q = q_fixed_point("tanh", sigma_w2=w, sigma_b2=bias * b)
        found.append(float(chi_1("tanh", q, sigma_w2=w, sigma_b2=bias * b)))
    return found


def _deep_pairs(rng: np.random.Generator, n: int, at: At) -> Tally:
    """Tally the last cosine of two inputs of n networks of tanh units; the pairs of pre-activations are drawn themselves."""
    w, b = at["sigma_w2"], at["sigma_b2"]
    x = standard_normals(n, 2, _WIDTH, rng=rng)
    for _ in range(_DEPTH):
        covariance = w / _WIDTH * np.einsum("nik,njk->nij", x, x, dtype=np.float64) + b
        factor = np.linalg.cholesky(covariance + 1e-13 * np.eye(2)).astype(np.float32)
        x = np.tanh(factor @ standard_normals(n, 2, _WIDTH, rng=rng))
    gram = np.einsum("nik,njk->nij", x, x, dtype=np.float64)
    return Tally.of(gram[:, 0, 1] / np.sqrt(gram[:, 0, 0] * gram[:, 1, 1]))


_PHASES = tuple({"sigma_w2": w, "sigma_b2": b} for w, b in ((1.2, 0.3), (2.5, 0.05), (3.0, 0.3)))


def _limits() -> list[float]:
    return [phase("tanh", **{name: float(value) for name, value in at.items()}).rho for at in _PHASES]


def _correlation_step(function, k: float, at: At, c: float) -> float:
    """Return the correlation of the pre-activations one layer on, by a product rule."""
    u = np.sqrt(k) * _NODES
    v = np.sqrt(k) * (c * _NODES[:, None] + np.sqrt((1 - c) * (1 + c)) * _NODES)
    mean = float(np.sum(_PRODUCT * function(u)[:, None] * function(v)))
    return (at["sigma_w2"] * mean + at["sigma_b2"]) / k


_SCALES = (
    {"sigma_w2": 1.2, "sigma_b2": 0.3, "erf": 0.0},
    {"sigma_w2": 2.5, "sigma_b2": 0.05, "erf": 0.0},
    {"sigma_w2": 1.5, "sigma_b2": 0.3, "erf": 1.0},
    {"sigma_w2": 4.0, "sigma_b2": 0.3, "erf": 1.0},
)
_NAMES = {0.0: "tanh", 1.0: "erf"}


def _measured_scales() -> list[float]:
    """Return -1/ln of the ratio of successive steps of the correlation, where it has all but settled."""
    found = []
    for at in _SCALES:
        function = erf if at["erf"] else np.tanh
        k, c = _settled_variance(function, at), [0.3]
        while len(c) < 3 or abs(c[-1] - c[-2]) > 1e-7:
            c.append(_correlation_step(function, k, at, c[-1]))
        found.append(-1 / np.log((c[-1] - c[-2]) / (c[-2] - c[-3])))
    return found


def _predicted_scales() -> list[float]:
    return [phase(_NAMES[at["erf"]], sigma_w2=at["sigma_w2"], sigma_b2=at["sigma_b2"]).xi_c for at in _SCALES]


def _scales_from_chi() -> list[float]:
    return [
        -1 / np.log(phase(_NAMES[at["erf"]], sigma_w2=at["sigma_w2"], sigma_b2=at["sigma_b2"]).chi_1) for at in _SCALES
    ]


_BIASES = tuple({"sigma_b2": b} for b in (0.01, 0.05, 0.2, 1.0))


_LINE = np.linspace(-12.0, 12.0, 3001)  # the trapezoidal rule converges geometrically for what is analytic
_DENSITY = np.exp(-(_LINE**2) / 2) / np.sum(np.exp(-(_LINE**2) / 2))


def _erf_critical(at: At) -> float:
    """Return the critical weight variance of erf, E erf² and E erf'² integrated by the trapezoidal rule."""

    def weight(k: float) -> float:
        return 1 / float(_DENSITY @ (2 / np.sqrt(np.pi) * np.exp(-k * _LINE**2)) ** 2)

    def excess(k: float) -> float:
        return k - weight(k) * float(_DENSITY @ erf(np.sqrt(k) * _LINE) ** 2) - at["sigma_b2"]

    return weight(float(root_scalar(excess, bracket=(1e-6, 100.0), xtol=1e-14, rtol=1e-14).root))


_LONG = 2000  # layers of the critical networks
_LEAK = 0.3  # slope of the leaky ReLU on the negative side


def _leaky(x):
    return np.where(x > 0, x, _LEAK * x)


def _critical_rates() -> list[float]:
    """Return what l(1 - ρ_l), and for the kink l²(1 - ρ_l), tend to, from the last steps of iterated critical maps."""
    point = critical_point("tanh", 1.0)
    eps, last, w = 0.7, 0.0, point.sigma_w2
    half = _NODES > 0  # tanh is odd: u and -u give the same
    u, weights = _NODES[half, None], 2 * _PRODUCT[half]
    for _ in range(_LONG):  # of the pre-activations: 1 - c' = σ_w² E(φ(u) - φ(v))²/(2k)
        last = eps
        v = (1 - eps) * u + np.sqrt(eps * (2 - eps)) * _NODES
        eps = w / 2 * float(np.sum(weights * (np.tanh(u) - np.tanh(v)) ** 2))
    share = 1 - point.sigma_b2 / point.k
    smooth = 1 / (1 / eps - 1 / last) / share
    theta, previous, curve = np.pi / 2, 0.0, (1 - _LEAK) ** 2 / (1 + _LEAK**2)
    for _ in range(_LONG):  # 1 - cos θ' = 1 - cos θ - (curve/π)(sin θ - θ cos θ)
        previous = theta
        lift = theta**3 / 3 - theta**5 / 30 + theta**7 / 840 if theta < 0.05 else np.sin(theta) - theta * np.cos(theta)
        theta = 2 * np.arcsin(np.sqrt(np.sin(theta / 2) ** 2 - curve / (2 * np.pi) * lift))
    return [smooth, 0.5 / (1 / theta - 1 / previous) ** 2]


def _predicted_decays() -> list[float]:
    return [critical_decay("tanh", 1.0).constant, critical_decay(_leaky, 1.0).constant]


def _he_angles(depths: tuple[int, ...]) -> list[float]:
    """Return the angles after He layers without bias from orthogonal inputs, at 30 digits."""
    with mp.workdps(30):
        theta, found = mp.pi / 2, []
        for layer in range(1, max(depths) + 1):
            drop = 2 * mp.sin(theta / 2) ** 2 - (mp.sin(theta) - theta * mp.cos(theta)) / mp.pi
            theta = 2 * mp.asin(mp.sqrt(drop / 2))
            if layer in depths:
                found.append(float(theta))
    return found


_DEPTHS = (100, 400, 1600)
_HE_GRID = tuple({"layer": float(layer)} for layer in _DEPTHS)


def _printed_ratio() -> list[float]:
    """Return 2 l² (1 - ρ_l) / (9 π²), which tends to 1."""
    angles = np.array(_he_angles(_DEPTHS))
    return list((2 * np.array(_DEPTHS) * np.sin(angles / 2) / (3 * np.pi)) ** 2)


def _amplitude() -> float:
    """Return 2^l (1 - ρ_l) after 90 layers of the recursion of Theorem 1, at 40 digits."""
    with mp.workdps(60):
        eps = mp.mpf(1)
        for _ in range(90):
            theta = mp.acos(1 - eps / 2)
            eps = 1 - (mp.sin(theta) + (mp.pi - theta) * mp.cos(theta)) / mp.pi
        return float(mp.mpf(2) ** 90 * eps)


_ANGLES = tuple(
    {"angle_deg": a, "sigma_w2": w, "sigma_b2": b} for a in (30.0, 10.0, 3.0) for w, b in ((2.0, 0.0), (1.0, 1.0))
)


def _counted_layers() -> list[float]:
    """Return the least depth at which the angle of orthogonal inputs is small enough, ReLU, q₀ = 1, in plain floats."""
    found = []
    for at in _ANGLES:
        theta, q, layers = np.pi / 2, 1.0, 0
        while np.degrees(theta) > at["angle_deg"]:
            k = at["sigma_w2"] * q + at["sigma_b2"]
            inner = np.arccos((at["sigma_w2"] * q * np.cos(theta) + at["sigma_b2"]) / k)
            theta, q, layers = np.arccos((np.sin(inner) + (np.pi - inner) * np.cos(inner)) / np.pi), k / 2, layers + 1
        found.append(float(layers))
    return found


def _predicted_layers() -> list[float]:
    return [
        depth_to_cone("relu", np.radians(at["angle_deg"]), sigma_w2=at["sigma_w2"], sigma_b2=at["sigma_b2"])
        for at in _ANGLES
    ]


def _he_guess() -> list[float]:
    return [np.ceil(3 * np.pi / np.radians(at["angle_deg"])) for at in _ANGLES]


CLAIMS = (
    Claim(
        id="poole.phases.chi_1",
        paper=_POOLE,
        section="Sec. 3",
        statement="The slope of the cosine map at 1 is the weight variance times the mean square slope of the units at the fixed mean square.",
        formula=r"\chi_1 = \sigma_w^2\, \mathbb{E}\,\phi'(\sqrt{k}\,z)^2",
        kind="value",
        predict=_predicted_chi,
        measure=_slopes(),
        grid=_GRID,
        resolution=0.05,
        plants=(
            Plant(
                name="bias_forgotten", statement="Biases do not enter the slope.", predict=lambda: _predicted_chi(0.0)
            ),
            Plant(
                name="linear_units", statement="It is the weight variance.", predict=lambda: [w for w, _ in VARIANCES]
            ),
        ),
    ),
    Claim(
        id="poole.phases.fixed_cosine",
        paper=_POOLE,
        section="Sec. 3, Fig. 2",
        statement="After many layers two inputs are parallel in the ordered phase, and at the cosine ρ* < 1 in the chaotic one.",
        formula=r"\rho_l \to \rho^*",
        kind="value",
        predict=_limits,
        tolerance=10 / _WIDTH,
        measure=PerCell(rule=Mean(), first=16, quick=64, full=512, draw=_deep_pairs),
        grid=_PHASES,
        resolution=0.1,
        plants=(
            Plant(
                name="always_a_cone", statement="They are parallel in either phase.", predict=lambda: [1.0, 1.0, 1.0]
            ),
        ),
        note="Simulated at width 1000 and depth 60; finite width moves the chaotic cosines by a few 1/width.",
    ),
    Claim(
        id="schoenholz.phases.depth_scale",
        paper=_SCHOENHOLZ,
        section="Sec. 3",
        statement="Cosines approach their limit exponentially in depth, at the rate of the slope of the map there.",
        formula=r"\xi_c = -1/\ln \chi, \quad \chi = \sigma_w^2\, \mathbb{E}\,\phi'(u)\phi'(v)",
        kind="rate",
        predict=_predicted_scales,
        measure=Computed(compute=_measured_scales, error=2e-4),
        grid=_SCALES,
        resolution=0.01,
        plants=(
            Plant(
                name="slope_at_1_everywhere",
                statement="The rate is that of the slope at 1 in either phase.",
                predict=_scales_from_chi,
            ),
        ),
    ),
    Claim(
        id="poole.phases.critical_line",
        paper=_POOLE,
        section="Sec. 3, Fig. 1",
        statement="The critical line of erf networks is where the slope at 1 is 1, at the fixed mean square.",
        formula=r"\sigma_w^2 = \frac{\pi}{4}\sqrt{1 + 4k}, \quad \sigma_b^2 = k - \sigma_w^2 \frac{2}{\pi}\arcsin\frac{2k}{1 + 2k}",
        kind="value",
        predict=lambda: [critical_sigma_w2("erf", at["sigma_b2"]) for at in _BIASES],
        measure=Computed(compute=lambda: [_erf_critical(at) for at in _BIASES], error=1e-9),
        grid=_BIASES,
        resolution=1e-6,
        plants=(
            Plant(
                name="tanh_line",
                statement="It is the line of tanh.",
                predict=lambda: [critical_sigma_w2("tanh", at["sigma_b2"]) for at in _BIASES],
            ),
        ),
    ),
    Claim(
        id="hayou.critical_decay",
        paper=_HAYOU,
        section="edge of chaos; docs/theory.md, section 11",
        statement="At criticality 1 − ρ falls like a constant over the depth for tanh, and over its square for a leaky ReLU.",
        formula=r"1 - \rho_l \sim \frac{2}{\sigma_w^2 k a\, \mathbb{E}\,(\phi'')^2}\,\frac{1}{l}, \quad \frac{18\pi^2}{\sigma_w^4 J^4 a}\,\frac{1}{l^2}",
        kind="rate",
        predict=_predicted_decays,
        tolerance=[0.01, 0.6],
        measure=Computed(compute=_critical_rates, error=1e-6),
        grid=({"power": 1.0}, {"power": 2.0}),
        resolution=1.0,
        plants=(
            Plant(
                name="share_of_bias_forgotten",
                statement="The constants are those of the pre-activations.",
                predict=lambda: [
                    critical_decay("tanh", 1.0).constant * (1 - critical_point("tanh", 1.0).sigma_b2),
                    critical_decay(_leaky, 1.0).constant,
                ],
            ),
            Plant(
                name="constant_of_relu",
                statement="A leak does not change the constant of ReLU, 9π²/2.",
                predict=lambda: [critical_decay("tanh", 1.0).constant, 4.5 * np.pi**2],
            ),
        ),
        note="Iterated to 2000 layers; the next term is smaller by ln l / l.",
    ),
    Claim(
        id="hayou.he_law.printed",
        paper=_HAYOU,
        section="edge of chaos, ReLU",
        statement="ReLU with He initialisation and no bias: 1 − ρ_l tends to 9π²/(2l²), up to a share of 5 ln l / l.",
        formula=r"\frac{2 l^2}{9\pi^2}(1 - \rho_l) \to 1",
        kind="rate",
        predict=lambda: [1.0] * len(_DEPTHS),
        tolerance=[5 * np.log(layer) / layer for layer in _DEPTHS],
        measure=Computed(compute=_printed_ratio, error=1e-9),
        grid=_HE_GRID,
        resolution=0.5,
        plants=(
            Plant(
                name="accurate_to_one_percent",
                statement="From a hundred layers on the limit is right to one percent.",
                tolerance=0.01,
            ),
        ),
        note="The logarithm matters: 19 % off at 100 layers, 2 % at 1600.",
    ),
    Claim(
        id="conetheory.phases.he_law",
        paper=OURS,
        section="docs/theory.md, section 11",
        statement="With three further terms the angle after l such layers is right to a relative 5/l⁴.",
        formula=r"\theta_l = 3\pi/y_l, \quad y - \tfrac32 \ln y + (1 + \tfrac35\pi^2)/y + (\tfrac{15}{16} - \tfrac9{20}\pi^2)/y^2 = l + C",
        kind="rate",
        predict=lambda: he_angle(np.array(_DEPTHS), constant=he_constant(0.0)),
        tolerance=[15 * np.pi / layer**5 + 1e-12 for layer in _DEPTHS],
        measure=Computed(compute=lambda: _he_angles(_DEPTHS), error=1e-12),
        grid=_HE_GRID,
        resolution=1e-6,
        plants=(
            Plant(
                name="no_logarithm",
                statement="The angle is 3π/(l + C).",
                predict=lambda: [3 * np.pi / (layer + he_constant(0.0)) for layer in _DEPTHS],
            ),
        ),
    ),
    Claim(
        id="conetheory.phases.relu_amplitude",
        paper=OURS,
        section="docs/theory.md, section 11",
        statement="In the setting of Theorem 1, from orthogonal inputs, 1 − ρ_l is .50743068 times 2 to the minus l.",
        formula=r"2^l (1 - \rho_l) \to 0.50743068",
        kind="value",
        predict=lambda: cone_amplitude("relu", sigma_b2=1.0),
        measure=Computed(compute=_amplitude, error=1e-11),
        resolution=1e-8,
        plants=(Plant(name="one_half", statement="The constant is one half.", predict=lambda: 0.5),),
    ),
    Claim(
        id="conetheory.phases.depth_to_cone",
        paper=OURS,
        section="docs/theory.md, section 11",
        statement="With biases orthogonal inputs reach a cone of 3 degrees in 9 layers, without them, under He initialisation, in 168.",
        formula=r"\min\{l : \theta_l \le \theta\}",
        kind="value",
        predict=_predicted_layers,
        measure=Computed(compute=_counted_layers, error=1e-9),
        grid=_ANGLES,
        resolution=0.5,
        plants=(Plant(name="leading_term", statement="The depth is 3π/θ whatever the biases.", predict=_he_guess),),
    ),
)
