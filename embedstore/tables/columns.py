"""What a source knows of a column beside its type: notes in the metadata of the column's field.

A store keeps these notes in its Parquet files, so that a cell can be written again as it was read.
"""

import json
from dataclasses import dataclass, replace

import pyarrow as pa

__all__ = ["Notes", "is_text", "noted", "notes_on", "with_large"]

_KEY = b"embedstore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Notes on a column.

    Attributes
    ----------
    written : {"", "csv", "json"}
        Where the values were typed from text: how booleans are spelled, and whether numbers may be widened.
    missing : tuple of str
        Words in a column of text that mean a missing value; they are kept as they were written.
    null : str or None
        How the missing values of a typed column were written; None if it has none.
    json : bool
        Whether each cell of a column of text is a JSON document.
    large : bool
        Whether a column of integers has some that are not exact as floats.
    """

    written: str = ""
    missing: tuple[str, ...] = ()
    null: str | None = None
    json: bool = False
    large: bool = False


def is_text(type_: pa.DataType) -> bool:
    """Return whether a column of a type holds texts, encoded as a dictionary or not."""
    if pa.types.is_dictionary(type_):
        return is_text(type_.value_type)
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def noted(name: str, type_: pa.DataType, notes: Notes) -> pa.Field:
    """Return a field with notes; those that are at their defaults are left out."""
    said = {
        "written": notes.written or None,
        "missing": sorted(notes.missing) or None,
        "null": notes.null,
        "json": notes.json or None,
        "large": notes.large or None,
    }
    content = {key: value for key, value in said.items() if value is not None}
    return pa.field(name, type_, metadata={_KEY: json.dumps(content, sort_keys=True)} if content else None)


def notes_on(field: pa.Field) -> Notes:
    """Return the notes on a field; a field of another program has none."""
    content = (field.metadata or {}).get(_KEY)
    if content is None:
        return Notes()
    try:
        said = json.loads(content)
        return Notes(
            written=str(said.get("written", "")),
            missing=tuple(map(str, said.get("missing", ()))),
            null=said.get("null"),
            json=bool(said.get("json", False)),
            large=bool(said.get("large", False)),
        )
    except (ValueError, AttributeError, TypeError):
        return Notes()


def with_large(field: pa.Field) -> pa.Field:
    """Return a field with the note that some of its integers are not exact as floats."""
    return noted(field.name, field.type, replace(notes_on(field), large=True))
