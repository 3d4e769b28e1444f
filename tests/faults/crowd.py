"""Several processes add, encode, tag, index and run gc in one store at once; then the store is checked.

``crowd.py PLACE ROUNDS PROCESSES``: prints one JSON line.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pandas  # noqa: F401  before the fork, so that no child has to import it
import pyarrow as pa
from scenarios import HashEncoder, copy, facts, in_child, opened, with_lists

import embedstore
from embedstore.storage import locks

pa.set_cpu_count(1)
pa.set_io_thread_count(1)

_STEPS = 4
_LONGEST = 120  # seconds after which a process counts as stuck


def work(root: Path, number: int, seed: int, pipe: int) -> None:
    """Run a few random operations on the store, and write the key of each acknowledged row to the pipe."""
    dice = random.Random(seed)
    store = opened(root)
    for step in range(_STEPS):
        keys = [f"p{number}-{seed}-{step}-{i}" for i in range(5)]
        store.add([{"key": key, "review": f"text {key}"} for key in keys], text="review", id="key")  # may block
        os.write(pipe, ("".join(key + "\n" for key in keys)).encode())
        what = dice.choice(["encode", "tag", "index", "gc", "read"])
        try:
            if what == "encode":
                store.encode()
            elif what == "tag":
                store.encode()
                store.tag([f"who {number}", f"step {step}", "Negative"]).to_pandas()
            elif what == "index":
                store.encode()
                store.index("flat")
            elif what == "gc":
                store.gc()
            else:
                assert not (faults := store.verify().faults), faults
        except embedstore.ModelRequiredError:
            pass  # another process added rows in the meantime


def one_round(root: Path, processes: int, seed: int) -> str:
    """Run one round; return "" if the store is consistent, else a description of the fault."""
    reader, writer = os.pipe()
    children = []
    for number in range(processes):
        child = os.fork()
        if not child:
            os.close(reader)
            code = 1
            try:
                work(root, number, seed * 100 + number, writer)
                code = 0
            except BaseException as error:
                print(f"process {number}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(code)
        children.append(child)
    os.close(writer)
    killed = None
    if seed % 3 == 0:  # kill a process that can hold locks
        time.sleep(random.Random(seed).uniform(0.05, 0.3))
        killed = children[seed % processes]
        os.kill(killed, signal.SIGKILL)
    with os.fdopen(reader) as stream:
        acknowledged = set(stream.read().split())
    wrong = [child for child in children if os.waitpid(child, 0)[1] and child != killed]
    if wrong:
        return f"{len(wrong)} processes failed"
    start = time.monotonic()
    with locks.alone(root, 60), locks.adding(root, 60):
        pass
    if time.monotonic() - start > 5:
        return "a dead process left a lock behind"

    def judge() -> str:
        opened(root).encode()
        found = facts(root)
        keys = [key for key, _ in found["corpora"]["train"]]
        extra = {key for key in keys if key not in acknowledged}
        if len(keys) != len(set(keys)) or not acknowledged <= set(keys):
            return (
                f"{len(acknowledged - set(keys))} acknowledged rows are lost, {len(keys) - len(set(keys))} are doubled"
            )
        if extra and killed is None:
            return f"{len(extra)} rows were never acknowledged"
        if len(extra) % 5 or len(extra) > 5:
            return f"{len(extra)} rows of a killed process: not one whole step"
        if any(text != f"text {key}" for key, text in found["corpora"]["train"]):
            return "a row has another row's text"
        return ""

    status, said = in_child(judge)
    return said or (f"exit {status}" if status else "")


def main(place: str, rounds: str, processes: str) -> None:
    """Run the rounds."""
    with_lists()
    signal.alarm(_LONGEST * int(rounds))
    base = Path(place) / "base"
    in_child(lambda: embedstore.create(base, encoder=HashEncoder(8)) and None)
    faults = []
    for seed in range(int(rounds)):
        if said := one_round(copy(base, Path(place) / "crowd"), int(processes), seed):
            faults.append(f"round {seed}: {said}")
    print(json.dumps({"injected": int(rounds), "faults": faults}))


if __name__ == "__main__":
    main(*sys.argv[1:])
