"""Product reviews written for this project: `train.csv` and `test.csv`, and `answers.csv` for ten reviews a label.

Columns: id, product, title, review, stars (1 to 5), class_index (1 for 1-2 stars, 2 for 4-5, none for 3).
As real tables do, they hold empty reviews, repeated ones and line breaks in quotes.

The answers (id, label) are those that a person gave who read 20 reviews of `train.csv`: ten of each class, drawn with
seed 42 from the reviews that `test.csv` does not repeat.
"""

from pathlib import Path

__all__ = ["ANSWERS", "TEST", "TRAIN"]

_FOLDER = Path(__file__).parent
ANSWERS = _FOLDER / "answers.csv"
TEST = _FOLDER / "test.csv"
TRAIN = _FOLDER / "train.csv"
