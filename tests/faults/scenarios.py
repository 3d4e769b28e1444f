"""Scenarios to run on a small store while faults are injected, and the checks afterwards.

A scenario gets a folder with the store, ``store``, and writes its outputs beside it.
"""

import hashlib
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import faiss  # noqa: F401  before the fork, like what follows, so that no child has to import it
import numpy as np
import pyarrow.pandas_compat  # noqa: F401
from conftest import HashEncoder
from embedstore.cli.main import group

import embedstore
import embedstore.annotations.book
import embedstore.corpora.ingest
import embedstore.encoders.backends
import embedstore.exports.arrays
import embedstore.exports.pipeline
import embedstore.incoming.importing
import embedstore.learning.training
import embedstore.maintenance.copying
import embedstore.maintenance.corpus_names
import embedstore.maintenance.sweeping
import embedstore.maintenance.verification
import embedstore.maps.picture
import embedstore.tagging.cosine
import embedstore.tagging.pipeline
import embedstore.vectors.collecting
import embedstore.vectors.encoding
import embedstore.vectors.indexing
import embedstore.vectors.neighbours
from embedstore.annotations.log import MERGED_AFTER, current_answers
from embedstore.corpora import writer
from embedstore.labels import LabelSet
from embedstore.maps.plane import Plane, keep_plane
from embedstore.storage import sealed
from embedstore.storage.segments import read_texts
from embedstore.vectors import Space

# Small segments, so that a store has several; an index is read at the first search.
SMALL = embedstore.Settings(smallest_segment=4, largest_segment=4, index_after=1)
LABELS = ["Negative", "Positive", "Neutral"]
LabelSet.of(LABELS).described()  # reads the shipped sets, before the fork too
WRONG, RIGHT = LABELS[:2]
WHO = "Ann"


def with_lists() -> None:
    """Seal records in this process when there are two, and keys too, so that small stores have lists and runs."""
    sealed.IN_MEMORY, sealed.IN_LIST = 2, 4
    writer.LEAST, writer.HELD = 3, 5


def rows(first: int, last: int) -> list[dict[str, Any]]:
    """Return rows numbered from `first` to `last` - 1; every third text repeats an earlier one."""
    texts_of = {i: f"review {i - 2 if i % 3 == 2 else i} 🙂\x00" for i in range(first, last)}
    return [{"key": f"k{i}", "review": text, "stars": i % 2} for i, text in texts_of.items()]


def opened(root: Path) -> embedstore.EmbeddingStore:
    return embedstore.open(root, encoder=HashEncoder(8), settings=SMALL)


def prepare(root: Path) -> None:
    """Make the initial store of the scenarios: rows with vectors, rows without, labels, an index, a map, a probe."""
    store = embedstore.create(root, encoder=HashEncoder(8), settings=SMALL)
    store.add(rows(0, 12), text="review", id="key")
    store.encode()
    store.tag(LABELS[:2])
    store.index("hnsw")
    store.train("stars")
    keep(store, corpus="train")
    store.add(rows(12, 24), text="review", id="key")


def keep(store: embedstore.EmbeddingStore, corpus: str) -> None:
    """Keep a map of a corpus: its texts on a line."""
    with store.snapshot() as now:
        positions = np.unique(now.corpus(corpus).positions())
        points = np.stack([positions, positions], axis=1).astype(np.float32)
        key = now.embeddings(None).key
        plane = Plane("tsne", 3, positions, points)
        keep_plane(now, corpus, key, plane, before=now.manifest.maps.get((key, corpus)))


def home(place: Path) -> embedstore.EmbeddingStore:
    """Open the store in the folder of a scenario."""
    return opened(place / "store")


def create(place: Path) -> None:
    store = embedstore.EmbeddingStore(place / "store", encoder=HashEncoder(8), settings=SMALL)
    store.add(rows(0, 12), text="review", id="key")
    store.encode()


