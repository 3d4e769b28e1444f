"""Import vectors that were made elsewhere: check them, add their rows, and write them into a space."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from embedstore import corpora
from embedstore.core.counts import counted, form
from embedstore.encoders import EncoderOptions, Precision
from embedstore.errors import UsageError
from embedstore.incoming.arrays import vectors_beside
from embedstore.incoming.claim import Claim, claimed_model
from embedstore.incoming.columns import WithoutVectors
from embedstore.incoming.executor import GivenExecutor
from embedstore.incoming.ids import ids_beside, ids_file
from embedstore.incoming.reading import Given, Tables, read_given
from embedstore.tables import ReadOptions, sources_of
from embedstore.vectors.encoding import EncodeProgress
from embedstore.vectors.snapshot import Snapshot

__all__ = ["ImportReport", "import_vectors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The result of an import.

    `rows` counts the rows of the file. `imported`, `cached` and `encoded` count texts: with a given vector that was
    taken, with a vector that the store had before, and encoded because they share a segment with given ones or are
    blank. `ids` names the ids that rows were found by; then `without` counts rows with a text and no vector, and
    `unused` vectors that have no row. `proven` says whether the model made `checked` of the vectors again, with
    `lowest_cosine` at least. `space` is the key of the space.
    """

    rows: int
    imported: int
    cached: int = 0
    encoded: int
    without: int
    unused: int
    proven: bool
    checked: int
    lowest_cosine: float | None = None
    model: str
    space: str
    ids: str | None = None
    seconds: float = 0.0

    def __str__(self) -> str:
        proof = f"unproven, as no model has encoded {form(self.rows, 'it', 'them')} again"
        if self.proven:
            proof = (
                f"{counted(self.checked, 'text')} encoded again {form(self.checked, 'agrees', 'agree')} (lowest cosine "
                f"{self.lowest_cosine:.4f})"
            )
        by_ids = f", by the ids in {self.ids}" if self.ids else ""
        return (
            f"{counted(self.rows, 'row')}: {counted(self.imported, 'vector')} imported{by_ids}, {self.cached:,} "
            f"already there, {self.encoded:,} encoded; {proof}; {self.seconds:.1f} s"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What to say of rows without a vector, and of vectors without a row."""
        left = f"{counted(self.without, 'row')} came without a vector: `embedstore encode` makes what is still missing"
        unused = (
            f"{counted(self.unused, 'vector')} {form(self.unused, 'was', 'were')} left out: no row has "
            f"{form(self.unused, 'its id', 'their ids')}"
        )
        return (*([left] if self.without else []), *([unused] if self.unused else []))


def import_vectors(
    now: Snapshot,
    table: Any,
    *,
    text: str | int | Sequence[str],
    model: str | Path,
    vector: str | None = None,
    vectors: Any = None,
    ids: Any = None,
    corpus: str = "train",
    id: str | int | None = None,
    template: str | None = None,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 42,
    replace: bool = False,
    read_options: ReadOptions | None = None,
    options: EncoderOptions | None = None,
    revision: str | None = None,
    backend: str = "auto",
    device: str | None = None,
    batch_size: int | None = None,
    precision: Precision = "auto",
    no_encode: bool = False,
    on_progress: Callable[[EncodeProgress], None] | None = None,
) -> ImportReport:
    """Add rows with vectors that were made elsewhere, so that nothing is encoded again.

    The model encodes 16 of the texts again. If they agree, the vectors are those of its space. Without the model, they
    go into a space of their own that is named unproven: no text is ever encoded into it.

    Parameters
    ----------
    now : Snapshot
        The state of the store; there need be none yet.
    table, text, corpus, id, template, limit, sample, seed, replace, read_options
        As in `add`. A Lance dataset is a path too.
    model : str or Path
        The model that made the vectors: a folder or a Hugging Face name.
    vector : str, optional
        The column of `table` that has the vectors, as lists of floats.
    vectors : path or ndarray of shape (rows, dim), optional
        The vectors of the rows, instead of a column: an array, a .npy file or a flat FAISS index. They are in the
        order of the rows unless there are `ids`.
    ids : path or sequence, optional
        The ids of `vectors`, in their order: each row gets the vector of its id, and rows without one are left to the
        model. By default, with `id`, the file that `export` wrote beside the vectors, if it is there.
    options, revision, backend, device, batch_size, precision
        As in `encode`: how the vectors were made, and how the model computes here.
    no_encode : bool
        Import without the model, as unproven.
    on_progress : callable, optional
        Called with an `EncodeProgress`.

    Raises
    ------
    InputError
        If a row has no vector, or one that can't be used; nothing is imported then.
    SpaceMismatchError
        If the vectors are not those of the model, or differ from stored ones; nothing is imported then.
    CheckpointError
        If the model is not here, and its name may be a slip for that of a model that is known.
    ModelRequiredError
        If unproven vectors can't fill a text segment.
    """
    start = time.monotonic()
    options, reading = options or EncoderOptions(), read_options or ReadOptions()
    text = str(text) if isinstance(text, int) else text
    tables = _tables(table, vector, vectors, ids, text=text, id_=id, template=template, reading=reading)
    described = claimed_model(now, str(model), options, revision, no_encode=no_encode)
    given = read_given(tables, dtype=options.dtype, seed=seed)
    computation = {"backend": backend, "device": device, "batch_size": batch_size, "precision": precision}
    claim = Claim(now, given, str(model), options, described)
    lowest, held = claim.check(computation)
    corpora.add(
        now.home,
        tables.sources,
        text=text,
        corpus=corpus,
        id=id,
        template=template,
        limit=limit,
        sample=sample,
        seed=seed,
        replace=replace,
        read_options=reading,
    )
    executor = claim.write(corpus, revision, computation, on_progress)
    report = _report(given, claim, executor, checked=len(given.sample) if described else 0)
    ids_used = tables.ids.name if tables.ids else None
    return replaced(report, cached=held, lowest_cosine=lowest, ids=ids_used, seconds=time.monotonic() - start)


def _report(given: Given, claim: Claim, executor: GivenExecutor, checked: int) -> ImportReport:
    return ImportReport(
        rows=given.rows_read,
        imported=executor.imported,
        encoded=executor.encoded,
        without=given.without,
        unused=given.unused,
        proven=claim.spec.proven,
        checked=checked,
        model=claim.model,
        space=claim.spec.key,
    )


def _tables(
    table: Any,
    vector: str | None,
    vectors: Any,
    ids: Any,
    *,
    text: Any,
    id_: str | int | None,
    template: str | None,
    reading: ReadOptions,
) -> Tables:
    if (vector is None) == (vectors is None):
        raise UsageError("expected the vectors in a column (vector=, --vector) or beside the table (vectors=, --rows)")
    if vector is not None and ids is not None:
        raise UsageError("expected ids for vectors beside a table (vectors=, --rows), found a column of vectors")
    column = text if isinstance(text, str) and "{" not in text else "text"
    sources = sources_of(table, reading, column=column)
    if vector is not None:
        without = [WithoutVectors(source, vector) for source in sources]
        return Tables(sources=without, beside=None, ids=None, id=None, text=text, template=template)
    beside = vectors_beside(vectors)
    if ids is None and id_ is not None:
        ids = ids_file(vectors)
    named = None if ids is None else ids_beside(ids, beside)
    id_column = None if id_ is None else str(id_)
    return Tables(sources=sources, beside=beside, ids=named, id=id_column, text=text, template=template)
