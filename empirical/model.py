"""Two towers built from transformers: what is trained.

Images come in as uint8 and are normalised here, on the device, with OpenAI's means and deviations, or with those that a
published checkpoint comes with; embeddings come out as projected, not normalised. A vision tower is a ViT or a ResNet,
a text tower CLIP's causal transformer read at the end token; attention is PyTorch's fused one (SDPA).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import nn

from .config import ModelConfig
from .initialisation import FrozenRotation
from .tokens import ByteTokens, HubTokens, Tokens, WordTokens

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Inputs", "TwoTowers", "build_model", "make_tokens"]

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
_PUBLISHED = "clip"  # the model type of a checkpoint
_OLD_END = 2  # as the end token in old configurations of OpenAI's checkpoints, where it is the last id


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """A batch on the device.

    Attributes
    ----------
    images : Tensor of uint8, shape (n, 3, height, width)
    ids, mask : Tensor of int64, shape (n, length)
        As `empirical.tokens.TokenBatch`.
    """

    images: UInt8[torch.Tensor, "n 3 height width"]
    ids: Int64[torch.Tensor, "n length"]
    mask: Int64[torch.Tensor, "n length"]

    def __len__(self) -> int:
        return len(self.images)

    def split(self, size: int) -> "list[Inputs]":
        """Return the batch in parts of at most `size` pairs."""
        parts = zip(*(each.split(size) for each in (self.images, self.ids, self.mask)), strict=True)
        return [Inputs(images=images, ids=ids, mask=mask) for images, ids, mask in parts]


class _ImageTower(nn.Module):
    """uint8 images, an encoder of transformers, a projection."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, body: Any, projection: nn.Module) -> None:
        super().__init__()
        self.body, self.projection = body, projection
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, 255 * torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, inputs: Inputs) -> Float[torch.Tensor, "n d"]:
        pixels = (inputs.images - self.mean) / self.deviation
        return self.projection(self.body(pixel_values=pixels).pooler_output.flatten(1))


class _TextTower(nn.Module):
    """Token ids, CLIP's text transformer read at the end of each caption, a projection.

    The end is the last id of the mask: CLIP's own rule for its tokens, and right for those of others, whatever id they
    end in (transformers reads an end id of 2 as the largest id).
    """

    def __init__(self, body: Any, projection: nn.Module) -> None:
        super().__init__()
        self.body, self.projection = body, projection

    def forward(self, inputs: Inputs) -> Float[torch.Tensor, "n d"]:
        rows = self.body(input_ids=inputs.ids, attention_mask=inputs.mask).last_hidden_state
        return self.projection(rows[torch.arange(len(rows), device=rows.device), inputs.mask.sum(dim=1) - 1])


class TwoTowers(nn.Module):
    """Two towers into one space.

    Attributes
    ----------
    x_tower, y_tower : Module
        From `Inputs` to rows of shape (n, d); each has a ``body`` and a ``projection``.
    rotation : FrozenRotation or None
        After the second tower, if its initialisation was amended.
    """

    x_tower: Any
    y_tower: Any
    rotation: FrozenRotation | None

    def __init__(self, x_tower: nn.Module, y_tower: nn.Module) -> None:
        super().__init__()
        self.x_tower, self.y_tower, self.rotation = x_tower, y_tower, None

    @property
    def dim(self) -> int:
        """Dimension d of the embeddings."""
        return int(self.x_tower.projection.weight.shape[0])

    def encode_x(self, inputs: Inputs) -> Float[torch.Tensor, "n d"]:
        """Return the embeddings of the first modality: images."""
        return self.x_tower(inputs)

    def encode_y(self, inputs: Inputs) -> Float[torch.Tensor, "n d"]:
        """Return the embeddings of the second modality: captions, or the images once more."""
        rows = self.y_tower(inputs)
        return rows if self.rotation is None else self.rotation(rows)

    def forward(self, inputs: Inputs) -> tuple[Float[torch.Tensor, "n d"], Float[torch.Tensor, "n d"]]:
        """Return both."""
        return self.encode_x(inputs), self.encode_y(inputs)


