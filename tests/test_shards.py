"""Encoding by shares: each process writes segments and receipts, and one commits them."""

import json
import shutil

import numpy as np
import pytest
from conftest import HashEncoder

import embedstore
from embedstore.errors import SpaceMismatchError, UsageError
from embedstore.vectors.shares import Share

ROWS = [{"t": f"text {i}" + " and so on and so on and more" * (i % 9 == 0)} for i in range(45)]
SMALL = embedstore.Settings(smallest_segment=10)


@pytest.fixture
def five(tmp_path, encoder):
    """A store with five text segments and no vectors."""
    made = embedstore.create(tmp_path / "home" / "five", encoder=encoder, settings=SMALL)
    made.add(ROWS, text="t")
    return made


def alone(store):
    """Return the vectors and the report of the same texts, encoded by one process."""
    other = embedstore.create(store.path.parent / "alone", encoder=HashEncoder(), settings=SMALL)
    other.add(ROWS, text="t")
    report = other.encode()
    return other.space().vectors(), report


def receipts(store):
    return sorted(path.name for path in (store.path / "receipts").glob("*"))


def files(store):
    return {path.relative_to(store.path).as_posix() for path in store.path.rglob("*") if path.is_file()}


def test_shares_that_are_collected_give_what_one_process_gives(five, encoder):
    before = five.manifest
    reports = [five.encode(shard=f"{i}/3") for i in (1, 2, 3)]
    assert five.manifest == before
    assert [report.encoded for report in reports] == [20, 15, 10]
    assert [report.shard for report in reports] == ["1/3", "2/3", "3/3"]
    assert len(encoder.encoded) == 45
    found = five.collect()
    assert found.collected == 5
    assert [(one.encoded, one.texts, one.missing) for one in found.spaces] == [(45, 45, ())]
    vectors, report = alone(five)
    assert np.array_equal(five.space().vectors(), vectors)
    assert five.space().truncated == report.truncated == sum(one.truncated for one in reports) == 5
    assert receipts(five) == []
    assert not five.verify().faults
    assert five.encode().encoded == 0


def test_a_share_stays_the_same_whatever_is_collected_or_added(five, encoder):
    five.encode(shard="2/3")
    five.collect()
    five.add([{"t": f"later {i}"} for i in range(20)], text="t", corpus="later")
    encoder.encoded.clear()
    five.encode(shard="1/3")
    five.encode(shard="3/3")
    assert encoder.encoded[:20] == [row["t"] for row in (*ROWS[:10], *ROWS[30:40])]
    assert not set(encoder.encoded) & {row["t"] for row in (*ROWS[10:20], *ROWS[40:])}
    assert five.encode(shard="2/3").encoded == 0


def test_collecting_what_is_there_says_what_is_missing(five, cli):
    five.encode(shard="2/2")
    done = cli("encode", "five", "--collect")
    assert done.returncode == 0, done.stderr
    key = five.space().key[:12]
    assert done.stdout.splitlines() == [
        "2 segments collected",
        f"hash ({key}): 20 of 45 texts encoded; 3 segments of 5 are missing (1, 3, 5): wait for the shards that have "
        "them, or run `embedstore encode STORE`",
    ]
    told = json.loads(cli("encode", "five", "--collect", "--json").stdout)
    assert (told["collected"], told["spaces"][0]["missing"]) == (0, [1, 3, 5])


def test_a_share_that_is_done_loads_no_model(demo_home, tmp_path, cli):
    shutil.copytree(demo_home / "demo", cli.home / "demo")
    store = embedstore.open(cli.home / "demo")
    store.add([{"t": f"a lamp, number {i}"} for i in range(4)], text="t", corpus="more")
    words = [
        "encode",
        "demo",
        "--corpus",
        "more",
        "--shard",
        f"{len(store.manifest.texts)}/{len(store.manifest.texts)}",
    ]
    first = cli(*words)
    assert first.returncode == 0, first.stderr
    assert "4 encoded now" in first.stdout
    assert "nothing is committed yet: `embedstore encode demo --collect` does that" in first.stderr
    again = cli(*words, "--no-encode")
    assert again.returncode == 0, again.stderr
    assert "4 already cached, 0 encoded now" in again.stdout


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0", "1/3 ", "-1/3", "1/99999999", "\u0661/\u0663", ""])
def test_a_wrong_share_is_one_clear_line(five, cli, shard):
    line = cli.fails(2, "encode", "five", f"--shard={shard}")
    assert f"expected a shard as i/n with i from 1 to n, such as 2/8, found {shard!r}" in line


