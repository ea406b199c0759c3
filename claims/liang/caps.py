"""Section 2.1: how narrow the cones are, told as fractions of the sphere."""

import numpy as np
from scipy.integrate import quad

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang import PAPER
from claims.measure import At, Computed, PerCell, Proportion, Tally
from conetheory.sphere import cap_fraction, jung_half_angle, log_cap_fraction

__all__ = ["CLAIMS"]

_COSINE = 0.56  # the smallest mean cosine that Sec. 2.1 speaks of
_ANGLE = float(np.arccos(_COSINE))  # 55.94°
_HALF = _ANGLE / 2  # 27.97°
_SAMPLED = tuple({"dim": float(d), "half_angle_deg": a} for d in (2, 3, 5, 16) for a in (27.97, 55.94, 120.0))
_JUNG = tuple({"dim": float(d), "min_cosine": c} for d in (2, 3, 16, 512) for c in (-0.001, 0.3, 0.56, 0.9))


def _bits(half_angle: float, dim: int) -> float:
    """Return log₂ of the fraction that a cap takes of the sphere."""
    return float(log_cap_fraction(half_angle, dim)) / np.log(2)


def _bits_by_quadrature(half_angle: float, dim: int) -> float:
    """Return the same from the integral of sin^(d−2), scaled by its largest value on the cap."""
    top = np.sin(min(half_angle, np.pi / 2))
    cap, _ = quad(
        lambda t: (np.sin(t) / top) ** (dim - 2),
        0,
        half_angle,
        epsabs=0,
        epsrel=1e-12,
        limit=500,
        points=[half_angle * 0.9],
    )
    whole, _ = quad(lambda t: np.sin(t) ** (dim - 2), 0, np.pi, epsabs=0, epsrel=1e-12, limit=500, points=[np.pi / 2])
    return float(np.log2(cap / whole) + (dim - 2) * np.log2(top))


def _fraction_by_quadrature(half_angle: float, dim: int) -> float:
    return 2.0 ** _bits_by_quadrature(half_angle, dim)


def _draw_cap(rng: np.random.Generator, n: int, at: At, *, dim_change: int = 0) -> Tally:
    """Count uniform points of the sphere within the half-angle of a pole."""
    points = rng.standard_normal((n, int(at["dim"]) + dim_change))
    cosine = points[:, 0] / np.linalg.norm(points, axis=1)
    return Tally.count(int(np.sum(cosine >= np.cos(np.radians(at["half_angle_deg"])))), n)


def _widest(at: At) -> float:
    """Return the half-angle of the smallest cap around `dim` unit vectors of equal pairwise cosine, from coordinates."""
    dim, cosine = int(at["dim"]), at["min_cosine"]
    root = np.linalg.cholesky((1 - cosine) * np.eye(dim) + cosine)  # rows are unit vectors in R^dim with that cosine
    centre = root.sum(axis=0)
    return float(np.arccos(root[0] @ centre / np.linalg.norm(centre)))


