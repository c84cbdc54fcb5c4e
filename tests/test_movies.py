"""Movies, decoded again: every picture, its colours, its time, and what the file says of itself."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import imageryclient as ic
from imageryclient.cli import main
from imageryclient.cutout import Cutout
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.errors import (
    ArgumentError,
    FormatError,
    ImageryWarning,
    MissingDataWarning,
    MissingExtraError,
    NotFoundError,
)
from imageryclient.files import movies
from imageryclient.files.movies import save_movie
from imageryclient.files.reading import read_record
from imageryclient.files.turn import Turn
from imageryclient.files.turns import save_turn
from imageryclient.geometry import Box
from imageryclient.painting.annotations import by_size
from imageryclient.painting.marks import Points
from imageryclient.painting.options import PAINTED

av = pytest.importorskip("av")

RNG = np.random.default_rng(21)
AT = (8.0, 8.0, 40.0)
BIG = 864691135341362885
KINDS = ["mp4", "webp", "gif"]


def blurred(shape: tuple[int, ...]) -> np.ndarray:
    """Soft noise, as cameras see the world; movies are not made for noise of single pixels."""
    coarse = RNG.integers(0, 256, (-(-shape[0] // 8), -(-shape[1] // 8), 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def decoded(file: Path) -> list[np.ndarray]:
    """The pictures of a movie, (y, x, 3); of MP4 by the arithmetic of BT.709, which the file must name."""
    if file.suffix != ".mp4":
        with Image.open(file) as opened:
            found = []
            for number in range(opened.n_frames):
                opened.seek(number)
                found.append(np.asarray(opened.convert("RGB")).astype(float))
            return found
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.pix_fmt, context.colorspace, context.color_primaries, context.color_range) == (
            "yuv420p",
            1,
            1,
            1,
        )
        return [of_yuv(frame) for frame in container.decode(stream)]


def of_yuv(frame: Any) -> np.ndarray:
    planes = frame.to_ndarray()
    height, width = frame.height, frame.width
    y = (planes[:height].astype(float) - 16) / 219
    chroma = planes[height:].reshape(2, height // 2, width // 2).astype(float)
    cb, cr = ((plane - 128) / 224 for plane in chroma.repeat(2, axis=1).repeat(2, axis=2))
    red, blue = y + 1.5748 * cr, y + 1.8556 * cb
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    return 255 * np.stack([red, green, blue], axis=-1).clip(0, 1)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise, in dB."""
    return float(10 * np.log10(255**2 / np.mean((one - other) ** 2)))


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_come_back(tmp_path: Path, kind: str) -> None:
    frames = [blurred((49, 71)) for _ in range(5)]
    file = save_movie(map(Image.fromarray, frames), tmp_path / f"a.{kind}", 12.5)
    found = decoded(file)
    assert len(found) == 5
    assert found[0].shape == ((50, 72, 3) if kind == "mp4" else (49, 71, 3))
    for seen, frame in zip(found, frames, strict=True):
        assert likeness(seen[:49, :71], frame) > {"mp4": 28, "webp": 32, "gif": 26}[kind]
        assert np.abs((seen[:49, :71] - frame).mean(axis=(0, 1))).max() < 1.5, "a shift of colour"
    if kind == "mp4":
        assert np.abs(found[0][49, :71] - found[0][48, :71]).mean() < 6  # the last row twice, not a dark rim
    assert sorted(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("color", [(255, 0, 0), (0, 200, 30), (10, 20, 240), (128, 128, 128), (255, 255, 255)])
def test_plain_colours_are_exact(tmp_path: Path, color: tuple[int, int, int]) -> None:
    for kind in KINDS:
        (found,) = decoded(save_movie([Image.new("RGB", (16, 16), color)], tmp_path / f"a.{kind}"))
        assert np.abs(found - color).max() <= (2.5 if kind != "gif" else 0)


@pytest.mark.parametrize("fps", [1, 2.5, 12, 30, 30000 / 1001])
def test_times_do_not_drift(tmp_path: Path, fps: float) -> None:
    frames = [Image.fromarray(blurred((16, 16))) for _ in range(31)]
    for kind in ("webp", "gif"):
        total = 0.0
        with Image.open(save_movie(frames, tmp_path / f"a.{kind}", fps)) as opened:
            for number in range(opened.n_frames):
                opened.seek(number)
                opened.load()
                total += opened.info["duration"]
        assert total == pytest.approx(31000 / fps, abs=5 if kind == "gif" else 0.6)
    with av.open(str(save_movie(frames, tmp_path / "a.mp4", fps))) as container:
        stream = container.streams.video[0]
        times = [float(frame.pts * stream.time_base) for frame in container.decode(stream)]
    assert np.allclose(times, np.arange(31) / fps, atol=1e-3)


def test_transparent_pixels_stay_so_or_show_what_lies_behind(tmp_path: Path) -> None:
    half = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    half.paste((255, 0, 0, 255), (0, 0, 8, 16))
    with Image.open(save_movie([half, half.rotate(90)], tmp_path / "a.webp")) as opened:
        assert opened.convert("RGBA").getpixel((12, 8))[3] == 0
        assert opened.convert("RGBA").getpixel((4, 8))[3] == 255
    for kind in ("mp4", "gif"):
        for background, shade in (("black", 0), ("white", 255)):
            file = save_movie([half, half.rotate(90)], tmp_path / f"a.{kind}", background=background)
            assert np.abs(decoded(file)[0][2:-2, 11:-2] - shade).max() < 4


def test_frames_of_mp4_are_let_go(tmp_path: Path) -> None:
    alive: list[weakref.ref[Image.Image]] = []
    most = 0

    def frames() -> Iterator[Image.Image]:
        nonlocal most
        for grey in range(40):
            picture = Image.new("RGB", (32, 32), (grey, 0, 0))
            alive.append(weakref.ref(picture))
            most = max(most, sum(one() is not None for one in alive))
            yield picture
            del picture

    save_movie(frames(), tmp_path / "a.mp4")
    assert most < 6


@pytest.mark.parametrize("kind", KINDS)
def test_a_movie_is_whole_or_not_there(tmp_path: Path, kind: str) -> None:
    def broken() -> Iterator[Image.Image]:
        yield Image.new("RGB", (16, 16))
        raise RuntimeError("the source is gone")

    with pytest.raises(RuntimeError, match="gone"):
        save_movie(broken(), tmp_path / f"a.{kind}")
    with pytest.raises(ArgumentError, match="at least one picture"):
        save_movie([], tmp_path / f"a.{kind}")
    with pytest.raises(ArgumentError, match="share one size"):
        save_movie([Image.new("L", (16, 16)), Image.new("L", (16, 18))], tmp_path / f"a.{kind}")
    for fps in (0, -1, float("nan"), "fast", 1000):
        with pytest.raises(ArgumentError, match="fps"):
            save_movie([Image.new("L", (16, 16))], tmp_path / f"a.{kind}", fps)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="no folder"):
        save_movie([Image.new("L", (16, 16))], tmp_path / "absent" / f"a.{kind}")
    assert not list(tmp_path.iterdir())


