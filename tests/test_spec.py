from dataclasses import fields, replace

import pytest

from embedstore.core.spec import EncoderSpec, canonical_json
from embedstore.errors import DamagedStoreError, UsageError

SPEC = EncoderSpec(digest="a" * 64, pooling="mean", normalized=True, max_seq_length=256)
OTHER = {
    "digest": "b" * 64,
    "pooling": "cls",
    "normalized": False,
    "max_seq_length": 128,
    "prompt": "query: ",
    "truncate_dim": 64,
    "output": "logits",
    "dtype": "float16",
}


@pytest.mark.parametrize("name", [field.name for field in fields(EncoderSpec)])
def test_every_field_of_the_spec_changes_the_key(name):
    assert replace(SPEC, **{name: OTHER[name]}).key != SPEC.key


def test_the_key_is_the_same_in_every_process():
    assert SPEC.key == "6b20834e0a88333ceb5db2a0420b7f52c03f122fdbedf9a2ce2a71688d9481a0"


def test_a_spec_survives_json():
    assert EncoderSpec.from_json(SPEC.to_json()) == SPEC
    with pytest.raises(DamagedStoreError):
        EncoderSpec.from_json({**SPEC.to_json(), "extra": 1})


@pytest.mark.parametrize("wrong", [{"digest": "x"}, {"max_seq_length": 0}, {"truncate_dim": 0}, {"dtype": "int8"}])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError):
        replace(SPEC, **wrong)


def test_canonical_json_has_one_form():
    assert canonical_json({"b": "é", "a": [1, None]}) == '{"a":[1,null],"b":"é"}'.encode()
