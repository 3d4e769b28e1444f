"""Import vectors that were made elsewhere: check them, add their rows, and write them into a space."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from embedstore import corpora
from embedstore.core.counts import counted, form
from embedstore.encoders import Described, EncoderOptions, Precision
from embedstore.errors import CheckpointError, UsageError
from embedstore.incoming.arrays import vectors_beside
from embedstore.incoming.checking import (
    check_all_rows,
    check_model,
    check_repeats,
    check_stored,
    check_whole_segments,
)
from embedstore.incoming.columns import WithoutVectors
from embedstore.incoming.executor import ClaimedEncoder, GivenExecutor
from embedstore.incoming.ids import ids_beside, ids_file
from embedstore.incoming.reading import Given, Tables, read_given
from embedstore.storage.manifest import commit
from embedstore.storage.state import Manifest
from embedstore.tables import ReadOptions, sources_of
from embedstore.vectors.encoding import EncodeProgress, encode
from embedstore.vectors.loader import Loader
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space
from embedstore.vectors.unproven import unproven_name, unproven_spec

__all__ = ["ImportReport", "import_vectors"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """The result of an import.

    `rows` counts the rows of the file. `imported`, `cached` and `encoded` count texts: with a given vector that was
    taken, with a vector that the store had before, and encoded because they share a segment with given ones or are
    blank. `ids` names the ids that rows were found by; then `without` counts rows that have no vector, and `unused`
    vectors that have no row. `proven` says whether the model made `checked` of the vectors again, with
    `lowest_cosine` at least. `space` is the key of the space.
    """

    rows: int
    imported: int
    cached: int
    encoded: int
    ids: str | None
    without: int
    unused: int
    proven: bool
    checked: int
    lowest_cosine: float | None
    model: str
    space: str
    seconds: float

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
    ModelRequiredError
        If unproven vectors can't fill a text segment.
    """
    start = time.monotonic()
    options, reading = options or EncoderOptions(), read_options or ReadOptions()
    text = str(text) if isinstance(text, int) else text
    tables = _tables(table, vector, vectors, ids, text=text, id_=id, template=template, reading=reading)
    described = None if no_encode else _at_hand(now, str(model), options, revision)
    given = read_given(tables, dtype=options.dtype, seed=seed)
    computation = {"backend": backend, "device": device, "batch_size": batch_size, "precision": precision}
    claim = _Claim(now, given, str(model), options, described)
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
    return ImportReport(
        rows=given.rows_read,
        imported=executor.imported,
        cached=held,
        encoded=executor.encoded,
        ids=tables.ids.name if tables.ids else None,
        without=given.rows_read - len(given.places),
        unused=given.unused,
        proven=described is not None,
        checked=len(given.sample) if described else 0,
        lowest_cosine=lowest,
        model=claim.model,
        space=claim.spec.key,
        seconds=time.monotonic() - start,
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


def _at_hand(now: Snapshot, model: str, options: EncoderOptions, revision: str | None) -> Described | None:
    """Return the checkpoint that is claimed; None if it is not on this machine. What is wrong with one is an error."""
    try:
        return now.models.describe(now.manifest, model, options, revision)
    except CheckpointError as error:
        if os.path.isdir(model):  # noqa: PTH112 - Path.is_dir raises an error for names that the system refuses
            raise
        logger.warning("%s; so the vectors are imported as unproven", error)
        return None


class _Claim:
    """Given vectors and the model that is said to have made them; `described` is None if it is not at hand."""

    def __init__(
        self, now: Snapshot, given: Given, model: str, options: EncoderOptions, described: Described | None
    ) -> None:
        self._now = now
        self._given = given
        self._name = model
        self._options = options
        self._described = described
        self._dimension = given.vectors.shape[1]
        self.spec = described.spec if described else self._unproven_spec()
        self.model = described.model if described else unproven_name(model)

    def _unproven_spec(self) -> Any:
        options = self._options
        return unproven_spec(
            self._name,
            self._dimension,
            normalized=bool(options.normalize) or (options.normalize is None and self._given.unit),
            pooling=options.pooling,
            prompt=options.prompt or "",
            max_seq_length=options.max_seq_length,
            dtype=options.dtype,
        )

    def check(self, computation: dict[str, Any]) -> tuple[float | None, int]:
        """Compare the vectors with all there is; return the lowest cosine, and the number of texts that have one.

        Nothing is written before all has been compared.
        """
        now, given = self._now, self._given
        if not self._described:
            check_all_rows(given)
        if self.spec.normalized and not given.unit:
            logger.warning(
                "the vectors have %s: they are scaled to the length 1, as those of %s are",
                given.lengths,
                self._name,
            )
        check_repeats(given, normalized=self.spec.normalized)
        lowest = None
        if self._described:
            load = Loader(models=now.models, described=self._described, **computation)
            encoder = load((), few=lambda: [text for _, text in given.sample])
            lowest = check_model(given, encoder, self.model)
        positions = now.texts.find(given.keys)
        if not self._described:
            check_whole_segments(now, self.spec.key, positions)
        record = now.manifest.spaces.get(self.spec.key)
        return lowest, check_stored(Space(now.texts, record), given, positions) if record else 0

    def write(self, corpus: str, revision: str | None, computation: dict[str, Any], on_progress: Any) -> GivenExecutor:
        """Write the vectors of the rows that were added, as `encode` writes those of a model."""
        own = None if self._described else ClaimedEncoder(self.spec, self._dimension, self.model)
        with self._now.newest(own) as newest:
            executor = self._executor(newest)
            encode(
                newest,
                self._name if self._described else None,
                corpus=corpus,
                options=self._options if self._described else None,
                revision=revision if self._described else None,
                executor=executor,
                on_progress=on_progress,
                **computation,
            )
            if self._described:
                _forget_claimed(newest, self.spec.key, self._name, self._dimension)
        return executor

    def _executor(self, newest: Snapshot) -> GivenExecutor:
        positions = newest.texts.find(self._given.keys)
        rows = self._given.texts.position
        if self._described:  # the model makes the vectors of blank texts: others may have put anything there
            rows = np.where(self._given.blank[rows], -1, rows.astype(np.int64))
        known = np.flatnonzero(positions >= 0)
        order = known[np.argsort(positions[known])]
        return GivenExecutor(self._given, positions[order], rows[order])


def _forget_claimed(now: Snapshot, key: str, model: str, dimension: int) -> None:
    """Forget the unproven space of a model, when the model's own space has vectors for all of its texts.

    A probe that was trained in it keeps it.
    """

    def superseded(manifest: Manifest) -> set[str]:
        proven = manifest.spaces.get(key)
        used = {probe.space for probe in manifest.probes.values()}
        return {
            other
            for other, space in manifest.spaces.items()
            if proven
            and (space.model, space.dimension, space.spec.proven) == (unproven_name(model), dimension, False)
            and other not in used
            and all(text in proven.segments for text in space.segments)
        }

    def change(base: Manifest) -> Manifest:
        gone = superseded(base)
        return replace(
            base,
            spaces={other: space for other, space in base.spaces.items() if other not in gone},
            indexes={other: index for other, index in base.indexes.items() if other not in gone},
            maps={name: one for name, one in base.maps.items() if name[0] not in gone},
        )

    if superseded(now.reload().manifest):
        with now.writing():
            commit(now.root, change)
