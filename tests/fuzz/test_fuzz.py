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
# The targets of a group are fuzzed in one process, because to start one takes longer than a moment of inputs.
QUICK = {
    "checkpoint_files": [
        *("config", "modules", "pooling", "probe_arrays", "probe_description", "prompts", "safetensors", "tokenizer"),
        *("tokenizer_config", "weight_index"),
    ],
    "label_sets": ["json", "txt", "yaml"],
    "tables": ["csv", "csv_gz", "jsonl", "parquet", "rows"],
}
# An input of these is a whole store, so that a second would show nothing; each changes the store that it shares with
# the others.
LONG = [
    *("answers:import_csv", "answers:import_jsonl", "receipts:collect"),
    *(f"stores:{name}" for name in ("annotation_part", "corpus_part", "list_file", "manifest", "records")),
]
GROUPS = [[f"{module}:{name}" for name in names] for module, names in QUICK.items()]
GROUPS = [*GROUPS, *([target] for target in LONG)] if TORTURE else [[name for group in GROUPS for name in group]]
FOUND = [(folder.name, path) for folder in sorted(HERE.glob("found/*")) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("targets", GROUPS, ids=lambda targets: targets[0])
def test_no_input_ends_in_an_untyped_error(tmp_path, targets):
    pytest.importorskip("atheris", reason="atheris has no wheel for this machine")
    words = ["--seconds", str(3600 // sum(map(len, GROUPS)))] if TORTURE else ["--runs", "150", "--seconds", "1"]
    done = subprocess.run(
        [sys.executable, HERE / "fuzz.py", *targets, *words, "--found", tmp_path], capture_output=True, text=True
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [figures["target"] for figures in found] == targets, done.stderr
    for figures in found:
        if TORTURE:
            place = HERE.parent.parent / "build" / "fuzz"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{figures['target'].replace(':', '-')}.json").write_text(json.dumps(figures))
    for figures in found:
        assert not figures["fault"], figures["fault"]
        assert figures["executions"] > 0


@pytest.mark.parametrize(("folder", "path"), FOUND, ids=[f"{folder}-{path.name}" for folder, path in FOUND])
def test_an_input_that_once_did_harm_is_read(folder, path):
    judged(target_of(folder.replace("-", ":", 1)), path.read_bytes())
