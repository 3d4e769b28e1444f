"""Find the checkpoint that a command means, and keep the loaded models."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from embedstore import encoders
from embedstore.core.guards import Lock
from embedstore.errors import CheckpointError, UsageError
from embedstore.storage.records import SpaceRecord
from embedstore.storage.state import Manifest
from embedstore.vectors.unproven import check_proven

if TYPE_CHECKING:
    from embedstore.encoders import Described, Encoder, EncoderOptions

__all__ = ["Models", "redescribe"]


class Models:
    """The encoders of one open store.

    Parameters
    ----------
    own : Encoder or None
        Encoder to use instead of any checkpoint.

    Attributes
    ----------
    own : Encoder or None
        As given.
    """

    def __init__(self, own: "Encoder | None") -> None:
        self.own = own
        self._lock = Lock()  # one thread loads a model; the others wait for it
        self._light: dict[str, tuple[Described, Encoder]] = {}
        self._loaded: dict[tuple[str, tuple[Any, ...]], tuple[Described, Encoder]] = {}
        self._checked: tuple[Any, Described] | None = None

    def __reduce__(self) -> "tuple[type[Models], tuple[Encoder | None]]":
        return Models, (self.own,)  # nothing that is loaded goes into a pickle

    def check(
        self,
        manifest: Manifest,
        model: str | None,
        options: "EncoderOptions | None",
        revision: str | None,
        **computation: Any,
    ) -> None:
        """Raise the error of `describe`, or that of `load` as far as it is known before weights are read.

        The description is kept for the next `describe`, as it takes as long as its files are large.
        """
        described = self.describe(manifest, model, options, revision)
        if self.own is None:
            encoders.check(described, **computation)
        self._checked = (model, options, revision), described

    def describe(
        self, manifest: Manifest, model: str | None, options: "EncoderOptions | None", revision: str | None
    ) -> "Described":
        """Return the checkpoint to encode with: the named one, or that of the store's first filled space."""
        checked, self._checked = self._checked, None
        if checked and checked[0] == (model, options, revision):
            return checked[1]
        if self.own is not None:
            if options and options.output != self.own.spec.output:
                raise UsageError(f"this store has an encoder of its own, which gives no {options.output}")
            return _described(self.own)
        options, fetch = options or encoders.EncoderOptions(), True
        filled = [space for space in manifest.spaces.values() if space.spec.output == "embedding" and space.segments]
        if model is None and filled and not any(space.spec.proven for space in filled):
            raise UsageError(
                f"expected a model to encode with: vectors of this store were made elsewhere ({filled[0].model!r}), "
                "and no model has shown them to be its own; name one with -m MODEL (model=... in Python)"
            )
        filled = [space for space in filled if space.spec.proven]
        if model is None and filled and revision is None:
            if options == encoders.EncoderOptions():
                return redescribe(filled[0])
            model, revision, fetch = filled[0].model, filled[0].revision or None, False
        described = encoders.describe(model, options, revision=revision, fetch=fetch)
        most = described.full_dimension
        if most is not None and options.truncate_dim is not None and options.truncate_dim > most:
            raise UsageError(
                f"expected a truncate_dim of at most {most}, the dimensions of {described.model}, found "
                f"{options.truncate_dim}"
            )
        return described

    def load(
        self,
        described: "Described",
        sample: Sequence[str] = (),
        *,
        few: Callable[[], Sequence[str]] | None = None,
        **options: Any,
    ) -> "Encoder":
        """Return the loaded model of a checkpoint; each combination of options is loaded once.

        Parameters
        ----------
        described : Described
            The checkpoint.
        sample : sequence of str
            Some of the texts, to measure the precision with.
        few : callable, optional
            Reads and returns all texts, or their beginnings, if they are few: they get the light encoder if that is
            faster and the options allow it.
        **options
            As in `encoders.load`.
        """
        if self.own is not None:
            return self.own
        key = (described.spec.key, (bool(sample), *sorted(options.items())))
        with self._lock.held():
            if key in self._loaded:
                return self._loaded[key][1]
            if (
                few
                and _is_free(**options)
                and encoders.is_known(described)
                and encoders.is_light_work(few(), whole_run=True)
            ):
                return self._lightly(described)[1]
            self._loaded[key] = (described, encoders.load(described, sample=sample, **options))
            return self._loaded[key][1]

    def _lightly(self, described: "Described") -> "tuple[Described, Encoder]":
        key = described.spec.key
        if key not in self._light:
            self._light[key] = (described, encoders.LightEncoder(described))
        return self._light[key]

    def load_for(self, record: SpaceRecord, texts: Sequence[str]) -> "tuple[Described, Encoder]":
        """Return the checkpoint of a space, and an encoder for some texts.

        A model that is already loaded is used, whatever its backend and precision. Otherwise a few short texts get the
        light NumPy encoder.
        """
        check_proven(record, texts)
        if self.own is not None:
            return _described(self.own), self.own
        with self._lock.held():
            for (key, _), loaded in self._loaded.items():
                if key == record.spec.key:
                    return loaded
            known = self._light.get(record.spec.key)
            described = known[0] if known else redescribe(record)
            if not encoders.is_light_work(texts) or not encoders.is_known(described):
                return described, self.load(described)
            return self._lightly(described)


def _is_free(*, backend: str, device: str | None, batch_size: int | None, precision: str) -> bool:
    """Return whether the light encoder, in float32 on the CPU, is one of those that the options allow."""
    return backend == "auto" and device in (None, "cpu") and batch_size is None and precision != "bfloat16"


def redescribe(record: SpaceRecord) -> "Described":
    """Find the checkpoint that made a space on this machine, by the model name recorded with the space.

    Somebody else may have made the store, so nothing is fetched because of that name.

    Raises
    ------
    CheckpointError
        If the checkpoint is missing or has changed.
    """
    spec = record.spec
    options = encoders.EncoderOptions(
        prompt=spec.prompt,
        query_prompt=record.query_prompt,
        max_seq_length=spec.max_seq_length,
        truncate_dim=spec.truncate_dim,
        normalize=spec.normalized if spec.output == "embedding" else None,
        dtype=spec.dtype,
        output=spec.output,
    )
    find = partial(encoders.describe, record.model, revision=record.revision or None, fetch=False)
    described = find(options)
    if described.spec != spec and spec.pooling in get_args(encoders.Pooling):
        # A sentence-transformers folder that was encoded with another pooling than its own.
        described = find(replace(options, pooling=cast("encoders.Pooling", spec.pooling)))
    if described.spec != spec and spec.truncate_dim is None:
        # A space with all dimensions of a model that was saved with a truncate_dim, which earlier releases ignored.
        described = find(replace(options, truncate_dim=record.dimension))
        described = replace(described, spec=replace(described.spec, truncate_dim=None))
    if described.spec != spec:
        raise CheckpointError(
            f"the checkpoint {record.model!r} is not the one that made this space (digest "
            f"{described.spec.digest[:12]}…, expected {spec.digest[:12]}…): put the earlier one back, or encode into "
            "a space of its own"
        )
    return described


def _described(encoder: "Encoder") -> "Described":
    return encoders.Described(
        model=encoder.provenance.model,
        folder=Path(),
        revision=encoder.provenance.revision,
        spec=encoder.spec,
        query_prompt=encoder.spec.prompt,
    )
