"""Truncate files of a store or flip bits in them: `verify` must find each, and no read may crash Python.

``damage.py PLACE MODE MOST``: MODE is cut or flip; prints one JSON line.
"""

import json
import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pandas  # noqa: F401  before the fork, so that no child has to import it
import pyarrow as pa
import sklearn.linear_model  # noqa: F401
from scenarios import LABELS, copy, in_child, opened, prepare, with_lists

import embedstore
from embedstore.storage import manifest

pa.set_cpu_count(1)
pa.set_io_thread_count(1)

_STEP = 4096


def listed(root: Path) -> list[Path]:
    """Return every file that is part of the store."""
    newest = manifest.manifest_files(root)[-1][1]
    return [newest, *sorted({root / file.path for file in manifest.load(root).files()})]


def judge(root: Path) -> str:
    """Return "" if `verify` finds the damage and every call succeeds or raises a one-line error of ours."""
    try:
        found = bool(opened(root).verify().faults)
    except embedstore.DamagedStoreError:
        found = True
    for ask in (
        lambda store: store.tag(LABELS[:2]).to_pandas(),
        lambda store: store.search(row="k1", k=3).to_pandas(),
        lambda store: store.search("Negative", k=3, exact=True).to_pandas(),
        lambda store: store.predict("stars").to_pandas(),
        lambda store: store.info(),
    ):
        try:
            ask(opened(root))
        except embedstore.EmbedstoreError as error:
            if "\n" in str(error):
                return f"more than a line: {error}"
    return "" if found else "not found by verify"


def spots(root: Path, mode: str, most: int) -> list[tuple[Path, int]]:
    """Return pairs of a file and a place to damage: every 4 KiB for cuts, random bits for flips."""
    if mode == "cut":
        every = [(path, at) for path in listed(root) for at in {*range(0, path.stat().st_size, _STEP), 1}]
        every += [(path, path.stat().st_size - 1) for path in listed(root)]
        return every if not most else random.Random(0).sample(every, min(most, len(every)))
    dice = random.Random(0)
    paths = listed(root)
    weights = [path.stat().st_size for path in paths]
    chosen = [paths[i % len(paths)] if i % 2 else dice.choices(paths, weights)[0] for i in range(most)]
    return [(path, dice.randrange(8 * path.stat().st_size)) for path in chosen]


def main(place: str, mode: str, most: str) -> None:
    """Damage a copy of the store at each place and judge it."""
    with_lists()
    base, root = Path(place) / "before", Path(place) / "hit"
    in_child(lambda: prepare(base))
    in_child(lambda: opened(base).encode() and None)
    copy(base, root)
    faults, files_hit = [], set()
    chosen = spots(base, mode, int(most))
    for path, at in chosen:
        target = root / path.relative_to(base)
        whole = target.read_bytes()
        if mode == "cut":
            os.truncate(target, at)
        else:
            flipped = bytearray(whole)
            flipped[at // 8] ^= 1 << at % 8
            target.write_bytes(flipped)
        status, said = in_child(lambda: judge(root))
        if status or said:
            faults.append(f"{target.relative_to(root)} at {at}: {said or os.waitstatus_to_exitcode(status)}")
        copy(base, root)  # a label whose key was hit is encoded again, which makes a new manifest
        files_hit.add(path)
    print(json.dumps({"injected": len(chosen), "files": len(files_hit), "faults": faults}))


if __name__ == "__main__":
    main(*sys.argv[1:])
