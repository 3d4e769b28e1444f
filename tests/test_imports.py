"""What loads what: the cheap paths load nothing heavy, and imports point one way."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import embedstore
from embedstore.encoders.native.binding import kernels

ROOT = Path(embedstore.__file__).parent.parent
HEAVY = [
    "torch",
    "tensorflow",
    "faiss",
    "pandas",
    "sklearn",
    "h5py",
    "transformers",
    "sentence_transformers",
    "pyarrow",
]

# What a short command does without: each takes longer to import than what it would be used for.
SLOW = ["gzip", "html", "importlib.resources", "numpy.ma", "pyarrow.compute", "random", "secrets", "yaml"]

# Modules of ours that `info`, and tags and searches with vectors that are there, do not need.
ELSEWHERE = [
    "annotations.log",
    "encoders.base",
    "encoders.light",
    "labels.fewshot",
    "labels.zeroshot",
    "maintenance.sweeping",
    "maintenance.verification",
    "reports.calibration",
    "reports.metrics",
    "reports.multilabel",
    "tagging.multilabel",
    "vectors.canaries",
    "vectors.executors",
]

# From the ground up: each may import from those before it, and its own modules.
ORDER = [
    "errors",
    "core",
    "storage",
    "tables",
    "encoders",
    "corpora",
    "vectors",
    "incoming",
    "reports",
    "labels",
    "annotations",
    "tagging",
    "learning",
    "topics",
    "maps",
    "exports",
    "maintenance",
    "cluster",
    "store",
    "estimators",
    "demo",
    "desk",
    "web",
]


def modules_loaded(code: str, *words: str) -> set[str]:
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("code", ["import embedstore", "import embedstore.cli"])
def test_importing_loads_nothing_heavy(code):
    assert not modules_loaded(code).intersection(HEAVY)


def test_help_loads_nothing_heavy():
    code = "from embedstore.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert not modules_loaded(code).intersection(HEAVY)


def test_reading_a_store_loads_no_hdf5_and_no_model(store):
    code = (
        "import embedstore\n"
        f"store = embedstore.open({str(store.path)!r})\n"
        "store.info(); store.space().vectors(store.corpus()); store.tag(['Negative', 'Positive'])\n"
        "store.search(row='k0', k=3)"
    )
    loaded = modules_loaded(code)
    assert not loaded.intersection({"h5py", "torch", "tensorflow", "transformers", "sentence_transformers", "sklearn"})


def test_encoding_again_loads_no_torch(demo_home):
    code = (
        "import embedstore\n"
        f"report = embedstore.open({str(demo_home / 'demo')!r}).encode()\n"
        "assert (report.encoded, report.cached) == (0, report.distinct_texts), report"
    )
    assert not modules_loaded(code).intersection({"torch", "transformers", "sentence_transformers", "h5py"})


@pytest.mark.parametrize(
    "words", [["info"], ["tag", "-l", "Negative", "-l", "Positive", "-o", "TABLE"], ["search", "--row", "r0001"]]
)
def test_what_is_asked_often_loads_little(demo_home, tmp_path, words):
    command, *rest = [str(tmp_path / "table.csv") if word == "TABLE" else word for word in words]
    code = (
        "from embedstore.cli import main\n"
        f"try: main({[command, str(demo_home / 'demo'), *rest]!r})\n"
        "except SystemExit as error: assert not error.code, error.code"
    )
    loaded = modules_loaded(code)
    assert not loaded.intersection({"pandas", "torch", "faiss", "h5py", "sklearn", "scipy", *SLOW})
    assert not loaded.intersection(f"embedstore.{name}" for name in ELSEWHERE)


def test_pandas_is_there_for_those_who_ask_later():
    code = (
        "from embedstore.cli.opening import hide_pandas\n"
        "hide_pandas()\n"
        "import pyarrow as pa\n"
        "assert 'pandas' not in sys.modules\n"
        "assert pa.table({'a': [1]}).to_pandas()['a'].tolist() == [1]"
    )
    assert "pandas" in modules_loaded(code)


def test_a_new_label_loads_no_torch(demo_home):
    code = (
        "import embedstore\n"
        f"store = embedstore.open({str(demo_home / 'demo')!r})\n"
        "assert sum(map(len, store.tag(['Delivery', 'Size', 'Colour']).batches())) == 60\n"
        "assert 'numpy' in [made['backend'] for made in store.info()['spaces'][0]['provenance']]"
    )
    assert not modules_loaded(code).intersection({"torch", "transformers", "sentence_transformers"})


@pytest.mark.parametrize(
    ("rows", "backend"),
    [
        pytest.param(20, "numpy"),
        pytest.param(
            300, "native", marks=pytest.mark.skipif(not kernels(), reason="there is no native encoder on this machine")
        ),
    ],
)
def test_a_corpus_is_encoded_without_torch(tmp_path, rows, backend):
    code = (
        "import embedstore\n"
        f"store = embedstore.create({str(tmp_path / 'new')!r})\n"
        f"store.add([{{'text': f'a lamp, number {{row}}'}} for row in range({rows})], text='text')\n"
        "store.encode(device='cpu')\n"
        "(provenance,) = store.info()['spaces'][0]['provenance']\n"
        f"assert provenance['backend'] == {backend!r}, provenance"
    )
    assert not modules_loaded(code).intersection({"torch", "transformers", "sentence_transformers"})


@pytest.mark.parametrize("family", ["bert", "distilbert", "mpnet", "roberta"])
def test_a_search_for_a_new_text_loads_no_torch(checkpoint, tmp_path, family):
    store = embedstore.create(tmp_path / "new")
    store.add([{"text": "a lamp"}, {"text": "good tea"}], text="text")
    store.encode(str(checkpoint(family)))
    code = (
        "from embedstore.cli import main\n"
        f"try: main(['search', {str(store.path)!r}, 'a new lamp'])\n"
        "except SystemExit as error: assert not error.code, error.code"
    )
    loaded = modules_loaded(code)
    assert not loaded.intersection({"torch", "transformers", "sentence_transformers", "pandas", *SLOW})
    assert {"tokenizers", "embedstore.encoders.light"} <= loaded


@cache
def imported_by(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def library_modules() -> list[Path]:
    return [path for path in (ROOT / "embedstore").rglob("*.py") if path.parent.name != "cli"]


def unit_of(module: str) -> str:
    return module.split(".")[1] if module.count(".") else ""


def test_imports_point_one_way():
    rank = {unit: number for number, unit in enumerate(ORDER)}
    wrong = []
    for path in library_modules():
        unit = path.relative_to(ROOT / "embedstore").parts[0].removesuffix(".py")
        if unit == "__init__":
            continue
        for module in imported_by(path):
            other = unit_of(module)
            if module.startswith("embedstore.") and other in rank and other != unit and rank[other] > rank[unit]:
                wrong.append(f"{unit} imports {other}")
    assert not wrong


def test_every_module_has_a_place_in_the_order():
    units = {path.relative_to(ROOT / "embedstore").parts[0].removesuffix(".py") for path in library_modules()}
    assert units - {"__init__"} == set(ORDER)


@pytest.mark.parametrize(
    ("package", "home"),
    [
        ("torch", "encoders"),
        ("transformers", "encoders"),
        ("tensorflow", "encoders"),
        ("keras_hub", "encoders"),
        ("sentence_transformers", "encoders"),
        ("faiss", "exports vectors"),
        ("h5py", "exports storage"),
        ("ray", "cluster"),
        ("click", ""),
    ],
)
def test_a_heavy_package_is_imported_in_one_place(package, home):
    for path in library_modules():
        unit = path.relative_to(ROOT / "embedstore").parts[0].removesuffix(".py")
        if package in {module.split(".")[0] for module in imported_by(path)}:
            assert unit in home.split(), path


def test_only_storage_and_output_write_files():
    for path in library_modules():
        unit = path.relative_to(ROOT / "embedstore").parts[0].removesuffix(".py")
        calls = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert (
            not calls.intersection({"fsync", "rename", "link"})
            or unit == "storage"
            or path.name in ("folders.py", "outputs.py")
        ), path


def test_public_names_are_sorted_and_exist():
    assert embedstore.__all__ == sorted(embedstore.__all__)
    for name in embedstore.__all__:
        assert getattr(embedstore, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = embedstore.no_such_name
