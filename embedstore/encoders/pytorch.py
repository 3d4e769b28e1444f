"""Pooled features and classifier logits with transformers on PyTorch."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.encoders.base import Described, finish
from embedstore.encoders.chatter import quiet
from embedstore.encoders.tokens import Batch, Tokenizer
from embedstore.errors import CheckpointError
from embedstore.spec import Provenance

__all__ = ["TorchEncoder", "load_checked"]

_SHOWN = 3


class TorchEncoder:
    """A transformer with a pooling, or with its classification head, held to a spec.

    Parameters
    ----------
    described : Described
        The checkpoint and its spec.
    device : str or None
        PyTorch device; None takes the best that there is.
    batch_size : int
        Texts per forward pass.

    Raises
    ------
    CheckpointError
        If transformers can't load it, or its weights are not those that its configuration asks for.
    """

    def __init__(self, described: Described, *, device: str | None, batch_size: int) -> None:
        import torch
        import transformers

        self.spec = described.spec
        self._described = described
        self._tokenizer = Tokenizer(described.transformer, self.spec.max_seq_length)
        if self.spec.pooling == "mean-padded" and not self._tokenizer.pads:
            raise CheckpointError(f"{described.model} has no padding token: mean-padded means nothing for it")
        head = described.head
        auto = transformers.AutoModelForSequenceClassification if head else transformers.AutoModel
        self._model = load_checked(auto, described.transformer)
        try:
            self._device = torch.device(device or _best_device())
            self._model.to(self._device).eval()
        except (RuntimeError, AssertionError) as error:
            reason = str(error).split("\n")[0]
            raise CheckpointError(f"the device {device!r} can't be used: {reason}") from error
        config = self._model.config
        if head and config.num_labels != len(head.labels):
            raise CheckpointError(f"{described.model} has {config.num_labels} logits and {len(head.labels)} labels")
        full = len(head.labels) if head else int(config.hidden_size)
        self.dimension = min(full, self.spec.truncate_dim or full)
        self._batch_size = batch_size
        self._takes_types = "token_type_ids" in inspect.signature(self._model.forward).parameters
        self.provenance = Provenance(
            model=described.model,
            revision=described.revision,
            backend="torch",
            device=str(self._device.type),
            precision="float32",
            batch_size=batch_size,
            versions=(("torch", torch.__version__), ("transformers", transformers.__version__)),
        )
        if not self._padding_is_harmless():
            self._batch_size = 1

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt: str | None = None,
        on_texts: Callable[[int], None] | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return one vector per text, shape (n, dim), float32, in order. See `Encoder.encode`."""
        padded = self.spec.pooling == "mean-padded"
        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        for batch in self._tokenizer.batches(
            texts,
            self.spec.prompt if prompt is None else prompt,
            self._batch_size,
            self._model.get_input_embeddings().num_embeddings,
            lambda longest: self.spec.max_seq_length if padded else longest,
        ):
            out[batch.rows] = finish(self._forward(batch), self._described)
            if on_texts:
                on_texts(len(batch.rows))
        return out

    def count_truncated(self, texts: Sequence[str]) -> int:
        """Return how many texts are longer than `max_seq_length` tokens, prompt and special tokens included."""
        return self._tokenizer.count_longer(texts, self.spec.prompt)

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