def make_tokens(config: ModelConfig, captions: "Iterable[str]") -> Tokens:
    """Return the tokens of a configuration; `captions` are read for ``words`` alone."""
    if config.tokens == "words":
        return WordTokens.of(captions, config.length)
    return ByteTokens(config.length) if config.tokens == "bytes" else HubTokens(config.tokens, config.length)


def build_model(config: ModelConfig, *, image_size: int, tokens: Tokens, seed: int = 0) -> TwoTowers:
    """Build the towers, with weights as transformers draws them, or those of a checkpoint.

    Parameters
    ----------
    config : ModelConfig
        Kind and sizes.
    image_size : int
        Height and width of the images, in pixels; for a checkpoint, those it was trained on.
    tokens : Tokens
        What the captions will be encoded by; a checkpoint has its own.
    seed : int
        Of the weights; torch's own random numbers stay where they are.

    Returns
    -------
    TwoTowers
        In float32, on the processor.

    Raises
    ------
    ValueError
        If sizes do not fit one another, or the checkpoint is no CLIP.
    OSError
        If the checkpoint cannot be found, or is not in safetensors.
    """
    build = {"resnet": _resnet, "image_image": _image_image, "shared": _shared, "checkpoint": _checkpoint}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: TwoTowers = build.get(config.kind, _clip)(config, image_size, tokens)
    if config.gradient_checkpointing:
        for body in {id(tower.body): tower.body for tower in (model.x_tower, model.y_tower)}.values():
            enable = getattr(body, "activation_checkpointing_enable", None) or body.gradient_checkpointing_enable
            enable({"use_reentrant": False})  # the second is its name in older releases of transformers
    if config.compile:
        model.x_tower.compile()
        model.y_tower.compile()
    return model


def _vision(config: ModelConfig, image_size: int) -> Any:
    import transformers

    if image_size % config.patch:
        raise ValueError(f"`patch` must divide the size of the images, {image_size} pixels, got {config.patch}.")
    settings: Any = transformers.CLIPVisionConfig  # strictly typed there, and yet takes the kind of attention
    return settings(
        hidden_size=config.image_width,
        intermediate_size=4 * config.image_width,
        num_hidden_layers=config.image_layers,
        num_attention_heads=config.image_heads,
        image_size=image_size,
        patch_size=config.patch,
        projection_dim=config.dim,
        attn_implementation="sdpa",
    )


def _text(config: ModelConfig, tokens: Tokens) -> Any:
    import transformers

    settings: Any = transformers.CLIPTextConfig
    return settings(
        vocab_size=tokens.size,
        hidden_size=config.text_width,
        intermediate_size=4 * config.text_width,
        num_hidden_layers=config.text_layers,
        num_attention_heads=config.text_heads,
        max_position_embeddings=tokens.length,
        projection_dim=config.dim,
        attn_implementation="sdpa",
        **tokens.special,
    )


def _towers(clip: Any) -> TwoTowers:
    """Return the towers of a ``CLIPModel``; its logit scale is left to `empirical.temperature`."""
    return TwoTowers(
        _ImageTower(clip.vision_model, clip.visual_projection), _TextTower(clip.text_model, clip.text_projection)
    )


def _clip(config: ModelConfig, image_size: int, tokens: Tokens) -> TwoTowers:
    import transformers

    settings: Any = transformers.CLIPConfig
    text, vision = _text(config, tokens), _vision(config, image_size)
    whole = settings(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        projection_dim=config.dim,
        attn_implementation="sdpa",
    )
    return _towers(transformers.CLIPModel(whole))


