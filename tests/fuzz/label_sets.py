"""Label sets in YAML."""

import tempfile
from pathlib import Path

from fuzz import Target

from embedstore.labels import LabelSet

_PLACE = Path(tempfile.mkdtemp())


def _read(content: bytes) -> object:
    path = _PLACE / "labels.yaml"
    path.write_bytes(content)
    return LabelSet.read(path)


def _seeds() -> list[bytes]:
    return [
        b"- Negative\n- Positive\n",
        b'Happy: ["I love it", "What a joy"]\nSad: [It is bad]\n',
        b"labels: [Bad, Good]\nordinal: true\nname: stars\ntemplates: ['{}', 'It is {}.']\ndescription: two\n",
    ]


TARGETS = {
    "yaml": Target(
        _seeds, _read, words=[b"labels:", b"name:", b"templates:", b"description:", b"ordinal:", b"&a", b"*a", b"<<: "]
    )
}
