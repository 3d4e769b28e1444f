"""Remove each guard in turn and check that a test fails: ``python tests/faults/mutants.py`` prints a Markdown table."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FAULTS = "tests/faults/test_faults.py"
LONG = " (long)"

# Each entry: the guard, the file, the code to replace, the replacement, the tests that must fail.
MUTANTS = [
    ("fsync of a sealed file", "storage/files.py", "    _fsync(temp)\n    temp.replace", "    temp.replace", f"{FAULTS} -k power"),
    ("fsync of the folder after a rename", "storage/files.py", "    temp.replace(target)\n    _fsync(target.parent)",
     "    temp.replace(target)", f"{FAULTS} -k power"),
    ("fsync of a new manifest", "storage/files.py", "        temp.write_bytes(content)\n        _fsync(temp)",
     "        temp.write_bytes(content)", f"{FAULTS} -k power"),
    ("fsync of the folder after the link", "storage/files.py", "        try:\n            _fsync(target.parent)",
     "        try:\n            pass", f"{FAULTS} -k power"),
    ("fsync of the parent of a new folder", "storage/files.py", "        folder.mkdir(exist_ok=True)\n        _fsync(folder.parent)",
     "        folder.mkdir(exist_ok=True)", f"{FAULTS} -k power"),
    ("taking back a manifest whose fsync failed", "storage/files.py", "                target.unlink()\n            raise",
     "                pass\n            raise", f"{FAULTS} -k 'failed and append'{LONG}"),
    ("removing temp files", "storage/files.py", "            temp.unlink()",
     "            pass", "tests/test_storage.py tests/test_care.py"),
    ("link instead of rename of a manifest", "storage/files.py", "            os.link(temp, target)",
     "            os.rename(temp, target)", f"{FAULTS} tests/test_storage.py"),
    ("looking for newer manifests after the link", "storage/manifest.py", "        if listed[-1][0] > following.sequence and",
     "        if False and", "tests/test_storage.py"),
    ("the lineage of a manifest", "storage/manifest.py", "mark not in load(root).lineage:", "True:", "tests/test_storage.py"),
    ("the hash of the manifest", "storage/manifest.py", "    if whole != content:", "    if False:", "tests/test_storage.py"),
    ("the lock of adders", "corpora/ingest.py", 'files.lock(root / ".rows.lock", exclusive=True)',
     'files.lock(root / ".rows.lock", exclusive=False)', f"{FAULTS} -k eight"),
    ("comparing the rows before a commit", "corpora/ingest.py", "            if manifest.texts != base.texts or", "            if False and", "tests/test_tables.py"),
    ("the exclusive lock of gc", "maintenance.py", 'exclusive=True):\n        merged', "exclusive=False):\n        merged", "tests/test_care.py"),
    ("the exclusive lock of repair", "maintenance.py", 'exclusive=True):\n        damaged', "exclusive=False):\n        damaged",
     "tests/test_care.py"),
    ("the lock of readers", "vectors/snapshot.py", "    with files.read_lock(root):\n        yield",
     "    if True:\n        yield", "tests/test_care.py"),
    ("the size of a file", "storage/segments.py", "    if status.st_size != file.size:", "    if False:", f"{FAULTS} tests/test_storage.py"),
    ("links among the files", "storage/segments.py", "    if not stat.S_ISREG(status.st_mode):", "    if False:", f"{FAULTS} -k harm"),
    ("links among the folders", "storage/segments.py", "    if folder.is_symlink():", "    if False:", f"{FAULTS} -k harm"),
    ("a manifest that is a link", "storage/manifest.py", "        if path.is_symlink():", "        if False:", f"{FAULTS} -k harm"),
    ("the hash of an index and a probe", "storage/segments.py", "    if files.file_sha256(path) != file.sha256:", "    if False:",
     f"{FAULTS} tests/test_search.py"),
    ("the hash in verify", "maintenance.py", "            if files.file_sha256(check_size(root, file)) != file.sha256:", "            if False:",
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
    ("missing words as written", "tables/inference.py", "columns.append(_without(column, pc.equal(column, \"\")))",
     "columns.append(self._valid(column))", "tests/test_values.py"),
    ("the word of a missing value", "tables/delimited.py", "nulls = [notes_on(field).null or \"\" for field in schema]",
     "nulls = [\"\" for field in schema]", "tests/test_values.py"),
    ("widening to text", "tables/widening.py", "fixed=mine.large or theirs.large or \"csv\" in (mine.written, theirs.written)", "fixed=False", "tests/test_values.py"),
    ("characters after a closing quote", "tables/delimited.py", "strict=True,\n            **quoting", "strict=False,\n            **quoting", "tests/test_reading.py"),
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
    ('files of locks in a fork', 'storage/files.py',
     '            os.close(descriptor)\n\n\nos.register', '            pass\n\n\nos.register', 'tests/test_guards.py'),
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
    ('the cap of a row of CSV', 'tables/delimited.py',
     '            if self.size > self._options.max_row:', '            if False:', 'tests/test_caps.py'),
    ('the cap of fields', 'tables/delimited.py',
     '            if self.fields >= self._options.max_columns:  # perhaps', '            if False:  # perhaps', 'tests/test_caps.py'),
    ('separators in quotes', 'tables/delimited.py',
     '                self.fields = self._separators(line, inside)', '                pass', 'tests/test_caps.py'),
    ('the cap of a cell of text', 'tables/base.py',
     '        if size > self._options.max_cell:', '        if False:', 'tests/test_caps.py'),
    ('the cap of a cell of Parquet', 'tables/parquet.py',
     '                if size > most:', '                if False:', 'tests/test_caps.py'),
    ('the cap of a cell of a sheet', 'tables/excel.py',
     '                if longest > self._options.max_cell:', '                if False:', 'tests/test_caps.py'),
    ('the cap of a row of JSON', 'tables/json_lines.py',
     '        if size > self._options.max_row:', '        if False:', 'tests/test_caps.py'),
    ('the cap of keys', 'tables/json_lines.py',
     '        if count > most:', '        if False:', 'tests/test_caps.py'),
    ('the cap of depth', 'tables/json_lines.py',
     '        if depth > self._options.max_depth:', '        if False:', 'tests/test_caps.py'),
    ('the cap of columns of any table', 'tables/boundary.py',
     '            if len(names) > self._options.max_columns:', '            if False:', 'tests/test_caps.py'),
    ('the expansion of a compressed file', 'tables/base.py',
     '        if self._taken > self._most:', '        if False:', 'tests/test_caps.py'),
    ('the boundary of the readers', 'tables/boundary.py',
     '        if not parsing or', '        if True or', 'tests/test_caps.py'),
    ('panics at the boundary', 'tables/boundary.py',
     'isinstance(error, Exception) or type(error).__name__ == "PanicException"', 'isinstance(error, Exception)', 'tests/test_caps.py'),
    ('interrupts at the boundary', 'tables/boundary.py',
     '        if not parsing or isinstance', '        if isinstance', 'tests/test_caps.py'),
    ('rows as they were counted', 'tables/boundary.py',
     '            if self._rows not in (None, rows):', '            if False:', 'tests/test_caps.py'),
    ('lists in themselves', 'tables/nesting.py',
     '    for value in values:\n        if _is_nested(value):', '    for value in values:\n        if False:', 'tests/test_caps.py'),
    ('lists that stand in many places', 'tables/nesting.py',
     'len(children) * times[key]', 'len(children)', 'tests/test_caps.py'),
    ('messages on one line', 'errors.py',
     '        return " ".join(super().__str__().splitlines())', '        return super().__str__()', 'tests/test_caps.py'),
]  # fmt: skip


def tests_fail(place: Path, words: str) -> bool:
    """Return whether the tests in the folder `place` fail with the package in this folder."""
    long = {"EMBEDSTORE_TORTURE": "1"} if words.endswith(LONG) else {}
    command = [sys.executable, "-m", "pytest", "-q", "-x", *shlex.split(words.removesuffix(LONG))]
    done = subprocess.run(command, cwd=place, env={**os.environ, **long, "PYTHONPATH": str(place)}, capture_output=True)
    return done.returncode != 0


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
