"""Two towers that are trained already: those of a run folder, or a published CLIP, ready to embed images and captions.

Weights are read from safetensors alone. A published checkpoint keeps its own image size.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from conetheory._arrays import as_choice, as_count

from .checkpoints import checkpoint_step, load_checkpoint
from .config import ModelConfig, TrainConfig, config_from
from .data.pairs import PairBatch
from .data.sources import options_of
from .initialisation import FrozenRotation
from .model import Inputs, TwoTowers, build_model
from .processes import processes_and_device
from .run_folder import last_checkpoint
from .tokens import HubTokens, Tokens, tokens_from_description

__all__ = ["TrainedTowers", "is_run", "open_towers"]

Rows = Float[torch.Tensor, "n d"]
_PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedTowers:
    """Towers that are no longer trained.

    Attributes
    ----------
    name : str
        The folder or the name that they come from.
    model : TwoTowers
        In evaluation mode, on `device`.
    tokens : Tokens
        What the captions are encoded by.
    image_size : int
        Height and width of the images, in pixels.
    device : torch.device
        Where they run.
    precision : str
        ``float32``, or ``bfloat16`` by autocast.
    reads_text : bool
        Whether the second tower reads captions, and not the images once more.
    config : TrainConfig or None
        Of the run; None for a published checkpoint.
    step : int or None
        Of the run's checkpoint.
    """

    name: str
    model: TwoTowers
    tokens: Tokens
    image_size: int
    device: torch.device
    precision: str
    reads_text: bool
    config: TrainConfig | None
    step: int | None

    def embed(self, batch: PairBatch) -> Float[np.ndarray, "2 n d"]:
        """Return the embeddings of pairs, in float32, as projected and not normalised: first the images."""
        tokens = self.tokens.encode(batch.captions)
        return self._rows(batch.images, tokens.ids, tokens.mask, self.model)

    def embed_images(self, images: UInt8[np.ndarray, "n 3 size size"]) -> Float[np.ndarray, "n d"]:
        """Return the embeddings of images by the first tower, as `embed` does."""
        nothing = np.zeros((len(images), 1), dtype=np.int64)
        return self._rows(images, nothing, nothing, self.model.encode_x)

    def embed_texts(self, captions: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """Return the embeddings of captions by the second tower, as `embed` does.

        Raises
        ------
        ValueError
            If that tower reads images.
        """
        if not self.reads_text:
            raise ValueError(f"{self.name} has no text tower: both its towers read images.")
        tokens = self.tokens.encode(captions)
        unseen = np.empty((len(captions), 3, 0, 0), dtype=np.uint8)
        return self._rows(unseen, tokens.ids, tokens.mask, self.model.encode_y)

    @torch.no_grad()
    def _rows(self, images: np.ndarray, ids: np.ndarray, mask: np.ndarray, encode: Any) -> np.ndarray:
        """Return what `encode` makes of these inputs; of several results, one array."""
        placed = (torch.from_numpy(np.ascontiguousarray(each)).to(self.device) for each in (images, ids, mask))
        inputs = Inputs(**dict(zip(("images", "ids", "mask"), placed, strict=True)))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            found = encode(inputs)
        return (torch.stack(found) if isinstance(found, tuple) else found).float().cpu().numpy()


@contextmanager
def open_towers(
    name: str | Path, *, step: int | None = None, device: str = "auto", precision: str = "float32"
) -> Iterator[TrainedTowers]:
    """Yield the towers of a run folder, of the folder of a published CLIP, or of one on the hub.

    Parameters
    ----------
    name : str or Path
        The folder, or the name on the hub.
    step : int, optional
        Checkpoint of the run; the last one by default.
    device, precision : str
        As in `empirical.config.TrainConfig`.

    Raises
    ------
    ValueError
        If there is no such folder, run, checkpoint or published CLIP, or an option does not fit it.
    """
    as_choice("precision", precision, _PRECISIONS)
    with processes_and_device(device) as (_, place):
        if is_run(name):
            config = _run_config(Path(name))
            model, tokens, size, step = _of_run(Path(name), config, step)
            reads_text = config.model.kind != "image_image"
        elif step is not None:
            raise ValueError(f"`step` needs a run folder, and {str(name)!r} is none.")
        else:
            config, reads_text = None, True
            model, tokens, size = _published(str(name))
        yield TrainedTowers(
            name=str(name),
            model=model.to(place).eval(),
            tokens=tokens,
            image_size=size,
            device=place,
            precision=precision,
            reads_text=reads_text,
            config=config,
            step=step,
        )


def is_run(name: str | Path) -> bool:
    """Whether `name` is the folder of a training run; that of a published model has a ``model_type``.

    Raises
    ------
    ValueError
        If it is a file, or a folder that holds neither.
    """
    path = Path(name)
    if path.is_file():
        raise ValueError(f"`MODEL` must be a folder or a name on the hub, and {path} is a file.")
    if not path.is_dir():
        return False
    if not (path / "config.json").is_file():
        raise ValueError(f"`MODEL` {path} is neither a run folder nor a checkpoint: it has no config.json.")
    return "model_type" not in _json(path / "config.json")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"`MODEL` {path.parent} has no {path.name} that can be read: {error}.") from None
    if not isinstance(found, dict):
        raise ValueError(f"`MODEL` {path.parent} has a {path.name} that is no table.")
    return found


def _run_config(folder: Path) -> TrainConfig:
    try:
        return config_from(_json(folder / "config.json"))
    except ValueError as error:
        raise ValueError(f"`MODEL` {folder} is no run of this version: {error}") from None


def _of_run(folder: Path, config: TrainConfig, step: int | None) -> tuple[TwoTowers, Tokens, int, int]:
    """Return the towers of a checkpoint, their tokens, the size of the images, and the step."""
    path = _checkpoint_of(folder, step)
    tokens = tokens_from_description(_json(folder / "tokens.json"))
    data = config.data
    size = data.options.get("size", options_of(data.kind)["size"].default)
    plain = replace(config.model, compile=False, gradient_checkpointing=False)
    model = build_model(plain, image_size=size, tokens=tokens, seed=config.seed)
    if config.model.initialisation == "amended":
        model.rotation = FrozenRotation(torch.eye(model.dim))
    load_checkpoint(path, model=model)
    return model, tokens, size, checkpoint_step(path)


def _checkpoint_of(folder: Path, step: int | None) -> Path:
    """Return the checkpoint of this step, or the last."""
    last = last_checkpoint(folder)
    if last is None:
        raise ValueError(f"`MODEL` {folder} is a run without a checkpoint: train it on, or wait for the first.")
    if step is None:
        return last
    path = last.with_name(f"step-{as_count('step', step):08}.safetensors")
    if not path.is_file():
        there = sorted(checkpoint_step(each) for each in last.parent.glob("step-*.safetensors"))
        raise ValueError(f"`step` must be one of {', '.join(map(str, there))} in {folder}, got {step}.")
    return path


def _published(name: str) -> tuple[TwoTowers, Tokens, int]:
    """Return a published CLIP with its tokens and the size of its images."""
    if not Path(name).is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise ValueError(f"`MODEL` {name!r} does not exist.")
    try:
        return _from_transformers(name)
    except OSError as error:  # transformers': not on the hub, no network, no safetensors
        why = " ".join(str(error).split())
        raise ValueError(f"`MODEL` {name!r} is no folder here and no CLIP that transformers can load: {why}") from None


def _from_transformers(name: str) -> tuple[TwoTowers, Tokens, int]:
    from transformers import AutoConfig

    found = AutoConfig.from_pretrained(name)
    vision, text = (getattr(found, part, None) for part in ("vision_config", "text_config"))
    if vision is None or text is None:
        raise ValueError(f"`MODEL` must be a CLIP, and {name!r} is a {found.model_type!r}.")
    tokens = HubTokens(name, text.max_position_embeddings)
    config = ModelConfig(kind="checkpoint", checkpoint=name, dim=0, tokens=name, length=tokens.length)
    return build_model(config, image_size=vision.image_size, tokens=tokens), tokens, vision.image_size