def test_what_is_no_movie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match=r"\.mp4, \.webp or \.gif"):
        save_movie([Image.new("L", (16, 16))], tmp_path / "a.avi")
    for kind in KINDS:
        plain = save_movie([Image.new("L", (16, 16)), Image.new("L", (16, 16), 99)], tmp_path / f"plain.{kind}")
        with pytest.raises(FormatError, match="does not say what was cut out"):
            read_record(plain)
        (tmp_path / f"half.{kind}").write_bytes(plain.read_bytes()[:24])
        with pytest.raises(FormatError, match="damaged"):
            read_record(tmp_path / f"half.{kind}")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"imageryclient\[video\]"):
        save_movie([Image.new("L", (16, 16))], tmp_path / "a.mp4")
    with pytest.raises(MissingExtraError, match=r"imageryclient\[video\]"):
        read_record(tmp_path / "plain.mp4")


def test_another_encoder_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(movies, "_ENCODERS", ("of another system", "mpeg4"))
    frames = [blurred((48, 64)) for _ in range(3)]
    with av.open(str(save_movie(map(Image.fromarray, frames), tmp_path / "a.mp4"))) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
        found = list(container.decode(video=0))
    assert len(found) == 3
    monkeypatch.setattr(movies, "_ENCODERS", ("of another system",))
    with pytest.raises(MissingExtraError, match="no encoder"):
        save_movie([Image.new("L", (16, 16))], tmp_path / "b.mp4")


