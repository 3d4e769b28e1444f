"""Time encoding of 3,000 short texts with 100 of a megabyte among them, against the short texts alone.

A third action has the beginnings of the long texts in their place, with all the tokens that the model reads of them.
What it takes longer than the short texts is the model's work on these tokens.
"""

import itertools
import json
from functools import partial

from common import BIN, Seconds, command, result, reviews, scratch, side_by_side

import embedstore
from embedstore.encoders import EncoderOptions, describe, load

SHORT, LONG, MEGABYTE = 3_000, 100, 1_000_000
BEGINNING = 1_500  # characters: somewhat more than 256 tokens
ENCODE = """
import json, pathlib, sys, time
import embedstore
store = embedstore.open(sys.argv[1])
cpu, start = time.process_time(), time.perf_counter()
report = store.encode()
seconds = time.perf_counter() - start, time.process_time() - cpu
# ru_maxrss would be that of the process which started this one, if it has more.
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
peak = 1024 * int(status["VmHWM"].split()[0])
print(json.dumps({"seconds": seconds, "peak": peak, "truncated": report.truncated}))
"""

given = reviews(SHORT)
short = [f"{text[:300]} {number}" for number, text in zip(range(SHORT), itertools.cycle(given))]
whole = " ".join(given)
whole *= -(-MEGABYTE // len(whole))
long = [f"{number} {whole[number : number + MEGABYTE]}" for number in range(LONG)]


def among(others: list[str]) -> list[str]:
    """Return the short texts with one of the others before every thirtieth."""
    return [
        text
        for place, text in enumerate(short)
        for text in ([others[place // 30], text] if place % 30 == 0 else [text])
    ]


CORPORA = {"short": short, "beginnings": among([text[:BEGINNING] for text in long]), "mixed": among(long)}

with scratch() as folder:
    numbers = itertools.count()
    told: dict[str, list[dict]] = {name: [] for name in CORPORA}

    def encode(name: str) -> None:
        """Add texts to a new store here, and encode them in a process of their own."""
        path = f"{folder}/{next(numbers)}"
        store = embedstore.create(path)
        store.add([{"text": text} for text in CORPORA[name]], text="text")
        told[name].append(json.loads(command(BIN / "python", "-c", ENCODE, path)()) | {"path": path})

    side_by_side({name: partial(encode, name) for name in CORPORA}, rounds=3)
    seconds = {name: Seconds.of([one["seconds"] for one in rounds[1:]]) for name, rounds in told.items()}
    peak = max(one["peak"] for one in told["mixed"])

    encoder = load(describe(None, EncoderOptions()), sample=short[:16])
    counted: list[int] = []
    encoder.encode(short + long, on_texts=lambda _, cut: counted.append(cut))
    for name in ("beginnings", "mixed"):
        assert {one["truncated"] for one in told[name]} == {sum(counted)}, (told, sum(counted))
    store = embedstore.open(told["mixed"][-1]["path"])
    vectors = dict(zip(CORPORA["mixed"], store.space().vectors(store.corpus()), strict=True))
    beginnings = encoder.encode([text[:20_000] for text in long])
    lowest = min(float(vectors[text] @ vector) for text, vector in zip(long, beginnings, strict=True))
    assert lowest > 0.9999, lowest
    result(
        f"encode {SHORT:,} short texts with {LONG} of 1 MB among them",
        seconds["mixed"],
        seconds["short"],
        "the short texts alone",
        {},
        "1.2 x the limit, less than 800 MB",
        f"{sum(counted):,} truncated texts, lowest cosine of a long text to its beginning {lowest:.5f}, "
        f"most memory {peak / 1e6:,.0f} MB; CPU {seconds['mixed'].cpu / seconds['short'].cpu:.2f} x the limit, and "
        f"{seconds['beginnings'].cpu / seconds['short'].cpu:.2f} x with the beginnings alone of the long texts",
    )
