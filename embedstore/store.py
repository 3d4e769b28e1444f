"""The store: one object for everything that can be done with a corpus that is encoded once."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore import encoders
from embedstore.care import GcReport, VerifyReport, export, gc, verify
from embedstore.corpus import Corpus, nearest_hint
from embedstore.encode import EncodeProgress, encode_missing, missing_segments
from embedstore.encoders import Described, Encoder, EncoderOptions
from embedstore.errors import DamagedStoreError, InputError, ModelRequiredError, NotFoundError, UsageError
from embedstore.ingest import AddReport, add
from embedstore.joined import Joined, choices
from embedstore.labels import LabelSet, tag_positions
from embedstore.metrics import map_gold, parse_map
from embedstore.queries import query_vectors, redescribe
from embedstore.space import Space, text_starts, texts_at
from embedstore.storage import manifest as manifests
from embedstore.storage.records import IndexRecord, Manifest, SpaceRecord
from embedstore.tables import ArrowSource, ReadOptions, Source, file_source

if TYPE_CHECKING:
    import pandas as pd

    from embedstore.index import IndexKind
    from embedstore.probe import Trained, TrainOptions

__all__ = ["EmbeddingStore", "EncodeReport", "Matches", "create", "open_store"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Table = "pd.DataFrame | pa.Table | str | Path | Source | Sequence[str | Path | Source] | Sequence[dict[str, Any]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeReport:
    """What an encode run came to.

    `rows` and `empty` count rows; `distinct_texts`, `cached`, `encoded` and `truncated` count texts.
    """

    rows: int
    distinct_texts: int
    cached: int
    encoded: int
    truncated: int
    empty: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.rows:,} rows, {self.distinct_texts:,} distinct texts: {self.cached:,} already cached, "
            f"{self.encoded:,} encoded now; {self.truncated:,} truncated, {self.empty:,} empty; {self.seconds:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class Matches:
    """The rows that a search found, as columns: query, rank, score, corpus, id, text."""

    table: pa.Table

    def frame(self) -> "pd.DataFrame":
        """Return the rows as a pandas DataFrame."""
        return self.table.to_pandas()


def create(path: str | Path, *, encoder: Encoder | None = None) -> "EmbeddingStore":
    """Make an empty store.

    Parameters
    ----------
    path : str or Path
        A folder that does not exist yet, or is empty.
    encoder : Encoder, optional
        An encoder of your own, used wherever a checkpoint would be loaded.

    Raises
    ------
    UsageError
        If the folder holds something.
    """
    root = Path(path)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(f"expected a new or empty folder for a store, found something at {root}")
    root.mkdir(parents=True, exist_ok=True)
    manifests.commit(root, lambda base: base)
    return EmbeddingStore(root, encoder=encoder)


def open_store(path: str | Path, *, encoder: Encoder | None = None) -> "EmbeddingStore":
    """Open a store that exists.

    Parameters
    ----------
    path : str or Path
        Its folder.
    encoder : Encoder, optional
        An encoder of your own, used wherever a checkpoint would be loaded.

    Raises
    ------
    NotFoundError
        If there is no store.
    DamagedStoreError
        If its newest manifest is not what was written.
    """
    manifests.load(Path(path))
    return EmbeddingStore(Path(path), encoder=encoder)


class EmbeddingStore:
    """A folder of texts, vectors, tables, indexes and probes.

    Each method looks at the newest state of the folder. Use `embedstore.open` or `embedstore.create`.

    Parameters
    ----------
    path : Path
        The folder.
    encoder : Encoder, optional
        Used wherever a checkpoint would be loaded.
    """

    def __init__(self, path: Path, *, encoder: Encoder | None = None) -> None:
        self.path = path
        self._own_encoder = encoder
        self._loaded: dict[str, tuple[Described, Encoder]] = {}

    def __repr__(self) -> str:
        return f"EmbeddingStore({str(self.path)!r})"

    @property
    def manifest(self) -> Manifest:
        """The newest state."""
        return manifests.load(self.path)

    # Rows and vectors in

    def add(
        self,
        table: Any,
        *,
        text: str | Sequence[str],
        corpus: str = "train",
        id: str | None = None,  # noqa: A002  the contract's name
        template: str | None = None,
        limit: int | None = None,
        sample: int | None = None,
        seed: int = 42,
        replace: bool = False,
        read_options: ReadOptions | None = None,
    ) -> AddReport:
        """Add rows to a corpus; nothing is encoded yet.

        The same table again adds nothing; a file that changed takes the place of the rows read from it
        before.

        Parameters
        ----------
        table : DataFrame, Table, path, sequence of paths, or sequence of dict
            Rows in memory (pandas, Arrow, dicts), or files.
        text : str or sequence of str
            The text column, several (joined by a space), or a template such as ``"{title}: {text}"``.
        corpus : str
            Name of the corpus.
        id : str, optional
            Column of unique ids; by default rows are numbered from 0.
        template : str, optional
            How several text columns become one text.
        limit, sample : int, optional
            Take the first rows only; then draw that many of them, as ``DataFrame.sample`` does, and keep
            their order.
        seed : int
            Seed of `sample`.
        replace : bool
            Start the corpus anew.
        read_options : ReadOptions, optional
            How files are read.

        Raises
        ------
        InputError
            If the table can't be read or does not fit; nothing was added.
        """
        if not _NAME.fullmatch(corpus):
            raise UsageError(f"expected a corpus name of letters, digits, '.', '_' and '-', found {corpus!r}")
        for name, value in (("limit", limit), ("sample", sample)):
            if value is not None and value < 1:
                raise UsageError(f"expected a {name} of at least 1, found {value}")
        options = read_options or ReadOptions()
        sources = _sources(table, options)
        return add(
            self.path,
            sources,
            corpus=corpus,
            text=text,
            template=template,
            id_column=id,
            limit=limit,
            sample=sample,
            seed=seed,
            replace_corpus=replace,
            read_options=options.describe(),
        )

    def encode(
        self,
        model: str | None = None,
        *,
        corpus: str | None = None,
        options: EncoderOptions | None = None,
        revision: str | None = None,
        device: str | None = None,
        batch_size: int = 32,
        no_encode: bool = False,
        on_progress: Callable[[EncodeProgress], None] | None = None,
    ) -> EncodeReport:
        """Encode every text that has no vector yet; segments are kept as they are done.

        Parameters
        ----------
        model : str, optional
            A folder or a Hugging Face name; by default the store's first space, or else the default model.
        corpus : str, optional
            Encode what this corpus needs; by default, what any corpus needs.
        options : EncoderOptions, optional
            Prompt, length, dimensions, stored dtype.
        revision : str, optional
            Branch, tag or commit of a hub model.
        device : str, optional
            PyTorch device.
        batch_size : int
            Texts per forward pass.
        no_encode : bool
            Raise rather than load a model.
        on_progress : callable, optional
            Called with an `EncodeProgress`.

        Raises
        ------
        ModelRequiredError
            Under `no_encode`, if a vector is missing.
        CheckpointError
            If the model can't be found or loaded.
        """
        if batch_size < 1:
            raise UsageError(f"expected a batch size of at least 1, found {batch_size}")
        start = time.monotonic()
        manifest = self.manifest
        corpora = [self.corpus(corpus)] if corpus else [Corpus(self.path, *pair) for pair in manifest.corpora.items()]
        if not corpora:
            raise NotFoundError(f"{self.path} has no rows to encode yet: add some with `embedstore encode STORE FILE --text COLUMN`")
        described = self._describe(manifest, model, options, revision)
        key = described.spec.key
        wanted = np.zeros(int(text_starts(manifest)[-1]), dtype=bool)
        for each in corpora:
            wanted[each.positions()] = True
        missing = np.zeros_like(wanted)
        lacking = {text.file.sha256 for text in missing_segments(manifest, key, wanted)}
        for first, text in zip(text_starts(manifest), manifest.texts, strict=False):
            missing[first : first + text.count] = text.file.sha256 in lacking
        cached = int(np.count_nonzero(wanted & ~missing))
        if no_encode and lacking:
            raise ModelRequiredError(
                f"{np.count_nonzero(wanted) - cached:,} texts have no vector in this space, and --no-encode forbids to load "
                "the model: run again without it"
            )

        def load() -> Encoder:
            return self._load_described(described, device=device, batch_size=batch_size)

        encoded = encode_missing(self.path, described, load, wanted=wanted, on_progress=on_progress)
        manifest = self.manifest
        return EncodeReport(
            rows=sum(len(each) for each in corpora),
            distinct_texts=int(np.count_nonzero(wanted)),
            cached=cached,
            encoded=encoded,
            truncated=Space(self.path, manifest, key).truncated,
            empty=sum(part.empty for each in corpora for part in each.record.parts),
            seconds=time.monotonic() - start,
        )

    # What is there

    def corpus(self, name: str | None = None) -> Corpus:
        """Return a corpus; by default the only one, or else ``train``.

        Raises
        ------
        NotFoundError
            If there is none of that name.
        """
        corpora = self.manifest.corpora
        wanted = name or (next(iter(corpora)) if len(corpora) == 1 else "train")
        if wanted not in corpora:
            raise NotFoundError(f"{self.path} has no corpus {wanted!r}: {nearest_hint(wanted, list(corpora))}")
        return Corpus(self.path, wanted, corpora[wanted])

    def space(self, selector: str | None = None) -> Space:
        """Return a space, by the start of its key or by its model's name; by default the store's first.

        Raises
        ------
        NotFoundError
            If no space, or more than one, is meant.
        """
        manifest = self.manifest
        spaces = [Space(self.path, manifest, key) for key in manifest.spaces]
        filled = [space for space in spaces if space.count]
        if not filled:
            raise NotFoundError(f"{self.path} has no vectors yet: run `embedstore encode STORE FILE --text COLUMN`")
        if selector is None:
            return filled[0]
        chosen = [s for s in filled if s.key.startswith(selector) or s.record.model == selector]
        if len(chosen) != 1:
            shown = ", ".join(f"{space.key[:12]} ({space.record.model})" for space in filled)
            raise NotFoundError(f"expected one space for {selector!r}, found {len(chosen)}: there are {shown}")
        return chosen[0]

    def info(self) -> dict[str, Any]:
        """Return what the store holds as a JSON object."""
        manifest = self.manifest
        texts = sum(text.count for text in manifest.texts)
        spaces = []
        for key in manifest.spaces:
            space = Space(self.path, manifest, key)
            spaces.append(
                {
                    "key": key,
                    "model": space.record.model,
                    "revision": space.record.revision,
                    "dimension": space.dimension,
                    "texts": space.count,
                    "queries": sum(q.count for q in manifest.queries if q.file.sha256 in space.record.segments),
                    "coverage": space.count / texts if texts else 1.0,
                    "truncated": space.truncated,
                    "bytes": sum(s.file.size for s in space.record.segments.values()),
                    "spec": space.spec.to_json(),
                    "query_prompt": space.record.query_prompt,
                    "provenance": [p.to_json() for p in space.record.provenance],
                }
            )
        corpora = [
            {
                "name": name,
                "rows": record.rows,
                "distinct_texts": len(np.unique(Corpus(self.path, name, record).positions())),
                "empty": sum(part.empty for part in record.parts),
                "text": record.template,
                "id": record.id_column or None,
                "columns": Corpus(self.path, name, record).schema.names,
            }
            for name, record in manifest.corpora.items()
        ]
        return {
            "path": str(self.path),
            "sequence": manifest.sequence,
            "texts": texts,
            "segments": len(manifest.texts),
            "bytes": sum(file.size for file in manifest.files()),
            "corpora": corpora,
            "spaces": spaces,
            "indexes": [
                {"space": key, "kind": record.kind, "texts": record.count, "bytes": record.file.size}
                for key, record in manifest.indexes.items()
            ],
            "probes": [{"name": name, "space": record.space} for name, record in manifest.probes.items()],
        }

    # Labels, neighbours, probes

    def tagging(
        self,
        labels: Sequence[str] | LabelSet,
        *,
        corpus: str | None = None,
        space: str | None = None,
        scores: bool = False,
        gold: str | None = None,
        mapping: Sequence[str] = (),
        no_encode: bool = False,
    ) -> Joined:
        """Tag every row of a corpus with the nearest label; see `tag`. Rows are read as they are asked for."""
        label_set = labels if isinstance(labels, LabelSet) else LabelSet.of(labels)
        chosen_space, table = self.space(space), self.corpus(corpus)
        gold_map = parse_map(mapping, label_set.names)
        gold_values = table.column(gold).to_pylist() if gold else None
        positions = table.positions()
        chosen_space.require(positions, table.name)

        def vectors_of(texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return self._query_vectors(chosen_space, texts, no_encode=no_encode)

        prototypes = label_set.prototypes(vectors_of)
        texts = int(text_starts(self.manifest)[-1])
        tags = tag_positions(chosen_space, prototypes, positions, texts, all_scores=scores)
        columns: dict[str, pa.Array] = {
            "Predicted_Labels": choices(tags.label, label_set.names),
            "score": pa.array(tags.score),
            "margin": pa.array(tags.margin),
        }
        if tags.scores is not None:
            columns |= {name: pa.array(tags.scores[:, i]) for i, name in enumerate(label_set.names)}
        counts = np.bincount(tags.label, minlength=len(label_set.names)) / max(1, len(positions))
        shares = dict(zip(label_set.names, counts.tolist(), strict=True))
        report = None
        if gold_values is not None:
            report = map_gold(gold_values, [label_set.names[i] for i in tags.label], label_set.names, gold_map)
        return Joined(table, columns, shares, report)

    def tag(self, labels: Sequence[str] | LabelSet, **options: Any) -> "pd.DataFrame":
        """Label every row by cosine similarity to the labels' vectors.

        Parameters
        ----------
        labels : sequence of str, or LabelSet
            At least two. New ones are encoded once and kept.
        **options
            ``corpus``, ``space`` (key or model), ``scores`` (a column per label), ``no_encode``, and ``gold`` with
            ``mapping``, as of `tagging`.

        Returns
        -------
        DataFrame
            The corpus' rows and columns, then ``Predicted_Labels``, ``score`` and ``margin``.

        Raises
        ------
        UsageError
            If there are fewer than two labels, or blank or repeated ones.
        ModelRequiredError
            If a row has no vector, or, under ``no_encode``, a label has none.
        """
        return self.tagging(labels, **options).frame()

    def matches(
        self,
        query: str | Sequence[str] | None = None,
        *,
        row: object = None,
        k: int = 10,
        corpus: str | None = None,
        space: str | None = None,
        exact: bool = False,
        no_encode: bool = False,
    ) -> Matches:
        """Find the nearest rows; see `search`."""
        from embedstore.search import nearest

        if (query is None) == (row is None):
            raise UsageError("expected a text or a row to search for, found both or neither")
        manifest, chosen = self.manifest, self.space(space)
        names = [self.corpus(corpus).name] if corpus else list(manifest.corpora)
        corpora = [Corpus(self.path, name, manifest.corpora[name]) for name in names]
        exclude = None
        if row is not None:
            asker = self._row_owner(corpora, row)
            exclude = (asker[0].name, asker[1])
            position = asker[0].positions()[asker[1] : asker[1] + 1]
            vectors = chosen.at(position, asker[0].name)
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
            queries = texts_at(self.path, manifest, position)
        else:
            queries = [query] if isinstance(query, str) else list(query or ())
            if not queries or any(not text.strip() for text in queries):
                raise UsageError("expected a text to search for, found none or a blank one")
            prompt = chosen.record.query_prompt
            vectors = self._query_vectors(chosen, queries, prompt=prompt, no_encode=no_encode)
        answers = nearest(self.path, manifest, chosen, corpora, vectors, k, exact=exact, exclude=exclude)
        flat = [(number, rank, found) for number, answer in enumerate(answers) for rank, found in enumerate(answer, 1)]
        texts = texts_at(self.path, manifest, np.array([found.position for _, _, found in flat], dtype=np.int64))
        ids = {name: corpus_.ids() for name, corpus_ in zip(names, corpora, strict=True)}
        shown = [ids[found.corpus][found.row].as_py() for _, _, found in flat]
        same = len({type(value) for value in shown}) == 1
        return Matches(
            pa.table(
                {
                    "query": [queries[number] for number, _, _ in flat],
                    "rank": [rank for _, rank, _ in flat],
                    "score": pa.array([found.score for _, _, found in flat], pa.float32()),
                    "corpus": [found.corpus for _, _, found in flat],
                    "id": shown if same else [str(value) for value in shown],
                    "text": texts,
                }
            )
        )

    def search(self, query: str | Sequence[str] | None = None, **options: Any) -> "pd.DataFrame":
        """Return the rows nearest to a text, to several texts, or to a row.

        Parameters
        ----------
        query : str or sequence of str, optional
            What to look for.
        **options
            ``row`` (the id of a row, instead of a text; it is not among the answers), ``k`` (10), ``corpus``,
            ``space``, ``exact`` (scan everything even where there is an index), ``no_encode``.

        Returns
        -------
        DataFrame
            Columns query, rank (from 1), score (cosine, higher is nearer), corpus, id, text.
        """
        return self.matches(query, **options).frame()

    def index(self, kind: "IndexKind" = "auto", *, space: str | None = None) -> IndexRecord:
        """Build the FAISS index of a space; see `embedstore.index.build`."""
        from embedstore.index import build

        return build(self.path, self.space(space), kind)

    def train(
        self,
        target: str,
        *,
        corpus: str | None = None,
        test_corpus: str | None = None,
        space: str | None = None,
        name: str | None = None,
        options: "TrainOptions | None" = None,
    ) -> "Trained":
        """Train a logistic regression on a column, and keep it as a probe.

        Parameters
        ----------
        target : str
            The column to predict.
        corpus, test_corpus : str, optional
            Rows to learn from and to test on; without a test corpus a stratified share is held out.
        space : str, optional
            Key or model of the vectors.
        name : str, optional
            The probe's name; by default the target's.
        options : TrainOptions, optional
            Penalty, iterations, folds, split, seed.

        Returns
        -------
        Trained
            With ``probe``, ``report`` (on rows not seen in training), ``cv_scores`` and ``notes``.
        """
        from embedstore.probe import TrainOptions, save_probe, train

        probe_name = name or re.sub(r"[^A-Za-z0-9._-]+", "_", target).strip("._-") or "probe"
        if not _NAME.fullmatch(probe_name):
            raise UsageError(f"expected a probe name of letters, digits, '.', '_' and '-', found {probe_name!r}")
        tested = self.corpus(test_corpus) if test_corpus else None
        trained = train(self.space(space), self.corpus(corpus), target, options or TrainOptions(), tested)
        save_probe(self.path, probe_name, trained.probe)
        return trained

    def predicting(self, probe: str, *, corpus: str | None = None, space: str | None = None, scores: bool = False) -> Joined:
        """Apply a probe to every row of a corpus; see `predict`. Rows are read as they are asked for."""
        from embedstore.probe import load_probe

        manifest = self.manifest
        if probe not in manifest.probes:
            raise NotFoundError(f"{self.path} has no probe {probe!r}: {nearest_hint(probe, list(manifest.probes))}")
        record = manifest.probes[probe]
        chosen = self.space(space or record.space)
        loaded = load_probe(self.path, record, chosen)
        table = self.corpus(corpus)
        positions = table.positions()
        chosen.require(positions, table.name)
        texts = int(text_starts(manifest)[-1])
        wanted = np.zeros(texts, dtype=bool)
        wanted[positions] = True
        probabilities = np.zeros((texts, len(loaded.classes)), dtype=np.float32)
        for block in chosen.blocks(wanted):
            vectors = block.vectors.astype(np.float32, copy=False)
            probabilities[block.start : block.start + len(vectors)] = loaded.probabilities(vectors)
        label = probabilities.argmax(axis=1)[positions]
        columns: dict[str, pa.Array] = {
            "Predicted_Labels": choices(label, loaded.classes),
            "probability": pa.array(probabilities.max(axis=1)[positions]),
        }
        if scores:
            columns |= {f"probability_{c}": pa.array(probabilities[positions, i]) for i, c in enumerate(loaded.classes)}
        counts = Counter(label.tolist())
        shares = {str(c): counts[i] / max(1, len(positions)) for i, c in enumerate(loaded.classes)}
        return Joined(table, columns, shares)

    def predict(self, probe: str, **options: Any) -> "pd.DataFrame":
        """Return a corpus' rows with ``Predicted_Labels`` and ``probability`` from a probe.

        Parameters
        ----------
        probe : str
            Its name.
        **options
            ``corpus``, ``space``, ``scores`` (a column per class).

        Raises
        ------
        SpaceMismatchError
            If the probe was trained in another space than the one asked for.
        """
        return self.predicting(probe, **options).frame()

    # Care

    def verify(self) -> VerifyReport:
        """Check every byte; see `embedstore.care.verify`."""
        return verify(self.path)

    def gc(self, *, dry_run: bool = False) -> GcReport:
        """Remove what no manifest lists; see `embedstore.care.gc`."""
        return gc(self.path, dry_run=dry_run)

    def export(self, path: str | Path, *, corpus: str | None = None, space: str | None = None) -> int:
        """Write vectors with ids to .npy, .parquet or .h5; see `embedstore.care.export`."""
        return export(self.space(space), self.corpus(corpus), Path(path))

    # Encoders

    def _describe(
        self, manifest: Manifest, model: str | None, options: EncoderOptions | None, revision: str | None
    ) -> Described:
        if self._own_encoder is not None:
            return _described(self._own_encoder)
        if model is None and options is None and revision is None and manifest.spaces:
            filled = [s for s in manifest.spaces.values() if any(t.file.sha256 in s.segments for t in manifest.texts)]
            if filled:
                return redescribe(filled[0])
        return encoders.describe(model, options or EncoderOptions(), revision=revision)

    def _load_described(self, described: Described, **options: Any) -> Encoder:
        if self._own_encoder is not None:
            return self._own_encoder
        key = described.spec.key
        if key not in self._loaded:
            self._loaded[key] = (described, encoders.load(described, **options))
        return self._loaded[key][1]

    def _load_for(self, record: SpaceRecord) -> tuple[Described, Encoder]:
        if self._own_encoder is not None:
            return _described(self._own_encoder), self._own_encoder
        if record.spec.key in self._loaded:
            return self._loaded[record.spec.key]
        described = redescribe(record)
        return described, self._load_described(described)

    def _query_vectors(self, space: Space, texts: Sequence[str], **options: Any) -> npt.NDArray[np.float32]:
        return query_vectors(self.path, space, texts, load_encoder=self._load_for, **options)

    def _row_owner(self, corpora: Sequence[Corpus], id_: object) -> tuple[Corpus, int]:
        problems = []
        for corpus in corpora:
            try:
                return corpus, corpus.row_of(id_)
            except NotFoundError as error:
                problems.append(error)
        raise problems[0] if problems else NotFoundError(f"{self.path} has no rows")


def _described(encoder: Encoder) -> Described:
    return Described(
        model=encoder.provenance.model,
        folder=Path(),
        revision=encoder.provenance.revision,
        spec=encoder.spec,
        query_prompt=encoder.spec.prompt,
    )


def _sources(table: Any, options: ReadOptions) -> list[Source]:
    if isinstance(table, (str, Path)):
        path = Path(table)
        return [file_source(path, options, name=str(path), origin=str(path.resolve()))]
    if isinstance(table, pa.Table):
        return [ArrowSource(table)]
    if hasattr(table, "to_frame") and not hasattr(table, "columns"):
        table = table.to_frame()
    if hasattr(table, "columns") and hasattr(table, "itertuples"):
        return [ArrowSource(_from_pandas(table))]
    if isinstance(table, Iterable):
        rows = list(table)
        if rows and all(isinstance(row, dict) for row in rows):
            return [ArrowSource(_arrow(lambda: pa.Table.from_pylist(rows)))]
        if rows and all(isinstance(row, (str, Path)) for row in rows):
            return [source for path in rows for source in _sources(path, options)]
        if rows and all(hasattr(row, "survey") for row in rows):
            return rows
    raise InputError(f"expected a DataFrame, an Arrow table, rows as dicts, or paths of files, found {type(table).__name__}")


def _from_pandas(frame: Any) -> pa.Table:
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    return _arrow(lambda: pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None))


def _arrow(make: Callable[[], pa.Table]) -> pa.Table:
    try:
        return make()
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise InputError(f"the table can't be kept: {str(error).splitlines()[0]}; make each column of one type") from error
