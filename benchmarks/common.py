"""Shared parts of the benchmarks: timing side by side, stores to measure, and the format of a result."""

import hashlib
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import embedstore
from embedstore.core.spec import EncoderSpec, Provenance
from embedstore.encoders import Encoder, EncoderOptions, describe

ROOT = Path(__file__).parent.parent
BIN = ROOT / ".venv" / "bin"
PEERS = ROOT / "build" / "peers" / "bin"
LABELS = ["one", "two", "three", "four", "five"]


class RandomEncoder:
    """An encoder of random unit vectors that depend only on the texts; a million texts take seconds."""

    def __init__(self, dimension: int = 384, dtype: str = "float32") -> None:
        self.dimension = dimension
        digest = hashlib.sha256(b"random").hexdigest()
        self.spec = EncoderSpec(digest=digest, pooling="none", normalized=True, max_seq_length=8, dtype=dtype)
        self.provenance = Provenance(
            model="random", revision="", backend="numpy", device="cpu", precision="float32", batch_size=1, versions=()
        )

    def encode(self, texts, *, prompt=None, on_texts=None):
        """Return vectors seeded with the first text."""
        seed = int.from_bytes(hashlib.sha256(texts[0].encode()).digest()[:8], "little")
        vectors = np.random.default_rng(seed).standard_normal((len(texts), self.dimension), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Remembered:
    """An encoder that returns precomputed vectors, to store all or some of them again or in another dtype."""

    def __init__(self, texts: Sequence[str], vectors: np.ndarray, dtype: str = "float32") -> None:
        self._rows = dict(zip(texts, vectors, strict=True))
        self.dimension = vectors.shape[1]
        digest = hashlib.sha256(b"remembered").hexdigest()
        self.spec = EncoderSpec(digest=digest, pooling="none", normalized=True, max_seq_length=8, dtype=dtype)
        self.provenance = RandomEncoder().provenance

    def encode(self, texts, *, prompt=None, on_texts=None):
        """Return the vectors of known texts, and random vectors for all others (labels)."""
        drawn = RandomEncoder(self.dimension)
        rows = [self._rows[text] if text in self._rows else drawn.encode([text])[0] for text in texts]
        if on_texts:
            on_texts(len(texts), 0)
        return np.stack(rows)


def random_store(folder: Path, rows: int, dimension: int = 384) -> "embedstore.EmbeddingStore":
    """Make a store of distinct short texts with random vectors, and with cached vectors of LABELS."""
    store = embedstore.create(folder, encoder=RandomEncoder(dimension))
    for start in range(0, rows, 100_000):
        stop = min(rows, start + 100_000)
        table = {"id": [f"r{i}" for i in range(start, stop)], "text": [f"text number {i}" for i in range(start, stop)]}
        store.add(pd.DataFrame(table), text="text", id="id")
        store.encode()
    store.tag(LABELS)
    os.sync()  # otherwise the timing includes background writes to the disk
    return store


def through_a_store(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """Encode into a new store (tokenize, compute, count truncated texts, write); return the vectors."""
    with scratch() as folder:
        store = embedstore.create(f"{folder}/store", encoder=encoder)
        store.add([{"text": text} for text in texts], text="text")
        store.encode()
        return store.space().vectors(store.corpus())


class Seconds(float):
    """The median seconds of some rounds, with the shortest, the longest, and the median of the CPU's seconds.

    The CPU's seconds are of all threads, and of the processes that an action waited for. Other work on the machine
    makes a round longer, and its CPU time much less so.
    """

    least: float
    most: float
    cpu: float

    @classmethod
    def of(cls, rounds: Sequence[tuple[float, float]]) -> "Seconds":
        """Return the figures of rounds, each (seconds, seconds of the CPU)."""
        made = cls(statistics.median(seconds for seconds, _ in rounds))
        made.least, made.most = min(rounds)[0], max(rounds)[0]
        made.cpu = statistics.median(cpu for _, cpu in rounds)
        return made


def cpu_seconds() -> float:
    """Return the CPU's seconds so far, of this process and of those that it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def side_by_side(actions: Mapping[str, Callable[[], object]], rounds: int = 7) -> dict[str, Seconds]:
    """Return the seconds of each action over `rounds` rounds, with the actions in turn, after a warm-up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            time.sleep(0.15)  # OpenBLAS threads spin for 0.13 s after a product and would slow the next action
            cpu, start = cpu_seconds(), time.perf_counter()
            action()
            if number:
                times[name].append((time.perf_counter() - start, cpu_seconds() - cpu))
    return {name: Seconds.of(values) for name, values in times.items()}


def command(*words: object, **environment: str) -> Callable[[], str]:
    """Return a function that runs a command in a separate process and returns its whole output."""

    def run() -> str:
        every = {**os.environ, **environment}
        done = subprocess.run([str(word) for word in words], env=every, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stderr}")
        return done.stdout

    return run


def llm(folder: Path, texts: Sequence[str]) -> tuple[Callable[..., Callable[[], str]], list[object]]:
    """Set up llm with the bundled model; return a function that makes llm commands, and the words of `embed-multi`."""
    place = folder / "llm"
    place.mkdir()
    (place / "texts.json").write_text(json.dumps([{"id": str(n), "text": text} for n, text in enumerate(texts)]))
    model = describe(None, EncoderOptions()).folder

    def make(*words: object) -> Callable[[], str]:
        return command(PEERS / "llm", *words, LLM_USER_PATH=str(place))

    make("sentence-transformers", "register", model)()
    return make, ["embed-multi", "texts", place / "texts.json", "-m", f"sentence-transformers/{model}", "--store"]


def result(
    work: str,
    ours: float,
    limit: float,
    limit_is: str,
    peers: Mapping[str, float],
    reach: str,
    checked: str,
    **more: object,
) -> None:
    """Print one line of the table as JSON."""
    line = {"work": work, "ours": ours, "limit": limit, "limit_is": limit_is, "peers": dict(peers), "reach": reach}
    figures = {"ours": ours, "limit": limit, **peers}
    rounds = {
        name: {"least": value.least, "most": value.most, "cpu": value.cpu}
        for name, value in figures.items()
        if isinstance(value, Seconds)
    }
    print(json.dumps({**line, "rounds": rounds, "checked": checked, **more}), flush=True)


def scratch() -> "tempfile.TemporaryDirectory[str]":
    """Return a temporary folder, to use as a context manager."""
    return tempfile.TemporaryDirectory(prefix="embedstore-bench-")


def reviews(most: int | None = None) -> list[str]:
    """Return the distinct texts of the corpus named by BENCH_CORPUS and BENCH_TEXT, or the shipped reviews."""
    from embedstore.demo import TEST, TRAIN

    path = os.environ.get("BENCH_CORPUS")
    frames = [pd.read_csv(path)] if path else [pd.read_csv(TRAIN), pd.read_csv(TEST)]
    column = os.environ.get("BENCH_TEXT") or ("text" if path else "review")
    texts = pd.concat(frames)[column].dropna().astype(str).drop_duplicates()
    return texts.sample(min(most or len(texts), len(texts)), random_state=0).tolist()