# ---- through the sections of a cutout -----------------------------------------------------------------------------


def stack(dtype: Any = np.uint8) -> Cutout:
    image = np.stack([blurred((40, 30))[..., 0] for _ in range(4)], axis=2).astype(dtype) * 3
    ids = np.kron(RNG.choice(np.array([0, 5, 9, BIG], np.uint64), (5, 5, 4)), np.ones((8, 6, 1), np.uint64))
    return Cutout(
        image, ids, Box((10, 20, 30), (50, 50, 34), AT), sources={"imagery": "gs://b/em"}, mips={"imagery": 0}
    )


def sweep(cut: Cutout, options: dict[str, Any]) -> Iterator[Image.Image]:
    painting = dict(options)
    return cut.sheets(painting.pop("plane", None)).frames(**cut._painting(painting))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alpha": 0.6, "scale_bar": True, "palette": "tab10"},
        {
            "outline": True,
            "width": 2,
            "side": "in",
            "colors": {5: "red", 9: "#00ff00", BIG: (0, 0, 1.0)},
            "plane": "xz",
        },
        {"plane": "yz", "palette": ["red", "blue"]},
        {"highlight": [9], "percentiles": (5, 95), "gamma": 0.7},
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_sections_go_by_in_the_colours_and_the_contrast_of_all(options: dict[str, Any], dtype: Any) -> None:
    cut = stack(dtype)
    together = cut.overlay(**options)
    assert isinstance(together, list)
    apart = list(sweep(cut, options))  # each painted when asked for
    assert len(apart) == len(together)
    for one, other in zip(apart, together, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))


def test_a_sweep_of_one_layer_and_of_one_value(tmp_path: Path) -> None:
    cut = stack()
    plain = Cutout(np.full((6, 5, 3), 7.5), None, Box((0, 0, 0), (6, 5, 3), AT))
    bare = Cutout(None, cut.segmentation, cut.bounds)
    for one in (plain, bare, Cutout(cut.image, None, cut.bounds)):
        pictures = one.overlay()
        assert [np.asarray(p).tolist() for p in sweep(one, {})] == [np.asarray(p).tolist() for p in pictures]
    for options, words in (({"section": 1}, "section="), ({"plane": "zz"}, "plane")):
        with pytest.raises(ArgumentError, match=words):
            cut.save(tmp_path / "a.gif", **options)


@pytest.mark.parametrize("kind", KINDS)
def test_a_movie_of_a_cutout_is_made_again(
    datastack: Any, server: Any, connect: Any, tmp_path: Path, kind: str
) -> None:
    running = server()
    cut = connect(running).cutout(datastack.middle, (41, 30, 3))
    assert cut.save(tmp_path / f"sweep.{kind}", fps=5, alpha=0.5) == [tmp_path / f"sweep.{kind}"]
    record = read_record(tmp_path / f"sweep.{kind}")
    assert record.painting == {**PAINTED, "fps": 5, "alpha": 0.5}
    assert (record.bounds, record.sources) == (cut.bounds, cut.sources)
    again, options = ic.redo(tmp_path / f"sweep.{kind}", auth_token=running.token)
    assert np.array_equal(again.segmentation, cut.segmentation)
    again.save(tmp_path / f"again.{kind}", **options)
    assert decoded(tmp_path / f"again.{kind}")[2].tolist() == decoded(tmp_path / f"sweep.{kind}")[2].tolist()
    result = CliRunner().invoke(
        main, ["redo", str(tmp_path / f"sweep.{kind}"), "-o", str(tmp_path / "one.png"), "--token", running.token]
    )
    assert result.exit_code == 0, result.output
    assert "fps" not in read_record(tmp_path / "one_slice_0.png").painting


