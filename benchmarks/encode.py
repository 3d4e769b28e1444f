"""Time encoding of reviews, against sentence-transformers and plain bfloat16 products.

The models are the bundled one and all-mpnet-base-v2, which is fetched into .cache/models if it can be had.
"""

import sys
import threading

import numpy as np
import torch
from common import ROOT, result, reviews, side_by_side, through_a_store
from mpnet import checkpoint
from sentence_transformers import SentenceTransformer

from embedstore.core.unit import lowest_cosine
from embedstore.encoders import Described, EncoderOptions, describe, load
from embedstore.errors import CheckpointError


def measure(name: str, described: Described, texts: list[str], reach: str) -> None:
    """Encode texts into a new store, and with sentence-transformers in its own way."""
    encoder = load(described, sample=texts[:16])
    peer = SentenceTransformer(str(described.folder), device="cpu")
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        """Encode into a new store."""
        found["ours"] = through_a_store(encoder, texts)

    def theirs() -> None:
        """Encode with sentence-transformers and its defaults."""
        found["peer"] = peer.encode(texts)

    counted = peer.tokenizer(texts, truncation=True, max_length=described.spec.max_seq_length)
    tokens = sum(map(len, counted["input_ids"]))
    products = products_of(peer[0].auto_model.config, tokens)
    seconds = side_by_side({"ours": ours, "peer": theirs, "limit": products}, rounds=3)
    lowest = lowest_cosine(found["ours"], found["peer"])
    assert lowest >= 0.9995, lowest
    made = encoder.provenance
    result(
        f"encode {len(texts):,} reviews ({tokens:,} tokens) with {name}: {made.backend}, {made.precision}",
        seconds["ours"],
        seconds["limit"],
        "the model's own matrix products in bfloat16, by torch",
        {"SentenceTransformer.encode": seconds["peer"]},
        reach,
        f"lowest cosine to the peer's vectors {lowest:.5f}",
        ratio_to_peer=seconds["peer"] / seconds["ours"],
    )


def products_of(config, tokens: int):
    """Return a function that multiplies so many tokens by matrices of a model's shapes, in bfloat16, on every core."""
    cores, batch = torch.get_num_threads(), 512
    hidden, inner, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    shapes = [(hidden, hidden)] * 4 + [(hidden, inner), (inner, hidden)]

    def work() -> None:
        torch.set_num_threads(1)
        pairs = [(torch.ones(batch, i).bfloat16(), torch.ones(o, i).bfloat16()) for i, o in shapes]
        with torch.inference_mode():
            for _ in range(tokens * layers // (batch * cores)):
                for vectors, weights in pairs:
                    torch.nn.functional.linear(vectors, weights)

    def products() -> None:
        threads = [threading.Thread(target=work) for _ in range(cores)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        torch.set_num_threads(cores)

    return products


measure(
    "the bundled model",
    describe(None, EncoderOptions()),
    reviews(2000),
    "7 x the peer with AMX, 2.8 x with AVX512-BF16 alone",
)
try:
    folder = checkpoint(ROOT / ".cache" / "models")
except CheckpointError as error:
    print(f"all-mpnet-base-v2 was not measured: {error}", file=sys.stderr)
else:
    measure("all-mpnet-base-v2", describe(str(folder), EncoderOptions()), reviews(100), "8 x the peer with AMX")
