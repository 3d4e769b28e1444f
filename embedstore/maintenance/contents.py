"""Describe what a store holds."""

from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.masks import distinct, mask_of
from embedstore.vectors.snapshot import Snapshot
from embedstore.vectors.space import Space

__all__ = ["describe"]


def describe(now: Snapshot) -> dict[str, Any]:
    """Return the store's contents as a JSON object: corpora, spaces, indexes, maps, probes and sizes (bytes)."""
    manifest, texts = now.manifest, now.manifest.texts.rows  # no list is read
    spaces = []
    for key, record in manifest.spaces.items():
        space = Space(now.texts, record)
        spaces.append(
            {
                "key": key,
                "model": space.record.model,
                "revision": space.record.revision,
                "dimension": space.dimension,
                "texts": space.count,
                "queries": record.query_vectors.records.rows,
                "coverage": space.count / texts if texts else 1.0,
                "truncated": space.truncated,
                "bytes": record.vectors.records.totals[1] + record.query_vectors.records.totals[1],
                "spec": space.spec.to_json(),
                "query_prompt": space.record.query_prompt,
                "head": space.record.head.to_json() if space.record.head else None,
                "provenance": [p.to_json() for p in space.record.provenance],
            }
        )
    corpora = [
        {
            "name": table.name,
            "rows": len(table),
            "distinct_texts": _distinct(table.positions()),
            "empty": int(np.count_nonzero(~now.texts.answerable(table.positions()))),
            "text": table.record.template,
            "id": table.record.id_column or None,
            "columns": table.schema.names,
        }
        for table in now.corpora
    ]
    return {
        "path": str(now.root),
        "sequence": manifest.sequence,
        "texts": texts,
        "segments": len(manifest.texts),
        "bytes": manifest.size,
        "corpora": corpora,
        "spaces": spaces,
        "indexes": [
            {"space": key, "kind": record.kind, "texts": record.count, "bytes": record.file.size}
            for key, record in manifest.indexes.items()
        ],
        "maps": [
            {"corpus": corpus, "space": key, "method": record.method, "texts": record.position.shape[0]}
            for (key, corpus), record in manifest.maps.items()
        ],
        "annotations": sum(part.count for part in manifest.annotations),
        "probes": [{"name": name, "space": record.space} for name, record in manifest.probes.items()],
    }


def _distinct(positions: npt.NDArray[np.int64]) -> int:
    end = 1 + int(positions.max(initial=-1))
    if end > 1_000 + 16 * len(positions):  # a mask would take more memory than the positions
        return len(distinct(positions))
    return int(np.count_nonzero(mask_of(positions, end)))
