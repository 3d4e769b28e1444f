"""Sentence embeddings of models with modules of their own, with sentence-transformers on PyTorch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.encoders.base import Described, OnTexts, Precision
from embedstore.encoders.chatter import quiet
from embedstore.encoders.pytorch import load_checked
from embedstore.encoders.weights import check_weights
from embedstore.errors import CheckpointError
from embedstore.spec import Provenance

__all__ = ["SentenceEncoder"]

_BATCH_SIZE = 32
_RUN = 128  # texts between two reports of progress


class SentenceEncoder:
    """A `SentenceTransformer`, held to a spec.

    Parameters
    ----------
    described : Described
        The checkpoint and its spec.
    device : str or None
        PyTorch device; None takes the best that there is.
    batch_size : int or None
        Texts per forward pass; None takes 32.
    precision : {"auto", "float32", "bfloat16"}
        Of the model; "auto" takes float32.

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
        try:
            with quiet():
                self._model = sentence_transformers.SentenceTransformer(
                    str(described.folder),
                    device=device,
                    trust_remote_code=False,
                    local_files_only=True,
                    truncate_dim=self.spec.truncate_dim,
                    model_kwargs={"use_safetensors": True, "dtype": torch.float32},
                )
        except Exception as error:  # torch, safetensors and transformers each raise their own
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(f"the checkpoint in {described.folder} can't be loaded: {reason}") from error
        _check_complete(self._model, described)
        if precision == "bfloat16":
            self._model.to(torch.bfloat16)
        self._model.eval()
        self._model.max_seq_length = self.spec.max_seq_length
        # Dimensions are cut after the model's own normalisation, so that what is left needs another.
        cut = self.spec.truncate_dim is not None
        self._normalize = self.spec.normalized and (cut or not _normalizes(self._model))
        full = int(self._model.get_embedding_dimension() or 0)
        self.dimension = min(full, self.spec.truncate_dim or full)
        self.provenance = Provenance(
            model=described.model,
            revision=described.revision,
            backend="torch",
            device=str(self._model.device.type),
            precision="bfloat16" if precision == "bfloat16" else "float32",
            batch_size=self._batch_size,
            versions=(
                ("sentence-transformers", sentence_transformers.__version__),
                ("torch", torch.__version__),
                ("transformers", transformers.__version__),
            ),
        )

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt: str | None = None,
        on_texts: OnTexts | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return one vector per text, shape (n, dim), float32, in order. See `Encoder.encode`."""
        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        # Runs of texts of like length waste no padding; shuffled, they make the time left a fair guess.
        by_length = np.argsort([len(text) for text in texts], kind="stable")
        starts = np.random.default_rng(0).permutation(np.arange(0, len(texts), _RUN))
        for start in starts:
            rows = by_length[start : start + _RUN]
            out[rows] = self._model.encode(
                [texts[row] for row in rows],
                prompt=self.spec.prompt if prompt is None else prompt,
                batch_size=self._batch_size,
                normalize_embeddings=self._normalize,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
            if on_texts:
                on_texts(len(rows), self._truncated([texts[row] for row in rows]))
        return out

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
    """Raise a `CheckpointError` if the transformer has weights that its files do not: they would be random."""
    from transformers import AutoModel

    transformer = model[0].auto_model
    prefix = transformer.base_model_prefix + "."
    stored = {name.removeprefix(prefix) for name in check_weights(described.transformer, described.model)}
    stored |= {name.replace(".gamma", ".weight").replace(".beta", ".bias") for name in stored}
    if any(name not in stored for name in transformer.state_dict()):
        load_checked(AutoModel, described.transformer)  # knows of renamed weights, and says which are missing


def _normalizes(model: Any) -> bool:
    return any(type(module).__name__ == "Normalize" for module in model)
