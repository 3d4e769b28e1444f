"""Sentence embeddings, pooled features and classifier logits with transformers on PyTorch.

On a CPU every core runs batches of its own, on one thread each: the small matrices of an encoder leave several
threads waiting for each other at every layer. Batches hold about `_TOKENS` tokens of texts of like length, so that
little is padding and what a layer hands to the next stays in the cache.
"""

import inspect
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.encoders.base import Described, OnTexts, Precision, finish
from embedstore.encoders.chatter import quiet
from embedstore.encoders.tokens import Batch, Tokenizer
from embedstore.errors import CheckpointError
from embedstore.spec import Provenance
from embedstore.vectors import lowest_cosine

__all__ = ["TorchEncoder", "computes_bfloat16", "load_checked"]

_SHOWN = 3
_TOKENS = {"cpu": 2048, "cuda": 65_536, "mps": 16_384}  # per batch, by device type
_LOWEST_COSINE = 0.9995  # of bfloat16 to float32, for "auto" to take it


class TorchEncoder:
    """A transformer with a pooling, or with its classification head, held to a spec.

    Parameters
    ----------
    described : Described
        The checkpoint and its spec.
    device : str or None
        PyTorch device; None takes the best that there is.
    batch_size : int or None
        Texts per forward pass; None fills batches by tokens.
    precision : {"auto", "float32", "bfloat16"}
        Of the transformer; pooling is always in float32. "auto" takes bfloat16 where the device computes it fast
        and every text of `sample` keeps a cosine of 0.9995, and float32 for logits.
    sample : sequence of str
        Texts that "auto" measures; without any it takes float32.

    Raises
    ------
    CheckpointError
        If transformers can't load it, or its weights are not those that its configuration asks for.
    """

    def __init__(
        self,
        described: Described,
        *,
        device: str | None,
        batch_size: int | None,
        precision: Precision = "auto",
        sample: Sequence[str] = (),
    ) -> None:
        import torch
        import transformers

        self.spec = described.spec
        self._described = described
        self._tokenizer = Tokenizer(described.transformer, self.spec.max_seq_length)
        if self.spec.pooling == "mean-padded" and not self._tokenizer.pads:
            raise CheckpointError(f"{described.model} has no padding token: mean-padded means nothing for it")
        head = described.head
        try:
            self._device = torch.device(device or _best_device())
            torch.empty(0, device=self._device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).split("\n")[0]
            raise CheckpointError(f"the device {device!r} can't be used: {reason}") from error
        self._model = self._loaded()
        config = self._model.config
        if head and config.num_labels != len(head.labels):
            raise CheckpointError(f"{described.model} has {config.num_labels} logits and {len(head.labels)} labels")
        full = len(head.labels) if head else int(config.hidden_size)
        self.dimension = min(full, self.spec.truncate_dim or full)
        self._batch_size = batch_size
        self._workers = torch.get_num_threads() if self._device.type == "cpu" else 1
        self._takes_types = "token_type_ids" in inspect.signature(self._model.forward).parameters
        if not self._padding_is_harmless():
            self._batch_size = 1
        self.provenance = Provenance(
            model=described.model,
            revision=described.revision,
            backend="torch",
            device=str(self._device.type),
            precision=self._settle(precision, sample),
            batch_size=self._batch_size or 0,
            versions=(("torch", torch.__version__), ("transformers", transformers.__version__)),
        )

    def encode(
        self, texts: Sequence[str], *, prompt: str | None = None, on_texts: OnTexts | None = None
    ) -> npt.NDArray[np.float32]:
        """Return one vector per text, shape (n, dim), float32, in order. See `Encoder.encode`."""
        padded = self.spec.pooling == "mean-padded"
        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        batches = self._tokenizer.batches(
            texts,
            self.spec.prompt if prompt is None else prompt,
            vocabulary=self._model.get_input_embeddings().num_embeddings,
            length_of=lambda longest: self.spec.max_seq_length if padded else longest,
            batch_size=self._batch_size,
            tokens=_TOKENS.get(self._device.type, _TOKENS["cpu"]),
        )
        for batch, pooled in self._computed(batches):
            out[batch.rows] = finish(pooled, self._described)
            if on_texts:
                on_texts(len(batch.rows), batch.truncated)
        return out

    def _computed(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, npt.NDArray[np.float32]]]:
        """Yield each batch with its pooled vectors; this thread tokenises while the workers compute."""
        import torch

        before = list(islice(batches := iter(batches), 2))
        if self._workers == 1 or len(before) < 2:
            yield from ((batch, self._forward(batch)) for batch in chain(before, batches))
            return
        threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(self._workers, initializer=torch.set_num_threads, initargs=(1,))
        try:
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
            torch.set_num_threads(threads)  # some libraries keep one number for all threads

    def _loaded(self) -> Any:
        import transformers

        head = self._described.head
        auto = transformers.AutoModelForSequenceClassification if head else transformers.AutoModel
        return load_checked(auto, self._described.transformer).to(self._device).eval()

    def _settle(self, precision: Precision, sample: Sequence[str]) -> str:
        """Bring the model to the precision asked for; return which that is."""
        import torch

        measured = precision == "auto"
        if precision == "float32" or (
            measured and (not sample or self._described.head or not computes_bfloat16(self._device))
        ):
            return "float32"
        exact = self.encode(sample) if measured else None
        self._model.to(torch.bfloat16)
        if exact is not None and not lowest_cosine(exact, self.encode(sample)) >= _LOWEST_COSINE:
            self._model = self._loaded()
            return "float32"
        return "bfloat16"

    def _padding_is_harmless(self) -> bool:
        """Return whether a short text comes out the same alone and padded.

        It does not where the last position is taken as the summary, or the padding token is not known.
        """
        if self._batch_size == 1 or self.spec.pooling == "mean-padded":
            return True
        short, long = "a", "a b c d e f g h"
        try:
            return bool(np.allclose(self.encode([short, long])[:1], self.encode([short]), atol=1e-3))
        except ValueError:  # transformers says so
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


