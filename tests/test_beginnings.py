"""Long texts are cut before they are tokenised: the tokens are those of the whole text, for any text."""

import os
from functools import partial

import pytest
import tokenizers
from checkpoints import reviews
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, models, normalizers, pre_tokenizers, processors, trainers

from embedstore.encoders import beginnings
from embedstore.encoders.beginnings import cuts_at_spaces, first_tokens

TORTURE = bool(os.environ.get("EMBEDSTORE_TORTURE"))
TOKENS = 7

BERT = (trainers.WordPieceTrainer, models.WordPiece(unk_token="[UNK]"))
BYTES = (trainers.BpeTrainer, models.BPE())
PIECES = (partial(trainers.UnigramTrainer, unk_token="[UNK]"), models.Unigram())
KINDS = {
    "bert": (*BERT, normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()),
    "roberta": (*BYTES, None, pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "xlm-roberta": (
        *PIECES,
        normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizers.Metaspace(),
    ),
    "t5": (*PIECES, normalizers.NFKC(),
           pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])),
    "words": (*BYTES, normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]),
              pre_tokenizers.Whitespace()),
}  # fmt: skip
NOT_KNOWN = {
    "none": (*BYTES, None, None),
    "one long word": (*BYTES, normalizers.Replace(" ", "▁"), None),
    "split": (*BYTES, None, pre_tokenizers.Split(" and ", "isolated")),
    "bytes alone": (*BYTES, None, pre_tokenizers.ByteLevel(use_regex=False)),
    "unsplit": (*PIECES, None, pre_tokenizers.Metaspace(split=False)),
    "any regex": (*BERT, normalizers.Replace(Regex("a b"), "c"), pre_tokenizers.BertPreTokenizer()),
    "punctuation": (*BERT, None, pre_tokenizers.Punctuation()),
}


def made(trainer, model, normalizer, pre_tokenizer):
    found = tokenizers.Tokenizer(model)
    if normalizer:
        found.normalizer = normalizer
    if pre_tokenizer:
        found.pre_tokenizer = pre_tokenizer
    special = ["[CLS]", "[SEP]", "[UNK]", "<mask>"]
    found.train_from_iterator(reviews(), trainer(vocab_size=500, special_tokens=special, show_progress=False))
    ends = [(name, found.token_to_id(name)) for name in special[:2]]
    found.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    found.enable_truncation(TOKENS)
    return found


@pytest.fixture(scope="module")
def tokenizer_of():
    return {name: made(*parts) for name, parts in KINDS.items()}


LETTERS = st.text(st.sampled_from("abé ßΣς日本ｶﾞ\u0301\u200d  \u00a0\t\n.,'-_1٣<mask>[SEP]ﬁǅ"), max_size=40)
TEXTS = st.lists(LETTERS | st.sampled_from(["good tea ", "a b", "x" * 300, " " * 50, "I'll "]), max_size=12).map(
    "".join
)


def tokens_of(encoding):
    return encoding.ids, encoding.type_ids, bool(encoding.overflowing)


@settings(max_examples=300 if TORTURE else 100)
@given(
    st.sampled_from(list(KINDS)),
    st.lists(TEXTS, max_size=4),
    st.integers(1, 4),
    st.integers(0, 60),
    st.just("") | LETTERS,
)
def test_the_first_tokens_are_those_of_the_whole_text(tokenizer_of, kind, texts, characters, at_once, prompt):
    tokenizer = tokenizer_of[kind]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beginnings, "_CHARACTERS", characters)
        patch.setattr(beginnings, "_MORE", 2)
        patch.setattr(beginnings, "_AT_ONCE", at_once)
        found = first_tokens(texts, TOKENS, tokenizer.encode_batch, prompt=prompt, cuts=True, typed=True)
    texts = [prompt + text for text in texts]
    assert found == [tokens_of(one) for one in tokenizer.encode_batch(texts)]


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_long_text_little_is_read(tokenizer_of, kind):
    read = []

    def encode(parts):
        read.extend(map(len, parts))
        return tokenizer_of[kind].encode_batch(parts)

    texts = ["good tea " * 50_000, "short", "日" + "x" * 3000 + " tea" * 9000]
    found = first_tokens(texts, TOKENS, encode, prompt="", cuts=True, typed=True)
    assert found == [tokens_of(one) for one in tokenizer_of[kind].encode_batch(texts)]
    assert sum(read) < 20_000


@pytest.mark.parametrize("cuts", [True, False])
def test_few_long_texts_that_can_not_be_cut_are_tokenised_at_once(tokenizer_of, monkeypatch, cuts):
    monkeypatch.setattr(beginnings, "_AT_ONCE", 1000)
    read = []

    def encode(parts):
        read.append(sum(map(len, parts)))
        return tokenizer_of["bert"].encode_batch(parts)

    texts = ["茶" * 2000, *["茶" * 400] * 5, *["good tea " * 100] * 3]
    found = first_tokens(texts, TOKENS, encode, prompt="", cuts=cuts, typed=True)
    assert found == [tokens_of(one) for one in tokenizer_of["bert"].encode_batch(texts)]
    assert max(read) == 2000
    assert sorted(read)[-2] <= 1000


def test_it_is_known_of_which_tokenizers_this_holds(tokenizer_of):
    assert all(map(cuts_at_spaces, tokenizer_of.values()))
    for name, parts in NOT_KNOWN.items():
        assert not cuts_at_spaces(made(*parts)), name


def test_a_token_with_a_space_in_it_can_stand_across_any_space(tokenizer_of):
    tokenizer = made(*KINDS["bert"])
    assert cuts_at_spaces(tokenizer)
    tokenizer.add_tokens(["new york"])
    assert not cuts_at_spaces(tokenizer)
