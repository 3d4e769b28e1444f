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
    ("errors of Parquet while reading", "corpora/rows.py", "        except Exception as error:  # Arrow",
     "        except ZeroDivisionError as error:  # Arrow", f"{FAULTS} -k flipped{LONG}"),
    ("dimensions in the manifest", "storage/records.py", "            if (segment.vectors.dtype, segment.vectors.shape[1]) != form:",
     "            if False:", "tests/test_records.py"),
    ("paths in the manifest", "storage/places.py", "            if match and type(size) is int",
     "            if type(size) is int", "tests/test_storage.py"),
    ("bounds of datasets", "storage/places.py", "                    if offset + end > file.size:",
     "                    if False:", "tests/test_storage.py"),
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
    ('answers: a failed merge is no failure', 'annotations/log.py',
     '            except (EmbedstoreError, OSError) as error:', '            except ZeroDivisionError as error:', f'{FAULTS} -k counts_once'),
    ('answers: what a failed call left in the store', 'annotations/session.py',
     '            self._in_doubt = [instead_of, *made] if instead_of else made', '            self._in_doubt = []', f'{FAULTS} -k counts_once'),
    ('answers: the same one twice', 'annotations/log.py',
     '        if known_as in seen:\n            continue\n', '', 'tests/test_annotations.py'),
    ('answers: what an undo takes back', 'annotations/log.py',
     '        elif one.takes_back:\n            stack.pop(one.takes_back, None)\n', '', 'tests/test_annotations.py'),
    ('answers: those that the log has', 'annotations/exchange.py',
     '_said(one) in said if one.when else', 'False if one.when else', 'tests/test_annotations.py'),
    ('answers: rows edited after their export', 'annotations/exchange.py',
     '            one = replace(one, id=_derived_id(one))  # a row that was', '            continue  # a row that was', 'tests/test_annotations.py'),
    ('answers: the format of their files', 'annotations/log.py',
     '        if version > _FORMAT_VERSION:', '        if False:', 'tests/test_annotations.py'),
    ('manifest: exact types', 'core/exact.py',
     '    if type(value) is not kind:', '    if False:', 'tests/test_records.py'),
    ('manifest: numbers within limits', 'core/exact.py',
     '    if not least <= number <= most:', '    if False:', 'tests/test_records.py'),
    ('manifest: types of datasets', 'storage/records.py',
     '        if not fits or offset.shape', '        if offset.shape', 'tests/test_records.py'),
    ('manifest: provenance of vectors', 'storage/records.py',
     '            if not 0 <= segment.provenance < len(listed):', '            if False:', 'tests/test_records.py'),
    ('manifest: vectors for each text', 'storage/state.py',
     '            if counts.get(text) != segment.vectors.shape[0]:', '            if False:', 'tests/test_records.py'),
    ('manifest: what an index covers', 'storage/state.py',
     '        if len(covered) < len(index.covers) or', '        if', 'tests/test_records.py'),
    ('manifest: the space of a probe', 'storage/state.py',
     '        if probe.space not in manifest.spaces:', '        if False:', 'tests/test_records.py'),
    ('manifest: one record of a name', 'storage/state.py',
     '    if len(found) < len(pairs):', '    if False:', 'tests/test_records.py'),
    ('manifest: positions of rows', 'corpora/rows.py',
     '                if least < 0 or (', '                if False and (', 'tests/test_records.py'),
    ('one line of an error', 'errors.py',
     '" ".join(str(message).splitlines())', 'str(message)', 'tests/test_label_sets.py'),
    ('labels that UTF-8 can encode', 'labels/label_set.py',
     '        if wrong:\n            raise UsageError(f"expected texts that UTF-8', '        if False:\n            raise UsageError(f"expected texts that UTF-8', 'tests/test_label_sets.py'),
    ("links of outputs", "tables/outputs.py", "Path(os.path.realpath(path)), status", "path.absolute(), status", "tests/test_outputs.py -k link"),
    ("the mode of an earlier output", "tables/outputs.py", "os.fchmod(self.descriptor, mode)", "pass", "tests/test_outputs.py -k mode"),
    ("the owner of an earlier output", "tables/outputs.py", "os.fchown(self.descriptor, self.before.st_uid, -1)", "pass", "tests/test_outputs.py -k owner"),
    ("the mode of a temp file of outputs", "tables/outputs.py", "0o600 if before else 0o666", "0o666", "tests/test_outputs.py -k open"),
    ("outputs that are no file", "tables/outputs.py", "if status and not stat.S_ISREG(status.st_mode):", "if False:", "tests/test_outputs.py -k file"),
    ("outputs in a store", "tables/outputs.py", "if store := _store_above(target):", "if store := None:", "tests/test_outputs.py -k places"),
    ("outputs over what was read", "cli/printing.py", "if Path(name).exists() and path.samefile(name):", "if False:", "tests/test_outputs.py -k places"),
    ("the right to write an output", "tables/outputs.py", "if place.exists() and not", "if False and not", "tests/test_outputs.py -k protected"),
    ("the lock of a temp file of outputs", "tables/outputs.py", "            fcntl.flock(descriptor, fcntl.LOCK_EX)\n        if", "            pass\n        if", "tests/test_outputs.py -k leftovers"),
    ("removing what killed outputs left", "tables/outputs.py", "            leftover.unlink()", "            pass", "tests/test_outputs.py -k killed"),
    ("removing the ids before their vectors", "tables/outputs.py", "            one.target.unlink(missing_ok=True)", "            pass", "tests/test_outputs.py -k mix"),
    ("errors of libhdf5's writes", "vectors/export.py", "        if error:\n            raise error", "        pass", "tests/test_outputs.py -k full"),
    ("short writes to HDF5", "vectors/export.py", "            while left and not", "            if left and not", "tests/test_outputs.py -k short"),
    ("cleaning messages", "cli/terminal.py", "map(clean, lines)", "lines", "tests/test_terminal.py -k obey"),
    ("cleaning the log", "cli/terminal.py", "return clean(super().formatMessage(record))", "return super().formatMessage(record)", "tests/test_terminal.py -k obey"),
    ("cleaning data for a terminal", "cli/terminal.py", "_CleanStream(stream) if stream.isatty() else stream", "stream", "tests/test_terminal.py -k obey"),
    ("escapes in JSON", "cli/printing.py", "one if one.isprintable() else json.dumps(one)[1:-1]", "one", "tests/test_terminal.py -k json"),
    ("closed standard streams", "cli/main.py", "    fill_closed_streams()\n    try", "    try", "tests/test_terminal.py -k streams"),
    ("notes that stderr does not take", "cli/terminal.py", "with suppress(OSError):\n            click.echo", "with suppress():\n            click.echo", "tests/test_terminal.py -k streams"),
    ("names of temp files", "core/system.py", "place.parent if place.name.startswith(_TEMP) else place", "place", "tests/test_system.py -k temp"),
    ("a store's word for a model", "encoders/locate.py", " if fetch else _from_cache(name, revision)", "",
     "tests/test_fetching.py -k nothing_is_fetched"),
    ("a store's word for a model with other options", "vectors/models.py", "filled[0].revision or None, False",
     "filled[0].revision or None, True", "tests/test_fetching.py -k nothing_is_fetched"),
    ("a store's word for the model of a space", "vectors/models.py", "fetch=False)", "fetch=True)",
     "tests/test_fetching.py -k nothing_is_fetched"),
    ("names that can stand in a command", "encoders/locate.py", "_HUB_NAME.fullmatch(name) and", "",
     "tests/test_fetching.py -k no_command"),
    ("no network while a model is loaded", "encoders/loading.py", ", offline(), quiet_logs():\n        model",
     ", quiet_logs():\n        model", "tests/test_fetching.py -k library_asks"),
    ("modules of other packages", "encoders/checkpoint.py",
     ' or not ("." not in kind or kind.startswith("sentence_transformers."))', "", "tests/test_fetching.py -k name_code"),
    ("other weights than those read", "encoders/checkpoint.py", "        if other:", "        if False:",
     "tests/test_fetching.py -k name_code"),
    ("pickles of a layer", "encoders/checkpoint.py", '        if _class_name(module) == "Dense":\n            read',
     "        if False:\n            read", "tests/test_fetching.py -k pickled"),
    ("weights outside the folder of their index", "encoders/weights.py", "        if outside:", "        if False:",
     "tests/test_fetching.py -k index"),
    ("sizes and shapes of weights", "encoders/weights.py",
     '        raise ValueError("the sizes and shapes of its tensors differ")', "        pass", "tests/test_fetching.py -k header"),
    ("errors of a checkpoint's parsers", "encoders/reading.py", "        raise CheckpointError(f\"{what}",
     "        raise\n        raise CheckpointError(f\"{what}", "tests/test_encoders.py -k another_form"),
    ("the size of a probe's arrays", "learning/probe.py", "stream.read(most)", "stream.read()",
     "tests/test_blocks.py -k no_memory"),
    ("the shape of a probe's arrays", "learning/probe.py", "shape != expected or dtype != np.float64", "False",
     "tests/test_blocks.py -k arrays"),
    ("numbers in a probe's arrays", "learning/probe.py", "            if not np.isfinite(array).all():", "            if False:",
     "tests/test_blocks.py -k arrays"),
    ("classes of a probe", "learning/probe.py", "    if len(values) < 2 or", "    if False and", "tests/test_blocks.py -k description"),
    ("scores in blocks", "core/blocks.py", "    size = max(", "    size = max(rows, ", "tests/test_blocks.py"),
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
