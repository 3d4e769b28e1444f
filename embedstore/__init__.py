"""Encode a corpus once, then label it, search it and train on it from cached vectors.

>>> import embedstore
>>> store = embedstore.open("indexes/reviews")  # doctest: +SKIP
>>> store.tag(["Negative", "Positive"])  # doctest: +SKIP
"""

TYPE_CHECKING = False  # as typing's, without the time of that import: `import embedstore` loads nothing

if TYPE_CHECKING:
    from embedstore.core.settings import Settings
    from embedstore.core.spec import EncoderSpec
    from embedstore.encoders import EncoderOptions
    from embedstore.errors import (
        CheckpointError,
        ClusterError,
        DamagedStoreError,
        EmbedstoreError,
        InputError,
        MissingExtraError,
        ModelRequiredError,
        NotFoundError,
        OutputError,
        SpaceMismatchError,
        StorageError,
        StoreBusyError,
        StoreFormatError,
        UsageError,
    )
    from embedstore.estimators import CachedEncoder, CosineLabelClassifier
    from embedstore.labels import LabelSet
    from embedstore.learning import TrainOptions
    from embedstore.store import EmbeddingStore, create
    from embedstore.store import open_store as open
    from embedstore.tables import ReadOptions

__version__ = "0.1.0"

__all__ = [
    "CachedEncoder",
    "CheckpointError",
    "ClusterError",
    "CosineLabelClassifier",
    "DamagedStoreError",
    "EmbeddingStore",
    "EmbedstoreError",
    "EncoderOptions",
    "EncoderSpec",
    "InputError",
    "LabelSet",
    "MissingExtraError",
    "ModelRequiredError",
    "NotFoundError",
    "OutputError",
    "ReadOptions",
    "Settings",
    "SpaceMismatchError",
    "StorageError",
    "StoreBusyError",
    "StoreFormatError",
    "TrainOptions",
    "UsageError",
    "create",
    "open",
]

_HOMES = {
    "CachedEncoder": "estimators",
    "CosineLabelClassifier": "estimators",
    "EmbeddingStore": "store",
    "EncoderOptions": "encoders",
    "EncoderSpec": "core.spec",
    "LabelSet": "labels",
    "ReadOptions": "tables",
    "Settings": "core.settings",
    "TrainOptions": "learning",
    "create": "store",
    "open": "store",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562), so that `import embedstore` loads nothing."""
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module 'embedstore' has no attribute {name!r}")
    module = import_module(f"embedstore.{_HOMES.get(name, 'errors')}")
    value = getattr(module, "open_store" if name == "open" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
