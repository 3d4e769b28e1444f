"""The rows and vectors of a store: what is put in, what there is."""

import re
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt

from embedstore.corpus import Corpus, nearest_hint
from embedstore.encode import EncodeProgress, EncodeReport, encode_corpora
from embedstore.encoders import Backend, Encoder, EncoderOptions, Precision
from embedstore.errors import NotFoundError, UsageError
from embedstore.index import Indexes
from embedstore.info import describe_store
from embedstore.ingest import AddReport, add
from embedstore.models import Models
from embedstore.queries import query_vectors
from embedstore.space import Space
from embedstore.storage import files
from embedstore.storage import manifest as manifests
from embedstore.storage.records import CorpusRecord, Manifest
from embedstore.tables import ReadOptions, sources_of

__all__ = ["Contents", "reading"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


Method = TypeVar("Method", bound=Callable[..., Any])


def reading(method: Method) -> Method:
    """Keep `gc` from removing files of the state that a method of a store looks at."""

    @wraps(method)
    def kept(self: "Contents", *arguments: Any, **options: Any) -> Any:
        with files.reading(self.path):
            return method(self, *arguments, **options)

    return cast(Method, kept)


class Contents:
    """A folder of texts, vectors and tables.

    Each method looks at the newest state of the folder.

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
        self._indexes = Indexes()
        self._corpora: dict[str, Corpus] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

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

    @reading
    def encode(
        self,
        model: str | None = None,
        *,
        corpus: str | None = None,
        options: EncoderOptions | None = None,
        revision: str | None = None,
        backend: Backend = "torch",
        device: str | None = None,
        batch_size: int | None = None,
        precision: Precision = "auto",
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
            Prompt, length, dimensions, pooling, stored dtype; or a classifier's logits.
        revision : str, optional
            Branch, tag or commit of a hub model.
        backend : {"torch", "tensorflow"}
            What runs the model; its vectors are the same.
        device : str, optional
            "cpu", "cuda", "cuda:1", "mps", …; by default the best that there is.
        batch_size : int, optional
            Texts per forward pass; by default batches are filled by tokens.
        precision : {"auto", "float32", "bfloat16"}
            Of the model's computation. "auto" takes the fastest that keeps the cosines of 16 of the texts to their
            vectors in float32 at 0.9995 or more; `info` says which.
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
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"expected a batch size of at least 1, found {batch_size}")
        if backend not in get_args(Backend):
            raise UsageError(f"expected a backend of {', '.join(get_args(Backend))}, found {backend!r}")
        if precision not in get_args(Precision):
            raise UsageError(f"expected a precision of {', '.join(get_args(Precision))}, found {precision!r}")
        manifest = self.manifest
        corpora = [self.corpus(corpus)] if corpus else self.corpora()
        described = self._models.describe(manifest, model, options, revision)

        def load(sample: Sequence[str]) -> Encoder:
            options = {"backend": backend, "device": device, "batch_size": batch_size, "precision": precision}
            return self._models.load(described, sample, **options)

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
        return self._corpus(wanted, corpora[wanted])

    def corpora(self) -> list[Corpus]:
        """Return all corpora, in the order in which they were made."""
        return [self._corpus(name, record) for name, record in self.manifest.corpora.items()]

    def _corpus(self, name: str, record: CorpusRecord) -> Corpus:
        # Kept while it is the same: a corpus remembers its rows' positions.
        if name not in self._corpora or self._corpora[name].record != record:
            self._corpora[name] = Corpus(self.path, name, record)
        return self._corpora[name]

    def space(self, selector: str | None = None, *, covering: Sequence[Corpus] = ()) -> Space:
        """Return a space, by the start of its key or by its model's name.

        By default it is the first of embeddings that has a vector for every row of the corpora in `covering`,
        or else the store's first of embeddings. A model's name means its embeddings before its logits.

        Raises
        ------
        NotFoundError
            If no space, or more than one, is meant.
        """
        spaces = self._spaces()
        if not spaces:
            raise NotFoundError(f"{self.path} has no vectors yet: run `embedstore encode STORE FILE --text COLUMN`")
        if selector is None:
            filled = [space for space in spaces if space.spec.output == "embedding"]
            if not filled:
                raise NotFoundError(f"{self.path} has logits only: name their space, or run `embedstore encode STORE`")
            return next((space for space in filled if len(filled) > 1 and space.covers(covering)), filled[0])
        chosen = [s for s in spaces if s.key.startswith(selector) or s.record.model == selector]
        chosen = [s for s in chosen if s.spec.output == "embedding"] or chosen
        if len(chosen) != 1:
            shown = ", ".join(f"{space.key[:12]} ({space.record.model})" for space in spaces)
            raise NotFoundError(f"expected one space for {selector!r}, found {len(chosen)}: there are {shown}")
        return chosen[0]

    def _spaces(self) -> list[Space]:
        manifest = self.manifest
        return [space for key in manifest.spaces if (space := Space(self.path, manifest, key)).count]

    def _embeddings(self, selector: str | None, covering: Sequence[Corpus]) -> Space:
        space = self.space(selector, covering=covering)
        if space.spec.output != "embedding":
            raise UsageError(f"expected a space of embeddings, found the logits of {space.record.model}")
        return space

    @reading
    def info(self) -> dict[str, Any]:
        """Return what the store holds as a JSON object."""
        return describe_store(self.path, self.manifest, self.corpora())

    def _query_vectors(self, space: Space, texts: Sequence[str], **options: Any) -> npt.NDArray[np.float32]:
        return query_vectors(self.path, space, texts, load_encoder=self._models.load_for, **options)
