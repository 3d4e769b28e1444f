"""Encode on a CPU that multiplies bfloat16 fast, without torch.

Each core takes the next texts, tokenises them, and runs them through all layers in blocks of about `_TOKENS` tokens,
end to end and without padding. What is between two layers of a block stays in the core's cache.
"""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from embedstore.core.parallel import cores
from embedstore.encoders.base import BatchEncoder, Described, Encoder, Precision, finish
from embedstore.encoders.fast_tokens import FirstTokens, unknown_token
from embedstore.encoders.native import binding
from embedstore.encoders.native.layout import PackedModel
from embedstore.encoders.parameters import is_known
from embedstore.encoders.reading import refusals
from embedstore.errors import CheckpointError

__all__ = ["NativeEncoder", "check", "load", "supports"]

_TOKENS = 1024  # per block; a longer text is a block of its own
_RUN = 32  # texts that a core takes at once
_RUN_CHARACTERS = 10 * _TOKENS  # two blocks of English; the cores are done at about the same time

Run = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], int]


def supports(described: Described) -> bool:
    """Return whether this machine has a native encoder for a checkpoint."""
    return bool(binding.kernels()) and is_known(described)


def load(
    described: Described, *, device: str | None, batch_size: int | None, precision: Precision, sample: Sequence[str]
) -> Encoder:
    """Return the native encoder of a checkpoint; see `embedstore.encoders.load`, and `check` for what it refuses."""
    check(described, device=device, precision=precision)
    return NativeEncoder(described, batch_size=batch_size)


def check(described: Described, *, device: str | None, precision: Precision) -> None:
    """Check that there is a native encoder for a checkpoint; see `embedstore.encoders.backends.check`.

    Raises
    ------
    CheckpointError
        If this machine has none, or none for this checkpoint, device or precision.
    """
    if not binding.kernels():
        found = "a CPU without bfloat16" if binding.is_built() else "an installation without its kernels"
        expected = "a CPU with AMX or AVX512-BF16, and the kernels, which are built where there is a C++ compiler"
    elif not is_known(described):
        expected = "a model of the BERT, DistilBERT, MPNet or RoBERTa kind with mean, cls or max pooling"
        found = described.model
    elif device not in (None, "cpu"):
        expected, found = "the device cpu", device
    elif precision == "float32":
        expected, found = "the precision auto or bfloat16", precision
    else:
        return
    raise CheckpointError(f"the native backend expected {expected}, found {found}: use the backend torch")


class NativeEncoder(BatchEncoder):
    """A BERT-like transformer with a pooling, by the kernels of `embedstore.encoders.native`.

    Each thread that encodes has a workspace of a few megabytes; all threads share the weights. A text's vector does not
    depend on the other texts, on their order or on the number of threads.

    Parameters
    ----------
    described : Described
        A checkpoint that `supports` accepts.
    batch_size : int or None
        The most texts per block; None fills blocks by tokens.
    kernel : int or None
        One of `binding.kernels`; None is the fastest.

    Raises
    ------
    CheckpointError
        If its tokenizer can't be read, or its weights are not those that ``config.json`` describes.
    """

    def __init__(self, described: Described, *, batch_size: int | None = None, kernel: int | None = None) -> None:
        self.spec = described.spec
        self._described = described
        self._batch_size = batch_size
        self._kernel = kernel or binding.kernels()[0]
        self._workers = cores()
        with refusals(f"the checkpoint in {described.transformer} can't be used"):
            self._packed = PackedModel(described)
            self._tokens = max(_TOKENS, self.spec.max_seq_length)
            self._free = deque([self._workspace()])
        self._tokenizer = FirstTokens(described)
        self.dimension = min(self._packed.dimension, self.spec.truncate_dim or self._packed.dimension)
        self.provenance = described.provenance(
            backend="native",
            device="cpu",
            precision="bfloat16",
            batch_size=batch_size or 0,
            versions={"kernel": binding.KERNELS[self._kernel], "tokenizers": self._tokenizer.version},
        )

    def _runs(self, texts: Sequence[str], prompt: str) -> Iterator[Run]:
        characters = np.array([len(text) for text in texts], dtype=np.int64)
        rows = np.argsort(characters, kind="stable")
        read = np.minimum(characters[rows], 5 * self.spec.max_seq_length)
        runs = [rows[first:last] for first, last in _pieces(read.tolist(), _RUN_CHARACTERS, _RUN)]
        np.random.default_rng(0).shuffle(runs)  # makes the estimate of the time left fair
        stop = threading.Event()
        if self._workers == 1 or len(runs) < 2:
            yield from (self._run(texts, prompt, rows, stop) for rows in runs)
            return
        pool = ThreadPoolExecutor(self._workers)
        try:
            waiting: deque[Future[Run]] = deque()
            for rows in runs:
                waiting.append(pool.submit(self._run, texts, prompt, rows, stop))
                if len(waiting) > 2 * self._workers:
                    yield waiting.popleft().result()
            yield from (done.result() for done in waiting)
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)

    def _run(self, texts: Sequence[str], prompt: str, rows: npt.NDArray[np.int64], stop: threading.Event) -> Run:
        """Return some rows, their vectors, and how many of their texts were cut off."""
        tokens = self._tokenizer.encode([texts[row] for row in rows], prompt)
        vectors = np.empty((len(rows), self._packed.dimension), dtype=np.float32)
        ids = [np.array(of_text.ids or [0], dtype=np.int32) for of_text in tokens]
        largest = max(int(of_text.max()) for of_text in ids)
        if largest >= self._packed.vocabulary:
            raise unknown_token(largest, self._packed.vocabulary)
        memory = self._take_workspace()
        try:
            for first, last in _pieces(list(map(len, ids)), self._tokens, self._batch_size):
                if stop.is_set():
                    return rows, vectors, 0  # nobody waits for it
                lengths = np.array(list(map(len, ids[first:last])), dtype=np.int32)
                with refusals(f"the weights, tokenizer and config.json in {self._described.transformer} do not fit"):
                    block = np.concatenate(ids[first:last])
                    vectors[first:last] = binding.encode(self._packed.model, self._kernel, block, lengths, memory)
        finally:
            self._free.append(memory)
        return rows, finish(vectors, self._described), sum(of_text.cut for of_text in tokens)

    def _take_workspace(self) -> npt.NDArray[np.uint8]:
        try:
            return self._free.pop()
        except IndexError:
            return self._workspace()

    def _workspace(self) -> npt.NDArray[np.uint8]:
        return binding.workspace(self._packed.model, self._tokens, self.spec.max_seq_length)


def _pieces(sizes: list[int], most: int, count: int | None) -> Iterator[tuple[int, int]]:
    """Yield pieces [first, last) of one text, or of up to `count` texts of the size `most` together."""
    first = together = 0
    for number, size in enumerate(sizes):
        if number > first and (number - first == count or together + size > most):
            yield first, number
            first, together = number, 0
        together += size
    if sizes:
        yield first, len(sizes)
