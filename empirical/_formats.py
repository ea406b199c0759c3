"""Readers of the files that hold embeddings: what is inside, and the arrays, memory-mapped where the format allows.

Nothing here unpickles. Headers are read by hand because the sizes they promise are checked against the file before
anything is mapped or allocated, and because ``safetensors`` has neither row gathers nor bfloat16 for NumPy.
"""

import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ._rows import BFloat16Rows, Rows

__all__ = ["SUFFIXES", "StoredArray", "map_npy", "stored_arrays"]

_FLOATS = ("float16", "float32", "float64")
_SAFETENSORS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArray:
    """One array of a file, not yet read.

    Attributes
    ----------
    name : str
        Its name in the file; empty for .npy.
    ndim : int
        Number of axes.
    dtype : str
        Type of its entries, in the words of the format.
    is_float : bool
        Whether the entries are float16, bfloat16, float32 or float64.
    read : callable
        Returns the array, or a view that reads it a slice at a time.
    """

    name: str
    ndim: int
    dtype: str
    is_float: bool
    read: Callable[[], Rows]


def stored_arrays(path: Path) -> list[StoredArray]:
    """Return what the file `path` holds, by its suffix; ValueError if it is damaged or of an unknown kind."""
    if path.suffix not in _READERS:
        raise ValueError(f"{path} has an unknown suffix, {path.suffix!r}: expected {', '.join(_READERS)} or a folder.")
    return _READERS[path.suffix](path)


