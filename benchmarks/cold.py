"""Time whole commands with process start, against `python -c "import numpy, pyarrow"` and llm."""

import itertools
from pathlib import Path

from common import BIN, LABELS, command, llm, random_store, result, reviews, scratch, side_by_side

import embedstore
from embedstore.encoders import EncoderOptions, describe

OURS = BIN / "embedstore"
ENCODER = describe(None, EncoderOptions()).folder
imports = command(BIN / "python", "-c", "import numpy, pyarrow")
light = command(
    BIN / "python", "-c",
    "import numpy, sys, tokenizers; from safetensors import safe_open\n"
    "tokenizers.Tokenizer.from_file(sys.argv[1] + '/tokenizer.json')\n"
    "with safe_open(sys.argv[1] + '/model.safetensors', framework='np') as weights:\n"
    "    [weights.get_tensor(name) for name in weights.keys()]",
    ENCODER,
)  # fmt: skip

with scratch() as folder:
    random_store(f"{folder}/many", 100_000)
    home = {"EMBEDSTORE_HOME": folder}
    labels = [word for label in LABELS for word in ("-l", label)]
    tagged = f"{folder}/tagged.csv"
    works = {
        "info": command(OURS, "info", "many", **home),
        "tag of 100,000 rows, labels seen before": command(OURS, "tag", "many", *labels, "-o", tagged, **home),
        "search --row": command(OURS, "search", "many", "--row", "r500", **home),
    }
    found = side_by_side({**works, "limit": imports})
    with Path(tagged).open(encoding="utf-8") as stream:
        assert sum(1 for _ in stream) == 100_001
    assert "r500" not in works["search --row"]().splitlines()[1]
    for work, reach in zip(works, ("1.6", "3", "2"), strict=True):
        asked = f"{reach} x the limit"
        result(f"cold: {work}", found[work], found["limit"], "import numpy, pyarrow", {}, asked, "rows counted")

    # Searches with new texts, in a store of real vectors and in an llm collection of the same texts.
    texts = reviews(1000)
    store = embedstore.create(f"{folder}/reviews")
    store.add([{"text": text} for text in texts], text="text")
    store.encode()
    make, words = llm(Path(folder), texts)
    make(*words)()
    numbers = itertools.count()
    new = {
        "ours": lambda: command(OURS, "search", "reviews", f"warm and light, number {next(numbers)}", **home)(),
        "limit": light,
        "llm similar -c": lambda: make("similar", "texts", "-c", f"warm and light, number {next(numbers)}")(),
    }
    found = side_by_side(new, rounds=5)
    result(
        "cold: search with a new text",
        found["ours"],
        found["limit"],
        "tokenizer and weights read without torch",
        {"llm similar -c": found["llm similar -c"]},
        "2 x the limit",
        "the same vector as torch's to 2e-6 (tests)",
    )
