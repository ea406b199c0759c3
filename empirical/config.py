"""The configuration of a run: frozen dataclasses, from a preset or a TOML file, every value checked before training."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from ._checked import Checked, one_of, real, typed, whole
from .known_names import known
from .presets import PRESETS

__all__ = [
    "DataConfig",
    "LossConfig",
    "ModelConfig",
    "OptimiserConfig",
    "TemperatureConfig",
    "TrainConfig",
    "config_from",
    "load_config",
    "toml_value",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig(Checked):
    """The pairs: a kind of `empirical.data.sources` with its options, and what is done to them.

    Attributes
    ----------
    held_out : int
        Pairs never trained on, for the metrics.
    mismatch : float
        Fraction of training captions that are permuted.
    corruption, corrupted : str, float
        Kind of `empirical.data.mismatch.corrupted`, and its fraction. It is the law of all captions, the held-out ones
        too: how much they tell of their images. A mismatch is a fault of training pairs alone.
    workers, loader : int, str
        Threads or processes that read ahead.
    """

    kind: str = "digits"
    options: dict[str, Any] = field(default_factory=dict)
    held_out: int = whole(256, 2)
    mismatch: float = real(0.0, most=1.0)
    corruption: str = one_of("none", "drop", "replace", "truncate", "shuffle")
    corrupted: float = real(0.0, most=1.0)
    workers: int = whole(2)
    loader: str = one_of("thread", "process")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig(Checked):
    """Two towers.

    Attributes
    ----------
    kind : str
        ``clip``: ViT and text transformer. ``resnet``: ResNet and text transformer. ``image_image``: two ViTs that see
        the same image. ``shared``: one transformer and one projection for image and text. ``checkpoint``: a published
        CLIP, by name or folder.
    dim : int
        Of the embeddings; of a checkpoint 0 keeps its own, another number starts new projections.
    patch, image_width, image_layers, image_heads, text_width, text_layers, text_heads : int
        Sizes; a shared transformer has those of the image.
    depths, widths : tuple of 4 int
        Blocks and channels of the stages of the ResNet; bottleneck blocks.
    tokens, length : str, int
        ``words`` (of the training captions), ``bytes``, or a published tokenizer; ids of a caption.
    initialisation : str
        ``random``, or ``amended``: a frozen Procrustes rotation of the second tower, on a random sample of at most
        2048 training pairs, drawn by the seed of the run.
    translation : float
        Part of the gap that the target of the rotation is moved by first.
    gradient_checkpointing, compile : bool
        Recompute activations; torch.compile.
    """

    kind: str = one_of("clip", "resnet", "image_image", "shared", "checkpoint")
    checkpoint: str = ""
    dim: int = whole(32)
    patch: int = whole(4, 1)
    image_width: int = whole(64, 1)
    image_layers: int = whole(2, 1)
    image_heads: int = whole(2, 1)
    text_width: int = whole(64, 1)
    text_layers: int = whole(2, 1)
    text_heads: int = whole(2, 1)
    depths: tuple[int, int, int, int] = field(default=(3, 4, 6, 3), metadata={"least": 1})
    widths: tuple[int, int, int, int] = field(default=(256, 512, 1024, 2048), metadata={"least": 4})
    tokens: str = "words"
    length: int = whole(16, 3)
    initialisation: str = one_of("random", "amended")
    translation: float = real(0.0, least=-1e6)
    gradient_checkpointing: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        super(ModelConfig, self).__post_init__()
        if (self.kind == "checkpoint") != bool(self.checkpoint):
            raise ValueError("`checkpoint` must name a published model if `kind` is checkpoint, and only then.")
        if self.kind != "checkpoint" and self.dim < 1:
            raise ValueError(f"`dim` must be at least 1, got {self.dim}.")
        if self.kind == "checkpoint" and self.tokens in ("words", "bytes"):
            raise ValueError(f"`tokens` must name the tokenizer of {self.checkpoint!r}, got {self.tokens!r}.")
        if self.kind == "resnet" and self.gradient_checkpointing:
            raise ValueError("`gradient_checkpointing` must be false if `kind` is resnet, which has none.")
        for width, heads in (("image_width", "image_heads"), ("text_width", "text_heads")):
            if getattr(self, width) % getattr(self, heads):
                raise ValueError(
                    f"`{width}` must be a multiple of `{heads}`, got {getattr(self, width)} and {getattr(self, heads)}."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig(Checked):
    """What is minimised.

    Attributes
    ----------
    kind : str
        ``clip``, ``siglip``, or ``regularised``: CLIP with weighted uniformity, alignment and cross uniformity; CUA has
        weights 1, 1, 0 and CUAXU 1, 1, 1.
    direction : str
        Of ``clip``.
    bias : float
        Start of SigLIP's bias.
    chunk : int
        Rows of a chunk of the logits; 0 for what suits the device.
    swap, swap_fraction : str, float
        Kind of modality swapping, and the part of the steps that have it.
    """

    kind: str = one_of("clip", "siglip", "regularised")
    direction: str = one_of("symmetric", "x-to-y", "y-to-x")
    uniformity: float = real(1.0)
    alignment: float = real(1.0)
    cross: float = real(0.0)
    bias: float = real(-10.0, least=-1e6)
    chunk: int = whole(0)
    swap: str = one_of("none", "hard", "soft", "row")
    swap_fraction: float = real(0.0, most=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperatureConfig(Checked):
    """Law of the temperature: see `empirical.temperature`; `rate` multiplies the learning rate of its parameter."""

    law: str = one_of("exp", "fixed", "exp_scaled", "softplus", "linear", "S0", "S1", "S2", "S3", "A0", "A1")
    start: float = real(0.07, positive=True)
    s: float = real(2.0, positive=True)
    clamp: float = real(100.0, positive=True)
    cycles: int = whole(1, 1)
    rate: float = real(1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserConfig(Checked):
    """AdamW, or Adam with the decay added to the gradient.

    Attributes
    ----------
    rate, floor : float
        Learning rate at its peak, and at the end of a cosine.
    warmup : int
        Steps.
    decay : float
        Of matrices; gains, biases and the temperature have none, unless `decay_all` is true (Liang et al.).
    clip : float
        Greatest norm of the gradient; 0 for none.
    """

    kind: str = one_of("adamw", "adam")
    rate: float = real(1e-3, positive=True)
    floor: float = real(0.0)
    schedule: str = one_of("cosine", "constant")
    warmup: int = whole(0)
    betas: tuple[float, float] = field(default=(0.9, 0.98), metadata={"least": 0.0, "most": 1.0 - 1e-9})
    epsilon: float = real(1e-6, positive=True)
    decay: float = real(0.2)
    decay_all: bool = False
    clip: float = real(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig(Checked):
    """A run.

    Attributes
    ----------
    batch : int
        Pairs of a step, of all processes together.
    microbatch : int
        Pairs of a process that are encoded at a time, by gradient caching; 0 for all. The gradient is that of the whole
        batch, but for the batch normalisation of a ResNet: that is over one part, of all processes on GPUs, of each
        process alone on processors.
    precision : str
        ``float32``, or ``bfloat16`` by autocast.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
    threads : int
        Of torch on a processor, in each process, while the run lasts; 0 leaves torch's choice. The bits of its sums
        depend on it.
    log_every, checkpoint_every : int
        Steps between measurements of the held-out pairs, and between checkpoints.
    keep : int
        Checkpoints kept, the last ones; 0 for all.
    tensorboard : bool
        Write event files too.
    """

    steps: int = whole(1000, 1)
    batch: int = whole(128, 2)
    microbatch: int = whole(0)
    seed: int = whole(0)
    device: str = "auto"
    threads: int = whole(0)
    precision: str = one_of("float32", "bfloat16")
    log_every: int = whole(100, 1)
    checkpoint_every: int = whole(500, 1)
    keep: int = whole(2)
    tensorboard: bool = False
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    temperature: TemperatureConfig = field(default_factory=TemperatureConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)

    def __post_init__(self) -> None:
        super(TrainConfig, self).__post_init__()
        if self.optimiser.warmup > self.steps:
            raise ValueError(
                f"`optimiser.warmup` must be at most `steps`, {self.steps}, got {self.optimiser.warmup}: set it too, "
                f"for a tenth of the steps with --set optimiser.warmup={self.steps // 10}."
            )
        if self.optimiser.floor > self.optimiser.rate:
            raise ValueError(f"`floor` must be at most `rate`, {self.optimiser.rate}, got {self.optimiser.floor}.")

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration as nested tables, fit for JSON and for `config_from`."""
        return _plain(dataclasses.asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def config_from(table: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration of nested tables; what is left out has its default.

    Raises
    ------
    ValueError
        If a key is unknown (the nearest is named), or a value has the wrong type or is out of range.

    Examples
    --------
    >>> config_from({"steps": 10, "loss": {"kind": "siglip"}}).loss.kind
    'siglip'
    """
    return _built("", table, TrainConfig)


def _built(path: str, table: Any, cls: Any) -> Any:
    if not isinstance(table, Mapping):
        raise ValueError(f"`{path}` must be a table, got {table!r}.")
    hints = get_type_hints(cls)
    values = {}
    for name, value in table.items():
        known(f"a key of {path or 'the configuration'}", name, hints)
        inner, hint = f"{path}.{name}" if path else name, hints[name]
        read = _built if dataclasses.is_dataclass(hint) else typed
        values[name] = read(inner, value, hint)
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{path or 'configuration'}: {error}") from None


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Return the configuration of a preset, by name, or of a TOML file, with some values replaced.

    Parameters
    ----------
    source : str or Path
        A name of `empirical.presets.PRESETS`, or a file; a file may begin with ``preset = "name"`` and say only what
        is different.
    overrides : sequence of str
        ``key=value``, the key with dots (``loss.kind=siglip``) and the value as in TOML; a word needs no quotes. The
        last of a key counts. Another ``data.kind`` does not take over the ``data.options`` of the one before.

    Raises
    ------
    ValueError
        If there is no such preset or file, it is not TOML, or as `config_from`.

    Examples
    --------
    >>> load_config("digits", ["steps=20", "optimiser.rate=1e-4"]).optimiser.rate
    0.0001
    """
    table = _table(source)
    if "preset" in table:
        table = _changed(_preset(str(table.pop("preset"))), table)
    changes: dict[str, Any] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        if not (equals and key and value):
            raise ValueError(f"`overrides` must be a key and a value, such as steps=100, got {text!r}.")
        change: Any = toml_value(value.strip())
        for name in reversed(key.strip().split(".")):
            change = {name: change}
        changes = _merged(changes, change)
    return config_from(_changed(table, changes))


def _table(source: str | Path) -> dict[str, Any]:
    path = Path(source)
    if str(source) in PRESETS or (path.suffix != ".toml" and not path.is_file()):
        return _preset(str(source))
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"`config` {str(source)!r} does not exist.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"`config` {str(source)!r} is not TOML: {error}") from None


def _preset(name: str) -> dict[str, Any]:
    return _merged({}, PRESETS[known("`config`, a preset or a .toml file,", name, PRESETS)])


def _changed(table: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return `table` with `change`; options are those of a kind of data, and go with it."""
    data, new = table.get("data"), change.get("data")
    if isinstance(data, Mapping) and isinstance(new, Mapping):
        same = new.get("kind", data.get("kind")) == data.get("kind")
        table = {**table, "data": data if same else {**data, "options": {}}}
    return _merged(table, change)


def _merged(table: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(table)
    for name, value in change.items():
        old = found.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        found[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return found


def toml_value(text: str) -> Any:
    """Return a word of the command line as TOML reads it; what TOML does not know is text.

    Examples
    --------
    >>> toml_value("[1, 2]"), toml_value("1e-4"), toml_value("hard")
    ([1, 2], 0.0001, 'hard')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
