"""Every command and every Python block of the README is run, in order, on the shipped reviews."""

import doctest
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from embedstore.cli.main import group
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from embedstore.demo import TEST, TRAIN

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_readme_runs(cli):
    place = cli.home.parent
    shutil.copy(TRAIN, place / "reviews.csv")
    shutil.copy(TEST, place / "more.csv")
    environment = {key: value for key, value in cli.environment.items() if key != "EMBEDSTORE_HOME"}
    commands = [line for line in README.splitlines() if line.startswith("embedstore ")]
    assert len(commands) == 16
    for command in commands:
        words = shlex.split(command)[1:]
        done = subprocess.run(cli.command(*words), cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert len(pd.read_csv(place / "tagged.csv")) == len(pd.read_csv(TRAIN))
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    done = subprocess.run([sys.executable, "-c", blocks[0]], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "macro avg" in done.stdout


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


def test_the_tutorial_runs(cli, checkpoint):
    """Its commands in order, on small checkpoints with random weights, and fewer rows."""
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
        done = subprocess.run(cli.command(*words), cwd=place, env=cli.environment, capture_output=True, text=True)
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
    expected = metrics.classification_report(drawn["test"]["class_index"], learnt.predict(features[1]), digits=4)
    assert expected.strip() in outputs[commands[4]].stdout
    assert set(pd.read_csv(place / "part4.csv")["Predicted_Labels"]) <= {
        "Very Negative", "Negative", "Neutral", "Positive", "Very Positive"
    }  # fmt: skip
    trained = [done.stdout for command, done in outputs.items() if command.startswith("embedstore train")]
    assert len(trained) == 2
    assert all("macro avg" in output for output in trained)
    table = outputs[commands[-1]].stdout
    assert "finetuned checkpoint" in table
    assert "cosine labels" in table


def test_every_command_stands_in_the_readme():
    assert all(
        f"embedstore {name}" in README or f"`{name}`" in README or f"make {name}" in README for name in group.commands
    )


def test_every_module_stands_in_the_design():
    design = (ROOT / "docs" / "design.md").read_text()
    for path in (ROOT / "embedstore").iterdir():
        name = path.name.removesuffix(".py")
        if not name.startswith("_") and name not in ("cli", "maps.html", "py.typed"):
            assert f"`{name}`" in design or f"`{name}/`" in design, name


def with_examples():
    for folder, package in (("embedstore", "embedstore"), ("cli", "embedstore.cli")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in path.read_text():
                yield ".".join([package, *path.relative_to(ROOT / folder).with_suffix("").parts])


@pytest.mark.parametrize("module", list(with_examples()))
def test_examples_in_docstrings_hold(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


def test_the_shipped_reviews_are_a_real_table():
    train, test = pd.read_csv(TRAIN), pd.read_csv(TEST)
    both = pd.concat([train, test])
    assert len(both) >= 400
    assert both["id"].is_unique
    assert set(both["stars"]) == {1, 2, 3, 4, 5}
    assert both["product"].nunique() >= 3
    clear = both.dropna(subset="class_index")
    assert (clear["class_index"] == (clear["stars"] > 3) + 1).all()
    assert train["review"].isna().any()
    assert train["review"].dropna().duplicated().any()
