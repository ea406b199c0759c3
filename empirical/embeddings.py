"""Paired embeddings from files: found, checked, memory-mapped, and read a chunk at a time.

One source of N pairs, in dimension D:

- ``.npy`` of shape (2, N, D), [0] the first modality;
- ``.npz``, ``.safetensors``, ``.parquet`` (columns of lists) with two arrays of shape (N, D);
- two files, each with one array of shape (N, D);
- a folder of clip-retrieval: ``img_emb_*.npy`` and ``text_emb_*.npy`` in numbered parts, in the subfolders ``img_emb``
  and ``text_emb`` or beside one another.

Entries are float16, bfloat16 (safetensors), float32 or float64 and are kept so; rows are normalised, in float64, when a
chunk is read. ``.npy``, ``.safetensors`` and clip-retrieval parts are memory-mapped; ``.npz`` and ``.parquet`` are read
whole, in their own type.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from conetheory._arrays import as_count, unit_rows

from ._formats import SUFFIXES, StoredArray, map_npy, stored_arrays
from ._rows import JoinedRows, Rows

__all__ = ["EmbeddingPairs", "iter_chunks", "load_pairs", "unit_sample"]

_IMAGE = re.compile(r"image|img|vis|pic|photo", re.IGNORECASE)
_TEXT = re.compile(r"text|txt|capt|sentence|lang", re.IGNORECASE)
_SAFE = (1e-200, 1e200)  # a sum of squares in here has neither overflowed nor lost digits to underflow


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddingPairs:
    """N pairs of embeddings, as stored: row i of `x` belongs to row i of `y`.

    Attributes
    ----------
    x, y : array_like, shape (n, dim)
        Arrays, memory maps, or views that give rows by slice and by integer array; float16, float32 or float64.
    groups : ndarray of int, shape (n,), or None
        Pairs of equal group share an item (the captions of one image); codes 0, 1, … None: every pair is its own.
    source : str
        Where the pairs come from.
    names : tuple of str
        What to call `x` and `y` in a message.

    Raises
    ------
    ValueError
        If the shapes are not two-dimensional and equal, n < 2, dim < 1, or `groups` has another length or one value.
    TypeError
        If the entries are not float16, float32 or float64, or the groups not integers.
    """

    x: Rows
    y: Rows
    groups: Int[np.ndarray, "n"] | None = None
    source: str = "arrays"
    names: tuple[str, str] = ("`x`", "`y`")

    def __post_init__(self) -> None:
        for name, rows in zip(self.names, (self.x, self.y), strict=True):
            if not isinstance(rows, Rows):
                raise TypeError(f"{name} must be an array, got {type(rows).__name__}.")
            if rows.dtype.name not in ("float16", "float32", "float64"):
                raise TypeError(f"{name} must hold float16, float32 or float64, got {rows.dtype}.")
            if len(rows.shape) != 2 or rows.shape[1] < 1:
                raise ValueError(f"{name} must have shape (N, D) with D >= 1, got {rows.shape}.")
        for axis, what in enumerate(("number of rows N", "dimension D")):
            if self.x.shape[axis] != self.y.shape[axis]:
                shapes = f"{self.x.shape} and {self.y.shape}"
                raise ValueError(f"{' and '.join(self.names)} must have the same {what}, got shapes {shapes}.")
        if self.n < 2:
            raise ValueError(f"{self.source} must hold at least two pairs, got {self.n}.")
        if self.groups is not None:
            object.__setattr__(self, "groups", _group_codes(self.groups, self.n, "`groups`"))

    @property
    def n(self) -> int:
        """Number of pairs."""
        return self.x.shape[0]

    @property
    def dim(self) -> int:
        """Dimension of the embeddings."""
        return self.x.shape[1]


def load_pairs(
    paths: str | Path | Sequence[str | Path],
    *,
    keys: Sequence[str] | None = None,
    groups: str | Path | None = None,
) -> EmbeddingPairs:
    """Open the pairs stored in one file, two files or a folder; see the head of this module for the formats.

    Parameters
    ----------
    paths : path or sequence of one or two paths
        Two files: the first holds x, the second y.
    keys : sequence of two str, optional
        Names of the arrays (columns) of x and y in a ``.npz``, ``.safetensors`` or ``.parquet`` file; with two files,
        one name for each. Not needed if a file holds exactly two arrays of floats with two axes: then x is the one
        whose name speaks of images if the other's speaks of text, else the first in the file.
    groups : path, optional
        Which pairs share an item: a ``.npy`` of N integers, or a ``.txt`` or ``.csv`` with one identifier a line.

    Returns
    -------
    EmbeddingPairs
        Shapes and types are checked; the numbers are not read yet (NaN, inf and zero rows are found by `iter_chunks`).

    Raises
    ------
    FileNotFoundError, PermissionError
        If a path is missing or may not be read.
    TypeError
        If the entries are integers, objects (a pickle is refused, never loaded) or complex.
    ValueError
        If a file is damaged, of an unknown kind, or does not hold such pairs.
    """
    files = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
    if keys is not None and len(keys) != 2:
        raise ValueError(f"`keys` must be two names, got {keys!r}.")
    if len(files) not in (1, 2):
        raise ValueError(f"`paths` must be one file or folder, or two files, got {len(files)}.")
    try:
        if len(files) == 2:
            sides = [_single(path, None if keys is None else keys[i]) for i, path in enumerate(files)]
        else:
            sides = _both(files[0], keys)
        (name_x, x), (name_y, y) = sides
        source = ", ".join(map(str, files))
        codes = None if groups is None else _read_groups(Path(groups), x.shape[0])
        return EmbeddingPairs(x=x, y=y, groups=codes, source=source, names=(name_x, name_y))
    except PermissionError as error:
        raise PermissionError(f"{error.filename or files[0]} may not be read: permission denied.") from None
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error.filename or files[0]} does not exist.") from None


def _both(path: Path, keys: Sequence[str] | None) -> list[tuple[str, Rows]]:
    """Return the names and the arrays of x and y, from one file or folder."""
    if path.stat() and path.is_dir():
        _no_keys(path, keys)
        return [(f"{path}/{kind}_*.npy", rows) for kind, rows in _clip_retrieval(path).items()]
    stored = stored_arrays(path)
    if path.suffix == ".npy":
        _no_keys(path, keys)
        array = np.asanyarray(_checked(str(path), stored[0]).read())
        if array.ndim != 3 or len(array) != 2:
            raise ValueError(f"{path} must have shape (2, N, D), or be given with a second file, got {array.shape}.")
        return [(f"{path}[{side}]", array[side]) for side in (0, 1)]
    if keys is not None:
        chosen = [_named(path, stored, key) for key in keys]
    else:
        chosen = [array for array in stored if array.ndim == 2 and array.is_float]
        if len(chosen) != 2:
            raise ValueError(f"{path} needs `keys`, the names of two (N, D) arrays of floats, got {_listing(stored)}.")
        if _speaks_of(chosen[0], _TEXT, _IMAGE) and _speaks_of(chosen[1], _IMAGE, _TEXT):
            chosen.reverse()
    return [_opened(path, array) for array in chosen]


def _single(path: Path, key: str | None) -> tuple[str, Rows]:
    """Return the name and the array of one modality, from its own file."""
    if path.stat() and path.is_dir():
        raise ValueError(f"{path} is a folder: give one folder, or two files.")
    stored = stored_arrays(path)
    if path.suffix == ".npy":
        return str(path), _checked(str(path), stored[0]).read()
    if key is not None:
        return _opened(path, _named(path, stored, key))
    chosen = [array for array in stored if array.ndim == 2 and array.is_float]
    if len(chosen) != 1:
        raise ValueError(f"{path} needs `keys`, the name of its (N, D) array of floats, got {_listing(stored)}.")
    return _opened(path, chosen[0])


def _no_keys(path: Path, keys: Sequence[str] | None) -> None:
    if keys is not None:
        raise ValueError(f"`keys` name arrays of {', '.join(SUFFIXES[1:])} files, {path} has none; got {keys!r}.")


def _named(path: Path, stored: list[StoredArray], key: str) -> StoredArray:
    by_name = {array.name: array for array in stored}
    if key not in by_name:
        nearest = difflib.get_close_matches(key, by_name, 1, cutoff=0.0)
        hint = f", the nearest is {nearest[0]!r}" if nearest else ""
        raise ValueError(f"{path} has no array {key!r}{hint}; it holds {_listing(stored)}.")
    return by_name[key]


def _listing(stored: list[StoredArray]) -> str:
    shown = [f"{array.name or 'one array'} ({array.ndim}-D {array.dtype})" for array in stored[:8]]
    return ", ".join(shown + ["…"] * (len(stored) > 8)) or "no array"


def _speaks_of(array: StoredArray, one: re.Pattern[str], other: re.Pattern[str]) -> bool:
    return bool(one.search(array.name)) and not other.search(array.name)


def _checked(label: str, array: StoredArray) -> StoredArray:
    if array.dtype != "object" and not array.is_float:
        raise TypeError(f"{label} must hold float16, bfloat16, float32 or float64, got {array.dtype}.")
    return array


def _opened(path: Path, array: StoredArray) -> tuple[str, Rows]:
    label = f"{path}[{array.name}]"
    return label, _checked(label, array).read()


def _clip_retrieval(folder: Path) -> dict[str, Rows]:
    """Return the joined parts of a clip-retrieval folder, in the order of their numbers."""
    parts = {kind: _parts(folder, kind) for kind in ("img_emb", "text_emb")}
    for kind, other in (("img_emb", "text_emb"), ("text_emb", "img_emb")):
        if not parts[kind]:
            raise ValueError(f"{folder} has no {kind}_*.npy, flat or under {kind}/: not a folder of clip-retrieval.")
        alone = sorted(parts[kind].keys() - parts[other].keys())
        if alone:
            raise ValueError(f"{parts[kind][alone[0]]} has no {other} part of the same number, {alone[0]}.")
    maps = {kind: [_part(parts[kind][number]) for number in sorted(parts[kind])] for kind in parts}
    for number, x, y in zip(sorted(parts["img_emb"]), *maps.values(), strict=True):
        if len(x) != len(y):
            pair = f"{parts['img_emb'][number]} and {parts['text_emb'][number]}"
            raise ValueError(f"{pair} must have the same number of rows N, got {len(x)} and {len(y)}.")
    for kind, arrays in maps.items():
        for number, array in zip(sorted(parts[kind]), arrays, strict=True):
            if array.shape[1] != arrays[0].shape[1]:
                widths = f"{array.shape[1]} and {arrays[0].shape[1]}"
                raise ValueError(f"{parts[kind][number]} must have the dimension D of the first part, got {widths}.")
    return {kind: JoinedRows(arrays) for kind, arrays in maps.items()}


def _parts(folder: Path, kind: str) -> dict[int, Path]:
    """Return the numbered parts of one modality: those of the subfolder if it is there, else the flat ones."""
    listed = sorted(folder.iterdir())
    below = folder / kind
    if below in listed and below.is_dir():
        listed = sorted(below.iterdir())
    pattern = re.compile(rf"{kind}_(\d+)\.npy")
    parts: dict[int, Path] = {}
    for path in listed:
        if match := pattern.fullmatch(path.name):
            if int(match[1]) in parts:
                raise ValueError(f"{path} and {parts[int(match[1])].name} have the same number, {int(match[1])}.")
            parts[int(match[1])] = path
    return parts


def _part(path: Path) -> np.ndarray:
    array = map_npy(path)
    if array.dtype.name not in ("float16", "float32", "float64"):
        raise TypeError(f"{path} must hold float16, float32 or float64, got {array.dtype}.")
    if array.ndim != 2:
        raise ValueError(f"{path} must have shape (N, D), got {array.shape}.")
    return array


def _read_groups(path: Path, n: int) -> np.ndarray:
    """Return the group codes stored in `path`."""
    if path.suffix == ".npy":
        return _group_codes(map_npy(path), n, str(path))
    if path.suffix not in (".txt", ".csv"):
        raise ValueError(f"{path} has an unknown suffix, {path.suffix!r}: groups come as .npy, .txt or .csv.")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from None
    for number, line in enumerate(lines, start=1):
        if not line or "," in line:
            raise ValueError(f"{path} must have one identifier a line, got {line[:40]!r} in line {number}.")
    if len(lines) != n:
        raise ValueError(f"{path} must have one line a pair, {n}, got {len(lines)}.")
    return _group_codes(np.unique(lines, return_inverse=True)[1], n, str(path))


def _group_codes(groups: np.ndarray, n: int, label: str) -> np.ndarray:
    """Return codes 0, 1, … of equal groups."""
    groups = np.asarray(groups)
    if groups.dtype.kind not in "iu":
        raise TypeError(f"{label} must hold integers, got dtype {groups.dtype}.")
    if groups.shape != (n,):
        raise ValueError(f"{label} must have shape ({n},), one entry a pair, got {groups.shape}.")
    names, codes = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"{label} must name at least two groups, got {len(names)}.")
    return codes


def iter_chunks(
    pairs: EmbeddingPairs, rows: int = 4096
) -> Iterator[tuple[slice, Float[np.ndarray, "m d"], Float[np.ndarray, "m d"]]]:
    """Yield `rows` pairs at a time: where they are, and their unit rows in float64.

    Parameters
    ----------
    pairs : EmbeddingPairs
        Where to read.
    rows : int
        Pairs a chunk; 4096 of dimension 512 take 34 MB.

    Raises
    ------
    ValueError
        At the first row that holds NaN or inf, or is zero: the message names the array and the row.

    Examples
    --------
    >>> pairs = EmbeddingPairs(x=2 * np.eye(3), y=np.eye(3))
    >>> [place for place, _, _ in iter_chunks(pairs, 2)]
    [slice(0, 2, None), slice(2, 3, None)]
    """
    rows = as_count("rows", rows)
    for start in range(0, pairs.n, rows):
        place = slice(start, min(start + rows, pairs.n))
        numbers = np.arange(place.start, place.stop)
        x, y = (_unit(name, side[place], numbers) for name, side in zip(pairs.names, (pairs.x, pairs.y), strict=True))
        yield place, x, y


def unit_sample(
    pairs: EmbeddingPairs, rows: Int[np.ndarray, "m"]
) -> tuple[Float[np.ndarray, "m d"], Float[np.ndarray, "m d"]]:
    """Return the pairs numbered `rows`, as unit rows in float64; errors as in `iter_chunks`."""
    x, y = (_unit(name, side[rows], rows) for name, side in zip(pairs.names, (pairs.x, pairs.y), strict=True))
    return x, y


def _unit(name: str, block: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return `block` with unit rows; `numbers` are the rows' places in the array called `name`."""
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and overflow are looked for, and named, below
        block = np.array(block, dtype=np.float64)
        squares = np.einsum("ij,ij->i", block, block)
    if np.all((squares > _SAFE[0]) & (squares < _SAFE[1])):  # NaN fails; five times faster than the careful way
        block /= np.sqrt(squares)[:, None]
        return block
    finite = np.isfinite(block)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ValueError(f"{name} must be finite, got {block[row, column]} in row {numbers[row]}, column {column}.")
    zero = np.flatnonzero(~block.any(axis=1))
    if zero.size:
        raise ValueError(f"{name} has a zero row, which has no direction: row {numbers[zero[0]]}.")
    return unit_rows(name, block)
