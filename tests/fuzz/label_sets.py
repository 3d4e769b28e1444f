"""Label sets in YAML, in JSON and in text files, and label sets that were read, in the hands of what uses them."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from fuzz import Target

from embedstore.labels import Choice, LabelSet

_PLACE = Path(tempfile.mkdtemp())


def _reader(suffix: str) -> Callable[[bytes], object]:
    def read(content: bytes) -> object:
        path = _PLACE / f"labels{suffix}"
        path.write_bytes(content)
        found = LabelSet.read(path)
        choice = Choice.of(found)
        assert choice.name in ("", found.name) and set(Choice.read(choice.text).labels) == set(found.names)
        again = _PLACE / "again.yaml"
        again.write_text(found.to_yaml(), encoding="utf-8")
        other = LabelSet.read(again)
        assert (other.names, other.texts, other.templates) == (found.names, found.texts, found.templates)
        return found.described().prompts()

    return read


def _yaml_seeds() -> list[bytes]:
    return [
        b"- Negative\n- Positive\n",
        b'Happy: ["I love it", "What a joy"]\nSad: [It is bad]\n',
        b"labels: [Bad, Good]\nordinal: true\nname: stars\ntemplates: ['{}', 'It is {}.']\ndescription: two\n",
        b"Cold: [freezing, {shipped: emotions, label: Fear}]\nWarm: sun\n",
    ]


def _json_seeds() -> list[bytes]:
    return [
        b'["Negative", "Positive"]',
        b'{"Happy": ["I love it", "What a joy"], "Sad": "bad"}',
        b'{"labels": {"Bad": "b", "Good": "g"}, "ordinal": true, "name": "two", "templates": ["It is {}."]}',
        b'{"Cold": ["ice", {"shipped": "emotions", "label": "Fear"}], "Warm": "sun"}',
    ]


def _text_seeds() -> list[bytes]:
    return [b"Negative\nPositive\n", b"# two\n\nBad\r\nGood\n", b"\xef\xbb\xbfNo\nYes"]


_KEYS = [b"labels", b"name", b"templates", b"description", b"ordinal", b"shipped", b"label", b"emotions", b"{}"]

TARGETS = {
    "yaml": Target(_yaml_seeds, _reader(".yaml"), words=[*_KEYS, b"&a", b"*a", b"<<: ", b"!!set", b"? ", b"- "]),
    "json": Target(_json_seeds, _reader(".json"), words=[*_KEYS, b"\\ud800", b"\\n", b"NaN", b"1e999", b"null"]),
    "txt": Target(_text_seeds, _reader(".txt"), words=[b"\xc2\x85", b"\xe2\x80\xa8", b"#", b"=", b"|", b"\\"]),
}
