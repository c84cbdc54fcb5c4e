"""Exports of many places: equal to single cutouts, resumed without loss, never mixed with others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imageryclient as ic
from imageryclient.bulk import writing
from imageryclient.bulk.export import ExportReport, export
from imageryclient.bulk.formats.zarr import ZarrFormat
from imageryclient.bulk.places import parse_places
from imageryclient.errors import (
    ArgumentError,
    BoundsError,
    IdWarning,
    NotFoundError,
    OutOfBoundsError,
    StorageError,
)

pd = pytest.importorskip("pandas")
SIZE = (24, 20, 3)
COUNT = 12


@pytest.fixture
def flat(datastack: Any) -> ic.ImageryClient:
    """A client of folders; its segmentation is that of supervoxels."""
    return ic.ImageryClient(
        image_source=str(datastack.folder / "imagery"),
        segmentation_source=str(datastack.folder / "supervoxels"),
        resolution=datastack.fine,
        missing="fill",
    )


@pytest.fixture
def points(datastack: Any) -> Any:
    """A table with positions, and on either side of each an id that may or may not be there."""
    rng = np.random.default_rng(3)
    centers = rng.integers((120, 80, 10), (280, 200, 40), (COUNT, 3))
    pre = [int(datastack.labels(c, c + 1)[0, 0, 0]) for c in centers]
    table = pd.DataFrame({"pt_position": centers.tolist(), "pre_pt_root_id": np.array(pre, np.uint64)})
    table["post_pt_root_id"] = pd.Series([2**64 - 1 - n if n else None for n in range(COUNT)], dtype=object)
    return table


MASKS = {"pre": "pre_pt_root_id", "post": "post_pt_root_id"}


def tree(folder: Path) -> dict[str, bytes]:
    """All files under a folder, with what they hold."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(report: ExportReport) -> Any:
    ids = {"pre_pt_root_id": "UInt64", "post_pt_root_id": "UInt64"}
    return pd.read_csv(report.manifest, dtype=ids)


