"""How the code is laid out: sizes, faces of packages, private names, signatures."""

import ast
import importlib
import inspect
import itertools
import pkgutil
import re
import tomllib
from pathlib import Path

import pytest

import embedstore

ROOT = Path(embedstore.__file__).parent.parent
MODULES = sorted([*(ROOT / "embedstore").rglob("*.py"), *(ROOT / "cli").glob("*.py")])
CPP = (".cpp", ".h")
SOURCES = [path for top in ("embedstore", "tests") for path in (ROOT / top).rglob("*") if path.suffix in CPP]
PACKAGES = sorted(path.parent for path in (ROOT / "embedstore").glob("*/__init__.py") if path.parent.name != "cli")


def length(node: ast.AST) -> int:
    """Return the lines of a definition, without its documentation."""
    body = getattr(node, "body", [])
    documented = body and isinstance(body[0], ast.Expr) and isinstance(getattr(body[0], "value", None), ast.Constant)
    return node.end_lineno - node.lineno + 1 - (body[0].end_lineno - body[0].lineno + 1 if documented else 0)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_classes_and_functions_stay_small(path):
    text = path.read_text()
    assert text.count("\n") <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            assert node.end_lineno - node.lineno < 200, node.name
        elif isinstance(node, ast.FunctionDef):
            assert length(node) <= 60, node.name


def private_names(tree: ast.AST) -> set[str]:
    """Return the private names that a module defines, or gives to `self`."""
    found = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_own(node)}
    return found | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_takes_the_private_name_of_another(path):
    tree = ast.parse(path.read_text())
    known = private_names(tree) | {"_flatten_layers", "_exit"}  # of Keras and os, which have no public ones
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            taken = [alias.name for alias in node.names if alias.name.startswith("_") and alias.name != "__version__"]
            assert not taken, node.module
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            assert node.attr in known, node.attr


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.name)
def test_a_package_names_its_public_face(folder):
    package = importlib.import_module(f"embedstore.{folder.name}")
    names = getattr(package, "__all__", [])
    modules = {module.name for module in pkgutil.iter_modules([str(folder)])}
    assert not modules.intersection(names), "a module would hide the name"
    for name in names:
        value = getattr(package, name)
        home = getattr(package, "_HOMES", {}).get(name)
        if home:
            assert name in importlib.import_module(f"embedstore.{folder.name}.{home}").__all__
        assert value is not None


def test_every_module_lists_what_is_public():
    for path in MODULES:
        if path.name in ("__init__.py", "__main__.py"):
            continue
        tree = ast.parse(path.read_text())
        listed = next(
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "__all__"
        )
        assert not any(name.startswith("_") for name in listed), path
        assert len(set(listed)) == len(listed), path


METHODS = [
    name for name, value in vars(embedstore.EmbeddingStore).items() if not name.startswith("_") and name != "manifest"
]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_a_store_has_its_own_signature_and_documentation(name):
    method = getattr(embedstore.EmbeddingStore, name)
    assert inspect.getdoc(method), name
    if isinstance(method, property):
        return
    parameters = inspect.signature(method).parameters
    assert next(iter(parameters)) == "self"
    assert not any(one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL) for one in parameters.values())
    assert not {"now", "home"} & set(parameters)
    assert "Snapshot" not in inspect.getdoc(method).split("\n\n")[-1]
    documented = inspect.getdoc(method)
    assert not re.search(r"^(now|home) :|^Parameters\n-+\n*(\Z|\w+\n-)", documented, flags=re.MULTILINE)
    for parameter in list(parameters)[1:]:
        if "Parameters\n" in documented:
            assert parameter in documented, parameter


def test_a_method_refuses_a_word_it_does_not_know(store):
    with pytest.raises(TypeError, match="lables"):
        store.tag(["a", "b"], lables=1)


NOUNS = "annotations|answers|bytes|classes|columns|dimensions|faults|fields|files|labels|lines|rows|searches|segments"
PLURAL = re.compile(rf"( (?!where)\w+)? ({NOUNS}|texts|vectors|weights)\b")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_message_puts_a_plural_after_a_number_that_can_be_one(path):
    """`counted` does that; a module's own constants and options with a least value of 2 may stand as they are."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.JoinedStr):
            continue
        for number, word in itertools.pairwise(node.values):
            if isinstance(number, ast.FormattedValue) and isinstance(word, ast.Constant) and PLURAL.match(word.value):
                shown = ast.unparse(number.value)
                assert shown.isupper() or shown in ("folds", "options.cv", "len(_KEYS)"), ast.unparse(node)


def test_a_file_in_c_plus_plus_is_short_and_says_what_it_is_for():
    assert SOURCES
    for path in SOURCES:
        lines = path.read_text().splitlines()
        assert lines[0].startswith("// "), path
        assert len(lines) <= 350, path


def test_a_wheel_has_every_package_and_every_file_of_data():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {
        path.parent: ".".join(path.parent.relative_to(ROOT).parts) for path in MODULES if "cli" not in path.parts
    }
    assert set(folders.values()) == set(told["packages"]) - {"embedstore.cli"}
    built = {source for module in told["ext-modules"] for source in (*module["sources"], *module["depends"])}
    assert built == {str(path.relative_to(ROOT)) for path in SOURCES if "tests" not in path.parts}
    for path in (ROOT / "embedstore").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc", ".so", *CPP):
            home = next(folder for folder in path.parents if folder in folders)
            patterns = told["package-data"].get(folders[home], [])
            assert any(path.relative_to(home).match(pattern) for pattern in patterns), path
