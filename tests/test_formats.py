"""A small store of each format, as the release that introduced it wrote it, is read and goes on."""

import zipfile
from pathlib import Path

import pytest
from conftest import LABELS, HashEncoder

import embedstore
from embedstore.storage.manifest import FORMAT_VERSION, load

STORES = sorted(Path(__file__).with_name("formats").glob("format-*.zip"))
SMALL = embedstore.Settings(smallest_segment=4, largest_segment=4)
WORDS = ["fast", "slow", "kind", "", "cheap 🙂", "dear", "late", "on time", "broken", "new", "old\nand worn", "NA"]
TEXTS = [*WORDS, *(f"{word} again" for word in WORDS)]
ROWS = [
    {"key": f"k{number}", "text": text, "stars": number % 2, "class": LABELS[number % 2]}
    for number, text in enumerate(TEXTS)
]


def test_there_is_a_store_of_each_format():
    assert [path.stem for path in STORES] == [f"format-{number}" for number in range(1, FORMAT_VERSION + 1)]


@pytest.mark.parametrize("path", STORES, ids=lambda path: path.stem)
def test_a_store_of_each_format_is_read_and_goes_on(tmp_path, path):
    """Its answers are those of a store that is made now, before and after new rows."""
    with zipfile.ZipFile(path) as packed:
        packed.extractall(tmp_path / "kept")
    kept = embedstore.open(tmp_path / "kept", encoder=HashEncoder(), settings=SMALL)
    fresh = embedstore.create(tmp_path / "fresh", encoder=HashEncoder(), settings=SMALL)
    fresh.add(ROWS, text="text", id="key")
    fresh.encode()

    def check() -> None:
        assert kept.corpus().table().equals(fresh.corpus().table())
        assert kept.tag(LABELS).to_arrow().equals(fresh.tag(LABELS).to_arrow())
        for words, options in (((), {"row": "k5"}), (("fast",), {})):
            found, expected = (store.search(*words, **options, k=5).to_arrow() for store in (kept, fresh))
            assert found.equals(expected)
        assert len(kept.predict("stars").to_arrow()) == len(kept.corpus())
        assert [(row["text"], row["label"]) for row in kept.annotations.export_table().to_arrow().to_pylist()] == [
            ("fast", "Negative"),
            ("slow", "Positive"),
            ("on time", "Positive"),
        ]
        assert kept.verify().faults == ()

    check()
    more = [{"key": "new", "text": "a new one", "stars": 1, "class": LABELS[0]}, {**ROWS[2], "key": "again"}]
    for store in (kept, fresh):
        store.add(more, text="text", id="key")
        store.encode()
    assert load(kept.path).texts.rows == len(TEXTS) + 1
    check()
    kept.gc()
    check()
