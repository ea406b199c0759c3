"""Experiments on trained towers: what the papers vary, what they report, and how their treatments should be ordered.

An experiment is a preset with some settings, and arms that differ from it in a few keys. `empirical.experiment_runs`
trains every arm with several seeds and compares neighbours pair by pair: with one seed, all arms of an experiment start
from the same weights and see the same batches, unless the arm is about just that.

References
----------
.. [1] W. Liang et al., "Mind the Gap", NeurIPS 2022, arXiv:2203.02053.
.. [2] C. Yaras, S. Chen, P. Wang and Q. Qu, "Explaining and Mitigating the Modality Gap in Contrastive Multimodal
   Learning", CPAL 2025, arXiv:2412.07909.
.. [3] A. Fahim, A. Murphy and A. Fyshe, "It's Not a Modality Gap: Characterizing and Addressing the Contrastive Gap",
   2024, arXiv:2405.18570.
"""

from dataclasses import dataclass

__all__ = ["EXPERIMENTS", "Arm", "Experiment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One treatment of an experiment.

    Attributes
    ----------
    name : str
        Its word, and the name of its folder.
    settings : tuple of str
        ``key=value`` over the experiment's configuration, as for `empirical.config.load_config`.
    published : float, optional
        What the paper reports for it, of its own model and data.
    """

    name: str
    settings: tuple[str, ...] = ()
    published: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is varied, what is measured, and what is expected.

    Attributes
    ----------
    name, question, source : str
        Its word, what it asks, and where in the papers.
    preset : str
        A name of `empirical.presets.PRESETS`.
    settings : tuple of str
        ``key=value`` of all arms.
    arms : tuple of Arm
        At least one, in the order of `order`.
    metric : str
        A key of ``metrics.jsonl``.
    change : bool
        Whether the metric is its change since step 0, and not its value at the end.
    order : {"falling", "rising", "none", "positive"}
        What the source says of the metric along the arms; ``positive``: that it is positive in each.
    """

    name: str
    question: str
    source: str
    arms: tuple[Arm, ...]
    order: str
    preset: str = "digits"
    settings: tuple[str, ...] = ()
    metric: str = "gap_norm"
    change: bool = False


def _fixed(temperature: float) -> tuple[str, ...]:
    return "temperature.law=fixed", f"temperature.start={temperature}"


_YARAS_FIXED = {0.01: 0.669, 0.02: 0.334, 0.04: 0.122, 0.07: 0.033, 0.1: 0.019}
_SCHEDULES = {"S0": 0.384, "S1": 0.198, "S2": 0.137, "S3": 0.088}
_LAWS = {
    "exp": ((), 0.294),
    "softplus": (("temperature.law=softplus",), 0.284),
    "exp_scaled2": (("temperature.law=exp_scaled", "temperature.s=2"), 0.287),
    "exp_scaled10": (("temperature.law=exp_scaled", "temperature.s=10"), 0.285),
    "slow": (("temperature.rate=0.1",), 0.268),
}
_HARD = {0.001: 0.225, 0.01: 0.095, 0.1: 0.046, 1.0: 0.028}
_DIMS = {32: 0.10, 64: 0.31, 128: 0.66}
_CUA = ("loss.kind=regularised",)

_ALL = (
    Experiment(
        name="temperature",
        question="Does a higher fixed temperature leave a smaller gap?",
        source="Yaras et al., Table 3, FLT; Liang et al., Supp. Fig. 8",
        arms=tuple(Arm(name=f"tau{tau}", settings=_fixed(tau), published=gap) for tau, gap in _YARAS_FIXED.items()),
        order="falling",
    ),
    Experiment(
        name="schedules",
        question="Does a temperature that rises further leave a smaller gap?",
        source="Yaras et al., Table 3, TS",
        settings=("temperature.start=0.01",),
        arms=tuple(
            Arm(name=name, settings=(f"temperature.law={name}",), published=gap) for name, gap in _SCHEDULES.items()
        ),
        order="falling",
    ),
    Experiment(
        name="laws",
        question="Does the law by which the temperature is trained change the gap?",
        source="Yaras et al., Table 3, TR and SLRT; Appendix C has softplus close it much faster",
        arms=tuple(Arm(name=name, settings=settings, published=gap) for name, (settings, gap) in _LAWS.items()),
        order="none",
    ),
    Experiment(
        name="swapping",
        question="Does hard modality swapping in more of the steps leave a smaller gap?",
        source="Yaras et al., Table 3, HS",
        arms=(
            Arm(name="none", published=0.294),
            *(
                Arm(name=f"p{p:g}", settings=("loss.swap=hard", f"loss.swap_fraction={p}"), published=gap)
                for p, gap in _HARD.items()
            ),
        ),
        order="falling",
    ),
    Experiment(
        name="swap_kinds",
        question="Do rows, mixed entries and swapped entries close the gap in this order?",
        source="Yaras et al., Table 3: row swap, SS at 5 %, HS at 10 %",
        arms=tuple(
            Arm(name=kind, settings=(f"loss.swap={kind}", f"loss.swap_fraction={p}"), published=gap)
            for kind, p, gap in (("row", 0.1, 0.289), ("soft", 0.05, 0.139), ("hard", 0.1, 0.046))
        ),
        order="falling",
    ),
    Experiment(
        name="regularisers",
        question="Do uniformity and alignment close the gap at a fixed temperature of 1/100?",
        source="Fahim et al., Table 2, 128 dimensions",
        settings=(*_fixed(0.01), "model.dim=128"),
        arms=(
            Arm(name="clip", published=0.66),
            Arm(name="cua", settings=_CUA, published=0.08),
        ),
        order="falling",
    ),
    Experiment(
        name="cross_uniformity",
        question="Does cross uniformity on top change the gap?",
        source="Fahim et al., Table 2, 128 dimensions",
        settings=(*_fixed(0.01), "model.dim=128", *_CUA),
        arms=(Arm(name="cua", published=0.08), Arm(name="cuaxu", settings=("loss.cross=1.0",), published=0.13)),
        order="none",
    ),
    Experiment(
        name="dimension",
        question="Does the gap grow with the dimension of the embeddings?",
        source="Fahim et al., Table 2; Liang et al. hold it constant",
        settings=_fixed(0.01),
        arms=(
            Arm(name="d3", settings=("model.dim=3",), published=0.02),
            *(Arm(name=f"d{d}", settings=(f"model.dim={d}",), published=gap) for d, gap in _DIMS.items()),
        ),
        order="rising",
    ),
    Experiment(
        name="batch",
        question="Does a larger batch leave a smaller gap?",
        source="Fahim et al., sweeps of their repository",
        settings=_fixed(0.01),
        arms=tuple(Arm(name=f"b{batch}", settings=(f"batch={batch}",)) for batch in (16, 64, 256)),
        order="falling",
    ),
    Experiment(
        name="initialisation",
        question="Does a rotation that closes the gap before training leave a smaller one after it?",
        source="Liang et al., Sec. 4.4",
        settings=("temperature.start=0.01",),
        arms=(
            Arm(name="random", published=1.2991),
            Arm(name="amended", settings=("model.initialisation=amended",), published=0.7457),
        ),
        order="falling",
    ),
    Experiment(
        name="same_modality",
        question="Does a gap open between two encoders of the same images whose cones coincide at the start?",
        source="Fahim et al., Table 1: centroid distance .00 at the start, .06 at the end",
        settings=("model.kind=image_image", "model.initialisation=amended", *_fixed(0.01)),
        arms=(Arm(name="amended", published=0.06),),
        change=True,
        order="positive",
    ),
    Experiment(
        name="early_steps",
        question="Does the gap grow in the first ten steps?",
        source="Yaras et al., Theorem 3.3 and Fig. 4(b): in all of 100 initialisations, by .15 on average",
        settings=("steps=10", "optimiser.warmup=0", "optimiser.schedule=constant", "log_every=1"),
        arms=(
            Arm(name="random", published=0.15),
            Arm(name="small_steps", settings=("optimiser.rate=1e-5",)),  # the theorem is on the gradient flow
        ),
        change=True,
        order="positive",
    ),
    Experiment(
        name="mismatch",
        question="Do more mismatched pairs leave a larger gap?",
        source="Liang et al., Sec. 4.3, where mismatched pairs are the cause of the repulsion",
        settings=_fixed(0.01),
        arms=tuple(Arm(name=f"f{part:g}", settings=(f"data.mismatch={part}",)) for part in (0.0, 0.1, 0.3)),
        order="rising",
    ),
)

EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in _ALL}
"""The experiments, by name."""