def test_a_movie_from_the_command_line(datastack: Any, tmp_path: Path) -> None:
    out = tmp_path / "place.gif"
    words = ["cutout", "--image", str(datastack.folder / "imagery"), "--bounds", "190,130,20,210,145,24",
             "--resolution", "8,8,40", "--fps", "4", "-o", str(out)]  # fmt: skip
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    with Image.open(out) as opened:
        assert (opened.n_frames, opened.size, opened.info["duration"]) == (4, (20, 15), 250)


# ---- turns --------------------------------------------------------------------------------------------------------


def turned_client() -> tuple[ic.ImageryClient, np.ndarray]:
    ids = np.kron(RNG.integers(1, 2**63, (5, 5, 5), np.uint64), np.ones((8, 8, 8), np.uint64))
    image = np.asarray(ids % 200, np.uint8)
    return ic.ImageryClient(image_source=image, segmentation_source=ids, resolution=(8, 8, 8)), ids


def test_a_turn_keeps_each_ids_colour(tmp_path: Path) -> None:
    client, _ = turned_client()
    file = save_turn(client, tmp_path / "turn.gif", (20, 20, 20), (16, 12), degrees=90, seconds=1, fps=4, alpha=1)
    found = decoded(file)
    assert len(found) == 4
    sides = [client.section((20, 20, 20), (16, 12)), client.section((20, 20, 20), (16, 12), normal=(1, 0, 0))]
    for picture, cut in zip((found[0], found[-1]), sides, strict=True):
        assert cut.segmentation is not None
        assert np.abs(picture - np.asarray(cut.overlay(palette="steady", alpha=1).convert("RGB"))).max() <= 2
    record = read_record(file)
    assert record.painting["palette"] == "steady"
    assert record.turn == Turn("y", 90, seconds=1, fps=4)
    assert record.place == sides[0].section


def test_what_a_turn_cannot_keep(tmp_path: Path) -> None:
    client, ids = turned_client()
    where = (tmp_path / "turn.gif", (20, 20, 20), (16, 12))
    for colors in ({"palette": "tab10"}, {"colors": ["red"] * 500}):
        with pytest.raises(ArgumentError, match="come and go"):
            save_turn(client, *where, seconds=1, fps=2, **colors)
    some = np.unique(ids)[:3].tolist()
    save_turn(client, *where, seconds=1, fps=2, palette="tab10", cutting={"root_ids": some, "missing": "fill"})
    with pytest.raises(ArgumentError, match="no two pictures"):
        save_turn(client, *where, seconds=0.1, fps=2)
    with pytest.warns(MissingDataWarning, match=r"2 of the 4 pictures .* without data"):
        save_turn(client, tmp_path / "far.gif", (20, 20, 3), (16, 12), seconds=1, fps=4, axis="x", degrees=90)


