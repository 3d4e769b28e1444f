"""Print what it would cost to check every byte of the vectors at each `tag`: ``python benchmarks/checksums.py``.

A warm `tag` with 5 labels, and hashes of the same files, are timed side by side in one run. XXH3 is measured if the
package xxhash is installed.
"""

import hashlib
import importlib.util
import mmap
import zlib
from collections.abc import Iterator
from pathlib import Path

from common import RandomEncoder, scratch, side_by_side

import embedstore

TEXTS, DIMENSION, BLOCK = 200_000, 384, 1 << 20


def blocks(path: Path) -> Iterator[memoryview]:
    """Yield the mapped blocks of a file."""
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as mapped,
        memoryview(mapped) as whole,
    ):
        for start in range(0, len(whole), BLOCK):
            with whole[start : start + BLOCK] as part:
                yield part


with scratch() as folder:
    store = embedstore.create(Path(folder) / "store", encoder=RandomEncoder(DIMENSION))
    store.add([{"t": f"text {number}"} for number in range(TEXTS)], text="t")
    store.encode()
    labels = [f"label {number}" for number in range(5)]
    files = [store.path / file.path for file in store.manifest.files() if file.path.startswith("vectors/")]
    ways = {
        "warm tag": lambda: store.tag(labels),
        "SHA-256": lambda: [hashlib.sha256(path.read_bytes()) for path in files],
        "CRC32 of blocks of 1 MB": lambda: [zlib.crc32(part) for path in files for part in blocks(path)],
    }
    if importlib.util.find_spec("xxhash"):
        import xxhash

        ways["XXH3 of blocks of 1 MB"] = lambda: [xxhash.xxh3_64(part) for path in files for part in blocks(path)]
    took = side_by_side(ways, rounds=9)
    print(f"{TEXTS:,} texts, {sum(path.stat().st_size for path in files) / 1e6:.0f} MB of vectors")
    for name, seconds in took.items():
        print(f"{name}: {1e3 * seconds:.0f} ms, {seconds / took['warm tag']:.2f} of a warm tag")