def test_every_place_is_what_a_single_cutout_gives(flat: ic.ImageryClient, points: Any, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    told: list[tuple[int, int]] = []
    report = export(
        flat, points, tmp_path / "train.zarr", bbox_size=SIZE, masks=MASKS, overlay=True,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert (report.places, report.done, report.failed, report.moment) == (COUNT, COUNT, 0, None)
    assert told[-1] == (COUNT, COUNT)
    group, manifest = zarr.open_group(report.output, mode="r"), rows(report)
    assert manifest["place"].tolist() == list(range(COUNT))
    assert manifest["pre_pt_root_id"].tolist() == points["pre_pt_root_id"].tolist()
    assert manifest["post_pt_root_id"].isna().tolist() == [True] + [False] * (COUNT - 1)
    assert int(manifest["post_pt_root_id"][1]) == 2**64 - 2
    for place, center in enumerate(points["pt_position"]):
        cut, row = flat.cutout(center, SIZE), manifest.iloc[place]
        pre = cut.segmentation == points["pre_pt_root_id"][place]
        assert np.array_equal(group["image"][place], cut.image)
        assert np.array_equal(group["segmentation"][place], cut.segmentation)
        assert np.array_equal(group["mask_pre"][place], pre)
        assert not group["mask_post"][place].any()
        assert tuple(row[["start_x", "start_y", "start_z"]]) == cut.bounds.start
        assert tuple(row[["stop_x", "stop_y", "stop_z"]]) == cut.bounds.stop
        assert tuple(row[["x", "y", "z"]]) == tuple(center)
        assert (row["voxels_pre"], row["voxels_post"]) == (pre.sum(), 0)
        assert row["covered_imagery"] == cut.coverage["imagery"].fraction
        assert row["covered_segmentation"] == cut.coverage["segmentation"].fraction
        assert (row["status"], row["resolution_x"], row["voxel_z"]) == ("done", 8, 40)
        with Image.open(report.output / "overlay" / f"{place:06d}_slice_1.png") as picture:
            painted = ic.composite_overlay({"pre": pre, "post": pre & False}, imagery=cut.image)
            assert np.array_equal(np.asarray(picture), np.asarray(painted[1]))


@pytest.mark.parametrize("name", ["npz", "h5", "tiff", "png"])
def test_other_formats_hold_the_same(flat: ic.ImageryClient, points: Any, tmp_path: Path, name: str) -> None:
    pytest.importorskip({"h5": "h5py", "tiff": "tifffile"}.get(name, "numpy"))
    some = points.iloc[:3].reset_index(drop=True)
    report = export(flat, some, tmp_path / f"out.{name}", format=name, bbox_size=SIZE, overlay={"alpha": 0.5})  # type: ignore[arg-type]
    assert report.done == 3
    for place, center in enumerate(some["pt_position"]):
        cut = flat.cutout(center, SIZE)
        if name == "npz":
            loaded = ic.load_cutout(report.output / f"{place:06d}.npz")
            assert np.array_equal(loaded.segmentation, cut.segmentation)
            assert loaded.record() == cut.record()
        elif name == "h5":
            import h5py

            with h5py.File(report.output) as file:
                assert np.array_equal(file["segmentation"][place], cut.segmentation)
        elif name == "tiff":
            import tifffile

            stack = tifffile.imread(report.output / "imagery" / f"{place:06d}.tif")
            assert np.array_equal(stack.transpose(2, 1, 0), cut.image)
        else:
            with Image.open(report.output / "imagery" / f"{place:06d}_slice_2.png") as picture:
                assert np.array_equal(np.asarray(picture).T, cut.image[:, :, 2])
        folder = report.output.with_suffix(".overlay") if name == "h5" else report.output / "overlay"
        with Image.open(folder / f"{place:06d}_slice_0.png") as picture:
            painted = cut.overlay(alpha=0.5, section=0)
            assert np.array_equal(np.asarray(picture), np.asarray(painted))
    assert report.manifest.name == ("out.manifest.csv" if name == "h5" else "manifest.csv")
    assert not [path.name for path in report.output.parent.rglob(".*")]


def test_parquet(flat: ic.ImageryClient, points: Any, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    options: dict[str, Any] = {"bbox_size": SIZE, "masks": MASKS, "manifest": "parquet"}
    away = pd.concat([points, points.iloc[:1].assign(pt_position=[[9000, 9000, 9000]])], ignore_index=True)
    report = export(flat, away, tmp_path / "one", **options)
    table = pd.read_parquet(report.manifest)
    assert table["pre_pt_root_id"].dtype.kind in "uf"
    assert table["status"].tolist() == ["done"] * COUNT + ["failed"]
    assert table["place"].tolist() == list(range(COUNT + 1))
    assert export(flat, away, tmp_path / "one", **options).resumed == COUNT


class Stop(Exception):
    """What interrupts an export here, as a signal would."""


def interrupted(patch: pytest.MonkeyPatch, after: int) -> list[int]:
    """Let exports stop after so many places; gives the places that are written."""
    written: list[int] = []
    original = writing.PlaceWriter.write

    def write(self: Any, cut: Any, ids: Any) -> Any:
        if len(written) >= after:
            raise Stop
        written.append(cut.index)
        return original(self, cut, ids)

    patch.setattr(writing.PlaceWriter, "write", write)
    return written


@pytest.mark.parametrize("name", ["zarr", "h5", "npz"])
def test_what_is_done_is_not_made_again(
    flat: ic.ImageryClient, points: Any, tmp_path: Path, name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip({"h5": "h5py"}.get(name, "numpy"))
    options: dict[str, Any] = {"format": name, "bbox_size": SIZE, "masks": MASKS, "overlay": {"alpha": 0.4}}
    for folder in ("broken", "whole"):
        (tmp_path / folder).mkdir()
    to = tmp_path / "broken" / "out"
    before: set[int] = set()
    for after in (5, 3):
        with monkeypatch.context() as patch:
            written = interrupted(patch, after)
            with pytest.raises(Stop):
                export(flat, points, to, **options)
        assert not before & set(written)
        before |= set(written)
    assert not list(to.parent.rglob("manifest*"))
    with monkeypatch.context() as patch:
        written = interrupted(patch, COUNT)
        report = export(flat, points, to, **options)
    assert (report.done, report.resumed) == (COUNT, len(before))
    assert sorted([*before, *written]) == list(range(COUNT))
    export(flat, points, tmp_path / "whole" / "out", **options)
    assert tree(tmp_path / "broken") == tree(tmp_path / "whole")
    with monkeypatch.context() as patch:
        written = interrupted(patch, 0)
        assert export(flat, points, to, **options).resumed == COUNT
    assert tree(tmp_path / "broken") == tree(tmp_path / "whole")


def test_an_end_that_was_cut_short_is_made_again(
    flat: ic.ImageryClient, points: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("h5py")
    from imageryclient.bulk import export as module
    from imageryclient.bulk.workspace import Workspace

    whole = export(flat, points, tmp_path / "whole.h5", format="h5", bbox_size=SIZE)
    for broken, owner, name in (("a", module, "write_manifest"), ("b", Workspace, "end")):
        to = tmp_path / f"{broken}.h5"
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, lambda *args: (_ for _ in ()).throw(Stop))
            with pytest.raises(Stop):
                export(flat, points, to, format="h5", bbox_size=SIZE)
        assert to.exists()
        report = export(flat, points, to, format="h5", bbox_size=SIZE)
        assert to.read_bytes() == whole.output.read_bytes()
        assert report.manifest.read_bytes() == whole.manifest.read_bytes()
        assert not (tmp_path / f"{broken}.h5.parts").exists()


def test_one_output_never_mixes_two_settings(
    flat: ic.ImageryClient, points: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "out"
    options: dict[str, Any] = {"bbox_size": SIZE, "masks": {"pre": "pre_pt_root_id"}}
    with monkeypatch.context() as patch:
        interrupted(patch, 4)
        with pytest.raises(Stop):
            export(flat, points, to, **options)
    before = tree(to)
    for changed, said in (
        ({"bbox_size": (24, 20, 4)}, r"voxels per place \[24, 20, 3\] there, \[24, 20, 4\] now"),
        ({"mip": 2}, r"mip .*1.* there, .*2.* now"),
        ({"format": "npz"}, r'format "zarr" there, "npz" now'),
        ({"masks": None}, r"masks .*pre_pt_root_id.* there, \{\} now"),
        ({"overlay": True}, r"overlay null there, \{\} now"),
        ({"root_ids": [5]}, r'root_ids "all" there, \["5"\] now'),
        ({"manifest": "csv", "missing": "raise"}, r'missing "fill" there, "raise" now'),
    ):
        with pytest.raises(ArgumentError, match=said):
            export(flat, points, to, **{**options, **changed})
    with pytest.raises(ArgumentError, match=r"points and ids \(digest\)"):
        export(flat, points.iloc[::-1].reset_index(drop=True), to, **options)
    with pytest.raises(ArgumentError, match="resume=True"):
        export(flat, points, to, resume=False, **options)
    more = pd.concat([points, points.iloc[:2]], ignore_index=True)
    with pytest.raises(ArgumentError, match=rf"the first {COUNT} of these {COUNT + 2} places.*points\[{COUNT}:\]"):
        export(flat, more, to, **options)
    with pytest.raises(ArgumentError, match=rf"places {COUNT} there, {COUNT - 2} now"):
        export(flat, points.iloc[:-2], to, **options)
    assert tree(to) == before
    assert export(flat, points, to, **options).failed == 0
    with pytest.raises(ArgumentError, match="other settings"):
        export(flat, points, to, bbox_size=SIZE)


def test_what_something_else_wrote_is_left_alone(flat: ic.ImageryClient, points: Any, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    (tmp_path / "file.h5").write_text("mine")
    for to, name in (("notes", "zarr"), ("file.h5", "h5"), ("file.h5", "npz")):
        with pytest.raises(ArgumentError, match="no export wrote it"):
            export(flat, points, tmp_path / to, format=name, bbox_size=SIZE)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="make it first"):
        export(flat, points, tmp_path / "nowhere" / "out", bbox_size=SIZE)
    (tmp_path / "empty").mkdir()
    assert export(flat, points, tmp_path / "empty", bbox_size=SIZE).done == COUNT


def test_places_that_fail_keep_their_row(flat: ic.ImageryClient, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    centers = np.array([[200, 140, 24], [9000, 9000, 9000], [np.nan, 1, 2], [101, 140, 24]])
    report = export(flat, centers, tmp_path / "out", bbox_size=SIZE)
    assert (report.places, report.done, report.failed) == (4, 2, 2)
    assert report.first_error is not None
    assert report.first_error.startswith("OutOfBoundsError: the box [8988:9012")
    manifest = pd.read_csv(report.manifest)
    assert manifest["status"].tolist() == ["done", "failed", "failed", "done"]
    assert manifest["error"][2] == "BoundsError: place 2 has no position"
    assert manifest["covered_imagery"].isna().tolist() == [False, True, True, False]
    assert 0 < manifest["covered_imagery"][3] < 1
    group = zarr.open_group(report.output, mode="r")
    assert group["done"][:].tolist() == [True, False, False, True]
    assert not group["image"][1].any()
    with pytest.raises(OutOfBoundsError):
        flat.cutout(centers[1], SIZE)
    before = tree(report.output)
    assert export(flat, centers, tmp_path / "out", bbox_size=SIZE).resumed == 2
    assert tree(report.output) == before
    report = export(flat, centers, tmp_path / "strict", bbox_size=SIZE, missing="raise")
    assert pd.read_csv(report.manifest)["error"][3].startswith("MissingDataError: imagery: ")


def test_no_places_at_all(flat: ic.ImageryClient, tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    report = export(flat, np.empty((0, 3)), tmp_path / "out", bbox_size=SIZE)
    assert report.places == 0
    assert zarr.open_group(report.output, mode="r")["image"].shape == (0, *SIZE)
    assert pd.read_csv(report.manifest).empty


def test_a_full_disk_is_said_and_the_export_goes_on_after(
    flat: ic.ImageryClient, points: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    original = Path.write_bytes

    def full(self: Path, data: Any) -> int:
        written.append(self)
        if len(written) > 20:
            original(self, bytes(data)[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return original(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(StorageError, match=r"the disk is full\. Free some space and export again"):
            export(flat, points, tmp_path / "out", bbox_size=SIZE)
    report = export(flat, points, tmp_path / "out", bbox_size=SIZE)
    assert report.resumed > 0
    assert report.done == COUNT
    export(flat, points, tmp_path / "whole", bbox_size=SIZE)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_what_a_format_cannot_hold_fails_alone(
    flat: ic.ImageryClient, points: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ZarrFormat.write

    def write(self: Any, place: int, products: Any) -> None:
        if place == 4:
            raise ArgumentError("too many")
        original(self, place, products)

    monkeypatch.setattr(ZarrFormat, "write", write)
    report = export(flat, points, tmp_path / "out", bbox_size=SIZE)
    assert (report.done, report.first_error) == (COUNT - 1, "ArgumentError: too many")


def test_arguments_that_make_no_sense(flat: ic.ImageryClient, points: Any, tmp_path: Path, datastack: Any) -> None:
    to = tmp_path / "out"
    points["start_id"] = 1
    for options, said in (
        ({"format": "jpeg"}, "format must be one of"),
        ({"manifest": "xlsx"}, "'csv' or 'parquet'"),
        ({"masks": {"a/b": "pre_pt_root_id"}}, "without slashes"),
        ({"masks": {"pre": "nothing"}}, "no column 'nothing'"),
        ({"ids_columns": ["start_id"]}, "columns of its own that are named start_id"),
        ({"overlay": 3}, "overlay= is True or a mapping"),
        ({"overlay": {"alpha": 7}}, "alpha"),
        ({"overlay": {"colors": {"pre": print}}, "masks": MASKS}, "option of an export must be text"),
    ):
        with pytest.raises(ArgumentError, match=said):
            export(flat, points, to, **{"bbox_size": SIZE, **options})  # type: ignore[arg-type]
    with pytest.raises(BoundsError):
        export(flat, points, to, bbox_size=(0, 3))
    with pytest.raises(ArgumentError, match="have no ids pre_pt_root_id; they have none"):
        export(flat, parse_places(points, size=SIZE, resolution=(8, 8, 40)), to, masks=["pre_pt_root_id"])
    only = ic.ImageryClient(image_source=str(datastack.folder / "imagery"), resolution=datastack.fine)
    with pytest.raises(ArgumentError, match="does not have"):
        export(only, points, to, bbox_size=SIZE, masks=MASKS)
    other = ic.ImageryClient(segmentation_source=str(datastack.folder / "supervoxels"), resolution=datastack.fine)
    with pytest.raises(ArgumentError, match="overlays or masks"):
        export(other, points, to, bbox_size=SIZE, format="png")
    assert not to.exists()


def test_the_moment_of_the_first_start_is_kept(
    server: Callable[..., Any],
    connect: Callable[..., ic.ImageryClient],
    points: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    datastack: Any,
) -> None:
    client = connect(server(), timestamp=None)
    to = tmp_path / "out"
    with monkeypatch.context() as patch:
        interrupted(patch, 4)
        with pytest.raises(Stop):
            export(client, points, to, bbox_size=SIZE)
    moment = json.loads((to / "settings.json").read_text())["moment"]
    report = export(client, points, to, bbox_size=SIZE)
    assert report.moment is not None
    assert report.moment.isoformat() == moment
    assert set(pd.read_csv(report.manifest)["moment"]) == {moment}
    with pytest.raises(ArgumentError, match="moment"):
        export(client, points, to, bbox_size=SIZE, timestamp=datastack.late)
    assert export(client, points, to, bbox_size=SIZE, timestamp=moment).resumed == COUNT


def test_ids_of_another_moment_are_said(
    server: Callable[..., Any], connect: Callable[..., ic.ImageryClient], points: Any, tmp_path: Path, datastack: Any
) -> None:
    client = connect(server())
    found = [cut.segmentation for cut in client.cutouts(points, SIZE)]
    points["now"] = np.array([ids[tuple(n // 2 for n in SIZE)] for ids in found], np.uint64)
    points["then"] = points["now"].where(points.index < 2, 2**60 + 1)
    with pytest.warns(IdWarning, match=rf"the mask 'b' is empty at {COUNT - 2} of {COUNT} places: its ids may not be"):
        report = export(client, points, tmp_path / "out", bbox_size=SIZE, masks={"a": "now", "b": "then"})
    assert rows(report)["voxels_b"].tolist() == [*rows(report)["voxels_a"][:2], *[0] * (COUNT - 2)]
