"""Texts to padded batches of token ids, the same for every backend."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.encoders.chatter import quiet
from embedstore.errors import CheckpointError

__all__ = ["Batch", "Tokenizer"]

_RUN = 512  # texts that are tokenised at once


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids of some texts, padded to one length.

    Attributes
    ----------
    rows : ndarray of shape (n,), int64
        Which of the texts these are.
    ids, mask : ndarray of shape (n, length), int64
        Token ids, and 1 where there is a token, 0 where there is padding.
    types : ndarray of shape (n, length), int64, or None
        Token types, where the tokenizer gives them.
    """

    rows: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64] | None


class Tokenizer:
    """The tokenizer of a checkpoint, held to a maximum length.

    Parameters
    ----------
    folder : Path
        Where its files are.
    max_seq_length : int
        Tokens after which a text is cut off, special tokens included.

    Raises
    ------
    CheckpointError
        If transformers can't load it.
    """

    def __init__(self, folder: Path, max_seq_length: int) -> None:
        from transformers import AutoTokenizer

        self._longest = max_seq_length
        try:
            with quiet():
                self._tokenizer: Any = AutoTokenizer.from_pretrained(
                    str(folder), local_files_only=True, trust_remote_code=False
                )
        except Exception as error:  # the tokenizer libraries raise whatever their parsers raise
            reason = str(error).strip().split("\n")[0]
            raise CheckpointError(f"the tokenizer in {folder} can't be loaded: {reason}") from error
        if self._tokenizer.pad_token_id is None:
            # Padding is masked out, so any token will do.
            self._pad = self._tokenizer.eos_token_id or 0
        else:
            self._pad = self._tokenizer.pad_token_id

    @property
    def pads(self) -> bool:
        """Whether there is a padding token."""
        return self._tokenizer.pad_token_id is not None

    def batches(
        self,
        texts: Sequence[str],
        prompt: str,
        batch_size: int,
        vocabulary: int,
        length_of: Callable[[int], int],
    ) -> Iterator[Batch]:
        """Yield batches of texts of like length, every text once.

        Parameters
        ----------
        texts : sequence of str
            Any texts.
        prompt : str
            Put before each.
        batch_size : int
            Texts per batch; the last of a run may have fewer.
        vocabulary : int
            Number of token ids that the model knows.
        length_of : callable
            Length to pad to, from that of the longest text of a batch.

        Raises
        ------
        CheckpointError
            If the tokenizer gives a token that the model does not know.
        """
        by_characters = np.argsort([len(text) for text in texts], kind="stable")
        # Runs in random order make the time left a fair guess.
        for start in np.random.default_rng(0).permutation(np.arange(0, len(texts), _RUN)):
            rows = by_characters[start : start + _RUN]
            encoded = self._tokenize([prompt + texts[row] for row in rows], max_length=self._longest, truncation=True)
            ids = [tokens or [self._pad] for tokens in encoded["input_ids"]]
            types = encoded.get("token_type_ids")
            largest = max(map(max, ids))
            if largest >= vocabulary:
                raise CheckpointError(
                    f"the tokenizer gives token {largest:,} and the model knows {vocabulary:,}: they do not belong "
                    "together"
                )
            order = np.argsort([len(tokens) for tokens in ids], kind="stable")
            for first in range(0, len(order), batch_size):
                chosen = order[first : first + batch_size]
                length = length_of(len(ids[chosen[-1]]))
                batch = Batch(
                    rows[chosen],
                    np.full((len(chosen), length), self._pad, dtype=np.int64),
                    np.zeros((len(chosen), length), dtype=np.int64),
                    None if types is None else np.zeros((len(chosen), length), dtype=np.int64),
                )
                for line, number in enumerate(chosen):
                    tokens = ids[number]
                    batch.ids[line, : len(tokens)] = tokens
                    batch.mask[line, : len(tokens)] = 1
                    if batch.types is not None:
                        batch.types[line, : len(types[number])] = types[number]
                yield batch

    def count_longer(self, texts: Sequence[str], prompt: str) -> int:
        """Return how many texts have more tokens than the maximum, prompt and special tokens included."""
        return sum(
            len(ids) > self._longest
            for start in range(0, len(texts), _RUN)
            for ids in self._tokenize([prompt + text for text in texts[start : start + _RUN]], truncation=False)[
                "input_ids"
            ]
        )

    def _tokenize(self, texts: list[str], **options: Any) -> Any:
        return self._tokenizer(texts, padding=False, return_attention_mask=False, verbose=False, **options)
