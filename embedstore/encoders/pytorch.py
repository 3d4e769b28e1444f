"""Sentence embeddings, pooled features and classifier logits with transformers on PyTorch.

On a CPU, each core runs its own batches on one thread: the matrices of an encoder are small, and several threads
would wait for each other at every layer. Batches hold about `_TOKENS` tokens of texts of similar length. So there is
little padding, and the output of a layer stays in the cache for the next layer.
"""

import inspect
import os
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.counts import counted
from embedstore.core.guards import Lock
from embedstore.core.parsing import first_line
from embedstore.core.unit import lowest_cosine
from embedstore.encoders.base import LOWEST_COSINE, BatchEncoder, Described, Encoder, Precision, finish
from embedstore.encoders.loading import load_checked
from embedstore.encoders.tokens import Batch, Tokenizer
from embedstore.errors import CheckpointError

__all__ = ["TorchEncoder", "computes_bfloat16", "load", "usable_device"]

_TOKENS = {"cpu": 2048, "cuda": 65_536, "mps": 16_384}  # per batch, by device type
_STARTING = Lock()


def load(
    described: Described, *, device: str | None, batch_size: int | None, precision: Precision, sample: Sequence[str]
) -> Encoder:
    """Return an encoder on PyTorch; see `embedstore.encoders.load`."""
    if described.plain:
        return TorchEncoder(described, device=device, batch_size=batch_size, precision=precision, sample=sample)
    from embedstore.encoders.sentence import SentenceEncoder

    usable_device(device)
    return SentenceEncoder(described, device=device, batch_size=batch_size, precision=precision)


def _forget_threads() -> None:
    # In the child of a fork, the threads that torch had are gone; see `embedstore.core.parallel`.
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


os.register_at_fork(after_in_child=_forget_threads)


