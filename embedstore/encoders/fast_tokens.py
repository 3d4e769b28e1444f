"""Tokenise with a checkpoint's ``tokenizer.json`` alone: the library tokenizers is loaded in milliseconds."""

from collections.abc import Sequence
from typing import Any

from embedstore.encoders.base import Described
from embedstore.encoders.beginnings import Tokens, cuts_at_spaces, first_tokens
from embedstore.encoders.reading import refusals, regular
from embedstore.errors import CheckpointError

__all__ = ["FirstTokens", "unknown_token"]


class FirstTokens:
    """The tokenizer of a checkpoint, which reads no more of a text than its first tokens take.

    Parameters
    ----------
    described : Described
        A checkpoint with a ``tokenizer.json``.

    Attributes
    ----------
    version : str
        The version of the library.

    Raises
    ------
    CheckpointError
        If the file can't be read.
    """

    def __init__(self, described: Described) -> None:
        import tokenizers

        self.version: str = tokenizers.__version__
        self._most = described.spec.max_seq_length
        path = described.transformer / "tokenizer.json"
        with refusals(f"the tokenizer in {path} can't be loaded"):
            tokenizer = tokenizers.Tokenizer.from_file(str(regular(path)))
            tokenizer.no_padding()
            tokenizer.enable_truncation(self._most)
            self._cuts = cuts_at_spaces(tokenizer)
        self._encode: Any = tokenizer.encode_batch_fast  # without the places of tokens, which nobody asks for

    def encode(self, texts: Sequence[str], prompt: str) -> list[Tokens]:
        """Return the tokens of each text after a prompt, up to the maximum."""
        return first_tokens(texts, self._most, self._encode, prompt=prompt, cuts=self._cuts)


def unknown_token(token: int, vocabulary: int) -> CheckpointError:
    """Return the error for a token number that a model with `vocabulary` tokens does not have."""
    return CheckpointError(
        f"the tokenizer gives token {token:,} and the model knows {vocabulary:,}: they do not belong together; "
        "download the checkpoint again"
    )