def add(place: Path) -> None:
    home(place).add(rows(24, 36), text="review", id="key", corpus="more")


def append(place: Path) -> None:
    home(place).add(rows(24, 36), text="review", id="key")


def replace(place: Path) -> None:
    home(place).add(rows(20, 30), text="review", id="key", replace=True)


def encode(place: Path) -> None:
    home(place).encode()


def share(place: Path) -> None:
    store = home(place)
    for number in (1, 2):
        store.encode(shard=f"{number}/2")
    store.collect()


def index(place: Path) -> None:
    home(place).index("hnsw")


def lay_out(place: Path) -> None:
    keep(home(place), corpus="train")


def train(place: Path) -> None:
    home(place).encode()
    home(place).train("stars", name="second")


def tag(place: Path) -> None:
    store = home(place)
    store.encode()
    store.tag(LABELS).save(place / "tagged.csv")


def gc(place: Path) -> None:
    store = home(place)
    for label in ("one", "two"):
        store.search(label, k=1, exact=True) if store.space().covers([store.corpus()]) else None
    store.gc()


def search(place: Path) -> None:
    home(place).search("something new", k=3, corpus="few").save(place / "found.jsonl")


def predict(place: Path) -> None:
    home(place).predict("stars", corpus="few").save(place / "predicted.parquet")


def labels(place: Path) -> None:
    words = ["labels", "init", str(place / "store"), str(place / "labels.yaml"), "--target", "stars", "--force"]
    group.main([*words, "--corpus", "few"], standalone_mode=False)


def annotate(place: Path) -> None:
    """Answer each text: one is skipped, the others get the wrong label, which is taken back, and the right one."""
    session = home(place).annotations.session(LABELS[:2], corpus="few", who=WHO)
    if session.history and session.answers.get(session.history[-1]) == WRONG:
        session.undo()  # an earlier run has ended there
    while question := session.question:
        if question.text.startswith("review 1 "):
            session.skip()
            continue
        session.answer(WRONG)
        assert session.undo()
        session.answer(RIGHT)


def import_(place: Path) -> None:
    answers = [{"id": f"k{n}", "label": RIGHT} for n in range(4)]
    home(place).annotations.import_table(answers, LABELS[:2], corpus="few", who=WHO)


def repair(place: Path) -> None:
    home(place).repair()


def export(place: Path) -> None:
    store = home(place)
    for suffix in ("npy", "parquet", "h5"):
        store.export(place / f"vectors.{suffix}", corpus="wide")


def map_(place: Path) -> None:
    home(place).map(by="stars").plot(place / "map.html")


def take_in(place: Path) -> None:
    """Import rows with vectors that are found by their ids, in another order; one row is left to the model."""
    table = rows(24, 36)
    given = [table[number] for number in (7, 2, 0, 11, 5, 3, 9, 1, 10, 4, 6)]
    vectors = np.stack([HashEncoder(8).vector(row["review"]) for row in given])
    options = {"vectors": vectors, "ids": [row["key"] for row in given], "model": "hash"}
    home(place).import_vectors(table, text="review", id="key", corpus="taken", **options)


def rename(place: Path) -> None:
    store = home(place)
    if "few" in store.manifest.corpora:
        store.rename_corpus("few", "some")


def drop(place: Path) -> None:
    store = home(place)
    if "few" in store.manifest.corpora:
        store.drop_corpus("few")


def copy_store(place: Path) -> None:
    if not (place / "copied").exists():
        home(place).copy(place / "copied")


SCENARIOS: dict[str, Callable[[Path], None]] = {
    "create": create,
    "add": add,
    "append": append,
    "replace": replace,
    "encode": encode,
    "share": share,
    "index": index,
    "lay out": lay_out,
    "train": train,
    "tag": tag,
    "gc": gc,
    "search": search,
    "predict": predict,
    "labels": labels,
    "annotate": annotate,
    "import": import_,
    "take in": take_in,
    "rename": rename,
    "drop": drop,
    "copy": copy_store,
    "repair": repair,
    "export": export,
    "map": map_,
}


