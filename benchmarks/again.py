"""Time a repeated `add` and `encode` of an unchanged CSV file of a million rows, against pyarrow and llm.

pyarrow reads the same file once; llm embeds the same texts a second time.
"""

import time
from pathlib import Path

import pandas as pd
from common import RandomEncoder, llm, result, reviews, scratch, side_by_side
from pyarrow import csv

import embedstore

ROWS = 1_000_000

with scratch() as folder:
    texts = reviews()
    table = f"{folder}/million.csv"
    rows = (f"{texts[number % len(texts)][:150]} ({number})" for number in range(ROWS))
    pd.DataFrame({"id": range(ROWS), "stars": [n % 5 + 1 for n in range(ROWS)], "text": list(rows)}).to_csv(
        table, index=False
    )
    store = embedstore.create(f"{folder}/store", encoder=RandomEncoder(8))
    start = time.perf_counter()
    store.add(table, text="text", id="id")
    store.encode()
    first = time.perf_counter() - start
    reports = []

    def again() -> None:
        """Add and encode the same file again."""
        store.add(table, text="text", id="id")
        reports.append(store.encode())

    options = csv.ParseOptions(newlines_in_values=True)
    found = side_by_side({"ours": again, "limit": lambda: csv.read_csv(table, parse_options=options)}, rounds=5)
    assert all((report.rows, report.encoded) == (ROWS, 0) for report in reports)

    few = reviews(500)
    make, words = llm(Path(folder), few)
    embed = make(*words)
    embed()
    peer = side_by_side({"peer": embed}, rounds=1)["peer"]
    result(
        "encode again, nothing new: 1,000,000 rows of CSV",
        found["ours"],
        found["limit"],
        "pyarrow reads the file",
        {f"llm embed-multi again ({len(few):,} rows)": peer},
        "3.0 x the limit",
        "the report says 1,000,000 rows, 0 encoded",
        first_add_and_encode=first,
    )
