"""Time encoding of 3,000 short texts with 100 of a megabyte among them, against the short texts alone."""

import itertools
import json

import numpy as np
from common import BIN, command, result, reviews, scratch, side_by_side

import embedstore
from embedstore.encoders import EncoderOptions, describe, load

SHORT, LONG, MEGABYTE = 3_000, 100, 1_000_000
ENCODE = """
import json, resource, sys, time
import embedstore
store = embedstore.open(sys.argv[1])
start = time.perf_counter()
report = store.encode()
seconds = time.perf_counter() - start
peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"seconds": seconds, "peak": peak, "truncated": report.truncated, "encoded": report.encoded}))
"""

given = reviews(SHORT)
short = [f"{text[:300]} {number}" for number, text in zip(range(SHORT), itertools.cycle(given))]
whole = " ".join(given)
whole *= -(-MEGABYTE // len(whole))
long = [f"{number} {whole[number : number + MEGABYTE]}" for number in range(LONG)]
mixed = [
    text for place, text in enumerate(short) for text in ([long[place // 30], text] if place % 30 == 0 else [text])
]

with scratch() as folder:
    numbers = itertools.count()
    told: dict[str, list[dict]] = {"short": [], "mixed": []}

    def encode(name: str, texts: list[str]) -> None:
        """Add texts to a new store here, and encode them in a process of their own."""
        path = f"{folder}/{next(numbers)}"
        store = embedstore.create(path)
        store.add([{"text": text} for text in texts], text="text")
        told[name].append(json.loads(command(BIN / "python", "-c", ENCODE, path)()) | {"path": path})

    side_by_side({"short": lambda: encode("short", short), "mixed": lambda: encode("mixed", mixed)}, rounds=3)
    seconds = {name: float(np.median([one["seconds"] for one in rounds[1:]])) for name, rounds in told.items()}
    peak = max(one["peak"] for one in told["mixed"])

    encoder = load(describe(None, EncoderOptions()), sample=short[:16])
    counted: list[int] = []
    encoder.encode(short + long, on_texts=lambda _, cut: counted.append(cut))
    assert {one["truncated"] for one in told["mixed"]} == {sum(counted)}, (told, sum(counted))
    store = embedstore.open(told["mixed"][-1]["path"])
    vectors = dict(zip(mixed, store.space().vectors(store.corpus()), strict=True))
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
        f"most memory {peak / 1e6:,.0f} MB",
    )
