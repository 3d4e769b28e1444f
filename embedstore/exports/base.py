"""What targets have in common: the description of the vectors, the options, the result, the protocol."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.core.spec import StoredDtype
from embedstore.errors import MissingExtraError, OutputError

if TYPE_CHECKING:
    from embedstore.corpora.rows import Corpus
    from embedstore.exports.rows import Rows
    from embedstore.vectors.snapshot import Snapshot
    from embedstore.vectors.space import Space

__all__ = [
    "DESCRIPTION",
    "VECTOR",
    "Description",
    "Target",
    "TargetOptions",
    "Written",
    "as_part",
    "described_by",
    "needed",
    "vectors_of",
]

VECTOR = "vector"
"""The name of the column of vectors, the last one."""

DESCRIPTION = "embedstore"
"""The key of the description, a JSON object, in a schema's metadata, a comment or other metadata of a target."""

_MAY_LACK = ("revision", "checkpoint_digest")
_SAME = ("encoder_key", "dtype", "dimension")  # what two exports into one target have in common


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the vectors of an export are, as far as another program has to know.

    Parameters
    ----------
    store, corpus : str
        Names of the store's folder and of the corpus.
    encoder_key : str
        Key of the encoder: vectors with different keys are not comparable.
    model, revision : str
        The model as the user named it, and its revision on the hub; "" for the bundled model and for a folder.
    checkpoint_digest : str
        SHA-256 over the checkpoint's weights, tokenizer and configuration, "" for unproven vectors.
    dimension : int
        Length of a vector.
    dtype : {"float32", "float16"}
        Type of its numbers in the export.
    metric : str
        How vectors are compared: "cosine", or "" for logits.
    normalized : bool
        Whether vectors have unit length.
    pooling, prompt, query_prompt : str
        How token states become a vector; what was put before each text, and what goes before a query.
    max_seq_length : int
        Tokens after which texts were cut off.
    id_column, text : str
        The column that `id` was made of ("" for row numbers), and the template of `text`.
    """

    store: str
    corpus: str
    encoder_key: str
    model: str
    revision: str
    checkpoint_digest: str
    dimension: int
    dtype: StoredDtype
    metric: str
    normalized: bool
    pooling: str
    prompt: str
    query_prompt: str
    max_seq_length: int
    id_column: str
    text: str

    @classmethod
    def of(cls, now: "Snapshot", table: "Corpus", space: "Space", dtype: StoredDtype) -> "Description":
        """Describe the vectors of a corpus in a space."""
        spec, record = space.spec, space.record
        return cls(
            store=now.name,
            corpus=table.name,
            encoder_key=space.key,
            model=record.model,
            revision=record.revision,
            checkpoint_digest=spec.digest if spec.proven else "",
            dimension=space.dimension,
            dtype=dtype,
            metric="cosine" if spec.output == "embedding" else "",
            normalized=spec.normalized,
            pooling=spec.pooling,
            prompt=spec.prompt,
            query_prompt=record.query_prompt,
            max_seq_length=spec.max_seq_length,
            id_column=table.record.id_column,
            text=table.record.template,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object; what is not known of the checkpoint is left out."""
        fields = {name: value for name, value in asdict(self).items() if value or name not in _MAY_LACK}
        return {"format_version": 1, **fields}

    def json(self) -> str:
        """Return the fields as JSON text."""
        return json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False)

    def check_same(self, earlier: str | bytes | None, place: str) -> None:
        """Check that more vectors of this kind can go where vectors are already.

        Parameters
        ----------
        earlier : str or bytes or None
            The description that is there, as JSON text; None if there is none.
        place : str
            The target, for the error message.

        Raises
        ------
        OutputError
            If it is no export, or one of another encoder, dtype or dimension.
        """
        found = described_by(earlier)
        if found is None:
            raise OutputError(f"can't write {place}: it is there and is no export of embedstore; choose another name")
        mine = self.to_json()
        for name in _SAME:
            if found.get(name) != mine[name]:
                raise OutputError(
                    f"can't add to {place}: expected vectors with the {name.replace('_', ' ')} {found.get(name)!s:.16} "
                    f"that are there, found {mine[name]!s:.16}; choose another name"
                )


def described_by(text: str | bytes | None) -> dict[str, Any] | None:
    """Return the description in a text of JSON; None if there is none."""
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and "encoder_key" in found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """What some targets can be told.

    Attributes
    ----------
    rows_per_file : int or None
        Write a folder with files of so many rows.
    name : str
        The table or collection.
    index : bool
        Whether to make an index for searches there.
    neighbours : int
        Neighbours of each row.
    """

    rows_per_file: int | None = None
    name: str = ""
    index: bool = False
    neighbours: int = 15


class Written(NamedTuple):
    """What a target did.

    Rows that it wrote, rows that were there before, its files, notes, and the columns that it has in place of vectors.
    """

    rows: int
    before: int = 0
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()


class Target(Protocol):
    """A place for rows with vectors: a kind of file, a folder or a database."""

    def check(self, place: str, options: TargetOptions) -> None:
        """Check that the target can be written, and that the packages for it are there, before any work is done."""
        ...

    def write(self, rows: "Rows", place: str, options: TargetOptions) -> Written:
        """Write the rows, in order, a batch at a time."""
        ...


def needed(module: str, extra: str, target: str) -> Any:
    """Import and return the package of a target.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"--to {target} needs {module.partition('.')[0]}: pip install 'embedstore[{extra}]'"
        ) from error


def vectors_of(batch: pa.RecordBatch) -> npt.NDArray[Any]:
    """Return the vectors of a batch, shape (n, dim)."""
    column = batch.column(batch.num_columns - 1)
    return np.asarray(column.flatten().to_numpy(zero_copy_only=True).reshape(len(batch), -1))


def as_part(batches: Iterator[pa.RecordBatch], known: pa.Array) -> Iterator[pa.RecordBatch]:
    """Yield the rows whose id is not among the known ones; batches without a row are left out."""
    import pyarrow.compute as pc

    for batch in batches:
        new = batch.filter(pc.invert(pc.is_in(batch.column("id"), value_set=known))) if len(known) else batch
        if len(new):
            yield new
