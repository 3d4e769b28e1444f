"""Add rows to a store: read sources, give each text a position, store the user's columns, commit once."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from embedstore.core.counts import counted, form, listed
from embedstore.core.masks import mask_of
from embedstore.core.names import check_name, nearest_hint
from embedstore.core.settings import Home
from embedstore.core.spec import canonical_json
from embedstore.corpora.ids import with_checked_ids
from embedstore.corpora.part import Chosen, write_part
from embedstore.corpora.rows import POSITION, Corpus
from embedstore.corpora.templates import Template
from embedstore.corpora.writer import TextWriter
from embedstore.errors import InputError, StoreBusyError, UsageError
from embedstore.storage.adding import Made, adding_rows
from embedstore.storage.manifest import commit, exists, load_or_empty, unknown_names
from embedstore.storage.records import CorpusPart, CorpusRecord
from embedstore.storage.state import Manifest
from embedstore.tables import ReadOptions, Source, Survey, sources_of
from embedstore.tables.columns import is_text

__all__ = ["AddReport", "add"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddReport:
    """The result of adding rows: rows read now, rows of the corpus afterwards, new texts."""

    rows_read: int
    rows: int
    new_texts: int

    def __str__(self) -> str:
        return (
            f"{counted(self.rows_read, 'row')} read now, {self.rows:,} in all; "
            f"{counted(self.new_texts, 'text')} {form(self.new_texts, 'is', 'are')} new"
        )


def add(
    home: Home,
    table: Any,
    *,
    text: str | int | Sequence[str],
    corpus: str = "train",
    id: str | int | None = None,
    template: str | None = None,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 42,
    replace: bool = False,
    read_options: ReadOptions | None = None,
) -> AddReport:
    """Add rows to a corpus; nothing is encoded yet.

    Adding the same table again adds nothing. The rows of a changed file replace the rows read from it before.

    Parameters
    ----------
    home : Home
        The store; it is created if it does not exist.
    table : DataFrame, Table, path, sequence of paths, dict of columns, sequence of dict or of str
        Rows in memory (pandas, anything with Arrow's PyCapsule protocol, dicts, texts), or files.
    text : str, int or sequence of str
        The text column (frames can have numbers as names), several text columns (joined by a space), or a template
        such as ``"{title}: {text}"``.
    corpus : str
        The name of the corpus.
    id : str or int, optional
        The column of unique ids; by default rows are numbered from 0.
    template : str, optional
        How several text columns become one text.
    limit, sample : int, optional
        `limit` takes only the first rows. `sample` then draws that many of them, as ``DataFrame.sample`` does, and
        keeps their order.
    seed : int
        The random seed of `sample`.
    replace : bool
        Whether to replace all earlier rows of the corpus.
    read_options : ReadOptions, optional
        Options for reading files.

    Raises
    ------
    InputError
        If the table can't be read or does not fit; nothing is added then.

    Examples
    --------
    >>> import embedstore
    >>> store = embedstore.create("teas")
    >>> rows = [{"id": "a", "review": "good tea"}, {"id": "b", "review": "bad tea"}, {"id": "c", "review": "good tea"}]
    >>> print(store.add(rows, text="review", id="id"))
    3 rows read now, 3 in all; 2 texts are new
    """
    check_name("corpus", corpus)
    text = str(text) if isinstance(text, int) else text
    id_column = None if id is None else str(id)
    for name, value in (("limit", limit), ("sample", sample)):
        if value is not None and value < 1:
            raise UsageError(f"expected a {name} of at least 1, found {value}")
    if not 0 <= seed < 2**32:
        raise UsageError(f"expected a seed from 0 to {2**32 - 1:,}, found {seed:,}")
    options = read_options or ReadOptions()
    column = text if isinstance(text, str) and "{" not in text else "text"
    request = _Request(
        sources_of(table, options, column=column),
        text,
        template,
        id_column,
        limit,
        sample,
        seed,
        options.describe(),
    )
    root = home.root
    if root.is_dir() and not exists(root) and (found := unknown_names(root)):
        raise InputError(f"{root} is no store and holds {found[0]!r}: choose a new or empty folder for a store")
    with adding_rows(root, home.settings.wait) as made:
        return _add(home, request, corpus, made, replace_corpus=replace)


def _add(home: Home, request: "_Request", corpus: str, made: Made, *, replace_corpus: bool) -> AddReport:
    root, sources, id_column = home.root, request.sources, request.id_column
    base = load_or_empty(root)
    existing = None if replace_corpus else base.corpora.get(corpus)
    fingerprints = request.fingerprints()
    known = {part.fingerprint for part in existing.parts} if existing else set()
    if existing and known.issuperset(fingerprints):
        return AddReport(rows_read=0, rows=existing.rows, new_texts=0)

    surveys = [source.survey() for source in sources]
    plan = request.plan(surveys)
    record = CorpusRecord((), plan.template.text, id_column or "")
    if existing:
        record = _continued(existing, record, sources, corpus)
    writer = TextWriter(home, base)
    parts = list(record.parts)
    made.texts, made.parts = writer.written, (written_parts := [])
    rows_read, replaced = 0, []
    for source, schema, chosen, fingerprint in zip(sources, plan.schemas, plan.chosen, fingerprints, strict=True):
        if fingerprint in known:
            continue
        part = write_part(root, source, schema, chosen, plan.template, writer, fingerprint)
        written_parts.append(part)
        rows_read += part.rows
        replaced += _place(parts, part, source.name)
    record = replace(record, parts=tuple(parts), texts=None)
    before = [Corpus(root, corpus, existing).schema] if existing else []
    rows = Corpus(root, corpus, record)
    if id_column:
        record = with_checked_ids(rows, existing.parts if existing else ())
    written, keys = writer.finish()

    def change(manifest: Manifest) -> Manifest:
        if manifest.texts != base.texts or manifest.corpora != base.corpora:
            raise StoreBusyError(f"another process added rows to {root} at the same time: run the command again")
        corpora = {**manifest.corpora, corpus: record}
        return replace(manifest, texts=manifest.texts.plus(written), keys=keys, corpora=corpora)

    commit(root, change)
    if existing and existing.template != record.template:
        logger.warning("the texts of corpus %r are now %s; they were %s", corpus, record.template, existing.template)
    for told in replaced:
        logger.warning("%s", told)
    if existing and not id_column:
        _tell_of_known_rows(Corpus(root, corpus, record), existing)
    _tell_of_texts(rows.schema, [*before, *plan.schemas])
    return AddReport(rows_read=rows_read, rows=record.rows, new_texts=writer.added)


@dataclass(frozen=True, slots=True)
class _Plan:
    template: Template
    schemas: list[pa.Schema]
    chosen: list[Chosen]


@dataclass(frozen=True, slots=True)
class _Request:
    sources: Sequence[Source]
    text: str | Sequence[str]
    template: str | None
    id_column: str | None
    limit: int | None
    sample: int | None
    seed: int
    read_options: dict[str, Any]

    def fingerprints(self) -> list[str]:
        """Return one fingerprint per source: a hash of its content and of the options that it is read with."""
        digests = [source.digest() for source in self.sources]
        text = self.text if isinstance(self.text, str) else list(self.text)
        options: dict[str, Any] = {
            "text": text,
            "template": self.template,
            "id": self.id_column,
            "read": self.read_options,
        }
        if self.limit is not None or self.sample is not None:
            options |= {"limit": self.limit, "sample": self.sample, "seed": self.seed, "of": digests}
        return [hashlib.sha256(canonical_json({**options, "content": digest})).hexdigest() for digest in digests]

    def plan(self, surveys: Sequence[Survey]) -> _Plan:
        """Check columns and types against the surveys, choose the rows, and return both as a plan."""
        template = Template("", ("",), ())
        for source, survey in zip(self.sources, surveys, strict=True):
            names = survey.schema.names
            if len(set(names)) < len(names):
                raise InputError(f"{source.name} has two columns named {max(names, key=names.count)!r}: rename one")
            if POSITION in names:
                raise InputError(
                    f"{source.name} has a column named {POSITION!r}, which the store uses itself: rename it"
                )
            template = Template.choose(self.text, names, self.template)
            self._check_columns(source, survey, template)
        rows = [survey.rows for survey in surveys]
        return _Plan(template, [survey.schema for survey in surveys], self._choose(rows))

    def _check_columns(self, source: Source, survey: Survey, template: Template) -> None:
        names = survey.schema.names
        wanted = [*template.columns, *([self.id_column] if self.id_column else [])]
        for name in wanted:
            if name not in names:
                raise InputError(f"{source.name} has no column {name!r}: {nearest_hint(name, names)}")
        types = [survey.schema.field(name).type for name in template.columns]
        if not any(is_text(type_) for type_ in types):
            texts = [field.name for field in survey.schema if is_text(field.type)]
            raise InputError(
                f"{source.name}: expected texts in column {template.columns[0]!r}, found {types[0]} values; "
                f"{'columns of text are ' + ', '.join(texts) if texts else 'no column holds text'}"
            )

    def _choose(self, rows: Sequence[int]) -> list[Chosen]:
        total = sum(rows)
        if self.limit is None and self.sample is None:
            return [None] * len(rows)
        total = total if self.limit is None else min(total, self.limit)
        picked = np.arange(total)
        if self.sample is not None:
            if self.sample > total:
                raise InputError(
                    f"expected a sample of at most {counted(total, 'row')}, as there are no more, found {self.sample:,}"
                )
            # The same rows as pandas' DataFrame.sample(n, random_state=seed), in the table's order.
            picked = np.sort(np.random.RandomState(self.seed).choice(total, size=self.sample, replace=False))
        ends = np.cumsum(rows)
        return [picked[(picked >= end - n) & (picked < end)] - (end - n) for n, end in zip(rows, ends, strict=True)]


def _continued(existing: CorpusRecord, new: CorpusRecord, sources: Sequence[Source], corpus: str) -> CorpusRecord:
    origins = {source.origin for source in sources if source.origin}
    if all(part.origin in origins for part in existing.parts):
        return replace(new, parts=existing.parts)  # all rows are read again, so another template is fine
    for what, old, now in (
        ("text", existing.template, new.template),
        ("id column", existing.id_column, new.id_column),
    ):
        if old != now:
            raise InputError(
                f"corpus {corpus!r} has the {what} {old or 'none'!r}, and these rows would have {now or 'none'!r}: "
                "use the same, or --replace to start the corpus anew, or --corpus NAME for another"
            )
    return existing


def _place(parts: list[CorpusPart], part: CorpusPart, name: str) -> list[str]:
    """Put a part in the place of that of the same file, or at the end; return what to tell of it."""
    for number, old in enumerate(parts):
        if part.origin and old.origin == part.origin:
            parts[number] = part
            now, before = counted(part.rows, "row"), counted(old.rows, "row")
            return [f"{name}: {now} took the place of {before} read from it before"]
    parts.append(part)
    return []


def _tell_of_known_rows(rows: Corpus, before: CorpusRecord) -> None:
    """Warn if most of the new rows have a text that the corpus had: it may be the same table again."""
    held = [part for part in rows.record.parts if part in before.parts]
    new = [part for part in rows.record.parts if part not in before.parts]
    if not held or not new:
        return
    old, now = (
        Corpus(rows.root, rows.name, replace(rows.record, parts=tuple(parts))).positions() for parts in (held, new)
    )
    known = int(np.count_nonzero(mask_of(old, 1 + int(max(old.max(), now.max())))[now]))
    if 2 * known > len(now):
        logger.warning(
            "%s of the %s read now %s a text that corpus %r had already: if they are the same rows, name a column of "
            "ids with --id, or start the corpus anew with --replace",
            f"{known:,}",
            counted(len(now), "row"),
            form(known, "has", "have"),
            rows.name,
        )


def _tell_of_texts(schema: pa.Schema, read: Sequence[pa.Schema]) -> None:
    """Warn of columns that are text because the parts of the corpus are of several types."""
    typed = {field.name for one in read for field in one if not (is_text(field.type) or pa.types.is_null(field.type))}
    known = {field.name for field in read[0] if is_text(field.type)} if len(read) > 1 else set()
    names = [field.name for field in schema if field.name in typed - known and is_text(field.type)]
    if names:
        logger.warning(
            "columns that are of several types in the parts of the corpus become text: %s",
            listed(names),
        )
