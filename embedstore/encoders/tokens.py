"""Turn texts into padded batches of token ids, the same for every backend."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedstore.core.guards import Lock
from embedstore.encoders.beginnings import cuts_at_spaces, first_tokens
from embedstore.encoders.fast_tokens import unknown_token
from embedstore.encoders.loading import load_tokenizer

__all__ = ["Batch", "Tokenizer"]

_RUN = 512  # minimum number of texts that are tokenised at once

Lists = tuple[list[list[int]], list[list[int]] | None, npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids of some texts, padded to one length.

    Attributes
    ----------
    rows : ndarray of shape (n,), int64
        The numbers of the texts in the batch.
    ids, mask : ndarray of shape (n, length), int64
        Token ids; the mask is 1 for a token and 0 for padding.
    types : ndarray of shape (n, length), int64, or None
        Token types, if the tokenizer gives them.
    truncated : int
        The number of texts that were cut off.
    """

    rows: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64] | None
    truncated: int


class Tokenizer:
    """The tokenizer of a checkpoint, with a maximum length.

    Parameters
    ----------
    folder : Path
        The folder of the tokenizer's files.
    max_seq_length : int
        The maximum number of tokens, special tokens included; a longer text is cut off.

    Raises
    ------
    CheckpointError
        If transformers can't load the tokenizer.
    """

    def __init__(self, folder: Path, max_seq_length: int) -> None:
        self._longest = max_seq_length
        self._tokenizer = load_tokenizer(folder)
        self._gives_types = "token_type_ids" in self._tokenizer.model_input_names
        self._fast = self._tokenizer.backend_tokenizer if self._tokenizer.is_fast else None
        if self._fast is not None:
            side = self._tokenizer.truncation_side
            self._fast.no_padding()
            self._fast.enable_truncation(max_seq_length, direction=side)
            self._cuts = side == "right" and cuts_at_spaces(self._fast)
            # The types of a single text depend on a token's place alone: the ones of special tokens, or the text's.
            self._typed = self._gives_types and any(self._fast.encode("a").type_ids)
        self._lock = Lock()  # a call of a slow one can change its settings while another thread uses it
        if self._tokenizer.pad_token_id is None:
            # Padding is masked out, so any token will do.
            self._pad = self._tokenizer.eos_token_id or 0
        else:
            self._pad = self._tokenizer.pad_token_id

    @property
    def pads(self) -> bool:
        """Whether the tokenizer has a padding token."""
        return self._tokenizer.pad_token_id is not None

    def batches(
        self,
        texts: Sequence[str],
        prompt: str,
        *,
        vocabulary: int,
        length_of: Callable[[int], int],
        batch_size: int | None,
        tokens: int = 0,
    ) -> Iterator[Batch]:
        """Yield batches of texts of similar length, every text once.

        Parameters
        ----------
        texts : sequence of str
            Any texts.
        prompt : str
            Text put before each text.
        vocabulary : int
            The number of token ids that the model knows.
        length_of : callable
            Takes the number of tokens of a batch's longest text; returns the length to pad to.
        batch_size : int or None
            Texts per batch; some batches have fewer. None fills batches by `tokens`.
        tokens : int
            Tokens per batch, padding included; a longer text is a batch of its own.

        Raises
        ------
        CheckpointError
            If the tokenizer gives a token that the model does not know.
        """
        by_characters = np.argsort([len(text) for text in texts], kind="stable")
        run = max(_RUN, tokens // 16)
        # Random order makes the estimate of the time left fair.
        for start in np.random.default_rng(0).permutation(np.arange(0, len(texts), run)):
            rows = by_characters[start : start + run]
            ids, types, cut = self._first_tokens([texts[row] for row in rows], prompt)
            lengths = np.array([len(of_text) for of_text in ids])
            ids_of, types_of = _Flat(ids, lengths), _Flat(types, lengths) if types else None
            if (largest := int(ids_of.values.max())) >= vocabulary:
                raise unknown_token(largest, vocabulary)
            order = np.argsort(lengths, kind="stable")
            padded = [length_of(length) for length in lengths[order].tolist()]
            for first, last in _pieces(padded, batch_size, tokens):
                chosen = order[first:last]
                mask = np.arange(padded[last - 1]) < lengths[chosen, None]
                batch = ids_of.padded(chosen, mask, self._pad)
                given = types_of.padded(chosen, mask, 0) if types_of else np.zeros_like(batch)
                yield Batch(
                    rows[chosen],
                    batch,
                    mask.astype(np.int64),
                    given if self._gives_types else None,
                    int(np.count_nonzero(cut[chosen])),
                )

    def _first_tokens(self, texts: list[str], prompt: str) -> Lists:
        """Return each text's ids, up to the maximum, their types (None if all are 0), and whether it was cut off.

        Prompt and special tokens count.
        """
        if self._fast is None:
            return self._by_slow([prompt + text for text in texts])
        encode = self._fast.encode_batch_fast  # without the places of tokens, which nobody asks for
        found = first_tokens(texts, self._longest, encode, prompt=prompt, cuts=self._cuts, typed=self._typed)
        ids = [of_text.ids or [self._pad] for of_text in found]
        types = [of_text.types or [0] for of_text in found] if self._typed else None
        return ids, types, np.array([of_text.cut for of_text in found])

    def _by_slow(self, texts: list[str]) -> Lists:
        """Do the same by a tokenizer in Python, which does not say what it has cut off."""
        encoded = self._tokenize(texts, max_length=self._longest, truncation=True)
        ids = [tokens or [self._pad] for tokens in encoded["input_ids"]]
        full = np.array([len(tokens) >= self._longest for tokens in ids])
        whole = self._tokenize([texts[number] for number in np.flatnonzero(full)], truncation=False)["input_ids"]
        full[full] = [len(tokens) > self._longest for tokens in whole]
        types = encoded.get("token_type_ids")
        return ids, types and [of_text or [0] for of_text in types], full

    def _tokenize(self, texts: list[str], **options: Any) -> Any:
        if not texts:
            return {"input_ids": []}
        with self._lock.held():
            return self._tokenizer(texts, padding=False, return_attention_mask=False, verbose=False, **options)


class _Flat:
    """One number for each token of some texts, in one array."""

    def __init__(self, of_texts: list[list[int]], lengths: npt.NDArray[np.int64]) -> None:
        ends = np.cumsum(lengths)
        self.values = np.fromiter(chain.from_iterable(of_texts), dtype=np.int64, count=int(ends[-1]))
        self._places = list(zip((ends - lengths).tolist(), ends.tolist(), strict=True))

    def padded(self, chosen: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_], padding: int) -> npt.NDArray[np.int64]:
        """Return the numbers of chosen texts, one text a line: `padding` where the mask, shape (n, length), is not."""
        made = np.full(mask.shape, padding, dtype=np.int64)
        made[mask] = np.concatenate([self.values[slice(*self._places[text])] for text in chosen])
        return made


def _pieces(lengths: list[int], batch_size: int | None, tokens: int) -> Iterator[tuple[int, int]]:
    """Yield batches [first, last) of texts, given the padded length of each text in rising order."""
    first = 0
    for place, length in enumerate(lengths):
        full = place - first == batch_size if batch_size else (place - first + 1) * length > tokens
        if full and place > first:
            yield first, place
            first = place
    if lengths:
        yield first, len(lengths)
