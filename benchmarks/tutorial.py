"""Run parts 3 and 4 of the tutorial with its own model on a table of reviews, and print the reports.

``python benchmarks/tutorial.py TABLE --text COLUMN --target COLUMN --map VALUE=LABEL ...`` splits the distinct texts
into a training and a test corpus of one store, and encodes them with all-mpnet-base-v2 (see `mpnet.py`). Then it
prints:

- the report of a logistic regression on the vectors (part 3);
- the shares of the five labels by cosine similarity, and two labels by their names alone (part 4);
- the same two labels with the descriptions of the set ``polarity``, and with ``--method best``.

What it encodes and fetches is kept in a cache folder: a second run encodes nothing.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import mpnet
import pandas as pd

import embedstore
from embedstore.errors import EmbedstoreError, InputError
from embedstore.labels.label_set import LabelSet
from embedstore.learning.fitting import TrainOptions
from embedstore.reports.metrics import Report

CACHE = Path(__file__).parent.parent / ".cache" / "tutorial"
FIVE = ["Very Negative", "Negative", "Neutral", "Positive", "Very Positive"]
TWO = ["Negative", "Positive"]
SEED = 42  # of the tutorial
TRAIN, TEST = 100_000, 10_000  # rows of the tutorial
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("table", type=Path, help="a CSV file of reviews")
    parser.add_argument("--text", action="append", required=True, help="a text column; several are joined by '. '")
    parser.add_argument("--target", required=True, help="the column of classes")
    parser.add_argument("--map", action="append", required=True, metavar="VALUE=LABEL", help="LABEL is one of the two")
    parser.add_argument("--words", action="store_true", help="lower-case the texts and take the stop words out")
    parser.add_argument("--train", type=int, default=TRAIN, help="most training rows")
    parser.add_argument("--test", type=int, default=TEST, help="test rows; at most a quarter of all")
    parser.add_argument("--model", help="another checkpoint, by its folder or name")
    parser.add_argument("--store", type=Path, help="the folder of the store; by default one in the cache")
    parser.add_argument("--cache", type=Path, default=CACHE, help="the folder for the checkpoint and stores")
    return parser.parse_args(words)


def read(asked: argparse.Namespace) -> pd.DataFrame:
    """Return the reviews: a text and a label for each row whose class stands for a label.

    Raises
    ------
    InputError
        If the table or a column is missing, or no row has a text and a label.
    """
    try:
        table = pd.read_csv(asked.table, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"expected a CSV table in {asked.table}, found {str(error).splitlines()[0]}") from error
    for column in [*asked.text, asked.target]:
        if column not in table:
            raise InputError(f"expected a column {column!r} in {asked.table}, found {', '.join(table)}")
    labels = mapping(asked.map)
    parts = zip(*(table[column] for column in asked.text), strict=True)
    clean: Callable[[str], str] = without_stop_words if asked.words else str
    texts = [clean(". ".join(part for part in row if part.strip())) for row in parts]
    reviews = pd.DataFrame({"review": texts, "label": table[asked.target].map(labels)})
    known = reviews.dropna(subset="label")
    if known.empty:
        found = ", ".join(table[asked.target].unique()[:6])
        raise InputError(f"expected values {', '.join(labels)} of {asked.target!r} in {asked.table}, found {found}")
    if set(known["label"]) != set(TWO):
        raise InputError(f"expected rows of both {' and '.join(TWO)}, found {known['label'].iloc[0]} only: mend --map")
    kept = known[known["review"].str.strip() != ""].drop_duplicates("review")
    print(
        f"{len(table):,} rows; {len(table) - len(known):,} of no label and {len(known) - len(kept):,} without a text "
        "or with the text of an earlier row are left out"
    )
    return kept


def mapping(pairs: Sequence[str]) -> dict[str, str]:
    """Return the label of each value, from ``VALUE=LABEL`` pairs."""
    for pair in pairs:
        if pair.partition("=")[2] not in TWO:
            raise InputError(f"expected VALUE={' or VALUE='.join(TWO)} for --map, found {pair!r}")
    return {value: label for value, _, label in (pair.partition("=") for pair in pairs)}


def without_stop_words(text: str) -> str:
    """Return the lower-cased words of a text without scikit-learn's English stop words; nothing is lemmatised.

    Examples
    --------
    >>> without_stop_words("This isn't a good lamp: NOT bright.")
    "isn't good lamp bright"
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return " ".join(word for word in WORD.findall(text.lower()) if word not in ENGLISH_STOP_WORDS)


def split(reviews: pd.DataFrame, train: int, test: int) -> dict[str, pd.DataFrame]:
    """Return the corpora: `test` random rows (at most a quarter), and at most `train` of the others."""
    tested = reviews.sample(min(test, len(reviews) // 4), random_state=SEED)
    others = reviews.drop(tested.index)
    learnt = others.sample(min(train, len(others)), random_state=SEED)
    return {"train": learnt.sort_index(), "test": tested.sort_index()}


def store_of(asked: argparse.Namespace, corpora: dict[str, pd.DataFrame]) -> "embedstore.EmbeddingStore":
    """Return the store of the corpora, with each text encoded; what is there already is taken as it is."""
    digest = hashlib.sha256("".join(part.to_csv() for part in corpora.values()).encode()).hexdigest()
    folder = asked.store or asked.cache / "stores" / f"{asked.table.stem}-{digest[:12]}"
    model = asked.model or str(mpnet.checkpoint(asked.cache))
    store = embedstore.open(folder) if folder.exists() else embedstore.create(folder)
    for name, rows in corpora.items():
        store.add(rows, text="review", corpus=name)
    print(f"store {folder}: {store.encode(model)}")
    return store


def line(way: str, report: Report) -> str:
    """Return a line of the last table: accuracy with its 95% interval, and macro-F1."""
    width = 1.96 * (report.accuracy * (1 - report.accuracy) / report.rows) ** 0.5
    return f"| {way} | {report.accuracy:.3f} ± {width:.3f} | {report.macro_f1:.3f} |"


def main(words: Sequence[str] | None = None) -> None:
    """Read, encode, and print each report and the table of all."""
    asked = parse(words)
    corpora = split(read(asked), asked.train, asked.test)
    store = store_of(asked, corpora)
    space = store.space()
    print(
        ", ".join(f"{len(rows):,} rows to {name}" for name, rows in corpora.items()), f"({space.dimension} dimensions)"
    )

    trained = store.train("label", corpus="train", test_corpus="test", options=TrainOptions(max_iter=1000))
    print(f"\n3. LogisticRegression(max_iter=1000)\n{trained.report}")
    five = store.tag(FIVE, corpus="test")
    print("\n4. Five labels: " + ", ".join(f"{name} {share:.1%}" for name, share in five.shares.items()))
    described = LabelSet.shipped("polarity")
    ways = {
        "two labels, names alone": store.tag(TWO, corpus="test", gold="label"),
        "two labels with descriptions (`polarity`)": store.tag(described, corpus="test", gold="label"),
        "`--labels polarity --method best`": store.tag(described, corpus="test", gold="label", method="best"),
    }
    for way, tagged in ways.items():
        print(f"\n{way}\n{tagged.report}")
    print("\n| way | accuracy | macro-F1 |\n|---|---|---|\n" + line("logistic regression", trained.report))
    for way, tagged in ways.items():
        print(line(way, tagged.report))


if __name__ == "__main__":
    try:
        main()
    except EmbedstoreError as error:
        sys.exit(f"error: {error}")