def before(place: Path, name: str) -> None:
    """Make the state before a scenario; its folder holds the store of `prepare`, except for "create"."""
    if name == "create":
        return
    store = home(place)
    if name == "gc":  # something to merge and something to remove
        store.encode()
        store.tag(["red", "blue"])
    if name in ("search", "predict", "labels", "annotate", "import", "export", "rename", "drop"):
        store.add(rows(0, 4), text="review", id="key", corpus="few")
    if name in ("rename", "drop"):
        keep(store, corpus="few")
        store.annotations.add(1, RIGHT, LABELS[:2], corpus="few", who=WHO)
    if name == "annotate":  # so many that the files of answers are merged on the way
        for number in range(MERGED_AFTER - 4):
            store.annotations.add(number % 3, ["Good", "Bad"][number % 2], ["Good", "Bad"], who="before")
    if name == "repair":
        damage(store)
    if name in ("export", "map"):
        store.encode()
    if name in ("search", "predict", "labels"):  # there are outputs from before
        for output in ("found.jsonl", "predicted.parquet", "labels.yaml"):
            (place / output).write_text("from before\n")
    if name == "export":  # outputs of several pages, and others from before
        wide = [{"key": f"w{n}", "review": row["review"]} for n, row in enumerate(rows(0, 12) * 50)]
        store.add(wide, text="review", id="key", corpus="wide")
        for suffix in ("npy", "parquet", "h5"):
            store.export(place / f"vectors.{suffix}", corpus="few")


def damage(store: embedstore.EmbeddingStore) -> None:
    """Damage a file of each kind that can be made again."""
    manifest = store.manifest
    (space,), (index_,) = manifest.spaces.values(), manifest.indexes.values()
    vectors = next(iter(space.segments.values()))
    map_file = next(iter(manifest.maps.values())).file
    lists = [one.file for one in space.vectors.records.lists[-1:]]
    for file in (vectors.file, index_.file, map_file, manifest.probes["stars"].arrays, *lists):
        path = store.path / file.path
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def facts_of(place: Path, name: str) -> dict[str, Any]:
    """Return the contents of the store and of the outputs in the folder of a scenario."""
    files = [path for path in place.iterdir() if path.is_file()]
    outputs = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.name[0] != "."}
    if name == "repair" and (faulty := set(home(place).verify().damaged)):
        return {"damaged": faulty, "outputs": outputs}
    copied = facts(place / "copied") if (place / "copied").exists() else None
    return {"damaged": set(), "outputs": outputs, "copied": copied, **facts(place / "store")}


FACTS = ("corpora", "covered", "queries", "indexes", "maps", "probes", "answers")


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
        return {name: {} if name in ("corpora", "indexes", "maps") else set() for name in FACTS}
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
                assert segment.file.sha256 in record.queries
        corpora = {}
        for corpus in now.corpora:
            keys = corpus.column("key").to_pylist()
            corpora[corpus.name] = list(zip(keys, (stored[p] for p in corpus.positions()), strict=True))
        answers = {(one.text, one.who, one.label) for one in current_answers(now)}
    queries = {text for segment in manifest.queries for text in read_texts(root, segment)}
    if manifest.indexes:
        corpus = store.corpus("train")
        if store.space().covers([corpus]):
            assert len(store.search(row=corpus.ids()[0].as_py(), k=3, corpus="train")) == 3
    return {
        "corpora": corpora,
        "covered": covered,
        "queries": queries,
        "indexes": {key: tuple(record.covers) for key, record in manifest.indexes.items()},
        "maps": {key: record.position.shape for key, record in manifest.maps.items()},
        "probes": set(manifest.probes),
        "answers": answers,
    }


