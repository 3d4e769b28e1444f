"""The store: one object for everything that can be done with a corpus that is encoded once."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from embedstore.care import GcReport, VerifyReport, export, gc, verify
from embedstore.corpus import Corpus, nearest_hint
from embedstore.encode import EncodeProgress, EncodeReport, encode_corpora
from embedstore.encoders import Encoder, EncoderOptions
from embedstore.errors import NotFoundError, UsageError
from embedstore.info import describe_store
from embedstore.ingest import AddReport, add
from embedstore.joined import Joined
from embedstore.labels import LabelSet, tag_positions
from embedstore.metrics import map_gold, parse_map
from embedstore.models import Models
from embedstore.queries import query_vectors
from embedstore.space import Space, text_starts, texts_at
from embedstore.storage import manifest as manifests
from embedstore.storage.records import IndexRecord, Manifest
from embedstore.tables import ReadOptions, sources_of
from embedstore.vectors import unit_rows

if TYPE_CHECKING:
    import pandas as pd

    from embedstore.index import IndexKind
    from embedstore.search import Matches
    from embedstore.training import Trained, TrainOptions

__all__ = ["EmbeddingStore", "EncodeReport", "create", "open_store"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Table = "pd.DataFrame | pa.Table | str | Path | Source | Sequence[str | Path | Source] | Sequence[dict[str, Any]]"


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
        self._models = Models(encoder)

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
        id: str | None = None,
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
        sources = sources_of(table, options)
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
        manifest = self.manifest
        corpora = [self.corpus(corpus)] if corpus else [Corpus(self.path, *pair) for pair in manifest.corpora.items()]
        described = self._models.describe(manifest, model, options, revision)

        def load() -> Encoder:
            return self._models.load(described, device=device, batch_size=batch_size)

        return encode_corpora(self.path, corpora, described, load, no_encode=no_encode, on_progress=on_progress)

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

    def space(self, selector: str | None = None, *, covering: Sequence[Corpus] = ()) -> Space:
        """Return a space, by the start of its key or by its model's name.

        By default it is the first that has a vector for every row of the corpora in `covering`, or else
        the store's first.

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
            return next((space for space in filled if len(filled) > 1 and space.covers(covering)), filled[0])
        chosen = [s for s in filled if s.key.startswith(selector) or s.record.model == selector]
        if len(chosen) != 1:
            shown = ", ".join(f"{space.key[:12]} ({space.record.model})" for space in filled)
            raise NotFoundError(f"expected one space for {selector!r}, found {len(chosen)}: there are {shown}")
        return chosen[0]

    def info(self) -> dict[str, Any]:
        """Return what the store holds as a JSON object."""
        return describe_store(self.path, self.manifest)

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
        table = self.corpus(corpus)
        chosen_space = self.space(space, covering=[table])
        gold_map = parse_map(mapping, label_set.names)
        gold_values = table.column(gold).to_pylist() if gold else None
        positions = table.positions()
        chosen_space.require(positions, table.name)

        def vectors_of(texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return self._query_vectors(chosen_space, texts, no_encode=no_encode)

        prototypes = label_set.prototypes(vectors_of)
        texts = int(text_starts(self.manifest)[-1])
        tags = tag_positions(chosen_space, prototypes, positions, texts, all_scores=scores)
        report = None
        if gold_values is not None:
            report = map_gold(gold_values, [label_set.names[i] for i in tags.label], label_set.names, gold_map)
        return tags.joined(table, label_set.names, report)

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
    ) -> "Matches":
        """Find the nearest rows; see `search`."""
        from embedstore.search import matches_of, nearest, row_owner, texts_of

        if (query is None) == (row is None):
            raise UsageError("expected a text or a row to search for, found both or neither")
        manifest = self.manifest
        names = [self.corpus(corpus).name] if corpus else list(manifest.corpora)
        corpora = [Corpus(self.path, name, manifest.corpora[name]) for name in names]
        chosen = self.space(space, covering=corpora)
        exclude = None
        if row is not None:
            asker = row_owner(corpora, row)
            exclude = (asker[0].name, asker[1])
            position = asker[0].positions()[asker[1] : asker[1] + 1]
            vectors = unit_rows(chosen.at(position, asker[0].name))
            queries = texts_at(self.path, manifest, position)
        else:
            queries = [query] if isinstance(query, str) else list(query or ())
            if not queries or any(not text.strip() for text in queries):
                raise UsageError("expected a text to search for, found none or a blank one")
            prompt = chosen.record.query_prompt
            vectors = self._query_vectors(chosen, queries, prompt=prompt, no_encode=no_encode)
        answers = nearest(self.path, manifest, chosen, corpora, vectors, k, exact=exact, exclude=exclude)
        ids = {corpus.name: corpus.ids() for corpus in corpora}
        return matches_of(answers, queries, texts_of(self.path, manifest, answers), ids)

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
        from embedstore.probe import save_probe
        from embedstore.training import TrainOptions, train

        probe_name = name or re.sub(r"[^A-Za-z0-9._-]+", "_", target).strip("._-") or "probe"
        if not _NAME.fullmatch(probe_name):
            raise UsageError(f"expected a probe name of letters, digits, '.', '_' and '-', found {probe_name!r}")
        table = self.corpus(corpus)
        tested = self.corpus(test_corpus) if test_corpus else None
        chosen = self.space(space, covering=[table, tested] if tested else [table])
        trained = train(chosen, table, target, options or TrainOptions(), tested)
        save_probe(self.path, probe_name, trained.probe)
        return trained

    def predicting(
        self, probe: str, *, corpus: str | None = None, space: str | None = None, scores: bool = False
    ) -> Joined:
        """Apply a probe to every row of a corpus; see `predict`. Rows are read as they are asked for."""
        from embedstore.probe import apply, load_probe

        manifest = self.manifest
        if probe not in manifest.probes:
            raise NotFoundError(f"{self.path} has no probe {probe!r}: {nearest_hint(probe, list(manifest.probes))}")
        record = manifest.probes[probe]
        chosen = self.space(space or record.space)
        loaded = load_probe(self.path, record, chosen)
        return apply(loaded, chosen, self.corpus(corpus), int(text_starts(manifest)[-1]), all_classes=scores)

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
        table = self.corpus(corpus)
        return export(self.space(space, covering=[table]), table, Path(path))

    def _query_vectors(self, space: Space, texts: Sequence[str], **options: Any) -> npt.NDArray[np.float32]:
        return query_vectors(self.path, space, texts, load_encoder=self._models.load_for, **options)