@pytest.mark.parametrize("kind", KINDS)
def test_a_turn_is_made_again_whole(datastack: Any, server: Any, connect: Any, tmp_path: Path, kind: str) -> None:
    running = server()
    client = connect(running, missing="fill", timestamp=datastack.history.operations[5].time + 1)
    where = (datastack.middle, (34, 22))
    at = client.section(*where, normal=(0.2, 1, 0.1), nm_per_pixel=9)
    options: dict[str, Any] = {
        "axis": "x", "degrees": -100.0, "seconds": 1.2, "fps": 5, "zoom": 2, "scale_bar": True, "percentiles": (2, 98),
        "highlight": at.masks.ids[:3].tolist(), "marks": Points([datastack.middle], AT, radius=2, depth=200),
        "cutting": {"normal": (0.2, 1, 0.1), "nm_per_pixel": 9},
    }  # fmt: skip
    file = client.turn(tmp_path / f"turn.{kind}", *where, **options)
    frames = decoded(file)
    assert len(frames) == 6
    assert np.abs(frames[0] - frames[3]).max() > 60
    result = CliRunner().invoke(main, ["redo", str(file), "--token", running.token], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    again = tmp_path / f"turn_redone.{kind}"
    assert again.read_bytes() == file.read_bytes()  # its encoder does the same each time
    assert read_record(again).turn == Turn("x", -100.0, 1.2, 5.0)
    other = "gif" if kind != "gif" else "webp"
    _, (elsewhere,) = ic.remake(file, tmp_path / f"other.{other}", auth_token=running.token)
    assert client.turn(tmp_path / f"direct.{other}", *where, **options).read_bytes() == elsewhere.read_bytes()
    (cut,), (first,) = ic.remake(file, tmp_path / "first.png", auth_token=running.token)
    assert isinstance(cut, ic.SectionCutout)
    assert cut.section == at.section
    painted = {
        name: value for name, value in options.items() if name not in ("axis", "degrees", "seconds", "fps", "cutting")
    }
    with Image.open(first) as opened:
        assert np.array_equal(np.asarray(opened), np.asarray(at.overlay(**painted)))
        assert "turn" not in opened.text["imageryclient"]


def test_a_turn_of_some_ids_is_made_again(datastack: Any, server: Any, connect: Any, tmp_path: Path) -> None:
    running = server()
    early = connect(running, missing="fill", timestamp=datastack.history.operations[0].time - 1)
    stale = early.section(datastack.middle, (60, 60)).masks.ids.tolist()
    client = connect(running, missing="fill")
    for follow, painting in ((True, {}), (False, {"palette": "tab10"})):
        cutting = {"root_ids": stale, "follow": follow, "timestamp": None if follow else early._moment}
        file = client.turn(
            tmp_path / "some.gif", datastack.middle, (20, 16), seconds=1, fps=4, cutting=cutting, **painting
        )
        assert read_record(file).root_ids == tuple(stale)  # those that others follow are not the same in each picture
        _, (again,) = ic.remake(file, auth_token=running.token)
        assert again.read_bytes() == file.read_bytes()
    with pytest.raises(ArgumentError, match="come and go"):
        client.turn(
            tmp_path / "x.gif", datastack.middle, (20, 16), palette="tab10", cutting={"root_ids": stale, "follow": True}
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_sweep_is_made_again_whole(datastack: Any, server: Any, connect: Any, tmp_path: Path, kind: str) -> None:
    running = server()
    cut = connect(running).cutout(datastack.middle, (36, 24, 5))
    options: dict[str, Any] = {
        "plane": "xz", "zoom": 2, "palette": "tab10", "outline": True, "fill": 0.2, "labels": True, "scale_bar": 100.0,
        "legend": ic.Legend(title="cells"), "highlight": cut.masks.ids[:4].tolist(), "gamma": 0.8,
        "marks": [ic.Text(datastack.middle, AT, "here", depth=400)],
    }  # fmt: skip
    (file,) = cut.save(tmp_path / f"sweep.{kind}", **options)
    assert len(decoded(file)) == 24
    assert read_record(file).painting["fps"] == 10  # also where it is the usual one
    _, (again,) = ic.remake(file, auth_token=running.token)
    assert again.read_bytes() == file.read_bytes()


def test_a_legend_tells_the_same_beside_all_pictures(tmp_path: Path) -> None:
    cut = stack()
    frames = list(sweep(cut, {"legend": True, "palette": "tab10"}))
    beside = [np.asarray(frame)[:, 40:] for frame in frames]
    assert beside[0].size
    assert all(np.array_equal(one, beside[0]) for one in beside)
    whole = Cutout(None, cut.segmentation.reshape(40, -1, 1), Box((0, 0, 0), (40, 120, 1), AT))
    assert by_size(cut.segmentation) == by_size(whole.segmentation)
    for one, number in zip(frames, range(4), strict=True):  # in the colours they are painted in
        plain = np.asarray(cut.overlay(section=number, palette="tab10"))
        assert np.array_equal(np.asarray(one)[:30, :40], plain)
    client, ids = turned_client()
    some = np.unique(ids)[:9].tolist()
    where = (tmp_path / "turn.gif", (20, 20, 20), (32, 32))
    options: dict[str, Any] = {"seconds": 1, "fps": 3, "degrees": 90}
    for more in ({"legend": some}, {"legend": dict.fromkeys(some, "x")}, {"legend": {"cells": "red"}},
                 {"legend": True, "cutting": {"root_ids": some, "missing": "fill"}, "palette": "tab10"}):  # fmt: skip
        found = decoded(client.turn(*where, **options, **more))
        assert len(found) == 3
        assert found[0].shape[1] > 32
        assert np.array_equal(found[0][:, 33:], found[2][:, 33:])
    with pytest.raises(ArgumentError, match="legend is the same beside all"):
        client.turn(*where, **options, legend=True)


def test_a_turn_of_arrays_is_given_them_again(tmp_path: Path) -> None:
    client, ids = turned_client()
    file = client.turn(tmp_path / "turn.webp", (20, 20, 20), (24, 16), seconds=1, fps=3, degrees=45)
    with pytest.raises(NotFoundError, match="image_source="):
        ic.remake(file)
    arrays = {"image_source": np.asarray(ids % 200, np.uint8), "segmentation_source": ids}
    _, (again,) = ic.remake(file, **{name: ic.ArraySource(array, (8, 8, 8)) for name, array in arrays.items()})
    assert decoded(again)[2].tolist() == decoded(file)[2].tolist()
    opened = ic.load_cutout(file, **{name: ic.ArraySource(array, (8, 8, 8)) for name, array in arrays.items()})
    assert np.array_equal(opened.segmentation, client.section((20, 20, 20), (24, 16)).segmentation)


def test_a_movie_too_fast_for_a_gif(tmp_path: Path) -> None:
    ids = RNG.integers(1, 2**63, (40, 40, 40), np.uint64)
    write_precomputed(tmp_path / "seg", [(ids, Layout(resolution=(8, 8, 8)))], kind="segmentation")
    client = ic.ImageryClient(segmentation_source=tmp_path / "seg")
    turn = client.turn(tmp_path / "turn.webp", (20, 20, 20), (32, 32), seconds=0.1, fps=100, degrees=60)
    (sweep,) = client.cutout([20, 20, 16], (32, 32, 3)).save(tmp_path / "sweep.webp", fps=100)
    for file, frames in ((turn, 5), (sweep, 3)):
        with pytest.warns(ImageryWarning, match="at most 50 pictures a second, and this movie had 100"):
            _, (slower,) = ic.remake(file, tmp_path / "slower.gif")
        with Image.open(slower) as opened:
            assert (opened.n_frames, opened.info["duration"]) == (frames, 20)
    with pytest.raises(ArgumentError, match="at most 50"):
        client.turn(tmp_path / "fast.gif", (20, 20, 20), (8, 8), fps=100)
    with pytest.raises(ArgumentError, match="axis"):
        client.turn(tmp_path / "askew.gif", (20, 20, 20), (8, 8), axis="w")
    with pytest.raises(ArgumentError, match="degrees"):
        client.turn(tmp_path / "askew.gif", (20, 20, 20), (8, 8), degrees=float("nan"))
