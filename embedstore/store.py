"""The store: one object for everything that can be done with a corpus that is encoded once."""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedstore.annotations import is_annotations
from embedstore.care import GcReport, VerifyReport, export, gc, repair, verify
from embedstore.contents import reading
from embedstore.corpus import Corpus, nearest_hint
from embedstore.encode import EncodeReport
from embedstore.encoders import Encoder, EncoderOptions
from embedstore.errors import NotFoundError, UsageError
from embedstore.joined import Joined
from embedstore.labelling import Labelling
from embedstore.labels import Labels, LabelSet
from embedstore.space import Space, text_starts, texts_at
from embedstore.storage import files
from embedstore.storage import manifest as manifests
from embedstore.storage.records import IndexRecord

if TYPE_CHECKING:
    import pandas as pd

    from embedstore.compare import Classifier, Comparison
    from embedstore.doubts import Doubts
    from embedstore.duplicates import Duplicates
    from embedstore.index import IndexKind
    from embedstore.search import Matches
    from embedstore.training import Trained, TrainOptions

__all__ = ["EmbeddingStore", "create", "open_store"]

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


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
    if root.exists() and (not root.is_dir() or manifests.exists(root) or manifests.foreign(root)):
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


class EmbeddingStore(Labelling):
    """A store: texts, vectors and tables, and what can be asked of them.

    Each method looks at the newest state of the folder. Use `embedstore.open` or `embedstore.create`.

    Parameters
    ----------
    path : Path
        The folder.
    encoder : Encoder, optional
        Used wherever a checkpoint would be loaded.
    """

    # Neighbours, probes

    @reading
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
        from embedstore.search import search

        if (query is None) == (row is None):
            raise UsageError("expected a text or a row to search for, found both or neither")
        manifest = self.manifest
        corpora = [self.corpus(corpus)] if corpus else self.corpora()
        chosen = self._embeddings(space, corpora)

        def vectors_of(texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return self._query_vectors(chosen, texts, prompt=chosen.record.query_prompt, no_encode=no_encode)

        indexes = None if exact else self._indexes
        return search(self.path, manifest, chosen, corpora, query, row, vectors_of, k, indexes)

    def search(self, query: str | Sequence[str] | None = None, **options: Any) -> "pd.DataFrame":
        """Return the rows nearest to a text, to several texts, or to a row.

        Parameters
        ----------
        query : str or sequence of str, optional
            What to look for.
        **options
            ``row`` (the id of a row, instead of a text; it is not among the answers), ``k`` (10), ``corpus``,
            ``space``, ``exact`` (scan everything even where an index would be faster), ``no_encode``. An index
            of kind hnsw or ivf is opened when some tens of queries have been asked: before, scans are faster.

        Returns
        -------
        DataFrame
            Columns query, rank (from 1), score (cosine, higher is nearer), corpus, id, text.
        """
        return self.matches(query, **options).frame()

    @reading
    def index(self, kind: "IndexKind" = "auto", *, space: str | None = None) -> IndexRecord:
        """Build the FAISS index of a space; see `embedstore.index.build`."""
        from embedstore.index import build

        return build(self.path, self._embeddings(space, ()), kind)

    @reading
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
        table = self._annotated(self.corpus(corpus), target)
        tested = self._annotated(self.corpus(test_corpus), target) if test_corpus else None
        if is_annotations(target):
            options = replace(options or TrainOptions(), drop_missing=True)
        chosen = self.space(space, covering=[table, tested] if tested else [table])
        trained = train(chosen, table, target, options or TrainOptions(), tested)
        try:
            save_probe(self.path, probe_name, trained.probe)
        except OSError as error:
            if not files.denied(error):
                raise
            logger.warning("%s can't be written to: the probe is not kept", self.path)
        return trained

    @reading
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

    @reading
    def doubts(self, target: str, *, corpus: str | None = None, space: str | None = None, **options: Any) -> "Doubts":
        """Find the rows of a corpus whose given label is likely wrong; see `embedstore.doubts.doubts`.

        Parameters
        ----------
        target : str
            The column of labels, or "annotations".
        corpus, space : str, optional
            As of `train`.
        **options
            ``folds``, ``C``, ``max_iter``, ``random_state``, ``drop_missing``.
        """
        from embedstore.doubts import doubts

        table = self._annotated(self.corpus(corpus), target)
        if is_annotations(target):
            options["drop_missing"] = True
        return doubts(self._embeddings(space, [table]), table, target, **options)

    @reading
    def doubts_table(self, found: "Doubts", *, corpus: str | None = None) -> pa.Table:
        """Return what `doubts` found as a table: id, given, suggested, confidence, margin, text."""
        table = self.corpus(corpus)
        ids = table.ids_at(found.rows)
        return pa.table(
            {
                "id": pa.array(ids, None if ids else pa.string()),
                "given": pa.array(found.given, pa.string()),
                "suggested": pa.array(found.suggested, pa.string()),
                "confidence": pa.array(found.confidence, pa.float32()),
                "margin": pa.array(found.margin, pa.float32()),
                "text": pa.array(texts_at(self.path, self.manifest, table.positions()[found.rows]), pa.string()),
            }
        )

    @reading
    def duplicates(
        self,
        threshold: float = 0.95,
        *,
        corpora: Sequence[str] = (),
        space: str | None = None,
        leaks: bool = False,
    ) -> "Duplicates":
        """Find groups of rows with the same or nearly the same text; see `embedstore.duplicates.duplicates`.

        Parameters
        ----------
        threshold : float
            The lowest cosine similarity.
        corpora : sequence of str
            Names; by default all.
        space : str, optional
            Key or model of the vectors.
        leaks : bool
            Keep only the groups with rows of more than one corpus.
        """
        from embedstore.duplicates import duplicates

        tables = [self.corpus(name) for name in corpora] if corpora else self.corpora()
        return duplicates(self._embeddings(space, tables), tables, threshold, leaks=leaks)

    # Finetuned checkpoints

    @reading
    def classifying(
        self,
        model: str | None = None,
        *,
        corpus: str | None = None,
        space: str | None = None,
        gold: str | None = None,
        mapping: Sequence[str] = (),
        scores: bool = False,
        threshold: float = 0.5,
        max_seq_length: int | None = None,
        **encode_options: Any,
    ) -> Joined:
        """Classify every row of a corpus; see `classify`. Rows are read as they are asked for."""
        from embedstore.classify import classify_rows

        table = self.corpus(corpus)
        if model is not None:
            if space is not None:
                raise UsageError("expected a model or a space of logits, found both")
            options = EncoderOptions(output="logits", max_seq_length=max_seq_length)
            space = self.encode(model, corpus=table.name, options=options, **encode_options).space
        logits = [found for found in self._spaces() if found.record.head and found.key.startswith(space or "")]
        if not logits:
            raise NotFoundError(f"{self.path} has no such logits yet: run `embedstore classify STORE -m CHECKPOINT`")
        if len(logits) > 1:
            shown = ", ".join(f"{found.key[:12]} ({found.record.model})" for found in logits)
            raise NotFoundError(f"expected one space of logits, found {len(logits)}: choose one of {shown}")
        head = logits[0].record.head
        assert head is not None
        return classify_rows(logits[0], head, table, gold=gold, mapping=mapping, scores=scores, threshold=threshold)

    def classify(self, model: str | None = None, **options: Any) -> "pd.DataFrame":
        """Give every row the label of a finetuned sequence-classification checkpoint; its logits are kept.

        Parameters
        ----------
        model : str, optional
            A folder or a Hugging Face name; by default the store's only space of logits.
        **options
            ``corpus``, ``scores`` (a column per label), ``threshold`` (0.5, for heads of sigmoids), ``gold`` with
            ``mapping``, ``space`` (key of logits that are there), ``max_seq_length``, and those of `encode`.

        Returns
        -------
        DataFrame
            The corpus' rows and columns, then ``Predicted_Labels`` and ``probability``; a regression head gives
            ``Predicted_Value`` instead.

        Raises
        ------
        CheckpointError
            If the checkpoint has no classification head, or weights of it are missing.
        """
        return self.classifying(model, **options).frame()

    @reading
    def compare(
        self,
        target: str,
        *,
        corpus: str | None = None,
        test_corpus: str | None = None,
        labels: Labels | None = None,
        mapping: Sequence[str] = (),
        classify: Sequence[str] = (),
        max_seq_length: int | None = None,
        options: "TrainOptions | None" = None,
        no_encode: bool = False,
        **encode_options: Any,
    ) -> "Comparison":
        """Compare what each road to a column's classes is worth, on the same rows.

        Parameters
        ----------
        target : str
            The column to predict.
        corpus, test_corpus : str, optional
            Rows to learn from and to test on; without a test corpus a stratified share is held out.
        labels : sequence of str, or LabelSet, optional
            Labels to tag with; by default the classes, if they have names.
        mapping : sequence of str
            ``VALUE=LABEL`` pairs: the labels, and the checkpoints' labels, that a class stands for.
        classify : sequence of str
            Finetuned checkpoints, beside those whose logits are in the store; one whose logits are there is not
            encoded again.
        max_seq_length : int, optional
            Tokens after which a text is cut off for `classify`.
        options : TrainOptions, optional
            Penalty, iterations, split, seed.
        no_encode : bool
            Raise rather than load a model.
        **encode_options
            ``backend``, ``device``, ``batch_size`` and ``on_progress``, as of `encode`.

        Returns
        -------
        Comparison
            With ``scores``, ``notes`` and ``frame()``.
        """
        from embedstore.compare import compare
        from embedstore.targets import split_rows
        from embedstore.training import TrainOptions

        chosen = options or TrainOptions()
        if is_annotations(target):
            chosen = replace(chosen, drop_missing=True)
        table = self._annotated(self.corpus(corpus), target)
        tested = self._annotated(self.corpus(test_corpus), target) if test_corpus else None
        split = split_rows(
            table,
            target,
            tested,
            test_size=chosen.test_size,
            random_state=chosen.random_state,
            drop_missing=chosen.drop_missing,
        )
        classifiers = self._classifiers(
            classify, tested or table, max_seq_length, no_encode=no_encode, **encode_options
        )

        def prototypes_of(space: Space, label_set: LabelSet) -> tuple[npt.NDArray[np.float32], int]:
            before = sum(segment.count for segment in self.manifest.queries)

            def vectors_of(texts: Sequence[str]) -> npt.NDArray[np.float32]:
                return self._query_vectors(space, texts, no_encode=no_encode)

            prototypes = label_set.prototypes(vectors_of)
            return prototypes, sum(segment.count for segment in self.manifest.queries) - before

        return compare(
            target,
            split,
            [space for space in self._spaces() if space.spec.output == "embedding"],
            classifiers,
            texts_at=lambda positions: texts_at(self.path, self.manifest, positions),
            label_set=None if labels is None else LabelSet.of(labels),
            prototypes_of=prototypes_of,
            mapping=mapping,
            options=chosen,
        )

    def _classifiers(
        self, models: Sequence[str], table: Corpus, max_seq_length: int | None, **encode_options: Any
    ) -> "list[Classifier]":
        from embedstore.compare import Classifier

        asked: dict[str, EncodeReport | None] = {}
        for model in models:
            name = str(Path(model).resolve()) if Path(model).is_dir() else model
            held = [s.key for s in self._spaces() if s.record.head and s.record.model == name and s.covers([table])]
            if held and max_seq_length is None:
                asked |= dict.fromkeys(held)
                continue
            options = EncoderOptions(output="logits", max_seq_length=max_seq_length)
            report = self.encode(model, corpus=table.name, options=options, **encode_options)
            asked[report.space] = report
        found = []
        for space in self._spaces():
            if head := space.record.head:
                made = asked.get(space.key)
                seconds, encoded = (made.seconds, made.encoded) if made else (0.0, 0)
                found.append(Classifier(space, head, seconds, encoded, space.key in asked))
        return found

    # Care

    @reading
    def verify(self) -> VerifyReport:
        """Check every byte; see `embedstore.care.verify`."""
        return verify(self.path)

    def repair(self) -> tuple[str, ...]:
        """Forget damaged files that can be made again; see `embedstore.care.repair`."""
        return repair(self.path)

    def gc(self, *, dry_run: bool = False) -> GcReport:
        """Remove what no manifest lists; see `embedstore.care.gc`."""
        return gc(self.path, dry_run=dry_run)

    @reading
    def export(self, path: str | Path, *, corpus: str | None = None, space: str | None = None) -> int:
        """Write vectors with ids to .npy, .parquet or .h5; see `embedstore.care.export`."""
        table = self.corpus(corpus)
        return export(self.space(space, covering=[table]), table, Path(path))
