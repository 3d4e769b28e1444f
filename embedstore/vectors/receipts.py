"""The receipt that an executor returns for a task, and its addition to the manifest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from embedstore.core.spec import Provenance
from embedstore.encoders import Described
from embedstore.storage.records import SpaceRecord, TextSegment, VectorSegment
from embedstore.storage.state import Manifest

__all__ = ["Receipt", "with_receipts"]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of a task: the text segment's hash, its vector segment, provenance and dimension.

    `kept` is the name of its file in the store's folder, "" if it has none; see `embedstore.vectors.waiting`. `worker`
    and `seconds` say who did it, and how long that took; "" is this process.
    """

    text: str
    segment: VectorSegment
    provenance: Provenance
    dimension: int
    kept: str = ""
    worker: str = ""
    seconds: float = 0.0


def with_receipts(
    manifest: Manifest,
    described: Described | SpaceRecord,
    receipts: Sequence[Receipt],
    *,
    queries: Sequence[TextSegment] = (),
) -> Manifest:
    """Return the manifest with receipts and query segments added; existing entries stay."""
    key = described.spec.key
    space = manifest.spaces.get(key) or SpaceRecord(
        spec=described.spec,
        dimension=receipts[0].dimension,
        model=described.model,
        revision=described.revision,
        query_prompt=described.query_prompt,
        head=described.head,
    )
    provenance = list(space.provenance)
    held = space.query_vectors if queries else space.vectors
    new: dict[str, VectorSegment] = {}
    for receipt in receipts:
        if receipt.provenance not in provenance:
            provenance.append(receipt.provenance)
        number = provenance.index(receipt.provenance)
        if receipt.text not in held:
            new.setdefault(receipt.text, replace(receipt.segment, provenance=number))
    grown = held.plus(new)
    space = replace(space, provenance=tuple(provenance))
    space = replace(space, queries=grown) if queries else replace(space, segments=grown)
    added = [segment for segment in queries if manifest.queries.place(segment.file.sha256) is None]
    return replace(manifest, spaces={**manifest.spaces, key: space}, queries=manifest.queries.plus(added))
