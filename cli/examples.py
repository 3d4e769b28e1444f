"""The examples that `--help` shows; a test runs each of them, in this order."""

__all__ = ["EXAMPLES"]

EXAMPLES: dict[str, tuple[str, ...]] = {
    "add": ("embedstore add reviews more.csv --text review --id id --corpus more",),
    "encode": (
        "embedstore encode reviews reviews.csv --text review --id id",
        "embedstore encode reviews",
    ),
    "export": (
        "embedstore export reviews vectors.npy",
        "embedstore export reviews reviews.parquet --to parquet -l Negative -l Positive",
    ),
    "import": (
        "embedstore import others reviews.parquet --vector vector --text text --id id "
        "--model sentence-transformers/all-MiniLM-L6-v2",
    ),
    "tag": (
        "embedstore tag reviews -l Negative -l Positive -o tagged.csv",
        "embedstore tag reviews --labels polarity --method best -o tagged.csv",
    ),
    "labels": (
        "embedstore labels show polarity > labels.yaml",
        "embedstore labels init reviews classes.yaml --target class_index",
    ),
    "topics": ("embedstore topics reviews --count 8 -o topics.csv",),
    "annotate": ("embedstore annotate reviews -l Negative -l Positive",),
    "annotations": (
        "embedstore annotations reviews -o answers.csv",
        "embedstore annotations reviews --import answers.csv",
    ),
    "serve": ("embedstore serve reviews",),
    "train": ("embedstore train reviews --target class_index --drop-missing",),
    "predict": ("embedstore predict reviews --probe class_index -o predicted.csv",),
    "classify": ("embedstore classify reviews -m ./classifier -o classified.csv",),
    "compare": ("embedstore compare reviews --target class_index --drop-missing",),
    "doubts": ("embedstore doubts reviews --target class_index --drop-missing -o doubts.csv",),
    "search": (
        "embedstore search reviews 'the battery died in a week'",
        "embedstore search reviews --row r0001 --corpus train --json",
    ),
    "index": ("embedstore index reviews --kind flat",),
    "duplicates": ("embedstore duplicates reviews --threshold 0.9 -o duplicates.csv",),
    "map": ("embedstore map reviews --by class_index -o map.html",),
    "info": ("embedstore info reviews",),
    "corpora": ("embedstore corpora reviews",),
    "rename": ("embedstore rename reviews more test",),
    "drop-corpus": ("embedstore drop-corpus reviews test --yes",),
    "copy": ("embedstore copy reviews reviews-backup",),
    "verify": ("embedstore verify reviews",),
    "gc": ("embedstore gc reviews",),
    "demo": ("embedstore demo",),
}
"""The examples of each command."""
