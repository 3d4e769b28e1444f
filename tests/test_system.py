"""What the operating system refuses: one line that names the place and what to do; what was there stays."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import embedstore
from embedstore.core.system import explained
from embedstore.demo import TRAIN
from embedstore.errors import OutputError, StorageError
from embedstore.storage.segments import write_texts

TAG = ("tag", "small", "-l", "Negative", "-l", "Positive")


def limited(cli, words, limit=None, **streams):
    """Run a command with a limit of the system: (resource, value)."""

    def set_limit():
        resource.setrlimit(limit[0], (limit[1], limit[1]))

    done = subprocess.run(
        cli.command(*words),
        env=cli.environment,
        cwd=cli.home.parent,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=set_limit if limit else None,
        **streams,
    )
    lines = done.stderr.splitlines()
    assert "Traceback" not in done.stderr
    return done.returncode, lines


@pytest.fixture
def full_disk(tmp_path):
    """A folder on a file system of 512 kB, with 300 kB in use."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    (place / "other").write_bytes(bytes(300_000))
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)  # vectors may still be mapped


def test_a_full_disk_is_named_and_what_was_committed_is_kept(full_disk, encoder, rows):
    store = embedstore.create(full_disk / "store", encoder=encoder)
    store.add(rows, text="review", id="key")
    many = [{"review": os.urandom(400).hex()} for _ in range(2000)]
    with pytest.raises(StorageError) as caught:
        store.add(many, text="review", corpus="more")
    assert caught.value.errno == errno.ENOSPC
    message = str(caught.value)
    assert message.startswith(f"can't write to {full_disk / 'store'}")
    assert "No space left on device (" in message
    assert "free some space and run the same command again" in message
    assert [corpus.name for corpus in store.corpora()] == ["train"]
    (full_disk / "other").unlink()
    store.gc()
    store.encode()
    assert len(store.tag(["a", "b"])) == 10


def test_an_output_on_a_full_disk_is_named_and_the_earlier_file_stays(full_disk, cli, store):
    output = full_disk / "tagged.csv"
    output.write_text("earlier")
    with pytest.raises(OSError, match="No space left"):
        (full_disk / "rest").write_bytes(bytes(600_000))
    code, lines = limited(cli, [*TAG, "--corpus", "train", "-o", output])
    assert code == 1
    assert lines[0].startswith(f"Error: can't write {output}: No space left on device (0 bytes free): ")
    assert len(lines) == 1
    assert output.read_text() == "earlier"


def test_a_file_over_the_limit_of_sizes_is_named_with_the_limit(cli):
    code, lines = limited(cli, ["add", "new", TRAIN, "--text", "review"], (resource.RLIMIT_FSIZE, 20_000))
    assert code == 1
    assert lines[0].startswith(f"Error: can't write to {cli.home / 'new'}")
    assert "File too large (the limit is 20.0 kB): what was finished is kept; raise the limit" in lines[0]
    assert len(lines) == 1
    assert cli("add", "new", TRAIN, "--text", "review").returncode == 0


def test_too_few_files_that_may_be_open_is_told_with_the_limit(tmp_path):
    held, before = [], resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 1024), before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files") as caught:
            while True:
                held.append((tmp_path / "one").open("w"))
        with pytest.raises(StorageError, match=r"can't write to .*: Too many open files .*`ulimit -n 4096`"):
            write_texts(tmp_path, ["a"])
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert f"(the limit is {limit:,})" in explained(caught.value)
    finally:
        for one in held:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert list(tmp_path.glob("texts/*")) == []


@pytest.mark.parametrize("words", [TAG, [*TAG, "--json"], ["info", "small"], ["--help"]])
def test_a_standard_output_that_takes_nothing_is_told(cli, store, words):
    with Path("/dev/full").open("w") as full:
        code, lines = limited(cli, words, stdout=full)
    assert code == 1
    assert [line for line in lines if line.startswith("Error: ")] == lines[-1:]
    assert lines[-1].startswith("Error: can't write to standard output: No space left on device: ")


def test_a_name_that_is_too_long_is_told(cli, store):
    line = cli.fails(1, *TAG, "-o", "x" * 300 + ".csv")
    assert "File name too long: choose a shorter name" in line


def test_python_is_told_the_output_that_can_not_be_written(store):
    with pytest.raises(OutputError, match=r"can't write /proc/out\.csv: No such file or directory: check the name"):
        store.tag(["Negative", "Positive"]).save("/proc/out.csv")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EROFS, "choose a place that can be written to"),
        (errno.EDQUOT, "free some space of your quota"),
        (errno.EIO, "the disk fails"),
        (errno.ENOTDIR, "a file stands where a folder is expected"),
        (errno.EXDEV, ""),
    ],
)
def test_every_error_names_its_place(number, advice):
    line = explained(OSError(number, os.strerror(number), "/some/where"))
    assert line.startswith(f"can't use /some/where: {os.strerror(number)}")
    assert line.endswith(advice) or advice in line
    assert "\n" not in line


def test_no_usable_temporary_folder_names_the_variable_to_set():
    line = explained(FileNotFoundError(2, "No usable temporary directory found in ['/a', '/b']"))
    assert line == (
        "No usable temporary directory found in ['/a', '/b']: set TMPDIR to a folder that can be written to"
    )


@pytest.mark.parametrize("name", [".tmp-12-abc.h5", ".embedstore-0123456789ab.tmp"])
def test_names_of_temp_files_are_not_shown(name):
    line = explained(OSError(errno.ENOSPC, "", f"/some/where/{name}"), action="can't write to")
    assert line.startswith("can't write to /some/where: No space left on device")


def test_ctrl_c_in_the_midst_of_an_exec_ends_with_130(tmp_path):
    """Dataclasses and named tuples are made by `exec`."""
    (tmp_path / "told.py").write_text(
        "from embedstore.cli.main import group, main\n"
        "group.main = lambda **_: exec('raise KeyboardInterrupt')\n"
        "main([])\n"
    )
    done = subprocess.run([sys.executable, "-m", "told"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (130, 1), done.stderr


EARLY = range(1, 240, 12)  # of 250 modules and more


@pytest.mark.parametrize("at", EARLY)
def test_ctrl_c_at_any_early_moment_ends_with_one_line_and_130(cli, at):
    """The signal is sent when the process has imported its `at`th module since the command line began to load."""
    first, *words = cli.command("add", "new", "-", "--text", "review")
    process = subprocess.Popen(
        [first, "-X", "importtime", *words],
        env=cli.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    loaded, rest = -1, []
    for line in process.stderr:
        if not line.startswith("import time:"):
            rest.append(line)
        elif loaded >= 0 or "embedstore.cli.interrupts" in line:
            loaded += 1
            if loaded == at:
                process.send_signal(signal.SIGINT)
    process.communicate()
    said = [line for line in rest if line.strip()]
    assert process.returncode == 130, said
    assert len(said) == 1, said
    assert said[0].startswith("Error: interrupted")
