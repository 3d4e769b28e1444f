"""Feed changed inputs to one reader of the package, and end at the first input that it handles badly.

``fuzz.py TARGET [--runs N] [--seconds S] [--found FOLDER]``: TARGET is ``module:name`` of a `Target` in this folder,
such as ``tables:csv``. Inputs come from atheris: it changes the seeds, and keeps what reaches new lines of the package.

A reader handles an input badly if it raises anything but an `EmbedstoreError` of one line, ends the interpreter, takes
longer than 2 seconds, or takes more than 300 MB. Prints one JSON line of figures; the bad input is left in FOLDER.
"""

import argparse
import faulthandler
import importlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))

MEGABYTES = 300
SECONDS = 2


@dataclass(frozen=True)
class Target:
    """A reader to test.

    Parameters
    ----------
    seeds : callable
        Return valid inputs to begin with.
    read : callable
        Read one input; it may raise an `EmbedstoreError`.
    words : sequence of bytes
        Pieces to put into inputs, such as keywords of the format.
    prepare : callable, optional
        Make an input valid where a random change would always be found first: return it with a new hash, for example.
    """

    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[bytes], object]
    words: Sequence[bytes] = ()
    prepare: Callable[[bytes], bytes] | None = None


def target_of(name: str) -> Target:
    """Return the target of a name ``module:name``."""
    module, _, key = name.partition(":")
    targets: dict[str, Target] = importlib.import_module(module).TARGETS
    return targets[key]


def judged(target: Target, content: bytes) -> None:
    """Read an input; raise an error if the reader raises one that is not ours, or a message of several lines."""
    from embedstore.errors import EmbedstoreError

    try:
        target.read(content if target.prepare is None else target.prepare(content))
    except EmbedstoreError as error:
        if len(str(error).splitlines()) != 1:
            raise AssertionError(f"expected a message of one line, found {str(error)!r}") from error


def worker(name: str, arguments: list[str]) -> None:
    """Run atheris in this process, with the options of libFuzzer in `arguments`."""
    import logging
    import warnings

    import atheris

    with atheris.instrument_imports(include=["embedstore"], enable_loader_override=False):
        target = target_of(name)
        for seed in target.seeds():  # imports all that is needed, so that it does not count as memory of an input
            judged(target, seed)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + MEGABYTES
    limits = [f"-timeout={SECONDS}", f"-rss_limit_mb={most}", f"-malloc_limit_mb={MEGABYTES}"]
    faulthandler.enable()
    last = Path(tempfile.gettempdir()) / "last"

    def run(content: bytes) -> None:
        last.write_bytes(content)  # libFuzzer keeps no input that ends the interpreter itself
        judged(target, content)

    atheris.Setup([sys.argv[0], *limits, *arguments], run)
    atheris.Fuzz()


def fuzz(name: str, *, runs: int, seconds: int, found: Path) -> dict[str, object]:
    """Run a worker in a process of its own; return the figures, and the end of what it said if it failed."""
    target = target_of(name)
    with tempfile.TemporaryDirectory() as place:
        corpus, words = Path(place) / "corpus", Path(place) / "words"
        corpus.mkdir()
        for number, seed in enumerate(target.seeds()):
            (corpus / str(number)).write_bytes(seed)
        words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words))
        arguments = [
            f"-artifact_prefix={found}/{name.replace(':', '-')}-",
            "-seed=1",
            "-max_len=65536",
            "-print_final_stats=1",
        ]
        arguments += [f"-runs={runs}"] if runs else []
        arguments += [f"-max_total_time={seconds}"] if seconds else []
        arguments += [f"-dict={words}"] if target.words else []
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, __file__, name, "--worker", *arguments, str(corpus)],
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": place},
        )
        took = time.monotonic() - start
        last = Path(place) / "last"
        if done.returncode < 0 and last.exists():
            shutil.copy(last, found / f"{name.replace(':', '-')}-end")
    said = done.stderr.splitlines()
    executed = next((int(line.split()[-1]) for line in said if "number_of_executed_units" in line), 0)
    fault = "" if done.returncode == 0 else "\n".join([*done.stdout.splitlines()[-30:], *said[-30:]])
    return {"target": name, "executions": executed, "seconds": round(took), "fault": fault}


def main() -> None:
    """Read the command line and fuzz one target."""
    if sys.argv[2:3] == ["--worker"]:
        worker(sys.argv[1], sys.argv[3:])
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--found", type=Path, default=Path.cwd())
    asked = parser.parse_args()
    result = fuzz(asked.target, runs=asked.runs, seconds=asked.seconds, found=asked.found.resolve())
    print(json.dumps(result))
    sys.exit(bool(result["fault"]))


if __name__ == "__main__":
    main()
