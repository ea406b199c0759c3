"""``conetheory certify``: inequalities proven on whole intervals in ball arithmetic, one after the other."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from claims import SCHEMA
from conetheory.proofs.certified import CERTIFICATES
from conetheory.proofs.subdivision import Box, Certificate

__all__ = ["as_dict", "certificate_lines", "certify", "select_certificates"]


def select_certificates(names: Sequence[str]) -> list[str]:
    """Return the certificates that match one of `names`, in their own order; all of them for no name.

    A name is that of a certificate, its beginning up to a dot (``rate``), or a shell pattern (``chebyshev*``).

    Raises
    ------
    ValueError
        If a name matches nothing; the nearest one is named.

    Examples
    --------
    >>> select_certificates(["arc_cosine_lift"])
    ['arc_cosine_lift']
    """
    chosen: set[str] = set()
    for name in names:
        hits = {known for known in CERTIFICATES if known.startswith(f"{name}.") or fnmatchcase(known, name)}
        if not hits:
            (near,) = get_close_matches(name, CERTIFICATES, n=1, cutoff=0.0)
            raise ValueError(f"Unknown certificate {name!r}; did you mean {near!r}?")
        chosen |= hits
    return [known for known in CERTIFICATES if known in chosen or not names]


def certify(names: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield what each certificate shows, ready for JSON, as soon as it is known; names are checked before the first.

    Parameters
    ----------
    names : sequence of str
        As in `select_certificates`.

    Returns
    -------
    iterator of dict
        ``schema``, ``name``, ``statement``, ``domain``, ``proven``, ``subdivisions``, ``precision_bits``,
        ``open_share``, ``open_boxes``, ``witness``, ``values`` (decimal ends as text), ``seconds``.

    Examples
    --------
    >>> [found["proven"] for found in certify(["arc_cosine_lift"])]
    [True]
    """
    chosen = select_certificates(names)
    return (as_dict(name, CERTIFICATES[name]()) for name in chosen)


def as_dict(name: str, found: Certificate) -> dict[str, Any]:
    """Return a certificate ready for JSON, under the name by which it was asked for."""
    return {
        "schema": SCHEMA,
        "name": name,
        "statement": found.statement,
        "domain": found.domain,
        "proven": found.proven,
        "subdivisions": found.subdivisions,
        "precision_bits": found.precision_bits,
        "open_share": found.open_share,
        "open_boxes": [_ends(box) for box in found.open_boxes],
        "witness": None if found.witness is None else _ends(found.witness),
        "values": {name: [str(value.low), str(value.high)] for name, value in found.values.items()},
        "seconds": found.seconds,
    }


def _ends(box: Box) -> list[list[float]]:
    return [[float(low), float(high)] for low, high in box]


def _boxes(count: int) -> str:
    return "1 box" if count == 1 else f"{count} boxes"


def certificate_lines(found: dict[str, Any]) -> list[str]:
    """Return what a person should read about one entry of `certify`.

    Examples
    --------
    >>> certificate_lines(next(certify(["theorem_4_constant"])))[0]
    'proven      theorem_4_constant'
    """
    lines = [
        f"{'proven' if found['proven'] else 'NOT PROVEN':11} {found['name']}",
        f"            {found['statement']}",
        f"            for {found['domain']}; {_boxes(found['subdivisions'])}, {found['precision_bits']} bits, "
        f"{found['seconds']:.2f} s",
    ]
    lines += [f"            {name} in [{low}, {high}]" for name, (low, high) in found["values"].items()]
    if found["witness"] is not None:
        lines.append(f"            false on {found['witness']}")
    elif not found["proven"]:
        lines.append(f"            open: {found['open_share']:.2g} of the domain, such as {found['open_boxes'][:1]}")
    return lines