def _pool(states: Any, mask: Any, pooling: str) -> Any:
    if pooling == "cls":
        return states[:, 0]
    if pooling == "max":
        return states.masked_fill(mask == 0, float("-inf")).amax(dim=1)
    if pooling == "mean-padded":
        return states.mean(dim=1)
    return (states * mask).sum(dim=1) / mask.sum(dim=1)


def computes_bfloat16(device: Any) -> bool:
    """Return whether a device has instructions for products in bfloat16."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, name, lambda: False)() for name in names)


def load_checked(auto: Any, folder: Path) -> Any:
    """Return `auto.from_pretrained(folder)` in float32, having looked that every weight is the checkpoint's own.

    Parameters
    ----------
    auto : type
        `AutoModel` or `AutoModelForSequenceClassification`.
    folder : Path
        Where its files are.

    Raises
    ------
    CheckpointError
        If a weight is missing (it would be random), of another shape, or of a layer that the configuration lacks.
    """
    import torch

    try:
        with quiet():
            model, found = auto.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:  # transformers raises whatever its parsers and models raise
        raise CheckpointError(f"the checkpoint in {folder} can't be loaded: {_reason(error)}") from error
    prefix = model.base_model_prefix + "."
    parts = {name.removeprefix(prefix).split(".")[0] for name in model.state_dict()}
    # The last hidden state does not pass through the pooler.
    headless = not hasattr(model, model.base_model_prefix)
    missing = sorted(key for key in found["missing_keys"] if not (headless and key.startswith("pooler.")))
    other = sorted(
        key
        for key in found["unexpected_keys"]
        if key.removeprefix(prefix).split(".")[0] in parts and not key.endswith(("position_ids", "token_type_ids"))
    )
    mismatched = sorted(str(key[0]) for key in found["mismatched_keys"])
    for keys, fault in (
        (mismatched, "have another shape than config.json says"),
        (missing, "are missing, and random ones are never used"),
        (other, "are not part of the model that config.json describes"),
    ):
        if keys:
            shown = ", ".join(keys[:_SHOWN]) + (", …" if len(keys) > _SHOWN else "")
            raise CheckpointError(f"the checkpoint in {folder} does not fit: {len(keys)} weights {fault} ({shown})")
    return model


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
