"""Compiled code with random input, right and wrong, under the sanitizers."""

import os
import subprocess
from pathlib import Path

import pytest

import embedstore

HERE = Path(__file__).parent / "native"


@pytest.mark.skipif(not os.environ.get("EMBEDSTORE_TORTURE"), reason="it compiles with the sanitizers: make torture")
@pytest.mark.parametrize(
    ("name", "package", "cases"), [("hostile.cpp", "encoders", 3_000), ("hostile_scan.cpp", "vectors", 20_000)]
)
def test_no_input_makes_compiled_code_leave_its_memory(tmp_path, name, package, cases):
    """Each array ends at the end of a page."""
    sources = (Path(embedstore.__file__).parent / package / "native").glob("*.cpp")
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g", "-w", "-std=c++17"]
    subprocess.run(["g++", *checks, HERE / name, *sorted(sources), "-o", tmp_path / "hostile"], check=True)
    environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}
    words = [tmp_path / "hostile", "0", str(cases)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr[-3000:]