def _shared(config: ModelConfig, image_size: int, tokens: Tokens) -> TwoTowers:
    """Return a CLIP whose text goes through the blocks and the projection of the image, with masks of its own."""
    from dataclasses import replace

    same = replace(
        config, text_width=config.image_width, text_layers=config.image_layers, text_heads=config.image_heads
    )
    model = _clip(same, image_size, tokens)
    model.y_tower.body.encoder = model.x_tower.body.encoder
    model.y_tower.projection = model.x_tower.projection
    return model


def _image_image(config: ModelConfig, image_size: int, tokens: Tokens) -> TwoTowers:
    """Return two ViTs with weights of their own draw each."""
    from transformers import CLIPVisionModelWithProjection

    drawn = [CLIPVisionModelWithProjection(_vision(config, image_size)) for _ in range(2)]
    return TwoTowers(*(_ImageTower(each.vision_model, each.visual_projection) for each in drawn))


def _resnet(config: ModelConfig, image_size: int, tokens: Tokens) -> TwoTowers:
    from transformers import CLIPTextModelWithProjection, ResNetConfig, ResNetModel

    found = ResNetConfig(
        embedding_size=max(config.widths[0] // 4, 1),
        hidden_sizes=list(config.widths),
        depths=list(config.depths),
        layer_type="bottleneck",
    )
    text = CLIPTextModelWithProjection(_text(config, tokens))
    projection = nn.Linear(config.widths[-1], config.dim, bias=False)
    nn.init.normal_(projection.weight, std=config.widths[-1] ** -0.5)
    return TwoTowers(_ImageTower(ResNetModel(found), projection), _TextTower(text.text_model, text.text_projection))


def _checkpoint(config: ModelConfig, image_size: int, tokens: Tokens) -> TwoTowers:
    """Return a published CLIP; with a `dim` of its own, the projections start anew (Fahim et al.)."""
    from transformers import AutoConfig, CLIPModel

    found = AutoConfig.from_pretrained(config.checkpoint)
    if found.model_type != _PUBLISHED:
        raise ValueError(f"`checkpoint` must be a CLIP, and {config.checkpoint!r} is a {found.model_type!r}.")
    vision, text = found.vision_config, found.text_config
    if image_size != vision.image_size:
        raise ValueError(
            f"`checkpoint` {config.checkpoint!r} has images of {vision.image_size} pixels, got {image_size}."
        )
    if tokens.length > text.max_position_embeddings or tokens.size > text.vocab_size:
        at_most = f"length {text.max_position_embeddings} and {text.vocab_size} ids"
        raise ValueError(f"`tokens` must have at most {at_most}, got {tokens.length} and {tokens.size}.")
    end = tokens.special["eos_token_id"]
    if end != text.eos_token_id and not (text.eos_token_id == _OLD_END and end == text.vocab_size - 1):
        raise ValueError(f"`tokens` must be those of {config.checkpoint!r}, and theirs end in another id, {end}.")
    model = _towers(CLIPModel.from_pretrained(config.checkpoint, use_safetensors=True, attn_implementation="sdpa"))
    if config.dim:
        for tower, width in ((model.x_tower, vision.hidden_size), (model.y_tower, text.hidden_size)):
            tower.projection = nn.Linear(width, config.dim, bias=False)
            nn.init.normal_(tower.projection.weight, std=width**-0.5)
    _adopt_preprocessing(config.checkpoint, model)
    return model.float()


def _adopt_preprocessing(name: str, model: TwoTowers) -> None:
    """Normalise images as the checkpoint says; where it says nothing, OpenAI's means and deviations stay."""
    from transformers.image_processing_base import ImageProcessingMixin

    try:
        said, _ = ImageProcessingMixin.get_image_processor_dict(name)
    except OSError:  # it has no preprocessor_config.json
        return
    for buffer, key in ((model.x_tower.mean, "image_mean"), (model.x_tower.deviation, "image_std")):
        if key in said:
            buffer.copy_(255 * torch.tensor(said[key]).view(1, 3, 1, 1))
