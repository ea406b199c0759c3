"""Numbers of the paper recomputed from the counts that the paper or its notebooks print."""

import numpy as np

from claims import OURS
from claims.ledger import Claim, Plant
from claims.liang import PAPER
from claims.measure import Computed

__all__ = ["CLAIMS"]

# FairFace validation, 10,954 images: correct predictions, and images labelled as crime-related or non-human, before and after the shift δ = −0.20
# (stored outputs of the authors' fairness notebook).
_IMAGES = 10_954
_CORRECT = (6_372, 6_287)
_EAST_ASIAN = (1_550, 10, 9)  # images, labelled crime-related before, after
_NONHUMAN = (6, 12)
# Table 1 and Table 5: accuracies before and after, the sizes the p-values were computed for, and the sizes that Table 1 evaluates on.
_WHOLE = {
    "CIFAR10": (0.9026, 0.9104, 60_000),
    "CIFAR100": (0.6705, 0.6776, 60_000),
    "EuroSAT": (0.5494, 0.5686, 27_000),
}
_PRINTED_P = {"CIFAR10": 3.476e-06, "CIFAR100": 8.701e-03, "EuroSAT": 7.020e-06}
_EVALUATED = {
    "CIFAR10": (0.9013, 0.9081, 10_000),
    "CIFAR100": (0.6658, 0.6737, 10_000),
    "SVHN": (0.5389, 0.5396, 26_032),
    "EuroSAT": (0.5410, 0.5645, 27_000),
}
_LEVEL = 0.05  # the usual one, at which Table 5 is read
# Section 4.4: gap of three runs, with the original and the amended initialisation, before and after training.
_RUNS = {
    "original, before": (1.1898, 1.1884, 1.1892),
    "original, after": (1.3149, 1.2988, 1.2836),
    "amended, before": (0.0314, 0.0551, 0.0299),
    "amended, after": (0.7472, 0.7195, 0.7704),
}
_PRINTED_CI = (0.0017, 0.0389, 0.0351, 0.0633)


def _chi_square_p(before: float, after: float, n: int, *, correction: bool = False) -> float:
    """Return Pearson's p-value for two proportions out of `n` each, taken as independent samples."""
    from scipy.special import chdtrc

    table = n * np.array([[before, 1 - before], [after, 1 - after]])
    expected = table.mean(axis=0)
    distance = np.abs(table - expected)
    if correction:  # Yates'
        distance -= np.minimum(distance, 0.5)
    return float(chdtrc(1, np.sum(distance**2 / expected)))


def _z_test_p(before: float, after: float, n: int) -> float:
    """Return the same p-value by another route: the two-sided pooled z-test."""
    from scipy.special import ndtr

    pooled = (before + after) / 2
    z = (after - before) / np.sqrt(2 * pooled * (1 - pooled) / n)
    return float(2 * ndtr(-abs(z)))


def _half_width(runs: tuple[float, ...], quantile: float) -> float:
    return quantile * float(np.std(runs, ddof=1)) / np.sqrt(len(runs))


def _t_quantile() -> float:
    from scipy.special import stdtrit

    return float(stdtrit(2, 0.975))


def _fairness_drop() -> float:
    return (_CORRECT[0] - _CORRECT[1]) / _IMAGES


def _significance(name: str) -> Claim:
    before, after, n = _EVALUATED[name]
    p = _chi_square_p(before, after, n)
    return Claim(
        id=f"liang.table5.{name.lower()}.evaluated",
        paper=PAPER if name in _WHOLE else OURS,
        section="Table 5, on the images of Table 1" if name in _WHOLE else "Table 1, tested as in Table 5",
        statement=f"On the {n:,} images that Table 1 evaluates, the change of accuracy on {name} is significant at 0.05.",
        formula=r"p = P(\chi^2_1 \ge \chi^2) \le 0.05",
        kind="inequality",
        relation="at_most",
        predict=lambda: _LEVEL,
        measure=Computed(compute=lambda: _z_test_p(before, after, n)),
        resolution=1e-4,
        expected="refuted" if p > _LEVEL else "supported",
        plants=(
            Plant(
                name="half_the_p_value",
                statement=f"On the images that Table 1 evaluates, p of {name} is below half of what it is.",
                predict=lambda: p / 2,
            ),
        ),
        note=(
            f"The printed p-values are those of training and test images together, and treat the two runs on the same images as independent. On Table 1's own "
            f"images the same test gives p = {p:.2g}. McNemar's test would be the right one; it needs predictions image by image."
            if name in _WHOLE
            else f"The paper prints no p-value for {name}; the same test on Table 1's own images gives p = {p:.2g}."
        ),
    )


