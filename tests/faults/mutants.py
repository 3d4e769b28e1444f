"""Remove each guard in turn and check that a test fails: ``python tests/faults/mutants.py`` prints a Markdown table."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FAULTS = "tests/faults/test_faults.py"
LONG = " (long)"
_LONGEST = 600  # seconds after which tests count as failed

# Each entry: the guard, the file, the code to replace, the replacement, the tests that must fail.
MUTANTS = [
    ("fsync of a sealed file", "storage/gate.py", "        self._sync()\n        self._folder.rename", "        self._folder.rename",
     f"{FAULTS} -k power"),
    ("fsync of the folder after a rename", "storage/gate.py", "sha256 + suffix)\n        self._folder.sync()", "sha256 + suffix)",
     f"{FAULTS} -k power"),
    ("fsync of a new manifest", "storage/gate.py", "        self._sync()\n        try:", "        self.stream.flush()\n        try:",
     f"{FAULTS} -k power"),
    ("fsync of the folder after the link", "storage/gate.py", "        try:\n            self._folder.sync()",
     "        try:\n            pass", f"{FAULTS} -k power"),
    ("fsync of the parent of a new folder", "storage/gate.py", "    os.fsync(outer)  #", "    #", f"{FAULTS} -k power"),
    ("taking back a manifest whose fsync failed", "storage/gate.py", "                self._folder.remove(name)\n            raise",
     "                pass\n            raise", f"{FAULTS} -k 'failed and append'{LONG}"),
    ("removing temp files", "storage/gate.py", "            self._folder.remove(self._name)",
     "            pass", "tests/test_storage.py tests/test_gate.py"),
    ("link instead of rename of a manifest", "storage/gate.py", "            self._folder.link(self._name, name)",
     "            self._folder.rename(self._name, name)", "tests/test_storage.py"),
    ("looking for newer manifests after the link", "storage/manifest.py", "        if listed[-1][0] > following.sequence and",
     "        if False and", "tests/test_storage.py"),
    ("the lineage of a manifest", "storage/manifest.py", "mark not in load(root).lineage:", "True:", "tests/test_storage.py"),
    ("the hash of the manifest", "storage/manifest.py", "    if whole != content:", "    if False:", "tests/test_storage.py"),
    ("the lock of adders", "storage/locks.py", '".rows.lock", lambda opened: limit.until(lambda: _flock(opened, fcntl.LOCK_EX))',
     '".rows.lock", lambda opened: limit.until(lambda: _flock(opened, fcntl.LOCK_SH))', f"{FAULTS} -k eight"),
    ("comparing the rows before a commit", "corpora/ingest.py", "        if manifest.texts != base.texts or", "        if False and", "tests/test_tables.py"),
    ("the exclusive lock of gc", "sweeping.py", "    with locks.alone(", "    with locks.writing(", "tests/test_care.py"),
    ("the exclusive lock of repair", "maintenance.py", "    with locks.alone(", "    with locks.writing(", "tests/test_care.py"),
    ("the lock of readers", "vectors/snapshot.py", "    with reading(root) as manifest:", "    for manifest in [load(root)]:",
     "tests/test_care.py"),
    ("the size of a file", "storage/listed.py", "    if status.st_size != file.size and", "    if False and", f"{FAULTS} tests/test_storage.py"),
    ("the hash of an index and a probe", "storage/listed.py", "    if hashlib.sha256(content).hexdigest() != file.sha256:",
     "    if False:", "tests/test_search.py tests/test_probe.py tests/test_annotations.py"),
    ("the hash in verify", "maintenance.py", "                if not same_hash(stream, file):", "                if False:",
     f"{FAULTS} -k flipped"),
    ("checksums of pages", "corpora/rows.py", "page_checksum_verification=True", "page_checksum_verification=False", f"{FAULTS} -k flipped{LONG}"),
    ("errors of Parquet while reading", "corpora/rows.py", "        except (pa.ArrowException, OSError) as error:\n            raise _altered(self._root",
     "        except ZeroDivisionError as error:\n            raise _altered(self._root", f"{FAULTS} -k flipped{LONG}"),
    ("dimensions in the manifest", "storage/records.py", '            if segment.vectors.shape[1:] != (value["dimension"],):',
     "            if False:", f"{FAULTS} -k harm"),
    ("paths in the manifest", "storage/records.py", "        if match is None or type(size) is not int or size < 0:",
     "        if type(size) is not int:", "tests/test_storage.py"),
    ("bounds of datasets", "storage/records.py", "        if offset + count * width > file.size:",
     "        if False:", "tests/test_storage.py"),
    ("the size of a probe's arrays", "learning/probe.py", "        if claimed > most:", "        if False:", f"{FAULTS} -k harm"),
    ("pickles in a probe", "learning/probe.py", "allow_pickle=False", "allow_pickle=True", f"{FAULTS} -k harm"),
    ("the expansion of a Parquet file", "tables/parquet.py", "        if expanded > most:", "        if False:", f"{FAULTS} -k harm"),
    ("vectors that say nothing", "vectors/canaries.py", "        if wrong.any():", "        if False:", "tests/test_encode.py"),
    ("canaries", "vectors/canaries.py", "    if not lowest >= _LOWEST_COSINE:", "    if False:", "tests/test_encode.py"),
    ("apostrophes before formulas", "tables/write.py", 'pc.replace_substring_regex(column, _FORMULA, r"\'\\1")', "column", "tests/test_strange.py"),
    ("printing a float back", "tables/inference.py", "all(repr(float(cell)) == cell for cell in values.to_pylist())", "True", "tests/test_values.py"),
    ("one spelling of missing values", "tables/inference.py", "and len(nulls) < 2", "", "tests/test_values.py"),
    ("missing words as written", "tables/inference.py", "columns.append(pc.if_else(pc.equal(column, \"\"), None, column))",
     "columns.append(self._valid(column))", "tests/test_values.py"),
    ("the word of a missing value", "tables/delimited.py", "nulls = [notes_on(field).null or \"\" for field in schema]",
     "nulls = [\"\" for field in schema]", "tests/test_values.py"),
    ("widening to text", "tables/widening.py", "fixed=mine.large or theirs.large or \"csv\" in (mine.written, theirs.written)", "fixed=False", "tests/test_values.py"),
    ("characters after a closing quote", "tables/delimited.py", "strict=True, **quoting", "strict=False, **quoting", "tests/test_reading.py"),
    ("the byte order mark", "tables/base.py", "if head.startswith(mark)), \"utf-8-sig\")", "if False), \"utf-8-sig\")", "tests/test_reading.py"),
    ("a class in both corpora", "learning/targets.py", "if tested.isdisjoint(learnt):", "if False:", "tests/test_values.py"),
    ("one value in two spellings", "core/values.py", "return found[0] if len(found) == 1 else None", "return None", "tests/test_values.py"),
    ("infinities in JSON", "core/cells.py", "if isinstance(value, float) and not math.isfinite(value):", "if False:", "tests/test_values.py"),
    ("leaving blank texts out of hits", "vectors/neighbours.py", "        wanted[space.texts.blank] = False", "        pass", "tests/test_blank.py"),
    ("leaving blank rows out of tags", "tagging/pipeline.py", "table.positions() if answered.all() else table.positions()[answered]",
     "table.positions()", "tests/test_blank.py"),
    ("leaving blank rows out of training", "learning/targets.py", "said[codes] & target.answerable", "said[codes]", "tests/test_blank.py"),
    ("bounds of blank rows in the manifest", "storage/records.py", "or not before < row < count:", "or False:", "tests/test_blank.py"),
    ('the count of a guard', 'core/guards.py',
     '            if self._restore is None:\n                try', '            if True:\n                try', 'tests/test_guards.py'),
    ('the last thread of a guard', 'core/guards.py',
     '        if not self._inside and self._restore', '        if self._restore', 'tests/test_guards.py'),
    ('the own thread of a warning filter', 'core/guards.py',
     '        return self.depth > 0', '        return True', 'tests/test_guards.py'),
    ('free locks in a fork', 'core/guards.py',
     '        lock.renew()\n\n\nos', '        pass\n\n\nos', 'tests/test_guards.py'),
    ('guards in a fork', 'core/guards.py',
     '        self._inside = [thread for thread in self._inside if', '        self._inside = [thread for thread in self._inside if True or', 'tests/test_guards.py'),
    ('the lock of models', 'vectors/models.py',
     '        with self._lock.held():\n            if key', '        if True:\n            if key', 'tests/test_guards.py'),
    ('the threads of torch', 'encoders/pytorch.py',
     '            torch.set_num_threads(threads)', '            pass', 'tests/test_guards.py'),
    ('a thread of its own for BLAS limits', 'core/parallel.py',
     '    with ThreadPoolExecutor(1) as pool:\n        pool.submit(work, argument).result()', '    work(argument)', 'tests/test_guards.py'),
    ('the limit of csv fields', 'tables/delimited.py',
     '    return lambda: csv.field_size_limit(before)', '    return lambda: None', 'tests/test_guards.py'),
    ('a saved truncate_dim', 'encoders/checkpoint.py',
     '_saved_truncate_dim(saved.get("truncate_dim"), full)', 'None', 'tests/test_truncation.py'),
    ('all dimensions of an earlier release', 'vectors/models.py',
     '    if described.spec != spec and spec.truncate_dim is None:', '    if False:', 'tests/test_truncation.py'),
    ('all dimensions in sentence-transformers', 'encoders/sentence.py',
     '        self._model.truncate_dim = self.spec.truncate_dim', '        #', 'tests/test_truncation.py'),
    ('the check of arguments', 'store.py',
     '        arguments, options = check_arguments(own_arguments, arguments, options)\n', '', 'tests/test_inputs.py'),
    ('a pickle without its store', 'estimators.py',
     ' if name != "_opened"}', '}', 'tests/test_estimators.py'),
    ('a store for equal estimators', 'estimators.py',
     '        found = _SHARED.get(path)', '        found = None', 'tests/test_estimators.py'),
    ("fsync of the parent of a new store", "storage/gate.py", "        parent.sync()", "        pass", f"{FAULTS} -k power"),
    ("no-follow of files", "storage/gate.py", "_FILE = os.O_CLOEXEC | os.O_NOFOLLOW", "_FILE = os.O_CLOEXEC", f"tests/test_gate.py {FAULTS} -k 'dangling or harm'"),
    ("no-follow of folders", "storage/gate.py", "os.open(name, _FOLDER | os.O_NOFOLLOW,", "os.open(name, _FOLDER,", "tests/test_gate.py -k folder"),
    ("regular files only", "storage/gate.py", "        if not stat.S_ISREG(os.fstat(found).st_mode):", "        if False:", "tests/test_gate.py -k no_file"),
    ("opening a pipe without waiting", "storage/gate.py", " | os.O_NONBLOCK", "", "tests/test_gate.py -k 'no_file and pipe'"),
    ("the mode of new files", "storage/gate.py", "self._mode(0o666)", "0o666", "tests/test_gate.py -k private"),
    ("the mode of new folders", "storage/gate.py", "0o777 & stat.S_IMODE(os.fstat(outer).st_mode)", "0o777", "tests/test_gate.py -k private"),
    ("removing only own files after a failed first add", "storage/adding.py",
     'for file in [*(text.file for text in made.texts), *(part.file for part in made.parts)]:\n        folder, _, name = file.path.partition("/")',
     'for folder, name in [(path.parent.name, path.name) for path in root.glob("*/*")]:', "tests/test_locks.py -k first_add"),
    ("looking for a store after a failed first add", "storage/adding.py", "            if not exists(root):", "            if True:",
     "tests/test_locks.py -k first_add"),
    ("lock files that were removed meanwhile", "storage/locks.py", "            if os.fstat(descriptor).st_nlink:", "            if True:",
     "tests/test_locks.py -k opened_anew"),
    ("unlocking, not only closing", "storage/locks.py", "        _unlock(descriptor)\n        os.close(descriptor)", "        os.close(descriptor)",
     "tests/test_locks.py -k child"),
    ("closing locks in a forked child", "storage/locks.py", "os.register_at_fork(after_in_child=_close_locks_in_child)", "",
     "tests/test_locks.py tests/test_guards.py -k 'child or fork'"),
    ("the turn of gc", "storage/locks.py", "turn.taken() and _flock(", "_flock(", "tests/test_locks.py -k turn"),
    ("own locks in writing", "storage/locks.py", "    if own:  # `alone`", "    if False:  # `alone`", "tests/test_locks.py -k callback"),
    ("own locks in alone", "storage/locks.py", "    if own:\n        raise", "    if False:\n        raise", "tests/test_locks.py -k callback"),
    ("the mark of readers", "storage/locks.py", "yield _flock(descriptor, fcntl.LOCK_SH) and ", "yield ", f"tests/test_care.py {FAULTS} -k readers"),
    ("manifests that go while they are opened", "storage/locks.py", " and os.fstat(descriptor).st_nlink > 0", "", "tests/test_care.py -k reader"),
    ("looking for readers in gc", "sweeping.py", "                if remove_unread(path, dry_run=dry_run):",
     "                folders[0].remove(path.name)\n                if True:", f"tests/test_care.py {FAULTS} -k readers"),
    ("looking for readers in a commit", "storage/manifest.py", "                remove_unread(old)",
     "                with Folder(root) as folder:\n                    folder.remove(old.name)", f"{FAULTS} -k readers"),
    ("manifests that go during a dry run", "sweeping.py", "            with suppress(FileNotFoundError):  # a dry", "            if True:  # a dry",
     f"{FAULTS} -k readers"),
    ("the whole path of a folder that can't be made", "storage/gate.py", "            with _naming(self.path):\n                if make:\n                    _make(name, outer)\n",
     "            if make:\n                _make(name, outer)\n            with _naming(self.path):\n", "tests/test_gate.py -k whole_path"),
    ("an error of ours where a store's folder can't be made", "storage/gate.py",
     "        return False\n    except OSError as error:\n        raise refused(error, root) from error",
     "        return False", "tests/test_gate.py -k no_store"),
    ("an end of the tries to add to a folder that goes", "storage/adding.py", " or tries == _TRIES:", ":", "tests/test_gate.py -k leads_nowhere"),
    ("sweeping before merging", "sweeping.py", "        first = _swept(root, dry_run=False)\n        try:\n            merged = _merge_queries(root, load(root))",
     "        try:\n            merged = _merge_queries(root, load(root))\n            first = _swept(root, dry_run=False)", "tests/test_locks.py -k no_space"),
    ("a merge that fails and gc", "sweeping.py", "        except StorageError as error:\n            logger", "        except ZeroDivisionError as error:\n            logger",
     "tests/test_locks.py -k no_space"),
    ("tidying up that fails after a commit", "storage/manifest.py", "        with suppress(OSError, EmbedstoreError):\n            listed", "        if True:\n            listed",
     f"{FAULTS} -k 'failed and append'{LONG}"),
    ("reading all bytes first (--check)", "vectors/snapshot.py", "        if self._check:", "        if False:", "tests/test_locks.py -k check_finds"),
    ("saying whose a store is", "vectors/snapshot.py", "        if not self._told:", "        if False:", "tests/test_gate.py -k somebody_else"),
]  # fmt: skip


def tests_fail(place: Path, words: str) -> bool:
    """Return whether the tests in the folder `place` fail with the package in this folder."""
    long = {"EMBEDSTORE_TORTURE": "1"} if words.endswith(LONG) else {}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", *shlex.split(words.removesuffix(LONG))]
    environment = {**os.environ, **long, "PYTHONPATH": str(place)}
    with subprocess.Popen(
        command,
        cwd=place,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        try:
            return running.wait(_LONGEST) != 0
        except subprocess.TimeoutExpired:  # without the guard something waits for ever
            os.killpg(running.pid, signal.SIGKILL)
            return True


def main(word: str = "") -> None:
    """Print a line for each mutant whose description contains a word."""
    print("| taken away | tests | seen to fail |\n|---|---|---|", flush=True)
    survived = 0
    for what, name, code, instead, words in MUTANTS:
        if word not in what:
            continue
        with tempfile.TemporaryDirectory() as name_of_place:
            place = Path(name_of_place)
            package = shutil.copytree(ROOT / "embedstore", place / "embedstore")
            shutil.copytree(ROOT / "cli", package / "cli")
            shutil.copytree(ROOT / "tests", place / "tests")
            shutil.copy(ROOT / "pyproject.toml", place)
            source = (package / name).read_text()
            assert code in source, f"{name} has no {code!r}"
            (package / name).write_text(source.replace(code, instead))
            failed = tests_fail(place, words)
        survived += not failed
        print(f"| {what} | `{words}` | {'yes' if failed else '**no**'} |", flush=True)
    sys.exit(survived > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
