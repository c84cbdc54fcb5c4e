"""Tables that places come in: CSV files as they are found, and columns of ids, never through a float."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, NotFoundError
from ..ids import Ids, as_ids

__all__ = ["ids_in", "read_csv"]

_FLOAT = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBER = re.compile(_FLOAT)
_TRIPLE = re.compile(rf"[\[(]?\s*({_FLOAT})[\s,]+({_FLOAT})[\s,]+({_FLOAT})\s*[\])]?")
_APART = re.compile(r"[\s,]")
_NOTHING = {"", "nan", "na", "n/a", "<na>", "none", "null", "nat"}
_DELIMITERS = ",;\t"
_EXACT = 2.0**53  # below it every whole number is a float, and none above becomes one


def ids_in(table: Any, name: str) -> Ids:
    """Give a column of ids, uint64; 0 where there is none.

    Parameters
    ----------
    table : pandas.DataFrame, or what has `columns` and gives a column by its name
        Ids are whole numbers or text. Floats are taken only where they are exact: below 2^53, as in columns that pandas
        made floats because a cell was empty.
    name : str
        Of the column.

    Raises
    ------
    ArgumentError
        If there is no such column, or it holds something else; the message says in which row.

    Examples
    --------
    >>> import pandas as pd
    >>> ids_in(pd.DataFrame({"id": ["864691135341362885", None]}), "id").tolist()
    [864691135341362885, 0]
    """
    if not hasattr(table, "columns"):
        raise ArgumentError(f"{name!r} names a column of a table, but the points are no table")
    if name not in list(table.columns):
        raise ArgumentError(f"the table has no column {name!r}; it has {', '.join(map(str, table.columns))}")
    values = table[name]
    kind = getattr(values, "dtype", None)
    if isinstance(kind, np.dtype) and kind.kind == "u":
        return as_ids(np.asarray(values))
    # Whatever may hold nothing must not become floats, which would cost ids their last digits.
    whole = values.to_numpy(dtype=object) if hasattr(values, "to_numpy") else np.asarray(values, dtype=object)
    exact = np.array([_exact(value) for value in whole], dtype=object)
    try:
        return as_ids(exact)
    except ArgumentError:
        raise _at_fault(name, whole) from None


def _exact(value: Any) -> Any:
    """Give an id as whole number or text, 0 for nothing; what is no id as it is."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return 0
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _NOTHING:
            return 0
        if "." not in text and "e" not in text.lower():
            return text
        number = float(text) if _NUMBER.fullmatch(text) else np.nan
        return int(number) if number.is_integer() and abs(number) < _EXACT else value
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if number != number:  # NaN, as merged tables have it
            return 0
        return int(number) if number.is_integer() and abs(number) < _EXACT else value
    return value


def _at_fault(name: str, values: NDArray[Any]) -> ArgumentError:
    row = next(row for row, value in enumerate(values) if not _is_id(_exact(value)))
    value = values[row]
    said = f"column {name!r} must hold ids, whole numbers from 0 to 2^64 - 1; row {row} has {value!s:.80}"
    if isinstance(value, (float, np.floating)) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip())):
        said += (
            ", which was a float once and has lost its last digits. Read the table with the column as whole numbers: "
            f"pandas.read_csv(..., dtype={{{name!r}: 'UInt64'}}), and do not save it from a spreadsheet"
        )
    return ArgumentError(said)


def _is_id(value: Any) -> bool:
    try:
        as_ids(np.array([value], dtype=object))
    except ArgumentError:
        return False
    return True


class CsvTable:
    """The columns of a CSV file, as `parse_points` reads tables."""

    def __init__(self, columns: list[str], rows: list[list[str]]) -> None:
        self.columns = columns
        self._rows = rows

    def __getitem__(self, name: str) -> CsvColumn:
        at = self.columns.index(name)
        return CsvColumn(_cell(row[at].strip()) if at < len(row) else None for row in self._rows)


class CsvColumn(list[Any]):
    """The cells of one column."""

    def to_numpy(self, dtype: Any = object) -> NDArray[Any]:
        """Give them as an array of objects."""
        values = np.empty(len(self), dtype=dtype)
        values[:] = self
        return values


def _cell(text: str) -> Any:
    """Read a cell: nothing, a position such as "[10 20 3]", or text, which numbers and ids are made of."""
    if text.lower() in _NOTHING:
        return None
    if not _APART.search(text):  # one number or word, of which the pattern of three would try every division
        return text
    triple = _TRIPLE.fullmatch(text)
    return tuple(map(float, triple.groups())) if triple else text


def read_csv(path: Path) -> CsvTable:
    """Read a CSV file; commas, semicolons or tabs are between its cells, as its first line has them.

    Raises
    ------
    NotFoundError
        If there is no such file.
    ArgumentError
        If it is no CSV, or does not name its columns.
    """
    try:
        with path.expanduser().open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(_DELIMITERS, key=first.count)
            rows = [row for row in csv.reader(file, delimiter=delimiter) if any(cell.strip() for cell in row)]
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no file {path}; points come as an array, a table, or the path of a CSV file"
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArgumentError(
            f"{path} cannot be read as CSV in UTF-8: {error}. Save it so, or read it with pandas and pass the table"
        ) from None
    except OSError as error:
        raise NotFoundError(f"{path} cannot be read: {error}") from None
    if not rows:
        raise ArgumentError(f"{path} is empty; its first line must name the columns")
    columns = [name.strip() for name in rows[0]]
    if all(_NUMBER.fullmatch(name) for name in columns):
        raise ArgumentError(
            f"the first line of {path} must name its columns, such as x, y and z; it is {', '.join(columns)}"
        )
    lowered = [name.lower() for name in columns]
    if set(lowered) >= {"x", "y", "z"} and not {"x", "y", "z"} <= set(columns):
        columns = [name.lower() if name.lower() in ("x", "y", "z") else name for name in columns]
    return CsvTable(columns, rows[1:])
