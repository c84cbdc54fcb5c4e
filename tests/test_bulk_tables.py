"""Tables as they are found: files that spreadsheets wrote, and columns of ids that pandas made floats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageryclient.bulk.places import Places, parse_places
from imageryclient.bulk.tables import ids_in
from imageryclient.errors import ArgumentError, BoundsError, NotFoundError

BIG = 864691135341362885  # odd: no float holds it


def places(points: Any) -> Places:
    return parse_places(points, size=(8, 8, 8), default=(4, 4, 40), ids_columns=["id"])


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "points.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        f"x,y,z,id\n1,2.5,3,{BIG}\n",
        f"\ufeffx,y,z,id\r\n1,2.5,3,{BIG}\r\n\r\n",
        f"x;y;z;id\n1;2.5;3;{BIG}\n;;;\n",
        f"x\ty\tz\tid\n1\t2.5\t3\t{BIG}\n",
        f'"X","Y","Z","id"\n"1","2.5","3","{BIG}"\n',
        f"id,pt_position_x,pt_position_y,pt_position_z\n {BIG} ,1, 2.5 ,3\n",
        f'id,pt_position\n{BIG},"[1, 2.5, 3]"\n',
        f"id;pt_position\n{BIG};[1 2.5 3]\n",
    ],
)
def test_files_as_programs_write_them(file: Any, text: str) -> None:
    read = places(file(text))
    assert read.centers.tolist() == [[1, 2.5, 3]]
    assert read.ids["id"].tolist() == [BIG]


@pytest.mark.parametrize("nothing", ["", "nan", "NaN", "NA", "<NA>", "None", "null"])
def test_nothing_in_a_file(file: Any, nothing: str) -> None:
    read = places(file(f"x,y,z,id\n1,2,3,{nothing}\n{nothing},2,3,7.0\n1,2\n"))
    assert read.ids["id"].tolist() == [0, 7, 0]
    assert read.placed.tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("x,y,z,id\n1,2,3,5\n1,2,3,8.64691E+17\n", ArgumentError, r"row 1 has 8.64691E\+17, which was a float once"),
        (f"x,y,z,id\n1,2,3,{BIG}.0\n", ArgumentError, "lost its last digits.*dtype={'id': 'UInt64'}"),
        ("x,y,z,id\n1,2,3,-5\n", ArgumentError, "row 0 has -5"),
        ("x,y,z,id\n1,2,3,neuron\n", ArgumentError, "row 0 has neuron$"),
        ("x,y,z,id\n1,2,3,5.5\n", ArgumentError, r"row 0 has 5\.5"),
        ("x,y,z,id\n1,two,3,5\n", BoundsError, "column 'y' .* row 0 has 'two'$"),
        ("x;y;z;id\n1,5;2;3;5\n", BoundsError, "row 0 has '1,5', decimals have a point"),
        ("1,2,3,4\n5,6,7,8\n", ArgumentError, "first line of .* must name its columns.*it is 1, 2, 3, 4"),
        ("a,b,c,id\n1,2,3,4\n", ArgumentError, "no position.*it has a, b, c, id"),
        ("x,y,z,root\n1,2,3,4\n", ArgumentError, "no column 'id'; it has x, y, z, root"),
        ("\r\n", ArgumentError, "is empty"),
    ],
)
def test_what_makes_no_sense_is_said(file: Any, text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        places(file(text))


def test_files_that_are_no_text(file: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="cannot be read as CSV in UTF-8"):
        places(file("x,y,z,id\n1,2,3,4\n", "utf-16"))
    with pytest.raises(NotFoundError, match="cannot be read"):
        places(tmp_path)


def test_columns_of_ids_as_pandas_has_them() -> None:
    pd = pytest.importorskip("pandas")

    def column(values: Any, **options: Any) -> list[int]:
        return ids_in(pd.DataFrame({"id": pd.Series(values, **options)}), "id").tolist()

    for dtype in ("int64", "uint64", "Int64", "UInt64", "str", "object", "category"):
        assert column([BIG, 5], dtype=dtype) == [BIG, 5]
    for dtype in ("Int64", "UInt64", "object"):
        assert column([BIG, None], dtype=dtype) == [BIG, 0]
    assert column([2**64 - 1, 0], dtype="uint64") == [2**64 - 1, 0]
    assert column([12345.0, float("nan"), 2.0**53 - 1]) == [12345, 0, 2**53 - 1]
    for wrong in ([float(BIG), float("nan")], [2.0**53], [0.5], [-1.0], [float("inf")], [True], [-1]):
        with pytest.raises(ArgumentError, match="row 0 has"):
            column(wrong)


def test_a_file_that_pandas_made_floats_is_refused(file: Any) -> None:
    """The usual way to lose digits: an empty cell in a column of ids, read without a dtype."""
    pd = pytest.importorskip("pandas")
    path = file(f"x,y,z,id\n1,2,3,{BIG}\n4,5,6,\n")
    with pytest.raises(ArgumentError, match=r"pandas.read_csv\(..., dtype={'id': 'UInt64'}\)"):
        places(pd.read_csv(path))
    for table in (path, pd.read_csv(path, dtype={"id": "UInt64"}), pd.read_csv(path, dtype={"id": "str"})):
        assert places(table).ids["id"].tolist() == [BIG, 0]


@given(st.lists(st.integers(0, 2**64 - 1) | st.none(), min_size=1, max_size=6))
def test_text_of_ids_keeps_every_digit(ids: list[int | None]) -> None:
    class Table:
        columns = ("id",)

        def __getitem__(self, name: str) -> list[Any]:
            return [None if number is None else str(number) for number in ids]

    assert ids_in(Table(), "id").tolist() == [number or 0 for number in ids]
