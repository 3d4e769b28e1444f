"""What a store holds, in figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.corpus import Corpus
from embedstore.space import Space
from embedstore.storage.records import Manifest

__all__ = ["describe_store"]


def describe_store(root: Path, manifest: Manifest, tables: Sequence[Corpus]) -> dict[str, Any]:
    """Return corpora, spaces, indexes, probes and sizes (bytes) as a JSON object."""
    texts = sum(text.count for text in manifest.texts)
    spaces = []
    for key in manifest.spaces:
        space = Space(root, manifest, key)
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
                "head": space.record.head.to_json() if space.record.head else None,
                "provenance": [p.to_json() for p in space.record.provenance],
            }
        )
    corpora = [
        {
            "name": table.name,
            "rows": len(table),
            "distinct_texts": _distinct(table.positions(), texts),
            "empty": sum(part.empty for part in table.record.parts),
            "text": table.record.template,
            "id": table.record.id_column or None,
            "columns": table.schema.names,
        }
        for table in tables
    ]
    return {
        "path": str(root),
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
        "annotations": sum(part.count for part in manifest.annotations),
        "probes": [{"name": name, "space": record.space} for name, record in manifest.probes.items()],
    }


def _distinct(positions: npt.NDArray[np.int64], texts: int) -> int:
    seen = np.zeros(max(texts, 1 + positions.max(initial=-1)), dtype=bool)
    seen[positions] = True
    return int(np.count_nonzero(seen))
