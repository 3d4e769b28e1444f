"""The targets of an export: where each is, what its file names end in, and which options it takes.

To add a target: write a module with an object that is an `embedstore.exports.base.Target`, and add a line to `TARGETS`.
"""

from typing import TYPE_CHECKING, NamedTuple

from embedstore.core.registry import look_up
from embedstore.errors import OutputError, UsageError

if TYPE_CHECKING:
    from embedstore.exports.base import Target

__all__ = ["TARGETS", "TargetEntry", "find_target", "target_of_suffix"]


class TargetEntry(NamedTuple):
    """The home of a target (``module:object``) and what it can do.

    Attributes
    ----------
    home : str
        Its module and object.
    suffix : str
        The end of file names that mean this target where none is named; "" for no such end.
    takes : tuple of str
        The options of `TargetOptions` that it takes.
    plain : bool
        Whether it holds ids and vectors alone: no texts, columns or tags.
    reserved : tuple of str
        Names of its own columns.
    searches : bool
        Whether it compares vectors, so that logits are refused.
    a_file : bool
        Whether its place is a file or folder and never an address.
    """

    home: str
    suffix: str = ""
    takes: tuple[str, ...] = ()
    plain: bool = False
    reserved: tuple[str, ...] = ()
    searches: bool = False
    a_file: bool = True


TARGETS = {
    "parquet": TargetEntry("embedstore.exports.parquet:PARQUET", ".parquet", ("rows_per_file",)),
    "hf": TargetEntry("embedstore.exports.hub:HUB", takes=("rows_per_file",)),
    "lance": TargetEntry("embedstore.exports.columnar:LANCE", takes=("rows_per_file",)),
    "faiss": TargetEntry("embedstore.exports.flat_index:FAISS", plain=True, searches=True),
    "pgvector": TargetEntry(
        "embedstore.exports.postgres:PGVECTOR", takes=("name", "index"), searches=True, a_file=False
    ),
    "qdrant": TargetEntry("embedstore.exports.qdrant:QDRANT", takes=("name",), searches=True, a_file=False),
    "milvus": TargetEntry("embedstore.exports.milvus:MILVUS", takes=("rows_per_file",)),
    "atlas": TargetEntry(
        "embedstore.exports.atlas:ATLAS", takes=("neighbours",), reserved=("x", "y", "neighbors"), searches=True
    ),
    "npy": TargetEntry("embedstore.exports.arrays:NPY", ".npy", plain=True),
    "hdf5": TargetEntry("embedstore.exports.arrays:HDF5", ".h5", plain=True),
}
"""Maps the name of each target to its entry."""


def find_target(name: str) -> "Target":
    """Return the target with the given name in `TARGETS`."""
    found: Target = look_up({known: entry.home for known, entry in TARGETS.items()}, name, "a target")
    return found


def target_of_suffix(place: str) -> str:
    """Return the target that the end of a file name means.

    Raises
    ------
    OutputError
        If it means none.
    UsageError
        If it is an address.
    """
    if "://" in place:
        raise UsageError("expected --to with an address: --to pgvector or --to qdrant")
    suffixes = {entry.suffix: name for name, entry in TARGETS.items() if entry.suffix}
    for suffix, name in suffixes.items():
        if place.endswith(suffix):
            return name
    raise OutputError(
        f"can't export to {place}: expected a name that ends in {', '.join(suffixes)}, or --to {'|'.join(TARGETS)}"
    )
