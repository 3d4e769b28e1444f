"""Read one sheet in a process of its own: ``python -m embedstore.tables.sheets PATH SHEET BYTES``.

A damaged file can make its reader ask for any amount of memory, or end the process; here this harms nobody. Writes one
line of JSON for each row, as a list of cells. In place of the first one stands an object if the sheet can't be read:
``{"error": …}``, or ``{"sheets": […]}`` if there is no sheet of that name.
"""

import json
import resource
import sys
from typing import Any

from embedstore.core.values import value_text

__all__ = ["main"]


def main(path: str, sheet: str, most: int) -> None:
    """Write the rows of a sheet to standard output.

    Parameters
    ----------
    path : str
        The file.
    sheet : str
        Name of the sheet; "" is the first.
    most : int
        Bytes of memory that may be taken, more than now.
    """
    from python_calamine import CalamineWorkbook

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    try:
        book = CalamineWorkbook.from_path(path)
        if sheet and sheet not in book.sheet_names:
            _write({"sheets": book.sheet_names})
            return
        for row in book.get_sheet_by_name(sheet or book.sheet_names[0]).to_python(skip_empty_area=True):
            _write([_cell(value) for value in row])
    except Exception as error:
        _write({"error": str(error) or type(error).__name__})


def _write(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")


def _cell(value: Any) -> Any:
    """Return a cell's value; sheets hold whole numbers as floats, and nothing as an empty text; dates become text."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value == "":
        return None
    return value if isinstance(value, str | int | float | bool) else value_text(value)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
