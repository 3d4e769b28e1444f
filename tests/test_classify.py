"""Finetuned checkpoints over a corpus: cached logits, labels, probabilities, reports."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkpoints import reviews, save_checkpoint
from scipy import special

import embedstore
from embedstore.core.heads import Head
from embedstore.demo import TRAIN
from embedstore.encoders import EncoderOptions
from embedstore.errors import CheckpointError, InputError, NotFoundError, UsageError

ROWS = [{"review": text, "polarity": "LABEL_1" if i % 3 else "LABEL_0"} for i, text in enumerate(reviews()[:30])]


@pytest.fixture
def logits_store(tmp_path):
    store = embedstore.create(tmp_path / "home" / "logits")
    store.add([*ROWS, ROWS[0]], text="review")
    return store


def oracle(folder: Path, texts: list[str], length: int = 64) -> np.ndarray:
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = tokenizer(texts, truncation=True, padding=True, max_length=length, return_tensors="pt")
    with torch.no_grad():
        return model(**inputs).logits.numpy()


def texts_of(store) -> list[str]:
    return [row["review"] for row in ROWS] + [ROWS[0]["review"]]


def test_labels_and_probabilities_are_those_of_the_logits(logits_store, checkpoint):
    folder = checkpoint("bert", num_labels=3)
    frame = logits_store.classify(str(folder), scores=True).to_pandas()
    probabilities = special.softmax(oracle(folder, texts_of(logits_store)), axis=1)
    assert list(frame["Predicted_Labels"]) == [f"LABEL_{i}" for i in probabilities.argmax(axis=1)]
    assert frame["Predicted_Labels"].nunique() > 1
    np.testing.assert_allclose(frame["probability"], probabilities.max(axis=1), atol=1e-5)
    for i in range(3):
        np.testing.assert_allclose(frame[f"probability_LABEL_{i}"], probabilities[:, i], atol=1e-5)


def test_a_second_run_encodes_nothing_and_loads_no_model(cli, logits_store, checkpoint):
    folder = checkpoint("distilbert")
    first = cli("classify", "logits", "-m", folder)
    assert "31 rows, 30 distinct texts: 0 already cached, 30 encoded now" in first.stderr
    words = ["classify", "logits", "-m", str(folder), "--gold", "polarity", "--no-encode"]
    code = (
        "import sys\nfrom embedstore.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit as left: assert not left.code\n"
        "assert not {'torch', 'transformers', 'tensorflow'} & set(sys.modules)"
    )
    second = subprocess.run([sys.executable, "-c", code], env=cli.environment, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert "30 already cached, 0 encoded now" in second.stderr
    assert "macro avg" in second.stderr
    assert second.stdout == first.stdout
    assert cli("classify", "logits").stdout == first.stdout


def test_new_names_of_labels_and_mappings_encode_nothing(cli, logits_store, checkpoint, tmp_path):
    folder = Path(shutil.copytree(checkpoint("distilbert"), tmp_path / "named"))
    cli("classify", "logits", "-m", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": {"0": "bad", "1": "good"}}))
    mapping = ["--map", "LABEL_0=bad", "--map", "LABEL_1=good"]
    done = cli("classify", "logits", "-m", folder, "--no-encode", "--gold", "polarity", *mapping, "--json")
    report = json.loads(done.stdout)["report"]
    assert report["classes"] == ["bad", "good"]
    best = oracle(folder, [row["review"] for row in ROWS] + [ROWS[0]["review"]]).argmax(axis=1)
    given = [row["polarity"] == "LABEL_1" for row in [*ROWS, ROWS[0]]]
    assert report["accuracy"] == pytest.approx((best == given).mean())
    assert "bad" in cli("classify", "logits").stdout


def test_logits_are_a_space_of_their_own_that_no_other_command_takes_by_default(logits_store, checkpoint):
    folder = str(checkpoint("bert", num_labels=3))
    logits_store.classify(folder)
    with pytest.raises(NotFoundError, match="has logits only"):
        logits_store.tag(["bad", "good"])
    logits_store.encode(folder, options=EncoderOptions(pooling="mean"))
    key = next(one["key"] for one in logits_store.info()["spaces"] if one["spec"]["output"] == "logits")
    assert logits_store.space().spec.pooling == "mean"
    assert logits_store.space(folder).spec.pooling == "mean"
    np.testing.assert_allclose(
        logits_store.space(key).vectors(logits_store.corpus()), oracle(Path(folder), texts_of(logits_store)), atol=1e-5
    )
    for ask in (lambda: logits_store.tag(["bad", "good"], space=key), lambda: logits_store.search("x", space=key)):
        with pytest.raises(UsageError, match="expected a space of embeddings, found the logits of"):
            ask()
    assert not logits_store.verify().faults
    with pytest.raises(NotFoundError, match="no such logits"):
        logits_store.classify(space="0000")


def test_a_single_sigmoid_says_yes_or_no(logits_store, tmp_path):
    folder = save_checkpoint(tmp_path / "one", "bert", num_labels=1, id2label={0: "spam"})
    yes = special.expit(oracle(folder, texts_of(logits_store))[:, 0])
    between = float(np.sort(yes)[14:17].mean())
    frame = logits_store.classify(str(folder), threshold=between).to_pandas()
    assert list(frame["Predicted_Labels"]) == ["spam" if p >= between else "not spam" for p in yes]
    np.testing.assert_allclose(frame["probability"], np.where(yes >= between, yes, 1 - yes), atol=1e-5)
    assert frame["Predicted_Labels"].nunique() == 2


def test_a_head_of_several_labels_gives_all_above_the_threshold(logits_store, tmp_path):
    names = {0: "price", 1: "quality", 2: "size"}
    folder = save_checkpoint(
        tmp_path / "several", "bert", num_labels=3, id2label=names, problem_type="multi_label_classification"
    )
    probabilities = special.expit(oracle(folder, texts_of(logits_store)))
    # Leave out the last row, which repeats the first: a tie would be no threshold.
    between = float(np.sort(probabilities[:30], axis=None)[44:46].mean())
    frame = logits_store.classify(str(folder), scores=True, threshold=between).to_pandas()
    expected = ["|".join(names[i] for i in range(3) if row[i] >= between) for row in probabilities]
    assert list(frame["Predicted_Labels"]) == expected
    assert any("|" in labels for labels in expected)
    np.testing.assert_allclose(frame["probability_size"], probabilities[:, 2], atol=1e-5)
    with pytest.raises(InputError, match="gives a row any number of labels"):
        logits_store.classify(str(folder), gold="polarity")


def test_a_regression_head_gives_its_number(cli, logits_store, tmp_path):
    folder = save_checkpoint(tmp_path / "number", "bert", num_labels=1, problem_type="regression")
    frame = logits_store.classify(str(folder)).to_pandas()
    expected = oracle(folder, texts_of(logits_store))[:, 0]
    np.testing.assert_allclose(frame["Predicted_Value"], expected, atol=1e-5)
    assert "Predicted_Labels" not in frame
    assert cli("classify", "logits", "-m", folder).returncode == 0
    assert "gives a row a number" in cli.fails(1, "classify", "logits", "-m", folder, "--gold", "polarity")


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"id2label": {"0": "a", "1": "a"}}, "a name of its own for every label"),
        ({"problem_type": "ranking"}, "expected a problem_type of"),
        ({"id2label": {"0": "a"}, "problem_type": "single_label_classification"}, "one of a single label"),
        ({"id2label": {"0": "a", "1": "b"}, "problem_type": "regression"}, "predicts 2 numbers"),
    ],
)
def test_other_heads_are_refused_by_name(config, fault):
    with pytest.raises(CheckpointError, match=fault):
        Head.of_config(config)


def test_labels_keep_the_order_of_their_numbers():
    head = Head.of_config({"id2label": {str(i): f"label {i}" for i in (10, 2, 1, 0, 3, 4, 5, 6, 7, 8, 9)}})
    assert head.labels == tuple(f"label {i}" for i in range(11))
    assert Head.from_json(head.to_json()) == head
    assert Head.of_config({}).labels == ("LABEL_0", "LABEL_1")


def test_labels_that_do_not_fit_the_weights_are_refused(logits_store, checkpoint, tmp_path):
    folder = Path(shutil.copytree(checkpoint("bert", num_labels=3), tmp_path / "fewer"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": {"0": "bad", "1": "good"}}))
    with pytest.raises(CheckpointError, match="weights have another shape"):
        logits_store.classify(str(folder))


def test_the_shell_says_in_one_line_what_is_wrong(cli, logits_store, checkpoint):
    assert "no such logits yet" in cli.fails(1, "classify", "logits")
    assert "no classification head" in cli.fails(
        1, "classify", "logits", "-m", "sentence-transformers/all-MiniLM-L6-v2"
    )
    cli.fails(3, "classify", "logits", "-m", checkpoint("bert"), "--no-encode")
    cli.fails(2, "classify", "logits", "-m", checkpoint("bert"), "--map", "a=b")
    cli.fails(2, "classify", "logits", "-m", checkpoint("bert"), "--space", "abc")
    cli.fails(2, "classify", "logits", "-m", checkpoint("bert"), "--threshold", "1.5")
    assert "is none of the labels LABEL_0, LABEL_1" in cli.fails(
        1, "classify", "logits", "-m", checkpoint("bert"), "--gold", "polarity", "--map", "LABEL_0=bad"
    )
    cli.fails(1, "classify", "logits", "-m", "/no/such/folder")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_head_trained_on_the_bundled_model_predicts_the_same_everywhere(cli, tmp_path):
    """The long version has TensorFlow too, of which tests/test_tensorflow.py compares logits with those of torch."""
    import torch
    import transformers
    from sklearn.linear_model import LogisticRegression

    from embedstore.encoders.locate import DEFAULT_MODEL, locate

    bundled, _ = locate(DEFAULT_MODEL, None)
    frame = pd.read_csv(TRAIN).dropna(subset=["review", "class_index"]).head(100)
    tokenizer = transformers.AutoTokenizer.from_pretrained(bundled)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        bundled, num_labels=2, id2label={0: "NEGATIVE", 1: "POSITIVE"}, label2id={"NEGATIVE": 0, "POSITIVE": 1}
    ).eval()
    inputs = tokenizer(list(frame["review"]), truncation=True, padding=True, max_length=128, return_tensors="pt")
    with torch.no_grad():
        features = model.bert(**inputs).pooler_output.numpy()
        learnt = LogisticRegression(C=100, max_iter=1000).fit(features, frame["class_index"])
        model.classifier.weight[1] = torch.from_numpy(learnt.coef_[0])
        model.classifier.bias[1] = float(learnt.intercept_[0])
        model.classifier.weight[0] = model.classifier.bias[0] = 0
        model.classifier.weight[0] = torch.zeros(384)
        expected = model(**inputs).logits.argmax(axis=1)
    model.save_pretrained(tmp_path / "finetuned")
    tokenizer.save_pretrained(tmp_path / "finetuned")

    frame.to_csv(tmp_path / "reviews.csv", index=False)
    names = ["NEGATIVE", "POSITIVE"]
    gold = ["--gold", "class_index", "--map", "1=NEGATIVE", "--map", "2=POSITIVE"]
    embedstore.create(cli.home / "blank").add(tmp_path / "reviews.csv", text="review")
    embedstore.create(cli.home / "other").add(tmp_path / "reviews.csv", text="review")
    for name, backend in (("blank", "torch"), ("other", "tensorflow"))[
        : 2 if os.environ.get("EMBEDSTORE_TORTURE") else 1
    ]:
        done = cli("classify", name, "-m", tmp_path / "finetuned", "--max-seq-length", 128, "--backend", backend,
                   *gold, "-o", tmp_path / f"{name}.csv", "--json")  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert list(pd.read_csv(tmp_path / f"{name}.csv")["Predicted_Labels"]) == [names[i] for i in expected]
        accuracy = (np.array(expected) + 1 == frame["class_index"]).mean()
        assert json.loads(done.stdout)["report"]["accuracy"] == pytest.approx(accuracy)
        assert accuracy > 0.9


def test_rows_added_during_the_encoding_are_not_asked_for(logits_store, checkpoint):
    folder = str(checkpoint("bert", num_labels=3))
    added = []

    def add_once(_):
        if not added:
            added.append(embedstore.open(logits_store.path).add([{"review": "later"}], text="review"))

    assert len(logits_store.classify(folder, on_progress=add_once)) == 31
    assert len(logits_store.corpus()) == 32


@pytest.mark.parametrize(
    "head",
    [
        {"num_labels": 3},
        {"num_labels": 2, "problem_type": "multi_label_classification"},
        {"num_labels": 1, "problem_type": "regression"},
    ],
)
def test_blank_rows_get_null_and_change_no_other_row(tmp_path, checkpoint, head):
    store = embedstore.create(tmp_path / "s")
    holed = [*ROWS[:4], {"review": " ", "polarity": "LABEL_0"}, *ROWS[4:], {"review": "\u200b", "polarity": "LABEL_1"}]
    store.add(ROWS, text="review", corpus="plain")
    store.add(holed, text="review", corpus="holed")
    store.encode(str(checkpoint("bert", **head)), options=EncoderOptions(output="logits"))
    is_choice = head == {"num_labels": 3}
    options = {"scores": head["num_labels"] > 1, "gold": "polarity" if is_choice else None}
    plain, found = (store.classify(corpus=name, **options) for name in ("plain", "holed"))
    blank = np.isin(np.arange(32), [4, 31])
    table = found.to_arrow()
    assert table.schema.equals(plain.schema)
    assert table.filter(~blank).equals(plain.to_arrow())
    assert all(column.null_count == 2 for column in table.filter(blank).columns[2:])
    assert found.shares == plain.shares
    assert (found.report and found.report.text) == (plain.report and plain.report.text)
    assert found.notes == ("2 of 32 rows have no text and get no label (--blank answer labels them)",)
    answered = store.classify(corpus="holed", blank="answer", **options).to_arrow()
    assert answered.column(answered.num_columns - 1).null_count == 0
