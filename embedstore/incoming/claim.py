"""The claim that a model made given vectors: prove it, or keep the vectors apart as unproven; then write them."""

import logging
import os
from dataclasses import replace
from typing import Any

import numpy as np

from embedstore.core.names import near_model
from embedstore.core.values import clip
from embedstore.encoders import Described, EncoderOptions, models_here
from embedstore.errors import CheckpointError
from embedstore.incoming.checking import (
    check_all_rows,
    check_model,
    check_repeats,
    check_stored,
    check_whole_segments,
)
from embedstore.incoming.executor import ClaimedEncoder, GivenExecutor
from embedstore.incoming.reading import Given
from embedstore.storage.manifest import commit
from embedstore.storage.state import Manifest
from embedstore.vectors.encoding import encode
from embedstore.vectors.loader import Loader
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space
from embedstore.vectors.unproven import unproven_name, unproven_spec

__all__ = ["Claim", "claimed_model"]

logger = logging.getLogger(__name__)

_SHOWN = 60  # characters of a name


def claimed_model(
    now: Snapshot, model: str, options: EncoderOptions, revision: str | None, *, no_encode: bool
) -> Described | None:
    """Return the checkpoint that is claimed; None if it is not to be loaded, or is not on this machine.

    Raises
    ------
    CheckpointError
        If something is wrong with it; or if it is not here and its name may be a slip for that of another model.
    """
    names = [space.model.removeprefix(unproven_name("")) for space in now.manifest.spaces.values()]
    near = near_model(model, [*names, *models_here()])
    if no_encode:
        if near:
            logger.warning("the vectors are taken for those of %r: did you mean %r?", model, near)
        return None
    try:
        return now.models.describe(now.manifest, model, options, revision)
    except CheckpointError as error:
        if os.path.isdir(model):  # noqa: PTH112 - Path.is_dir raises an error for names that the system refuses
            raise
        if near:
            raise CheckpointError(
                f"no model {clip(model, _SHOWN)!r} is here: did you mean {near!r}? If the vectors are those of another "
                "model, import them unproven with --no-encode"
            ) from error
        logger.warning("%s; so the vectors are imported as unproven", error)
        return None


class Claim:
    """Given vectors and the model that is said to have made them.

    Parameters
    ----------
    now : Snapshot
        The state of the store.
    given : Given
        The vectors.
    model : str
        The model's name.
    options : EncoderOptions
        How the vectors were made.
    described : Described or None
        The checkpoint; None if it is not at hand.

    Attributes
    ----------
    spec : EncoderSpec
        What the vectors are: those of the checkpoint, or unproven ones.
    model : str
        The name of the model of their space.
    """

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
