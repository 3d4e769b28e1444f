"""Feed changed inputs to one reader of the package, and end at the first input that it handles badly.

``fuzz.py TARGET... [--runs N] [--seconds S] [--found FOLDER]``: TARGET is ``module:name`` of a `Target` in this folder,
such as ``tables:csv``. Inputs come from atheris: it changes the seeds, and keeps what reaches new lines of the package.

A reader handles an input badly if it raises anything but an `EmbedstoreError` of one line, ends the interpreter, takes
longer than 2 seconds, or takes more than 300 MB. Prints one JSON line of figures for each target; a bad input is left
in FOLDER.
"""

import argparse
import faulthandler
import importlib
import json
import logging
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

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


def load(names: Sequence[str]) -> dict[str, Target]:
    """Return targets by name; their modules, and what they import of the package, tell atheris which lines are run."""
    import atheris

    with atheris.instrument_imports(include=["embedstore"], enable_loader_override=False):
        targets = {name: target_of(name) for name in names}
        for target in targets.values():
            for seed in target.seeds():  # imports all that is needed, so that it does not count as memory of an input
                judged(target, seed)
    return targets


def run_here(target: Target, arguments: Sequence[str], last: Path) -> NoReturn:
    """Run atheris in this process, which ends with it; `arguments` are options of libFuzzer."""
    import atheris

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + MEGABYTES
    limits = [f"-timeout={SECONDS}", f"-rss_limit_mb={most}", f"-malloc_limit_mb={MEGABYTES}"]
    faulthandler.enable()

    def run(content: bytes) -> None:
        last.write_bytes(content)  # libFuzzer keeps no input that ends the interpreter itself
        judged(target, content)

    atheris.Setup([sys.argv[0], *limits, *arguments], run)
    atheris.Fuzz()
    os._exit(0)


def fork(target: Target, arguments: Sequence[str], last: Path) -> tuple[int, list[str]]:
    """Run atheris in a fork of this process; return its exit code (as subprocess does) and the lines that it said."""
    with tempfile.TemporaryFile() as said:
        sys.stdout.flush()
        child = os.fork()
        if not child:
            try:
                for number in (1, 2):
                    os.dup2(said.fileno(), number)
                run_here(target, arguments, last)
            except SystemExit:
                sys.stdout.flush()  # atheris has found an error, and said so
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        return code, said.read().decode(errors="replace").splitlines()


def fuzz(name: str, target: Target, *, runs: int, seconds: int, found: Path) -> dict[str, object]:
    """Fuzz one target; return the figures, and the end of what was said if it failed."""
    with tempfile.TemporaryDirectory() as place:
        corpus, words, last = (Path(place) / part for part in ("corpus", "words", "last"))
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
        code, said = fork(target, [*arguments, str(corpus)], last)
        took = time.monotonic() - start
        if code < 0 and last.exists():
            shutil.copy(last, found / f"{name.replace(':', '-')}-end")
    executed = next((int(line.split()[-1]) for line in said if "number_of_executed_units" in line), 0)
    fault = "" if code == 0 else "\n".join(said[-60:])
    return {"target": name, "executions": executed, "seconds": round(took), "fault": fault}


def main() -> None:
    """Read the command line, and fuzz each target in a fork: to import and instrument the package takes seconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--found", type=Path, default=Path.cwd())
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place:
        tempfile.tempdir = place
        faulty = False
        for name, target in load(asked.targets).items():
            result = fuzz(name, target, runs=asked.runs, seconds=asked.seconds, found=asked.found.resolve())
            print(json.dumps(result), flush=True)
            faulty |= bool(result["fault"])
    sys.exit(faulty)


if __name__ == "__main__":
    main()
