"""``conetheory probe``: the cone of anyone's network, block by block, beside the C-map."""

import json
import sys
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Annotated, Any

import typer

from claims import SCHEMA
from claims.cli_options import Json, Seed, count_from, real_number

__all__ = ["probe"]


def _model(reference: str) -> Any:
    """Return the model: of ``package.module:factory``, called without arguments, or of a checkpoint."""
    from empirical.probe import load_checkpoint

    if Path(reference).exists() or ":" not in reference:
        return load_checkpoint(reference)
    try:
        import torch
    except ImportError:
        raise ImportError("probe needs torch: pip install torch.") from None
    module, _, name = reference.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), name)
        model = found if isinstance(found, torch.nn.Module) else found()
    except Exception as error:  # a user's module may raise anything
        raise ValueError(f"`MODEL` {reference!r} cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"`MODEL` {reference!r} must give a torch module, got {type(model).__name__}.")
    return model


def _shape(text: str) -> tuple[int, ...]:
    sides = text.split(",")
    if not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise ValueError(f"`--dim` must be whole numbers such as 512 or 3,32,32, got {text!r}.")
    return tuple(int(side) for side in sides)


def _gaussian(n: int, shape: tuple[int, ...], rho: float, seed: int) -> Any:
    """Return n Gaussian inputs of unit variance, any two of which have the correlation `rho`."""
    import numpy as np

    if not 0 <= rho <= 1:
        raise ValueError(f"`--rho` must lie in [0, 1], got {rho}.")
    rng = np.random.default_rng(seed)
    common = rng.standard_normal(prod(shape))
    rows = rho**0.5 * common + (1 - rho) ** 0.5 * rng.standard_normal((n, prod(shape)))
    return rows.astype(np.float32).reshape(n, *shape)


def _stored(path: Path, size: int, batch_size: int) -> Any:
    """Return the inputs in a file of arrays or a folder of images."""
    import numpy as np

    from empirical._formats import stored_arrays
    from empirical._image_folder import image_batches

    if path.is_dir():
        return image_batches(path, size, batch_size)
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"`--inputs` must be .npy, .npz or a folder of images, got {path}.")
    arrays = {array.name: np.array(array.read()) for array in stored_arrays(path)}
    return arrays if path.suffix == ".npz" else arrays[""]


def _matched(model: Any, inputs: Any) -> tuple[Any, Any]:
    """Return the tower that the inputs are for, and the inputs under the name it wants.

    A two-tower model of transformers takes images in one tower, token numbers in the other.
    """
    import numpy as np

    if isinstance(inputs, np.ndarray):
        name = "pixel_values" if inputs.ndim == 4 and inputs.dtype.kind == "f" else "input_ids"
        inputs = {name: inputs} if hasattr(model, "main_input_name") else inputs
    elif not isinstance(inputs, dict) and not hasattr(model, "main_input_name"):
        return model, (batch["pixel_values"] for batch in inputs)
    names = set(inputs) if isinstance(inputs, dict) else {"pixel_values"}
    if hasattr(model, "vision_model") and hasattr(model, "text_model") and not {"pixel_values", "input_ids"} <= names:
        model = model.vision_model if "pixel_values" in names else model.text_model
    return model, inputs


def _blocks(model: Any, wanted: list[str] | None) -> list[str | type] | None:
    """Return names and patterns as they are, and the types of the modules whose class is named."""
    if not wanted:
        return None
    types = {type(module).__name__: type(module) for module in model.modules()}
    return [types.get(name, name) for name in wanted]


def _shown(at: Any) -> str:
    if at is None:
        return "—"
    return f"{at.value:.4f}" + (f" ± {at.stderr:.4f}" if at.stderr > 0 else "")


def _table(report: Any) -> list[str]:
    """Return the lines of the table."""
    from empirical.probe import BlockReport

    def line(block: BlockReport) -> str:
        square = "—" if block.predicted_mean_square is None else f"{block.predicted_mean_square:.4g}"
        place = block.reason if block.start is None else f"from {block.start}"
        return (
            f"{block.name:34.34} {block.kind:18.18} {_shown(block.cosine):16} {_shown(block.predicted_cosine):16} "
            f"{block.mean_square.value:<11.4g} {square:10} {block.cone_angle_deg.value:5.1f}°  {place}"
        )

    head = f"{'block':34} {'kind':18} {'cosine':16} {'C-map':16} {'mean square':11} {'Q-map':10} angle   prediction"
    first = f"{report.n} inputs of mean cosine {_shown(report.input_cosine)}, {report.dtype} on {report.device}"
    skipped = [f"not run: {', '.join(report.not_run)}"] if report.not_run else []
    return [first, head, *(line(block) for block in report.blocks), *skipped]


def probe(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A torch module as package.module:factory (called without arguments), or a checkpoint of "
            "transformers: a folder, or a name on the hub; safetensors only.",
        ),
    ],
    inputs: Annotated[
        Path | None,
        typer.Option(help="Inputs: .npy, .npz of named arrays (pixel_values, input_ids, …), or a folder of images."),
    ] = None,
    gaussian: Annotated[
        int | None, typer.Option(parser=count_from(2), help="So many Gaussian inputs in place of --inputs.")
    ] = None,
    dim: Annotated[str | None, typer.Option(help="Shape of one Gaussian input, such as 512 or 3,32,32.")] = None,
    rho: Annotated[float, typer.Option(parser=real_number, help="Correlation of any two Gaussian inputs.")] = 0.0,
    size: Annotated[int, typer.Option(parser=count_from(1), help="Side of the images of a folder, in pixels.")] = 224,
    block: Annotated[
        list[str] | None,
        typer.Option(help="Name, pattern or class of modules to look at; may be repeated. Default: the layers."),
    ] = None,
    tokens: Annotated[str, typer.Option(help="A point is the mean of tokens, the first, or each.")] = "mean",
    batch_size: Annotated[int, typer.Option(parser=count_from(1), help="Inputs at a time.")] = 64,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; where the model is by default.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16, …; that of the model by default.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Measure mean cosine, mean square and cone angle after every block of a network, beside the C-map's prediction."""
    from empirical.probe import probe as measure

    if (inputs is None) == (gaussian is None):
        raise ValueError("`--inputs` or `--gaussian`: exactly one says what the network is shown.")
    if (gaussian is None) != (dim is None):
        raise ValueError("`--gaussian` and `--dim` need one another.")
    if inputs is not None:
        given = _stored(inputs, size, batch_size)
    else:
        given = _gaussian(gaussian or 0, _shape(dim or ""), rho, seed)
    tower, given = _matched(_model(model), given)
    how = {"tokens": tokens, "batch_size": batch_size, "device": device, "dtype": dtype}
    try:
        report = measure(tower, given, blocks=_blocks(tower, block), **how)
    except RuntimeError as error:  # torch's, such as shapes that do not fit, or no memory
        raise ValueError(f"`MODEL` {model!r} fails on these inputs: {error}") from error
    for line in [json.dumps({"schema": SCHEMA, "model": model, **report.as_dict()})] if as_json else _table(report):
        typer.echo(line)