CLAIMS = (
    Claim(
        id="liang.caps.2d.printed",
        paper=PAPER,
        section="Sec. 2.1",
        statement="In two dimensions a cosine of .56 leaves 15.53 % of the circle.",
        formula=r"\frac{\arccos 0.56}{360^\circ} = 15.53\,\%",
        kind="value",
        predict=lambda: 0.1553,
        tolerance=5e-5,
        measure=Computed(compute=lambda: _fraction_by_quadrature(_HALF, 2), error=1e-10),
        resolution=1e-6,
        expected="refuted",
        plants=(Plant(name="both_sides", statement="It leaves 31.08 %.", predict=lambda: 0.3108),),
        note="55.94° of 360° are 15.54 %: a rounding in the last digit.",
    ),
    Claim(
        id="liang.caps.2d.corrected",
        paper=OURS,
        section="erratum to Sec. 2.1",
        statement="In two dimensions an arc of arccos .56 is 15.54 % of the circle.",
        formula=r"\frac{\arccos 0.56}{360^\circ} = 15.54\,\%",
        kind="value",
        predict=lambda: [float(cap_fraction(_HALF, 2)), 0.1554],
        tolerance=[0.0, 5e-5],
        measure=Computed(compute=lambda: [_fraction_by_quadrature(_HALF, 2)] * 2, error=1e-10),
        grid=({"printed": 0.0}, {"printed": 1.0}),
        resolution=1e-6,
        plants=(
            Plant(
                name="in_three_dimensions",
                statement="It is the fraction of the sphere.",
                predict=lambda: [float(cap_fraction(_HALF, 3))] * 2,
            ),
        ),
    ),
    Claim(
        id="liang.caps.3d.printed",
        paper=PAPER,
        section="Sec. 2.1",
        statement="In three dimensions a cosine of .56 leaves 3.34 % of the sphere.",
        formula=r"\tfrac12(1 - \cos 27.97^\circ) = 3.34\,\%",
        kind="value",
        predict=lambda: 0.0334,
        tolerance=5e-5,
        measure=Computed(compute=lambda: _fraction_by_quadrature(_HALF, 3), error=1e-10),
        resolution=1e-6,
        expected="refuted",
        plants=(Plant(name="hemisphere", statement="It leaves one half.", predict=lambda: 0.5),),
        note="By the formula of the paper, a cap of half-angle 27.97°, it is 5.84 %.",
    ),
    Claim(
        id="liang.caps.3d.corrected",
        paper=OURS,
        section="erratum to Sec. 2.1",
        statement="In three dimensions a cap of half-angle 27.97° is 5.84 % of the sphere.",
        formula=r"\tfrac12(1 - \cos 27.97^\circ) = 5.84\,\%",
        kind="value",
        predict=lambda: [float(cap_fraction(_HALF, 3)), 0.0584],
        tolerance=[0.0, 5e-5],
        measure=Computed(compute=lambda: [_fraction_by_quadrature(_HALF, 3)] * 2, error=1e-10),
        grid=({"printed": 0.0}, {"printed": 1.0}),
        resolution=1e-6,
        plants=(Plant(name="printed", statement="It is 3.34 %.", predict=lambda: [0.0334] * 2),),
    ),
    Claim(
        id="liang.caps.512d",
        paper=PAPER,
        section="Sec. 2.1",
        statement="In 512 dimensions a cap of half-angle 27.97° is less than 2^(−512) of the sphere.",
        formula=r"\tfrac12 I_{\sin^2\psi}\big(\tfrac{511}{2}, \tfrac12\big) < 2^{-512}",
        kind="inequality",
        relation="at_most",
        predict=lambda: -512.0,
        measure=Computed(compute=lambda: _bits_by_quadrature(_HALF, 512), error=1e-6),
        resolution=1e-3,
        plants=(Plant(name="below_2_to_the_minus_600", statement="It is less than 2^(−600).", predict=lambda: -600.0),),
        note="Powers of two. It is 2^(−563.8): true of this cap, but see what a smallest cosine of .56 really guarantees.",
    ),
    Claim(
        id="conetheory.caps.512d",
        paper=OURS,
        section="docs/theory.md, section 5",
        statement="In 512 dimensions caps of half-angle 27.97° and 55.94° are 2^(−563.8) and 2^(−143.7) of the sphere.",
        formula=r"\log_2 \tfrac12 I_{\sin^2\psi}\big(\tfrac{d-1}{2}, \tfrac12\big)",
        kind="value",
        predict=lambda: [_bits(_HALF, 512), _bits(_ANGLE, 512), -563.8, -143.7],
        tolerance=[0.0, 0.0, 0.05, 0.05],
        measure=Computed(
            compute=lambda: [_bits_by_quadrature(_HALF, 512), _bits_by_quadrature(_ANGLE, 512)] * 2, error=1e-6
        ),
        grid=tuple({"half_angle_deg": a, "printed": p} for p in (0.0, 1.0) for a in (27.97, 55.94)),
        resolution=1e-4,
        plants=(
            Plant(
                name="one_dimension_more",
                statement="They are those in 513 dimensions.",
                predict=lambda: [_bits(_HALF, 513), _bits(_ANGLE, 513), -563.8, -143.7],
            ),
        ),
        note="Powers of two.",
    ),
    Claim(
        id="liang.caps.512d_guarantee",
        paper=OURS,
        section="Sec. 2.1, read as a guarantee",
        statement="If every pairwise cosine is at least .56, all features lie in a cap of less than 2^(−512) of the sphere.",
        formula=r"\tfrac12 I_{\sin^2\psi_J}\big(\tfrac{511}{2}, \tfrac12\big) < 2^{-512}",
        kind="inequality",
        relation="at_most",
        predict=lambda: -512.0,
        measure=Computed(
            compute=lambda: _bits_by_quadrature(_widest({"dim": 512.0, "min_cosine": _COSINE}), 512), error=1e-6
        ),
        resolution=1e-3,
        expected="refuted",
        plants=(Plant(name="below_2_to_the_minus_400", statement="… in less than 2^(−400).", predict=lambda: -400.0),),
        note="512 features of equal pairwise cosine .56 need a cap of half-angle 41.50°, 2^(−308.8) of the sphere (Jung's theorem): still tiny, not 2^(−512).",
    ),
    Claim(
        id="conetheory.caps.jung",
        paper=OURS,
        section="docs/theory.md, section 5",
        statement="A smallest pairwise cosine guarantees a cap of Jung's half-angle, and d features of equal cosine need all of it.",
        formula=r"\sin\psi_J = \sqrt{\tfrac{2(d-1)}{d}}\,\sin\tfrac{\theta}{2}",
        kind="value",
        predict=lambda: [float(jung_half_angle(at["min_cosine"], int(at["dim"]))) for at in _JUNG],
        measure=Computed(compute=lambda: [_widest(at) for at in _JUNG], error=1e-9),
        grid=_JUNG,
        resolution=1e-7,
        plants=(
            Plant(
                name="half_the_angle",
                statement="It is half of the largest angle.",
                predict=lambda: [float(np.arccos(at["min_cosine"])) / 2 for at in _JUNG],
            ),
        ),
        note="Radians. The measured features are the rows of a Cholesky factor.",
    ),
    Claim(
        id="conetheory.caps.fraction",
        paper=OURS,
        section="docs/theory.md, section 5",
        statement="The fraction of the sphere within a cap is half a regularised incomplete beta function.",
        formula=r"\tfrac12 I_{\sin^2\psi}\big(\tfrac{d-1}{2}, \tfrac12\big)",
        kind="identity",
        predict=lambda: [float(cap_fraction(np.radians(at["half_angle_deg"]), int(at["dim"]))) for at in _SAMPLED],
        measure=PerCell(rule=Proportion(), first=1 << 15, quick=1 << 19, full=1 << 22, draw=_draw_cap),
        grid=_SAMPLED,
        resolution=0.01,
        plants=(
            Plant(
                name="one_dimension_less",
                statement="It is that of the sphere of one dimension less.",
                measure=PerCell(
                    rule=Proportion(),
                    first=1 << 15,
                    quick=1 << 19,
                    full=1 << 22,
                    draw=lambda rng, n, at: _draw_cap(rng, n, at, dim_change=1),
                ),
            ),
        ),
    ),
)
