"""Section 4.3: six pairs on a sphere, two of them mismatched. The exact reduction to one variable against brute force from 3-D coordinates."""

import numpy as np
from scipy.optimize import root_scalar

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang import PAPER
from claims.measure import Computed
from conetheory.mismatch import (
    PAIRING_MATCHED,
    PAIRING_SWAPPED,
    barrier_height,
    circle_points,
    critical_scale,
    gap_at,
    minimising_angles_deg,
    profile_loss,
)
from sims.mismatched_sphere import DirectionalLandscape, directional_landscape, gap_curve, landscape, minimise_landscape

__all__ = ["CLAIMS"]

_SCALES = (1.0, 5.0, 35.0, 50.0, 100.0)  # 1/τ of Fig. 3(e–g) and of supplementary Fig. 9
_SPACINGS = (20.0, 15.0)  # degrees: the authors' code, their Appendix A.1
_EVERY = tuple((spacing, s) for spacing in _SPACINGS for s in _SCALES)
_PAIRINGS = {"mismatched": PAIRING_SWAPPED, "matched": PAIRING_MATCHED}
_DELTA = np.linspace(-90.0, 90.0, 37)
_GRID = tuple({"dtheta_deg": float(x)} for x in _DELTA)
_BARRIERS = tuple(
    (spacing, s) for spacing, scales in ((20.0, (35.0, 50.0, 100.0)), (15.0, (50.0, 100.0))) for s in scales
)
_FIGURE_3G = 2.014  # loss at Δθ = 0, τ = 1/100, read off the published figure
_REPELLED = {20.0: (35.0, 50.0, 100.0), 15.0: (50.0, 100.0)}  # scales beyond κ*, for each spacing
_BEYOND = (22.0, 25.0, 50.0, 200.0)  # scales beyond κ* = 21.2