def between(name: str, state: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Return whether a run without faults passes through this state."""
    if any(state["outputs"].get(name) not in whole_outputs(name, before, after) for name in after["outputs"]):
        return False
    if before["damaged"] and (state["damaged"] == before["damaged"] or state == after):
        return True
    return (
        not state["damaged"]
        and state["copied"] in (before["copied"], after["copied"])
        and state["corpora"] in (before["corpora"], after["corpora"])
        and before["covered"] <= state["covered"] <= after["covered"] | before["covered"]
        and before["queries"] <= state["queries"] <= after["queries"]
        and state["indexes"] in (before["indexes"], after["indexes"])
        and state["maps"] in (before["maps"], after["maps"])
        and state["probes"] in (before["probes"], after["probes"])
        and (
            state["answers"] in (before["answers"], after["answers"])
            if name != "annotate"
            else before["answers"] <= state["answers"] and one_wrong(state["answers"] - after["answers"])
        )
    )


def whole_outputs(name: str, before: dict[str, Any], after: dict[str, Any]) -> set[str | None]:
    """Return what an output may be: as before, as after; ids may be missing while vectors take the place of others."""
    return {before["outputs"].get(name), after["outputs"][name], *([None] if name.endswith(".ids.csv") else [])}


def one_wrong(answers: set[tuple[str, str, str]]) -> bool:
    """Return whether these are at most the one wrong answer that is going to be taken back."""
    return len(answers) <= 1 and all(label == WRONG for _, _, label in answers)


def mismatch(place: Path) -> str:
    """Return "" if exported vectors and the ids beside them are of one export, where both are there."""
    vectors, ids = place / "vectors.npy", place / "vectors.ids.csv"
    if not (vectors.exists() and ids.exists()):
        return ""
    found, named = len(np.load(vectors)), len(ids.read_text().splitlines()) - 1
    return "" if found == named else f"{found} vectors beside {named} ids"


def check(
    place: Path, name: str, before: dict[str, Any], after: dict[str, Any], *, acknowledged: bool, kept: bool = True
) -> str:
    """Return "" if all is sound after a fault and a second run completes it, else a description of the fault.

    If a run said that new vectors of labels and searches were used and not kept, as on a full disk, `kept` is False.
    """
    try:
        state = facts_of(place, name)
        if not between(name, state, before, after):
            return f"a state that no run passes through: {state}"
        if acknowledged and state != (after if kept else {**after, "queries": state["queries"]}):
            return f"acknowledged, and not there: {state}"
        if found := mismatch(place):
            return found
        encoder = HashEncoder(8)
        if name in ("encode", "tag", "train"):
            missing = len(after["covered"] - state["covered"])
            embedstore.open(place / "store", encoder=encoder, settings=SMALL).encode()
            if len(encoder.encoded) > missing:
                return f"encoded {len(encoder.encoded)} texts again where {missing} were missing"
        SCENARIOS[name](place)
        if facts_of(place, name) != after:
            return f"run again, it came to {facts_of(place, name)}"
        home(place).gc()
        if facts_of(place, name) != after:
            return "gc changed what there is"
        left = [path.name for path in place.rglob(".*") if path.name not in (".lock", ".rows.lock")]
        return f"left behind: {left}" if left else ""
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def copy(source: Path, target: Path) -> Path:
    """Replace `target` with a copy of `source` and return it."""
    if target.exists():
        shutil.rmtree(target)
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


def done_in_child(work: Callable[[], Any]) -> str:
    """Run `work` in a forked process, and return its result as text; it must not fail."""
    status, said = in_child(work)
    assert status == 0, said
    return said


def facts_in_child(place: Path, scenario: str) -> dict[str, Any]:
    """Return `facts_of` as a forked process finds them, so that this one keeps nothing open."""
    path = place.parent / "facts"
    done_in_child(lambda: path.write_bytes(pickle.dumps(facts_of(place, scenario))) and None)
    return pickle.loads(path.read_bytes())
