"""Scenarios to run on a small store while faults are injected, and the checks afterwards."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from conftest import HashEncoder

import embedstore
import embedstore.annotations.book
import embedstore.learning.training
import embedstore.maintenance
import embedstore.tagging.pipeline
import embedstore.vectors.indexing
import embedstore.vectors.neighbours  # before the fork, like the others, so that no child has to import it
from embedstore.storage.gate import TEMP_PREFIX
from embedstore.storage.segments import read_texts
from embedstore.vectors import Space

# Small segments, so that a store has several; an index is read at the first search.
SMALL = embedstore.Settings(smallest_segment=4, largest_segment=4, index_after=1)
LABELS = ["Negative", "Positive", "Neutral"]


def rows(first: int, last: int) -> list[dict[str, Any]]:
    """Return rows numbered from `first` to `last` - 1; every third text repeats an earlier one."""
    texts_of = {i: f"review {i - 2 if i % 3 == 2 else i} 🙂\x00" for i in range(first, last)}
    return [{"key": f"k{i}", "review": text, "stars": i % 2} for i, text in texts_of.items()]


def opened(root: Path) -> embedstore.EmbeddingStore:
    return embedstore.open(root, encoder=HashEncoder(8), settings=SMALL)


def prepare(root: Path) -> None:
    """Make the initial store of the scenarios: rows with vectors, rows without, labels, an index, a probe."""
    store = embedstore.create(root, encoder=HashEncoder(8), settings=SMALL)
    store.add(rows(0, 12), text="review", id="key")
    store.encode()
    store.tag(LABELS[:2])
    store.index("hnsw")
    store.train("stars")
    store.add(rows(12, 24), text="review", id="key")


def create(root: Path) -> None:
    store = embedstore.EmbeddingStore(root, encoder=HashEncoder(8), settings=SMALL)
    store.add(rows(0, 12), text="review", id="key")
    store.encode()


def add(root: Path) -> None:
    opened(root).add(rows(24, 36), text="review", id="key", corpus="more")


def append(root: Path) -> None:
    opened(root).add(rows(24, 36), text="review", id="key")


def replace(root: Path) -> None:
    opened(root).add(rows(20, 30), text="review", id="key", replace=True)


def encode(root: Path) -> None:
    opened(root).encode()


def index(root: Path) -> None:
    opened(root).index("hnsw")


def train(root: Path) -> None:
    opened(root).encode()
    opened(root).train("stars", name="second")


def tag(root: Path) -> None:
    store = opened(root)
    store.encode()
    store.tag(LABELS).save(root / "tagged.csv")


def gc(root: Path) -> None:
    store = opened(root)
    for label in ("one", "two"):
        store.search(label, k=1, exact=True) if store.space().covers([store.corpus()]) else None
    store.gc()


SCENARIOS: dict[str, Callable[[Path], None]] = {
    "create": create,
    "add": add,
    "append": append,
    "replace": replace,
    "encode": encode,
    "index": index,
    "train": train,
    "tag": tag,
    "gc": gc,
}


def facts(root: Path) -> dict[str, Any]:
    """Return the contents of a store, after a comparison of every vector with the encoder's.

    Raises
    ------
    AssertionError
        If a vector differs from the encoder's vector of its text, or `verify` finds a fault.
    """
    try:
        store = opened(root)
    except embedstore.NotFoundError:
        return {"corpora": {}, "covered": set(), "queries": set(), "indexes": {}, "probes": set()}
    manifest = store.manifest
    report = store.verify()
    assert not report.faults, report.faults
    encoder = HashEncoder(8)
    with store.snapshot() as now:
        positions = np.arange(len(now.texts))
        stored = now.texts.at(positions)
        assert len(set(stored)) == len(stored), "a text is kept twice"
        covered = set()
        for record in manifest.spaces.values():
            for block in Space(now.texts, record).blocks():
                for offset, vector in enumerate(block.vectors):
                    text = stored[block.start + offset]
                    assert np.array_equal(vector, encoder.vector(text)), f"a wrong vector for {text!r}"
                    covered.add(text)
            for segment in manifest.queries:
                assert segment.file.sha256 in record.segments
        corpora = {}
        for corpus in now.corpora:
            keys = corpus.column("key").to_pylist()
            corpora[corpus.name] = list(zip(keys, (stored[p] for p in corpus.positions()), strict=True))
    queries = {text for segment in manifest.queries for text in read_texts(root, segment)}
    if manifest.indexes:
        corpus = store.corpus("train")
        if store.space().covers([corpus]):
            assert len(store.search(row=corpus.ids()[0].as_py(), k=3, corpus="train")) == 3
    return {
        "corpora": corpora,
        "covered": covered,
        "queries": queries,
        "indexes": {key: record.covers for key, record in manifest.indexes.items()},
        "probes": set(manifest.probes),
    }


def between(state: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Return whether a run without faults passes through this state."""
    return (
        state["corpora"] in (before["corpora"], after["corpora"])
        and before["covered"] <= state["covered"] <= after["covered"] | before["covered"]
        and before["queries"] <= state["queries"] <= after["queries"]
        and state["indexes"] in (before["indexes"], after["indexes"])
        and state["probes"] in (before["probes"], after["probes"])
    )


def check(root: Path, name: str, before: dict[str, Any], after: dict[str, Any], *, acknowledged: bool) -> str:
    """Return "" if a store is sound after a fault and a second run completes it, else a description of the fault."""
    try:
        state = facts(root)
        if not between(state, before, after):
            return f"a state that no run passes through: {state}"
        if acknowledged and state != after:
            return f"acknowledged, and not there: {state}"
        tagged = root / "tagged.csv"
        whole = (root.parent / "after" / "tagged.csv").read_bytes() if name == "tag" else b""
        if tagged.exists() and tagged.read_bytes() != whole:
            return "a table that is not whole"
        missing = len(after["covered"] - state["covered"])
        encoder = HashEncoder(8)
        if name in ("encode", "tag", "train"):
            embedstore.open(root, encoder=encoder, settings=SMALL).encode()
            if len(encoder.encoded) > missing:
                return f"encoded {len(encoder.encoded)} texts again where {missing} were missing"
        SCENARIOS[name](root)
        if facts(root) != after:
            return f"run again, it came to {facts(root)}"
        opened(root).gc()
        if facts(root) != after:
            return "gc changed what there is"
        left = [path.name for path in root.rglob("*") if path.name.startswith(TEMP_PREFIX)]
        return f"left behind: {left}" if left else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def copy(source: Path, target: Path) -> Path:
    """Replace `target` with a copy of `source` and return it."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


def in_child(work: Callable[[], Any]) -> tuple[int, str]:
    """Run `work` in a forked process; return its exit status (as in `os.waitpid`) and its result or error as text."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            result = work()
            os.write(writer, str(result or "").encode()[:60_000])
            code = 0
        except (OSError, embedstore.EmbedstoreError) as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode()[:60_000])
            code = 10
        except BaseException as error:
            os.write(writer, f"unexpected {type(error).__name__}: {error}".encode()[:60_000])
            code = 11
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read().decode()
    return os.waitpid(child, 0)[1], said
