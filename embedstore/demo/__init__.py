"""Product reviews written for this project: `train.csv` and `test.csv`.

Columns: id, product, title, review, stars (1 to 5), class_index (1 for 1-2 stars, 2 for 4-5, none for 3).
As real tables do, they hold empty reviews, repeated ones and line breaks in quotes.
"""

from pathlib import Path

__all__ = ["TEST", "TRAIN"]

_FOLDER = Path(__file__).parent
TRAIN = _FOLDER / "train.csv"
TEST = _FOLDER / "test.csv"