def _npy_header(handle: Any, label: str, size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read a .npy header and leave the binary `handle` at the data; `size` counts the bytes of both."""
    magic = handle.read(8)
    if magic[:6] != b"\x93NUMPY":
        raise ValueError(
            f"{label} is not a .npy array, it starts with {magic[:6]!r}; a pickle is refused, never loaded."
        )
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = (magic[6], magic[7]) if len(magic) == 8 else (0, 0)
    if version not in readers:
        raise ValueError(f"{label} has .npy version {version}: expected (1, 0) or (2, 0).")
    try:
        shape, fortran, dtype = readers[version](handle)
    except Exception as error:  # a damaged header is parsed as Python, and fails in as many ways as Python does
        raise ValueError(f"{label} has a damaged .npy header: {_one_line(error)}.") from None
    if dtype.hasobject:
        raise TypeError(f"{label} holds pickled objects, dtype {dtype}: refused, never unpickled.")
    if min(shape, default=0) < 0:
        raise ValueError(f"{label} has a damaged .npy header: shape {shape}.")
    promised, present = prod(shape) * dtype.itemsize, size - handle.tell()
    if promised > present:
        raise ValueError(f"{label} is truncated: shape {shape} of {dtype} needs {promised} bytes, got {present}.")
    return shape, fortran, dtype


def map_npy(path: Path) -> np.ndarray:
    """Memory-map the .npy file `path`, read-only."""
    with path.open("rb") as handle:
        shape, fortran, dtype = _npy_header(handle, str(path), path.stat().st_size)
        offset = handle.tell()
    if prod(shape) == 0:  # an empty file cannot be mapped
        return np.empty(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")


def _npy(path: Path) -> list[StoredArray]:
    array = map_npy(path)
    is_float = array.dtype.name in _FLOATS
    return [StoredArray(name="", ndim=array.ndim, dtype=array.dtype.name, is_float=is_float, read=lambda: array)]


def _npz(path: Path) -> list[StoredArray]:
    """List the members of a zip of .npy files; each is read whole, when asked for."""
    found = []
    path.open("rb").close()  # a missing or forbidden file says so in Python's words, not as a damaged one
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".npy"):
                    continue
                name = member.filename.removesuffix(".npy")
                with archive.open(member) as handle:
                    found.append(_npz_member(path, name, member, handle))
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a .npz file, or is truncated: {_one_line(error)}.") from None
    return found


def _npz_member(path: Path, name: str, member: zipfile.ZipInfo, handle: Any) -> StoredArray:
    label = f"{path}[{name}]"
    try:
        shape, _, dtype = _npy_header(handle, label, member.file_size)
    except TypeError as error:  # objects: listed, so that the other arrays can be used; refused when asked for
        return StoredArray(name=name, ndim=0, dtype="object", is_float=False, read=_refusal(str(error)))

    def read() -> np.ndarray:
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member) as data:
                return np.lib.format.read_array(data, allow_pickle=False)
        except (zipfile.BadZipFile, RuntimeError, ValueError, OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{label} is damaged: {_one_line(error)}.") from None

    return StoredArray(name=name, ndim=len(shape), dtype=dtype.name, is_float=dtype.name in _FLOATS, read=read)


def _refusal(message: str) -> Callable[[], Rows]:
    def read() -> Rows:
        raise TypeError(message)

    return read


def _safetensors(path: Path) -> list[StoredArray]:
    """List the tensors: eight bytes of header length, a JSON header with offsets, the data."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if not 2 <= length <= size - 8:
            raise ValueError(
                f"{path} is not a .safetensors file, or is truncated: header of {length} bytes, file of {size}."
            )
        try:
            header = json.loads(handle.read(length))
            header.pop("__metadata__", None)
            return [_tensor(path, name, entry, 8 + length, size) for name, entry in header.items()]
        except (UnicodeDecodeError, json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
            raise ValueError(f"{path} has a damaged .safetensors header: {error!r:.120}.") from None


def _tensor(path: Path, name: str, entry: dict[str, Any], origin: int, size: int) -> StoredArray:
    shape, dtype, (start, stop) = tuple(entry["shape"]), entry["dtype"], entry["data_offsets"]
    if not 0 <= start <= stop <= size - origin:
        raise ValueError(f"{path}[{name}] is truncated: its data end at byte {origin + stop}, the file at {size}.")

    def read() -> Rows:
        stored = np.dtype("<u2" if dtype == "BF16" else _SAFETENSORS[dtype]).newbyteorder("<")
        if prod(shape) * stored.itemsize != stop - start:
            raise ValueError(f"{path}[{name}] has shape {shape} of {dtype}, but {stop - start} bytes.")
        if prod(shape) == 0:
            return np.empty(shape, stored)
        mapped = np.memmap(path, dtype=stored, mode="r", offset=origin + start, shape=shape)
        return BFloat16Rows(mapped) if dtype == "BF16" else mapped

    return StoredArray(name=name, ndim=len(shape), dtype=dtype, is_float=dtype in _SAFETENSORS, read=read)


def _parquet(path: Path) -> list[StoredArray]:
    """List the columns; a column of lists of floats counts as two axes."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ImportError(f"{path} needs pyarrow to be read: pip install pyarrow.") from None
    path.open("rb").close()  # as in `_npz`
    try:
        schema = pq.read_schema(path)
        names = schema.names  # decoded here
    except (ValueError, OSError, pa.ArrowException) as error:
        raise ValueError(f"{path} is not a .parquet file, or is truncated: {_one_line(error)}.") from None
    is_list = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    found = []
    for name, field in zip(names, schema, strict=True):
        lists = any(test(field.type) for test in is_list)
        is_float = lists and pa.types.is_floating(field.type.value_type)
        read = _column_reader(path, name)
        found.append(StoredArray(name=name, ndim=1 + lists, dtype=str(field.type), is_float=is_float, read=read))
    return found


def _column_reader(path: Path, name: str) -> Callable[[], Rows]:
    """Return a function that reads a list column, batch by batch, into one array of its own float type."""
    label = f"{path}[{name}]"

    def read() -> np.ndarray:
        out, start = np.empty((0, 0)), 0
        for total, column in _batches(path, name):
            rows = _list_rows(label, column, start, out.shape[1] if start else None)
            if not start + len(rows) <= total:
                raise ValueError(f"{label} is damaged: more rows than the {total} promised.")
            if start == 0:
                out = np.empty((total, rows.shape[1]), rows.dtype)
            out[start : start + len(rows)] = rows
            start += len(rows)
        return out[:start]

    return read


def _batches(path: Path, name: str) -> Iterator[tuple[int, Any]]:
    """Yield the number of rows of the file and the next rows of a column."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=[name]):
                yield file.metadata.num_rows, batch.column(0)
    except (ValueError, OSError) as error:  # Arrow's own errors are among them
        raise ValueError(f"{path}[{name}] is damaged: {_one_line(error)}.") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120].rstrip(".")


def _list_rows(label: str, column: Any, start: int, width: int | None) -> np.ndarray:
    """Return a batch of lists as an array; a null, or a list of another length, is an error that names its row."""
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)  # NaN where the list itself is null
    width = int(lengths[0]) if width is None and lengths[0] == lengths[0] else width
    odd = np.flatnonzero(lengths != width)
    if odd.size:
        length = lengths[odd[0]]
        shown = f"{int(length)} numbers" if length == length else "null"
        raise ValueError(f"{label} must hold lists of {width} numbers, got {shown} in row {start + odd[0]}.")
    numbers = column.flatten()
    if numbers.null_count:
        row = start + int(np.flatnonzero(numbers.is_null().to_numpy(zero_copy_only=False))[0]) // int(width or 1)
        raise ValueError(f"{label} must not hold nulls, got one in row {row}.")
    return numbers.to_numpy(zero_copy_only=False).reshape(len(column), -1)


_READERS = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors, ".parquet": _parquet}
SUFFIXES = tuple(_READERS)
