"""Small checkpoints with random weights, of several families, made as `save_pretrained` makes them."""

import csv
import functools
from collections import Counter
from pathlib import Path
from typing import Any

from embedstore.demo import TEST, TRAIN

FAMILIES = ["bert", "distilbert", "roberta", "mpnet", "deberta-v2"]
HIDDEN = 32
_STEMS = {
    "bert": "Bert",
    "camembert": "Camembert",
    "deberta-v2": "DebertaV2",
    "distilbert": "DistilBert",
    "mpnet": "MPNet",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
}


@functools.cache
def reviews() -> tuple[str, ...]:
    """Return every shipped review, '' among them."""
    texts = []
    for path in (TRAIN, TEST):
        with path.open(newline="", encoding="utf-8") as stream:
            texts += [row["review"] for row in csv.DictReader(stream)]
    return tuple(texts)


@functools.cache
def tokenizer(family: str) -> Any:
    """Return a word-piece tokenizer of the shipped reviews' words, with the special tokens of a family."""
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    like_bert = family in ("bert", "distilbert", "deberta-v2")
    # RoBERTa and its kin have the padding token at 1: their positions start after it.
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] if like_bert else ["<s>", "<pad>", "</s>", "<unk>"]
    names = dict(zip(("pad", "unk", "cls", "sep") if like_bert else ("cls", "pad", "sep", "unk"), special, strict=True))
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    made = tokenizers.Tokenizer(models.WordPiece(_pieces(special, normalizer, splitter), unk_token=names["unk"]))
    made.normalizer, made.pre_tokenizer = normalizer, splitter
    ends = [(names[name], made.token_to_id(names[name])) for name in ("cls", "sep")]
    made.post_processor = processors.TemplateProcessing(
        single=f"{names['cls']} $A {names['sep']}", pair=f"{names['cls']} $A {names['sep']} $B {names['sep']}",
        special_tokens=ends,
    )  # fmt: skip
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        **{f"{name}_token": token for name, token in names.items()},
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"] + (["token_type_ids"] if family == "bert" else []),
    )


def _pieces(special: list[str], normalizer: Any, splitter: Any) -> dict[str, int]:
    """Return 600 pieces and their numbers: letters, and the most frequent words. A trainer's differ from run to run."""
    words = Counter(word for text in reviews() for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    letters = sorted({letter for word in words for letter in word})
    pieces = [*special, *letters, *(f"##{letter}" for letter in letters)]
    frequent = sorted((word for word in words if len(word) > 1), key=lambda word: (-words[word], word))
    return {piece: number for number, piece in enumerate([*pieces, *frequent][:600])}


def save_checkpoint(folder: Path, family: str, *, task: str = "SequenceClassification", **config: Any) -> Path:
    """Save a random model of a family with its tokenizer; `task` "" is the body alone.

    The weights are drawn larger than usual, so that texts differ clearly and logits are not all near 0.
    """
    import torch
    import transformers

    stem = _STEMS[family]
    words = tokenizer(family)
    size = {"dim": HIDDEN, "hidden_dim": 64, "n_layers": 2, "n_heads": 4} if family == "distilbert" else {
        "hidden_size": HIDDEN, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4
    }  # fmt: skip
    types: dict[str, int] = {}
    if family not in ("distilbert", "mpnet"):
        types["type_vocab_size"] = {"bert": 2, "deberta-v2": 0}.get(family, 1)
    like_deberta = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
    torch.manual_seed(0)
    given = {
        "vocab_size": len(words),
        "pad_token_id": words.pad_token_id,
        "max_position_embeddings": 66 if words.pad_token_id else 64,
        "initializer_range": 0.3,
    }
    made = getattr(transformers, f"{stem}Config")(
        **given | size | types | (like_deberta if family == "deberta-v2" else {}) | config
    )
    model = getattr(transformers, f"{stem}{'For' + task if task else 'Model'}")(made)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