def _azimuths(spacing: float, pairing: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    images = -spacing + spacing * np.arange(6)
    return images, images[list(pairing)]


def _points(spacing: float) -> np.ndarray:
    return circle_points(6, spacing, -spacing)


def _critical(spacing: float):
    return critical_scale(_points(spacing), _points(spacing), PAIRING_SWAPPED)


def _barrier(spacing: float, scale: float) -> float:
    return barrier_height(_points(spacing), _points(spacing), PAIRING_SWAPPED, 1 / scale)


def _reduced(spacing: float, pairing: tuple[int, ...], scale: float) -> np.ndarray:
    """Return the predicted loss along Δθ: ℓ(κ) at κ = s cos Δθ."""
    points = _points(spacing)
    return np.asarray(profile_loss(points, points, pairing, scale * np.cos(np.radians(_DELTA))))


def _brute(spacing: float, pairing: tuple[int, ...], scale: float) -> np.ndarray:
    return landscape(*_azimuths(spacing, pairing), _DELTA, [scale])[0]


def _landscape_claim(name: str, spacing: float, scale: float) -> Claim:
    pairing, other = _PAIRINGS[name], _PAIRINGS["matched" if name == "mismatched" else "mismatched"]
    return Claim(
        id=f"liang.sphere.{name}.spacing{spacing:.0f}.scale{scale:.0f}",
        paper=OURS,
        section="docs/theory.md, section 6; the curves are those of Fig. 3(e–g)",
        statement=f"At τ = 1/{scale:.0f} the loss of six {name} pairs {spacing:.0f}° apart is that of unmoved texts at the temperature τ / cos Δθ.",
        formula=r"L(s, \Delta\theta) = \ell(s\cos\Delta\theta)",
        kind="identity",
        predict=lambda: _reduced(spacing, pairing, scale),
        measure=Computed(compute=lambda: _brute(spacing, pairing, scale), error=1e-11),
        grid=_GRID,
        resolution=1e-9,
        plants=(
            Plant(
                name="swapped_pair",
                statement=f"It is that of six {'matched' if name == 'mismatched' else 'mismatched'} pairs.",
                predict=lambda: _reduced(spacing, other, scale),
            ),
            Plant(
                name="sine_for_cosine",
                statement="The temperature is τ / sin Δθ.",
                predict=lambda: np.asarray(
                    profile_loss(
                        _points(spacing), _points(spacing), pairing, scale * np.abs(np.sin(np.radians(_DELTA)))
                    )
                ),
            ),
        ),
        note="Brute force from 3-D coordinates against the reduction, which is ours.",
    )


def _minimisers_claim(spacing: float, scale: float) -> Claim:
    repelled = scale in _REPELLED[spacing]

    def predict() -> float:
        return max(minimising_angles_deg(_critical(spacing).scale, 1 / scale))

    return Claim(
        id=f"liang.sphere.minimiser.spacing{spacing:.0f}.scale{scale:.0f}",
        paper=PAPER,
        section="Sec. 4.3, Fig. 3(e–g), supplementary Fig. 9",
        statement=f"With a mismatched pair, {spacing:.0f}° apart, at τ = 1/{scale:.0f} the loss is least {'away from' if repelled else 'at'} zero gap.",
        formula=r"\Delta\theta^\ast = \pm\arccos(\kappa^\ast \tau)" if repelled else r"\Delta\theta^\ast = 0",
        kind="value",
        predict=predict,
        measure=Computed(
            compute=lambda: max(minimise_landscape(*_azimuths(spacing, PAIRING_SWAPPED), scale).minimisers_deg),
            error=1e-8,
        ),
        resolution=1e-6,
        plants=(
            Plant(
                name="the_other_spacing",
                statement=f"It is least where pairs {35 - spacing:.0f}° apart have it.",
                predict=lambda: max(minimising_angles_deg(_critical(35 - spacing).scale, 1 / scale)),
            )
            if repelled
            else Plant(name="a_degree_off", statement="It is least at one degree.", predict=lambda: 1.0),
        ),
        note="Degrees; the larger of the two minimisers.",
    )


def _critical_claim(spacing: float, printed: float, printed_loss: float) -> Claim:
    """κ*, its loss, and the temperature at which the minimiser leaves zero, found by brute force."""

    def leaves_zero() -> float:
        def curvature(
            scale: float,
        ) -> float:  # of the brute-force loss at Δθ = 0, by symmetry twice its first difference
            loss = landscape(*_azimuths(spacing, PAIRING_SWAPPED), np.array([0.0, 0.02]), [scale])[0]
            return float(loss[1] - loss[0])

        return float(root_scalar(curvature, bracket=(5.0, 90.0), xtol=1e-9).root)

    return Claim(
        id=f"conetheory.sphere.critical_scale.spacing{spacing:.0f}",
        paper=OURS,
        section="docs/theory.md, section 6",
        statement=f"Six pairs {spacing:.0f}° apart with one swap repel the modalities if and only if 1/τ exceeds κ* = {printed}; the least loss is {printed_loss} for every such τ.",
        formula=r"\ell'(\kappa^\ast) = 0",
        kind="value",
        predict=lambda: [_critical(spacing).scale, _critical(spacing).loss, printed, printed_loss],
        measure=Computed(
            compute=lambda: [
                leaves_zero(),
                minimise_landscape(*_azimuths(spacing, PAIRING_SWAPPED), 90.0).loss,
                leaves_zero(),
                minimise_landscape(*_azimuths(spacing, PAIRING_SWAPPED), 60.0).loss,
            ],
            error=[1e-5, 1e-11, 1e-5, 1e-11],
        ),
        tolerance=[0.0, 0.0, 5e-6, 5e-8],
        grid=({"scale": 0.0}, {"loss_at": 90.0}, {"printed_scale": 0.0}, {"loss_at": 60.0}),
        resolution=1e-4,
        plants=(
            Plant(
                name="reversed_order",
                statement="The other spacing has the same critical scale.",
                predict=lambda: [_critical(35 - spacing).scale, _critical(35 - spacing).loss, printed, printed_loss],
            ),
        ),
        note="Brute force: where the loss at Δθ = 0.02° first undercuts that at 0, and the least loss at 1/τ = 90 and 60.",
    )


def _directions(*, elsewhere: float = 0.0) -> DirectionalLandscape:
    """Return both directions of the loss at 1/τ = 100 for the mismatched pairs, the third text moved by `elsewhere` degrees."""
    images, texts = _azimuths(20.0, PAIRING_SWAPPED)
    return directional_landscape(images, texts + elsewhere * (np.arange(6) == 2), _DELTA, [100.0])


def _scaled_critical(spacing: float) -> float:
    return float(_critical(spacing).scale * (1 - np.cos(np.radians(spacing))))


CLAIMS = (
    *(_landscape_claim(name, spacing, scale) for spacing in _SPACINGS for name in _PAIRINGS for scale in _SCALES),
    *(_minimisers_claim(spacing, scale) for spacing in _SPACINGS for scale in _SCALES),
    _critical_claim(20.0, 21.215837, 0.8095150939),
    _critical_claim(15.0, 37.42934, 0.8091001),
    Claim(
        id="liang.sphere.barrier",
        paper=PAPER,
        section="Sec. 4.3, Fig. 3(g)",
        statement="At small temperatures closing the gap of the mismatched pairs costs loss: .077133, .273933 and 1.204728 at 1/τ = 35, 50 and 100 for pairs 20° apart.",
        formula=r"\ell(s) - \ell(\kappa^\ast)",
        kind="value",
        predict=lambda: [_barrier(spacing, s) for spacing, s in _BARRIERS],
        measure=Computed(
            compute=lambda: [minimise_landscape(*_azimuths(a, PAIRING_SWAPPED), s).barrier for a, s in _BARRIERS],
            error=1e-10,
        ),
        grid=tuple({"spacing_deg": spacing, "scale": s} for spacing, s in _BARRIERS),
        resolution=1e-8,
        plants=(
            Plant(
                name="spacings_exchanged",
                statement="Pairs 15° apart have the barriers of pairs 20° apart, and these those.",
                predict=lambda: [_barrier(35.0 - spacing, s) for spacing, s in _BARRIERS],
            ),
        ),
    ),
    Claim(
        id="liang.sphere.matched_no_repulsion",
        paper=PAPER,
        section="Sec. 4.3, supplementary Fig. 9",
        statement="Without mismatched pairs the loss is least at zero gap at every temperature.",
        formula=r"\operatorname*{argmin}_{\Delta\theta} L = 0",
        kind="qualitative",
        predict=lambda: [0.0] * len(_EVERY),
        measure=Computed(
            compute=lambda: [
                max(map(abs, minimise_landscape(*_azimuths(spacing, PAIRING_MATCHED), s).minimisers_deg))
                for spacing, s in _EVERY
            ],
            error=1e-8,
        ),
        grid=tuple({"spacing_deg": spacing, "scale": s} for spacing, s in _EVERY),
        resolution=1e-6,
        plants=(
            Plant(
                name="swapped_pair",
                statement="The same holds with a mismatched pair.",
                measure=Computed(
                    compute=lambda: [
                        max(map(abs, minimise_landscape(*_azimuths(spacing, PAIRING_SWAPPED), s).minimisers_deg))
                        for spacing, s in _EVERY
                    ]
                ),
            ),
        ),
    ),
    Claim(
        id="liang.sphere.appendix_spacing",
        paper=PAPER,
        section="App. A.1",
        statement="Fig. 3(g) was made with pairs 15° apart, as the appendix says.",
        formula=r"L(100, 0; 15^\circ) = 2.014",
        kind="value",
        predict=lambda: _FIGURE_3G,
        tolerance=5e-4,
        measure=Computed(compute=lambda: landscape(*_azimuths(15.0, PAIRING_SWAPPED), [0.0], [100.0])[0]),
        resolution=1e-4,
        expected="refuted",
        plants=(Plant(name="matched_pairs", statement="It shows matched pairs: loss .004.", predict=lambda: 0.004),),
        note="15° would give 1.189 at Δθ = 0, and no repulsion at τ = 1/35. The notebooks use 20°.",
    ),
    Claim(
        id="liang.sphere.notebook_spacing",
        paper=PAPER,
        section="notebook of Fig. 3(g)",
        statement="Fig. 3(g) was made with pairs 20° apart, as the notebook has it.",
        formula=r"L(100, 0; 20^\circ) = 2.014",
        kind="value",
        predict=lambda: _FIGURE_3G,
        tolerance=5e-4,
        measure=Computed(compute=lambda: landscape(*_azimuths(20.0, PAIRING_SWAPPED), [0.0], [100.0])[0]),
        resolution=1e-4,
        plants=(
            Plant(
                name="fifteen_degrees",
                statement="It was made with pairs 15° apart.",
                measure=Computed(compute=lambda: landscape(*_azimuths(15.0, PAIRING_SWAPPED), [0.0], [100.0])[0]),
            ),
        ),
    ),
    Claim(
        id="liang.sphere.both_directions_equal",
        paper=OURS,
        section="docs/theory.md, section 6",
        statement="Where images and texts occupy the same azimuths the two directions of the loss are equal, so a one-directional code would show the same figure.",
        formula=r"L_{I\to T} = L_{T\to I}",
        kind="identity",
        predict=lambda: _directions().image_to_text[0],
        measure=Computed(compute=lambda: _directions().text_to_image[0], error=1e-11),
        grid=_GRID,
        resolution=1e-9,
        plants=(
            Plant(
                name="texts_elsewhere",
                statement="The same holds when one text is moved to a place where no image is.",
                predict=lambda: _directions(elsewhere=5.0).image_to_text[0],
                measure=Computed(compute=lambda: _directions(elsewhere=5.0).text_to_image[0]),
            ),
        ),
    ),
    Claim(
        id="liang.sphere.loss_at_the_pole",
        paper=PAPER,
        section="Sec. 4.3, Fig. 3(e–g)",
        statement="With all texts at a pole the loss is ln 6 at every temperature.",
        formula=r"L(s, \pm 90^\circ) = \ln 6",
        kind="identity",
        predict=lambda: [float(np.log(6.0))] * len(_SCALES),
        measure=Computed(
            compute=lambda: landscape(*_azimuths(20.0, PAIRING_SWAPPED), [90.0], list(_SCALES))[:, 0], error=1e-11
        ),
        grid=tuple({"scale": s} for s in _SCALES),
        resolution=1e-9,
        plants=(Plant(name="ln_5", statement="It is ln 5.", predict=lambda: [np.log(5.0)] * len(_SCALES)),),
    ),
    Claim(
        id="liang.sphere.gap",
        paper=OURS,
        section="docs/theory.md, section 6",
        statement="Moving the texts by Δθ opens a gap of √(R² (1 − cos Δθ)² + sin² Δθ), R = .831206922 for pairs 20° apart.",
        formula=r"\|\Delta\|^2 = R^2 (1 - \cos\Delta\theta)^2 + \sin^2\Delta\theta",
        kind="identity",
        predict=lambda: gap_at(_points(20.0), _points(20.0), _DELTA),
        measure=Computed(compute=lambda: gap_curve(*_azimuths(20.0, PAIRING_SWAPPED), _DELTA), error=1e-12),
        grid=_GRID,
        resolution=1e-9,
        plants=(
            Plant(
                name="chord",
                statement="It is the chord 2R |sin(Δθ/2)|, as if the mean itself turned on its circle.",
                predict=lambda: 2 * 0.831206922 * np.abs(np.sin(np.radians(_DELTA) / 2)),
            ),
        ),
    ),
    Claim(
        id="conetheory.sphere.repulsion_is_temperature",
        paper=OURS,
        section="docs/theory.md, section 6",
        statement="Beyond the critical scale the least loss does not depend on the temperature: moving the texts only undoes a temperature that is too low.",
        formula=r"\min_{\Delta\theta} L(s, \Delta\theta) = \ell(\kappa^\ast)\ \text{for}\ s \ge \kappa^\ast",
        kind="identity",
        predict=lambda: [_critical(20.0).loss] * len(_BEYOND),
        measure=Computed(
            compute=lambda: [minimise_landscape(*_azimuths(20.0, PAIRING_SWAPPED), s).loss for s in _BEYOND],
            error=1e-10,
        ),
        grid=tuple({"scale": s} for s in _BEYOND),
        resolution=1e-8,
        plants=(
            Plant(
                name="loss_at_zero_gap",
                statement="The least loss is that at zero gap.",
                predict=lambda: [
                    float(profile_loss(_points(20.0), _points(20.0), PAIRING_SWAPPED, s)) for s in _BEYOND
                ],
            ),
        ),
    ),
    Claim(
        id="conetheory.sphere.critical_scale_spacing",
        paper=OURS,
        section="docs/theory.md, section 6",
        statement="The critical scale grows as the inverse of one minus the cosine of the spacing: their product stays within 1.27 to 1.28.",
        formula=r"\kappa^\ast (1 - \cos\Delta\varphi) \in [1.27, 1.28]",
        kind="rate",
        predict=lambda: [1.275] * 3,
        tolerance=0.005,
        measure=Computed(compute=lambda: [_scaled_critical(x) for x in (20.0, 15.0, 5.0)], error=1e-9),
        grid=tuple({"spacing_deg": x} for x in (20.0, 15.0, 5.0)),
        resolution=1e-3,
        plants=(
            Plant(
                name="inverse_spacing",
                statement="It grows as the inverse of the spacing.",
                measure=Computed(
                    compute=lambda: [float(_critical(x).scale * np.radians(x)) for x in (20.0, 15.0, 5.0)]
                ),
            ),
        ),
    ),
)