class TorchEncoder(BatchEncoder):
    """A transformer with a pooling or its classification head, on PyTorch.

    Parameters
    ----------
    described : Described
        The checkpoint and its spec.
    device : str or None
        PyTorch device; None is the best available device.
    batch_size : int or None
        Texts per forward pass; None fills batches by tokens.
    precision : {"auto", "float32", "bfloat16"}
        The precision of the transformer; pooling is always in float32. "auto" uses bfloat16 if the device computes
        it fast and every text of `sample` keeps a cosine of `lowest_cosine`. For logits it uses float32.
    sample : sequence of str
        Texts that "auto" compares in both precisions; without them "auto" uses float32.
    tokens : int or None
        Tokens per batch, padding included; None is the number for the device type in `_TOKENS`.
    lowest_cosine : float
        The lowest cosine between bfloat16 and float32 vectors at which "auto" uses bfloat16; 0.9995 by default.

    Raises
    ------
    CheckpointError
        If transformers can't load the checkpoint, its weights do not fit its configuration, or the device can't be
        used.
    """

    def __init__(
        self,
        described: Described,
        *,
        device: str | None,
        batch_size: int | None,
        precision: Precision = "auto",
        sample: Sequence[str] = (),
        tokens: int | None = None,
        lowest_cosine: float = LOWEST_COSINE,
    ) -> None:
        import torch
        import transformers

        self.spec = described.spec
        self._described = described
        self._tokenizer = Tokenizer(described.transformer, self.spec.max_seq_length)
        if self.spec.pooling == "mean-padded" and not self._tokenizer.pads:
            raise CheckpointError(f"{described.model} has no padding token for mean-padded: choose another pooling")
        head = described.head
        self._device = usable_device(device)
        self._model = self._loaded()
        config = self._model.config
        if head and config.num_labels != len(head.labels):
            raise CheckpointError(
                f"{described.model} has {counted(config.num_labels, 'logit')} and {counted(len(head.labels), 'label')}"
                ", expected equally many: mend id2label in its config.json"
            )
        full = len(head.labels) if head else int(config.hidden_size)
        self.dimension = min(full, self.spec.truncate_dim or full)
        self._batch_size = batch_size
        self._tokens = tokens
        self._lowest_cosine = lowest_cosine
        self._workers = torch.get_num_threads() if self._device.type == "cpu" else 1
        self._takes_types = "token_type_ids" in inspect.signature(self._model.forward).parameters
        if not self._padding_is_harmless():
            self._batch_size = 1
        self.provenance = described.provenance(
            backend="torch",
            device=str(self._device.type),
            precision=self._settle(precision, sample),
            batch_size=self._batch_size or 0,
            versions={"torch": torch.__version__, "transformers": transformers.__version__},
        )

    def _runs(
        self, texts: Sequence[str], prompt: str
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], int]]:
        padded = self.spec.pooling == "mean-padded"
        batches = self._tokenizer.batches(
            texts,
            prompt,
            vocabulary=self._model.get_input_embeddings().num_embeddings,
            length_of=lambda longest: self.spec.max_seq_length if padded else longest,
            batch_size=self._batch_size,
            tokens=self._tokens or _TOKENS.get(self._device.type, _TOKENS["cpu"]),
        )
        for batch, pooled in self._computed(batches):
            yield batch.rows, finish(pooled, self._described), batch.truncated

    def _computed(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, npt.NDArray[np.float32]]]:
        """Yield each batch with its pooled vectors; this thread tokenises while the workers compute."""
        before = list(islice(batches := iter(batches), 2))
        if self._workers == 1 or len(before) < 2:
            yield from ((batch, self._forward(batch)) for batch in chain(before, batches))
            return
        pool = ThreadPoolExecutor(self._workers)
        try:
            _limit_to_one_thread(pool, self._workers)
            waiting: deque[Any] = deque()
            for batch in chain(before, batches):
                waiting.append((batch, pool.submit(self._forward, batch)))
                if len(waiting) > 2 * self._workers:
                    done, pooled = waiting.popleft()
                    yield done, pooled.result()
            for done, pooled in waiting:
                yield done, pooled.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _loaded(self) -> Any:
        import transformers

        head = self._described.head
        auto = transformers.AutoModelForSequenceClassification if head else transformers.AutoModel
        return load_checked(auto, self._described.transformer).to(self._device).eval()

    def _settle(self, precision: Precision, sample: Sequence[str]) -> str:
        """Set the model to the given precision; return the precision used."""
        import torch

        measured = precision == "auto"
        if precision == "float32" or (
            measured and (not sample or self._described.head or not computes_bfloat16(self._device))
        ):
            return "float32"
        exact = self.encode(sample) if measured else None
        self._model.to(torch.bfloat16)
        if exact is not None and not lowest_cosine(exact, self.encode(sample)) >= self._lowest_cosine:
            self._model = self._loaded()
            return "float32"
        return "bfloat16"

    def _padding_is_harmless(self) -> bool:
        """Return whether a short text has the same vector alone and padded.

        The vectors differ if the model takes the last position as the summary, or does not know the padding token.
        """
        if self._batch_size == 1 or self.spec.pooling == "mean-padded":
            return True
        short, long = "a", "a b c d e f g h"
        try:
            return bool(np.allclose(self.encode([short, long])[:1], self.encode([short]), atol=1e-3))
        except ValueError:  # transformers raises it if there is no padding token
            return False

    def _forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        import torch

        inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        if batch.types is not None and self._takes_types:
            inputs["token_type_ids"] = batch.types
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(array).to(self._device) for name, array in inputs.items()}
            output = self._model(**tensors)
            if self._described.head:
                return np.asarray(output.logits.float().cpu().numpy())
            states = output.last_hidden_state.float()
            mask = tensors["attention_mask"].unsqueeze(-1)
            return np.asarray(_pool(states, mask, self.spec.pooling).cpu().numpy())


def _limit_to_one_thread(pool: ThreadPoolExecutor, workers: int) -> None:
    """Start all threads of a pool, each with one thread of torch, and leave torch's other threads as they are.

    `torch.set_num_threads` sets the number of the calling thread, and that of all threads that use torch later. So
    the second one is set back when all workers have started, and other encoders wait until then.
    """
    import torch

    all_here = threading.Barrier(workers + 1)

    def limit() -> None:
        torch.set_num_threads(1)
        all_here.wait()

    with _STARTING.held():
        threads = torch.get_num_threads()
        try:
            for _ in range(workers):
                pool.submit(limit)
            all_here.wait()
        except BaseException:
            all_here.abort()  # not all could start: those that did stop waiting
            raise
        finally:
            torch.set_num_threads(threads)


def _pool(states: Any, mask: Any, pooling: str) -> Any:
    if pooling == "cls":
        return states[:, 0]
    if pooling == "max":
        return states.masked_fill(mask == 0, float("-inf")).amax(dim=1)
    if pooling == "mean-padded":
        return states.mean(dim=1)
    return (states * mask).sum(dim=1) / mask.sum(dim=1)


def computes_bfloat16(device: Any) -> bool:
    """Return whether a device has instructions for matrix products in bfloat16."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, name, lambda: False)() for name in names)


def usable_device(device: str | None) -> Any:
    """Return the torch device of a name, by default the best one; raise a `CheckpointError` if it can't be used."""
    import torch

    try:
        found = torch.device(device or _best_device())
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise CheckpointError(
            f"the device {device!r} can't be used: {first_line(error)}; name another, such as cpu"
        ) from error
    return found


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
