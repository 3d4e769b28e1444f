"""Fuzz every reader for a moment; EMBEDSTORE_TORTURE=1 gives an hour to all of them together.

Inputs that a reader once handled badly are in ``tests/fuzz/found``, a folder for each target; they are read again here.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import judged, target_of

HERE = Path(__file__).parent
TORTURE = bool(os.environ.get("EMBEDSTORE_TORTURE"))
QUICK = [
    *(f"checkpoint_files:{name}" for name in ("config", "modules", "pooling", "probe_arrays", "probe_description")),
    *(f"checkpoint_files:{name}" for name in ("prompts", "safetensors", "tokenizer")),
    *(f"checkpoint_files:{name}" for name in ("tokenizer_config", "weight_index")),
    *(f"label_sets:{name}" for name in ("json", "txt", "yaml")),
    *(f"tables:{name}" for name in ("csv", "csv_gz", "jsonl", "parquet", "rows")),
]
# An input of these is a whole store, so that a second would show nothing.
LONG = [
    *("answers:import_csv", "answers:import_jsonl"),
    *(f"stores:{name}" for name in ("annotation_part", "corpus_part", "manifest", "records")),
]
TARGETS = QUICK + LONG if TORTURE else QUICK
FOUND = [(folder.name, path) for folder in sorted(HERE.glob("found/*")) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_ends_in_an_untyped_error(tmp_path, target):
    pytest.importorskip("atheris", reason="atheris has no wheel for this machine")
    words = ["--seconds", str(3600 // len(TARGETS))] if TORTURE else ["--runs", "1000", "--seconds", "1"]
    done = subprocess.run(
        [sys.executable, HERE / "fuzz.py", target, *words, "--found", tmp_path], capture_output=True, text=True
    )
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    if TORTURE:
        place = HERE.parent.parent / "build" / "fuzz"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{target.replace(':', '-')}.json").write_text(json.dumps(figures))
    assert figures["executions"] > 0
    assert not figures["fault"], figures["fault"]


@pytest.mark.parametrize(("folder", "path"), FOUND, ids=[f"{folder}-{path.name}" for folder, path in FOUND])
def test_an_input_that_once_did_harm_is_read(folder, path):
    judged(target_of(folder.replace("-", ":", 1)), path.read_bytes())
