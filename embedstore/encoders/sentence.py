"""Sentence embeddings of models that need their own modules, with sentence-transformers on PyTorch."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.guards import Lock
from embedstore.encoders.base import BatchEncoder, Described, Precision
from embedstore.encoders.loading import load_checked
from embedstore.encoders.quiet import offline, quiet_logs
from embedstore.encoders.reading import refusals
from embedstore.encoders.weights import read_headers

__all__ = ["SentenceEncoder"]

_BATCH_SIZE = 32
_RUN = 128  # texts between two progress reports


class SentenceEncoder(BatchEncoder):
    """An encoder that runs a `SentenceTransformer`.

    Parameters
    ----------
    described : Described
        The checkpoint and its spec.
    device, batch_size, precision
        As in `TorchEncoder`, but batches have 32 texts by default, and "auto" uses float32.

    Raises
    ------
    CheckpointError
        If sentence-transformers can't load the folder.
    """

    def __init__(
        self, described: Described, *, device: str | None, batch_size: int | None, precision: Precision = "auto"
    ) -> None:
        import sentence_transformers
        import torch
        import transformers

        self.spec = described.spec
        self._batch_size = batch_size or _BATCH_SIZE
        self._lock = Lock()  # a call can change its settings while another thread uses it
        with refusals(f"the checkpoint in {described.folder} can't be loaded"), offline(), quiet_logs():
            self._model = sentence_transformers.SentenceTransformer(
                str(described.folder),
                device=device,
                trust_remote_code=False,
                local_files_only=True,
                truncate_dim=self.spec.truncate_dim,
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            )
        _check_complete(self._model, described)
        if precision == "bfloat16":
            self._model.to(torch.bfloat16)
        self._model.eval()
        self._model.max_seq_length = self.spec.max_seq_length
        self._model.truncate_dim = self.spec.truncate_dim  # None would leave the one that was saved with the model
        # Dimensions are cut after the model's own normalisation, so the shorter vectors are normalised again.
        cut = self.spec.truncate_dim is not None
        self._normalize = self.spec.normalized and (cut or not _normalizes(self._model))
        full = int(self._model.get_embedding_dimension() or 0)
        self.dimension = min(full, self.spec.truncate_dim or full)
        self.provenance = described.provenance(
            backend="torch",
            device=str(self._model.device.type),
            precision="bfloat16" if precision == "bfloat16" else "float32",
            batch_size=self._batch_size,
            versions={
                "sentence-transformers": sentence_transformers.__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
        )

    def _runs(
        self, texts: Sequence[str], prompt: str
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], int]]:
        # Texts of similar length need little padding. Random order makes the estimate of the time left fair.
        by_length = np.argsort([len(text) for text in texts], kind="stable")
        starts = np.random.default_rng(0).permutation(np.arange(0, len(texts), _RUN))
        for start in starts:
            rows = by_length[start : start + _RUN]
            run = [texts[row] for row in rows]
            with self._lock.held():
                vectors = self._model.encode(
                    run,
                    prompt=prompt,
                    batch_size=self._batch_size,
                    normalize_embeddings=self._normalize,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                )
                truncated = self._truncated(run)
            yield rows, vectors, truncated

    def _truncated(self, texts: Sequence[str]) -> int:
        counted = self._model.tokenizer(
            [self.spec.prompt + text for text in texts],
            truncation=False,
            padding=False,
            return_attention_mask=False,
            verbose=False,
        )
        return sum(len(ids) > self.spec.max_seq_length for ids in counted["input_ids"])


def _check_complete(model: Any, described: Described) -> None:
    """Raise a `CheckpointError` if a weight of the transformer is not in its files: it would be random."""
    from transformers import AutoModel

    transformer = model[0].auto_model
    prefix = transformer.base_model_prefix + "."
    stored = {name.removeprefix(prefix) for name in read_headers(described.transformer, described.model)}
    stored |= {name.replace(".gamma", ".weight").replace(".beta", ".bias") for name in stored}
    if any(name not in stored for name in transformer.state_dict()):
        load_checked(AutoModel, described.transformer)  # handles renamed weights, and names the missing ones


def _normalizes(model: Any) -> bool:
    return any(type(module).__name__ == "Normalize" for module in model)
