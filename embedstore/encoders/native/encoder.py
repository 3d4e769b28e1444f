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
_RUN, _CHARACTERS = 32, 8192  # of texts that a core takes at once; of long ones it takes few, so that all end together

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
        # Random order makes the estimate of the time left fair.
        parts = self._parts(texts)
        runs = [parts[number] for number in np.random.default_rng(0).permutation(len(parts))]
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

    def _parts(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """Return the rows of texts of similar length that a core takes at once."""
        lengths = np.minimum([len(text) for text in texts], _CHARACTERS)
        by_length = np.argsort(lengths, kind="stable")
        return [
            part
            for run in np.split(by_length, range(_RUN, len(texts), _RUN))
            for part in np.array_split(run, 1 + lengths[run].sum() // _CHARACTERS)
            if len(part)
        ]

    def _run(self, texts: Sequence[str], prompt: str, rows: npt.NDArray[np.int64], stop: threading.Event) -> Run:
        """Return some rows, their vectors, and how many of their texts were cut off."""
        encodings = self._tokenizer.encode([prompt + texts[row] for row in rows])
        vectors = np.empty((len(rows), self._packed.dimension), dtype=np.float32)
        ids = [np.array(encoding.ids or [0], dtype=np.int32) for encoding in encodings]
        largest = max(int(of_text.max()) for of_text in ids)
        if largest >= self._packed.vocabulary:
            raise unknown_token(largest, self._packed.vocabulary)
        memory = self._take_workspace()
        try:
            for first, last in self._blocks(ids):
                if stop.is_set():
                    return rows, vectors, 0  # nobody waits for it
                lengths = np.array([len(of_text) for of_text in ids[first:last]], dtype=np.int32)
                with refusals(f"the weights, tokenizer and config.json in {self._described.transformer} do not fit"):
                    block = np.concatenate(ids[first:last])
                    vectors[first:last] = binding.encode(self._packed.model, self._kernel, block, lengths, memory)
        finally:
            self._free.append(memory)
        return rows, finish(vectors, self._described), sum(bool(encoding.overflowing) for encoding in encodings)

    def _blocks(self, ids: list[npt.NDArray[np.int32]]) -> Iterator[tuple[int, int]]:
        """Yield the texts [first, last) of each block."""
        first = tokens = 0
        for number, of_text in enumerate(ids):
            if number > first and (number - first == self._batch_size or tokens + len(of_text) > self._tokens):
                yield first, number
                first, tokens = number, 0
            tokens += len(of_text)
        yield first, len(ids)

    def _take_workspace(self) -> npt.NDArray[np.uint8]:
        try:
            return self._free.pop()
        except IndexError:
            return self._workspace()

    def _workspace(self) -> npt.NDArray[np.uint8]:
        return binding.workspace(self._packed.model, self._tokens, self.spec.max_seq_length)
