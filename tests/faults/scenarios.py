"""What is done to a small store while faults are injected, and what must hold of it afterwards."""

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
from embedstore import index as indexing
from embedstore import output, texts
from embedstore.space import Space, text_starts, texts_at
from embedstore.storage import files
from embedstore.storage.segments import read_texts

texts._SMALLEST = texts._LARGEST = 4  # a few segments, of a few texts
indexing._PAYS = 1  # an index is read at the first search

LABELS = ["Negative", "Positive", "Neutral"]


def rows(first: int, last: int) -> list[dict[str, Any]]:
    """Return rows numbered from `first` to `last` - 1; every third text repeats an earlier one."""
    texts_of = {i: f"review {i - 2 if i % 3 == 2 else i} 🙂\x00" for i in range(first, last)}
    return [{"key": f"k{i}", "review": text, "stars": i % 2} for i, text in texts_of.items()]


def opened(root: Path) -> embedstore.EmbeddingStore:
    return embedstore.open(root, encoder=HashEncoder(8))


def prepare(root: Path) -> None:
    """Make the store that every scenario begins with: rows with vectors, rows without, labels, an index, a probe."""
    store = embedstore.create(root, encoder=HashEncoder(8))
    store.add(rows(0, 12), text="review", id="key")
    store.encode()
    store.tag(LABELS[:2])
    store.index("hnsw")
    store.train("stars")
    store.add(rows(12, 24), text="review", id="key")


def create(root: Path) -> None:
    store = embedstore.EmbeddingStore(root, encoder=HashEncoder(8))
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
    joined = store.tagging(LABELS)
    output.write_table(joined.tables(), joined.schema, root / "tagged.csv")


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
    """Return what a store holds, every vector of it compared with the encoder's.

    Raises
    ------
    AssertionError
        If a vector is not that of its text, or `verify` finds a fault.
    """
    try:
        store = opened(root)
    except embedstore.NotFoundError:
        return {"corpora": {}, "covered": set(), "queries": set(), "indexes": {}, "probes": set()}
    manifest = store.manifest
    report = store.verify()
    assert not report.faults, report.faults
    encoder = HashEncoder(8)
    positions = np.arange(text_starts(manifest)[-1])
    stored = texts_at(root, manifest, positions)
    assert len(set(stored)) == len(stored), "a text is kept twice"
    covered = set()
    for key, record in manifest.spaces.items():
        for block in Space(root, manifest, key).blocks():
            for offset, vector in enumerate(block.vectors):
                text = stored[block.start + offset]
                assert np.array_equal(vector, encoder.vector(text)), f"a wrong vector for {text!r}"
                covered.add(text)
        for segment in manifest.queries:
            assert segment.file.sha256 in record.segments
    corpora = {}
    for name, record in manifest.corpora.items():
        corpus = embedstore.corpus.Corpus(root, name, record)
        keys = corpus.column("key").to_pylist()
        corpora[name] = list(zip(keys, (stored[p] for p in corpus.positions()), strict=True))
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
    """Return whether a state is one of those that a run passes through."""
    return (
        state["corpora"] in (before["corpora"], after["corpora"])
        and before["covered"] <= state["covered"] <= after["covered"] | before["covered"]
        and before["queries"] <= state["queries"] <= after["queries"]
        and state["indexes"] in (before["indexes"], after["indexes"])
        and state["probes"] in (before["probes"], after["probes"])
    )


def check(root: Path, name: str, before: dict[str, Any], after: dict[str, Any], *, acknowledged: bool) -> str:
    """Return "" if a store that a fault hit is sound and the same run again completes it, or else what is wrong."""
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
            embedstore.open(root, encoder=encoder).encode()
            if len(encoder.encoded) > missing:
                return f"encoded {len(encoder.encoded)} texts again where {missing} were missing"
        SCENARIOS[name](root)
        if facts(root) != after:
            return f"run again, it came to {facts(root)}"
        opened(root).gc()
        if facts(root) != after:
            return "gc changed what there is"
        left = [path.name for path in root.rglob("*") if path.name.startswith(files.TEMP_PREFIX)]
        return f"left behind: {left}" if left else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def copy(source: Path, target: Path) -> Path:
    """Return `target`, a fresh copy of `source`."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


def in_child(work: Callable[[], Any]) -> tuple[int, str]:
    """Run `work` in a forked process; return its exit status (as of `os.waitpid`) and what it returned or raised."""
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
