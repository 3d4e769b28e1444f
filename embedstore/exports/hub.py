"""A folder that Hugging Face `datasets` loads: Parquet files and a dataset card."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from embedstore.core.counts import counted
from embedstore.exports.base import TargetOptions, Written
from embedstore.exports.parquet import write_files
from embedstore.exports.rows import Rows
from embedstore.tables.folders import check_folder_place, published_folder

__all__ = ["HUB"]

_FILE = 500_000_000  # bytes of the vectors of a file

_LOADING = """
```python
from datasets import load_dataset

rows = load_dataset("PATH", split="train").with_format("numpy")
vectors = rows["vector"]
```
"""


class _Hub:
    """A folder with ``README.md`` and ``data/train-*.parquet``."""

    def check(self, place: str, options: TargetOptions) -> None:
        """Check that the folder can be made."""
        check_folder_place(Path(place))

    def write(self, rows: Rows, place: str, options: TargetOptions) -> Written:
        """Write the folder."""
        width = rows.space.dimension * (2 if rows.description.dtype == "float16" else 4)
        size = options.rows_per_file or max(1, _FILE // width)
        with published_folder(Path(place)) as folder:
            (folder / "data").mkdir()
            write_files(rows.batches(), rows.schema, len(rows), folder / "data", "train", size)
            (folder / "README.md").write_text(_card(rows), encoding="utf-8")
        return Written(len(rows))


def _card(rows: Rows) -> str:
    """Return the dataset card: YAML for the hub, then what the columns and vectors are."""
    import yaml

    said = rows.description
    head: dict[str, Any] = {
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}],
        "tags": ["embeddings"],
        "embedstore": said.to_json(),
    }
    columns = "\n".join(f"| {_cell(field.name)} | {_cell(_kind(field.type))} |" for field in rows.schema)
    unit = "of unit length" if said.normalized else "not of unit length"
    prompt = f" Each text had {_code(said.prompt)} before it." if said.prompt else ""
    query = f" A query gets {_code(said.query_prompt)} before it." if said.query_prompt else ""
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n"
        f"# {_line(said.store)}: {_line(said.corpus)}\n\n"
        f"{counted(len(rows), 'row')}, encoded with {_code(said.model)}: "
        f"{counted(said.dimension, 'dimension')}, {said.dtype}, {unit}, pooling {_line(said.pooling)}."
        f"{prompt}{query} Texts were cut off after {counted(said.max_seq_length, 'token')}.\n\n"
        f"| column | type |\n|---|---|\n{columns}\n\n"
        f"To load it, with the path of this folder:\n{_LOADING}"
    )


def _kind(type_: pa.DataType) -> str:
    return str(type_)


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _code(text: str) -> str:
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{_line(text)}{ticks}"


HUB = _Hub()
