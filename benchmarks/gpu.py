"""Time encoding on a GPU, against sentence-transformers with its defaults and in bfloat16 with large batches.

`BENCH_MODEL` names the checkpoint's folder; by default it is the bundled one. `BENCH_TEXTS` is the number of texts.
"""

import os

import numpy as np
import torch
from common import result, reviews, side_by_side, through_a_store
from sentence_transformers import SentenceTransformer

from embedstore.core.unit import lowest_cosine
from embedstore.encoders import EncoderOptions, describe, load

DEVICE = os.environ.get("BENCH_DEVICE", "cuda")
TEXTS = int(os.environ.get("BENCH_TEXTS", "64000"))

given = reviews()
texts = [f"{given[number % len(given)]} {number}" for number in range(TEXTS)]
described = describe(os.environ.get("BENCH_MODEL"), EncoderOptions())
encoder = load(described, sample=texts[:16], device=DEVICE)
exact, fast = (SentenceTransformer(str(described.folder), device=DEVICE) for _ in range(2))
fast.bfloat16()
found: dict[str, np.ndarray] = {}


def ours() -> None:
    """Encode into a new store."""
    found["ours"] = through_a_store(encoder, texts)


def theirs() -> None:
    """Encode with sentence-transformers and its defaults."""
    found["peer"] = exact.encode(texts)


def theirs_in_bfloat16() -> None:
    """Encode with sentence-transformers in bfloat16, 1,024 texts a batch."""
    fast.encode(texts, batch_size=1024, convert_to_tensor=True).float().cpu()


def products() -> None:
    """Multiply as many tokens by matrices of the model's shapes, in bfloat16."""
    hidden, inner, batch = config.hidden_size, config.intermediate_size, 65_536
    shapes = [(hidden, hidden)] * 4 + [(hidden, inner), (inner, hidden)]
    pairs = [[torch.ones(rows, i, device=DEVICE).bfloat16() for rows in (batch, o)] for i, o in shapes]
    with torch.inference_mode():
        for _ in range(-(-tokens * config.num_hidden_layers // batch)):
            for vectors, weights in pairs:
                made = torch.nn.functional.linear(vectors, weights)
    made[0, 0].item()  # waits for all


config = exact[0].auto_model.config
counted = exact.tokenizer(given, truncation=True, max_length=described.spec.max_seq_length)["input_ids"]
tokens = sum(map(len, counted)) * TEXTS // len(given)
seconds = side_by_side(
    {"ours": ours, "peer": theirs, "bfloat16": theirs_in_bfloat16, "limit": products},
    rounds=3,
)
lowest = lowest_cosine(found["ours"], found["peer"])
assert lowest >= 0.9995, lowest
made = encoder.provenance
card = torch.cuda.get_device_name() if DEVICE == "cuda" else DEVICE
result(
    f"encode {TEXTS:,} reviews ({tokens:,} tokens) on {card}, hidden size {config.hidden_size}: {made.precision}",
    seconds["ours"],
    seconds["limit"],
    "the model's own matrix products in bfloat16, by torch",
    {"SentenceTransformer.encode": seconds["peer"], "the same in bfloat16, 1,024 a batch": seconds["bfloat16"]},
    "faster than either",
    f"lowest cosine to the peer's vectors {lowest:.5f}",
    ratio_to_peer=seconds["peer"] / seconds["ours"],
)