def test_shares_take_no_files_and_are_not_collected_at_once(five, cli):
    (cli.home.parent / "rows.csv").write_text("t\na\n")
    assert "add its rows before" in cli.fails(2, "encode", "five", "rows.csv", "--text", "t", "--shard", "1/2")
    assert "add its rows before" in cli.fails(2, "encode", "five", "rows.csv", "--text", "t", "--collect")
    assert "found both" in cli.fails(2, "encode", "five", "--collect", "--shard", "1/2")


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_every_segment_is_in_one_share(of):
    shares = [Share.parse(f"{number}/{of}") for number in range(1, of + 1)]
    assert all(sum(share.has(segment) for share in shares) == 1 for segment in range(50))
    with pytest.raises(UsageError):
        Share.parse(f"{of + 1}/{of}")


def test_encoding_takes_over_what_waits(five, encoder):
    five.encode(shard="1/2")
    encoder.encoded.clear()
    report = five.encode()
    assert (report.cached, report.encoded) == (25, 20)
    assert len(encoder.encoded) == 20
    assert receipts(five) == []


def test_gc_leaves_what_waits_and_removes_what_is_committed(five, cli):
    five.encode(shard="1/2")
    waiting = receipts(five)
    five.gc()
    assert receipts(five) == waiting
    assert (five.gc().removed, five.gc().waiting) == ((), 3)
    assert "note: 3 finished segments wait for `embedstore encode five --collect`" in cli("gc", "five").stderr
    kept = {name: (five.path / "receipts" / name).read_bytes() for name in waiting}
    five.collect()
    five.gc()
    before = files(five)
    for name, content in kept.items():  # as if the process had been killed before it removed them
        (five.path / "receipts" / name).write_bytes(content)
    assert five.gc().removed == tuple(sorted(f"receipts/{name}" for name in waiting))
    assert files(five) == before
    assert not five.verify().faults


def test_a_segment_without_its_file_is_encoded_again(five, encoder, caplog):
    five.encode(shard="1/1")
    path = next((five.path / "vectors").iterdir())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    encoder.encoded.clear()
    report = five.encode()
    assert report.cached == 45 - report.encoded
    assert 5 <= len(encoder.encoded) <= 10
    assert "1 segment waited whose vectors are missing or altered: it is encoded again" in caplog.text
    assert len(five.gc().removed) >= 1
    assert receipts(five) == []
    assert not five.verify().faults


def test_a_share_is_held_to_the_vectors_of_the_others(five):
    """Nothing is committed yet, so the canaries are texts of another share."""
    five.encode(shard="1/2")
    other = HashEncoder(backend="other")
    other.vector = lambda text, prompt="": HashEncoder.vector(other, text + "!")
    with pytest.raises(SpaceMismatchError):
        embedstore.open(five.path, encoder=other).encode(shard="2/2")
    assert len(receipts(five)) == 3


def test_an_interrupted_share_keeps_what_is_done(five, encoder):
    class Interrupted(HashEncoder):
        def encode(self, texts, **options):
            if len(self.encoded) >= 20:
                raise KeyboardInterrupt
            return super().encode(texts, **options)

    with pytest.raises(KeyboardInterrupt):
        embedstore.open(five.path, encoder=Interrupted()).encode(shard="1/1")
    assert five.encode(shard="1/1").encoded == 25
    assert encoder.encoded == [row["t"] for row in ROWS[20:]]