CLAIMS = (
    Claim(
        id="liang.fairness.accuracy_drop.printed",
        paper=PAPER,
        section="Sec. 5.2 and App. B.2",
        statement="Widening the gap by δ = −0.20 costs 0.0008 of the accuracy over race and gender.",
        formula=r"\frac{6372 - 6287}{10954} = 0.0008",
        kind="value",
        predict=lambda: 0.0008,
        tolerance=5e-5,
        measure=Computed(compute=_fairness_drop),
        resolution=1e-6,
        expected="refuted",
        plants=(Plant(name="ten_times_too_large", statement="The drop is 0.078.", predict=lambda: 0.078),),
        note="The accuracies printed beside it, 0.5817 and 0.5739, and the notebook's counts give 0.0078: a digit was lost.",
    ),
    Claim(
        id="liang.fairness.accuracy_drop.corrected",
        paper=OURS,
        section="erratum to Sec. 5.2",
        statement="Widening the gap by δ = −0.20 costs 0.0078 of the accuracy over race and gender.",
        formula=r"\frac{6372 - 6287}{10954} = 0.0078",
        kind="value",
        predict=lambda: 0.0078,
        tolerance=5e-5,
        measure=Computed(compute=_fairness_drop),
        resolution=1e-6,
        plants=(Plant(name="lost_digit", statement="The drop is 0.0008.", predict=lambda: 0.0008),),
    ),
    Claim(
        id="liang.fairness.east_asian.printed",
        paper=PAPER,
        section="Table 2",
        statement="Crime-related labels of East Asian faces fall from 0.7 % to 0.6 %.",
        formula=r"\frac{10}{1550} = 0.7\,\%,\quad \frac{9}{1550} = 0.6\,\%",
        kind="value",
        predict=lambda: np.array([0.007, 0.006]),
        tolerance=5e-4,
        measure=Computed(compute=lambda: np.array(_EAST_ASIAN[1:]) / _EAST_ASIAN[0]),
        grid=({"delta": 0.0}, {"delta": -0.2}),
        resolution=1e-6,
        expected="refuted",
        plants=(
            Plant(
                name="a_percent", statement="They fall from 1.0 % to 0.9 %.", predict=lambda: np.array([0.010, 0.009])
            ),
        ),
        note="10 and 9 of 1,550 images are 0.645 % and 0.581 %: both round to 0.6 %.",
    ),
    Claim(
        id="liang.fairness.nonhuman.unchanged",
        paper=OURS,
        section="counts of the fairness notebook",
        statement="At δ = −0.20 non-human labels over all races do not increase.",
        formula=r"12 \le 6",
        kind="inequality",
        relation="at_most",
        predict=lambda: _NONHUMAN[0] / _IMAGES,
        measure=Computed(compute=lambda: _NONHUMAN[1] / _IMAGES),
        resolution=1e-6,
        expected="refuted",
        plants=(
            Plant(name="they_vanish", statement="There are no non-human labels at δ = −0.20.", predict=lambda: 0.0),
        ),
        note="The notebook's own counts are 6 before and 12 after: the shift that lowers crime-related labels doubles the non-human ones (a handful of images).",
    ),
    Claim(
        id="liang.table5.pvalues",
        paper=PAPER,
        section="Table 5",
        statement="The p-values of Table 5 are Pearson's χ² without continuity correction on training and test images together.",
        formula=r"p = P(\chi^2_1 \ge \chi^2)",
        kind="value",
        predict=lambda: np.log([_PRINTED_P[name] for name in _WHOLE]),
        tolerance=[0.5e-9 / 3.476e-6, 0.5e-6 / 8.701e-3, 0.5e-9 / 7.020e-6],
        measure=Computed(compute=lambda: np.log([_chi_square_p(*_WHOLE[name]) for name in _WHOLE]), error=1e-9),
        grid=tuple({"row": float(i), "images": float(_WHOLE[name][2])} for i, name in enumerate(_WHOLE)),
        resolution=1e-3,
        plants=(
            Plant(
                name="with_continuity_correction",
                statement="They are Yates's.",
                measure=Computed(
                    compute=lambda: np.log([_chi_square_p(*_WHOLE[name], correction=True) for name in _WHOLE])
                ),
            ),
            Plant(
                name="on_the_test_images",
                statement="They are those of 10,000 images.",
                measure=Computed(compute=lambda: np.log([_chi_square_p(*_WHOLE[name][:2], 10_000) for name in _WHOLE])),
            ),
        ),
        note="Natural logarithms are compared; the tolerance is half a unit in the last printed digit.",
    ),
    *(_significance(name) for name in _EVALUATED),
    Claim(
        id="liang.table5.eurosat.same_images",
        paper=PAPER,
        section="Tables 1 and 5",
        statement="Tables 1 and 5 give EuroSAT, all 27,000 images in both, the same accuracies.",
        formula=r"0.5410 = 0.5494,\quad 0.5645 = 0.5686",
        kind="identity",
        predict=lambda: list(_EVALUATED["EuroSAT"][:2]),
        tolerance=1e-4,
        measure=Computed(compute=lambda: list(_WHOLE["EuroSAT"][:2])),
        grid=({"after": 0.0}, {"after": 1.0}),
        resolution=1e-5,
        expected="refuted",
        plants=(
            Plant(
                name="exchanged",
                statement="Table 5 has before and after exchanged.",
                predict=lambda: list(_EVALUATED["EuroSAT"][1::-1]),
            ),
        ),
        note="Table 1 prints .5410 and .5645, Table 5 .5494 and .5686; the rise is .0235 in the one and .0192 in the other.",
    ),
    Claim(
        id="liang.sec44.intervals",
        paper=PAPER,
        section="Sec. 4.4",
        statement="The intervals printed for the gap before and after training are Student's, from three runs with two degrees of freedom.",
        formula=r"t_{2,\,0.975}\, s / \sqrt{3}",
        kind="value",
        predict=lambda: np.array(_PRINTED_CI),
        tolerance=5e-5,
        measure=Computed(compute=lambda: np.array([_half_width(runs, _t_quantile()) for runs in _RUNS.values()])),
        grid=tuple({"row": float(i)} for i in range(len(_RUNS))),
        resolution=1e-4,
        plants=(
            Plant(
                name="normal_quantile",
                statement="They are normal intervals.",
                measure=Computed(compute=lambda: np.array([_half_width(runs, 1.959964) for runs in _RUNS.values()])),
            ),
        ),
        note="Rows: original initialisation before and after training, amended initialisation before and after.",
    ),
    Claim(
        id="liang.sec44.share_of_initialisation",
        paper=PAPER,
        section="Sec. 4.4",
        statement="Removing the gap at initialisation leaves a trained gap that is smaller: the ratio of the means is 0.574.",
        formula=r"\overline{g}_{\mathrm{amended}} / \overline{g}_{\mathrm{original}} = 0.574",
        kind="value",
        predict=lambda: 0.574,
        tolerance=5e-4,
        measure=Computed(compute=lambda: float(np.mean(_RUNS["amended, after"]) / np.mean(_RUNS["original, after"]))),
        resolution=1e-4,
        plants=(Plant(name="no_effect", statement="The trained gaps are equal.", predict=lambda: 1.0),),
        note="Both readings hold in part: the initial gap matters, and more than half of the final gap appears without it.",
    ),
)
