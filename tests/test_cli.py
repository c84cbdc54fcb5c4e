"""The command line as a newcomer meets it, in processes of its own where that matters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import imageryclient as ic
from imageryclient.cli import main
from imageryclient.demo.build import build_phantom
from imageryclient.demo.server import DemoServer


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_phantom(tmp_path_factory.mktemp("cli") / "phantom", shape=(160, 160, 12))


@pytest.fixture(scope="module")
def served(volume: Path) -> Iterator[DemoServer]:
    with DemoServer(volume) as server:
        yield server


def run(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def datastack(server: DemoServer) -> list[str]:
    return ["--datastack", str(server.datastack), "--server", server.url, "--token", str(server.token)]


def test_help_names_every_command_and_its_first_step() -> None:
    text = run("--help")
    for word in ("demo", "serve", "cutout", "link", "info", "Exit codes"):
        assert word in text
    assert "X,Y,Z" in run("cutout", "--help")
    assert ic.__version__ in run("--version")


def test_a_cutout_of_a_datastack_becomes_a_picture(served: DemoServer, tmp_path: Path) -> None:
    out = tmp_path / "place.png"
    text = run("cutout", *datastack(served), "--center", "160,160,6", "--size", "100,80", "-o", out)
    assert "100 % covered" in text
    assert f"wrote {out}" in text
    with Image.open(out) as picture:
        assert picture.size == (50, 40)  # 100 x 80 voxels of 4 nm are 50 x 40 of the imagery's 8 nm
    outlined = tmp_path / "outlined.png"
    run("cutout", *datastack(served), "--center", "160 160 6", "--size", "100x80", "--outline", "-o", outlined)
    assert outlined.read_bytes() != out.read_bytes()


def test_a_cutout_of_folders_becomes_arrays_that_know_what_they_are(volume: Path, tmp_path: Path) -> None:
    out = tmp_path / "place.npz"
    run("cutout", "--image", volume / "imagery", "--segmentation", volume / "segmentation",
        "--bounds", "10,10,2,60,70,6", "--resolution", "8,8,40", "-o", out)  # fmt: skip
    client = ic.ImageryClient(image_source=volume / "imagery", segmentation_source=volume / "segmentation")
    cut = client.cutout(bounds=[[10, 10, 2], [60, 70, 6]], resolution=(8, 8, 40))
    with np.load(out) as saved:
        assert np.array_equal(saved["image"], cut.image)
        assert np.array_equal(saved["segmentation"], cut.segmentation)
        about = json.loads(str(saved["metadata"]))
    assert about["bounds"]["start"] == [10, 10, 2]
    assert about["sources"]["imagery"] == str(volume / "imagery")


def test_one_object_and_supervoxels_and_a_moment(served: DemoServer, tmp_path: Path) -> None:
    out = tmp_path / "ids.npz"
    where = ["--center", "160,160,6", "--size", "64,64", "-o", str(out)]
    history = served.history
    assert history is not None
    moment = history.operations[3].time + 0.5
    run("cutout", *datastack(served), *where, "--timestamp", f"{np.datetime64(int(moment * 1e6), 'us')}Z")
    with np.load(out) as saved:
        roots = np.unique(saved["segmentation"])
    assert np.isin(roots[roots > 0], history.at(moment)).all()
    root = int(roots[-1])
    run(
        "cutout",
        *datastack(served),
        *where,
        "--root-id",
        root,
        "--timestamp",
        f"{np.datetime64(int(moment * 1e6), 'us')}Z",
    )
    with np.load(out) as saved:
        assert set(np.unique(saved["segmentation"])) <= {0, root}
    run("cutout", *datastack(served), *where, "--supervoxels")
    with np.load(out) as saved:
        supervoxels = np.unique(saved["segmentation"])
    assert np.all(history.roots(supervoxels[supervoxels > 0], moment) > 0)


def test_the_box_of_an_object_and_an_id_out_of_date(served: DemoServer, tmp_path: Path) -> None:
    assert served.history is not None
    old = served.history.operations[0].before[0]
    heirs = set(served.history.future_ids(old).tolist())
    out = tmp_path / "ids.npz"
    with pytest.warns(ic.errors.IdWarning, match="replaced by"):
        run("cutout", *datastack(served), "--around", min(heirs), "--root-id", old, "--follow", "-o", out)
    with np.load(out) as saved:
        found = set(np.unique(saved["segmentation"]).tolist()) - {0}
    assert found
    assert found <= heirs
    assert "whole number" in run("cutout", *datastack(served), "--around", "nonsense", "-o", out, code=1)


def test_a_neuroglancer_link_becomes_a_picture_and_arrays(served: DemoServer, tmp_path: Path) -> None:
    out = tmp_path / "place.npz"
    run("cutout", *datastack(served), "--center", "160,160,6", "--size", "80,60", "-o", out)
    with np.load(out) as saved:
        root = int(np.unique(saved["segmentation"])[-1])
        start = json.loads(str(saved["metadata"]))["bounds"]["start"]
    state = {
        "dimensions": {axis: [nm * 1e-9, "m"] for axis, nm in zip("xyz", (4, 4, 40), strict=True)},
        "position": [160, 160, 6.5],
        "crossSectionScale": 2,
        "layers": [
            {"type": "image", "name": "em", "source": f"precomputed://{served.url}/data/imagery"},
            {"type": "segmentation", "name": "seg", "segments": [str(root)],
             "source": f"graphene://{served.url}/segmentation/table/{served.table}"},
        ],
    }  # fmt: skip
    view = tmp_path / "view.npz"
    run("link", json.dumps(state), "--size", "40,30", "--token", served.token, "-o", view)
    with np.load(view) as saved:
        assert saved["image"].shape == (40, 30, 1)
        assert set(np.unique(saved["segmentation"])) - {0} == {root}
        assert json.loads(str(saved["metadata"]))["bounds"]["start"] == start
    text = run("link", json.dumps(state), "--size", "40,30", "--token", served.token, "--all", "-o", tmp_path / "v.png")
    assert "wrote" in text
    with Image.open(tmp_path / "v.png") as picture:
        assert picture.size == (40, 30)
    assert "exclude" in run("link", "{}", "--all", "--root-id", 5, code=2)
    assert "not a Neuroglancer link" in run("link", "https://example.org/nothing", code=1)


def test_a_section_at_any_angle_becomes_a_picture(volume: Path, tmp_path: Path) -> None:
    layers = "--image", volume / "imagery"
    out = tmp_path / "tilted.png"
    text = run("section", *layers, "--center", "80,80,6", "--size", "60,40", "--normal", "1,0,1", "-o", out)
    assert "60 x 40 pixels of 8 nm" in text
    client = ic.ImageryClient(image_source=str(volume / "imagery"))
    wanted = client.section([80, 80, 6], (60, 40), normal=(1, 0, 1)).overlay()
    with Image.open(out) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(wanted))
    svg = tmp_path / "xz.svg"
    run(
        "section",
        *layers,
        "--center",
        "640,640,240",
        "--units",
        "nm",
        "--panel",
        "xz",
        "--nm-per-pixel",
        2,
        "--size",
        "90,70",
        "-o",
        svg,
    )
    assert svg.read_text().startswith("<?xml")
    for words, said in (
        (("--normal", "1,0,0", "--panel", "xz"), "--normal takes the place"),
        (("--up", "1,0,0"), "--up goes with --normal"),
        (("-o", "stack.tif"), "a section is saved as .png"),
    ):
        assert said in run("section", *layers, "--center", "80,80,6", *words, code=2)


def test_a_link_of_another_panel_becomes_one_picture(volume: Path, tmp_path: Path) -> None:
    nm = {"x": [8, "nm"], "y": [8, "nm"], "z": [40, "nm"]}
    source = f"precomputed://{(volume / 'imagery').as_uri()}"
    state = {"dimensions": nm, "position": [80, 80, 6], "layout": "xz", "layers": [{"source": source}]}
    out = tmp_path / "view.png"
    assert f"wrote {out}" in run("link", json.dumps(state), "--size", "60,50", "-o", out)
    with Image.open(out) as picture:
        assert picture.size == (60, 50)


def test_files_that_cannot_be_written_or_read_are_said_in_one_line(volume: Path, tmp_path: Path) -> None:
    place = "cutout", "--image", volume / "imagery", "--center", "80,80,6", "--size", "9,9"
    (tmp_path / "taken.png").mkdir()
    for words in (
        ("-o", tmp_path / "taken.png"),
        ("-o", tmp_path / "none" / "a.png"),
        ("--root-id", "x", "-o", "a.png"),
    ):
        text = run(*place, *words, code=1)
        assert text.startswith("Error: ")
        assert text.count("\n") == 1
    segmentation = "--segmentation", volume / "segmentation"
    assert "whole number" in run(*place, *segmentation, "--highlight", "x", "-o", tmp_path / "a.png", code=1)


def test_info_of_a_source_and_of_a_datastack(volume: Path, served: DemoServer) -> None:
    text = run("info", volume / "imagery")
    assert "8 x 8 x 40" in text
    assert "placeholder, no data" in text
    documents = json.loads(run("info", served.datastack, "--server", served.url, "--token", served.token, "--json"))
    assert [document["type"] for document in documents] == ["image", "segmentation"]
    assert documents[0]["scales"][1]["resolution_nm"] == [8.0, 8.0, 40.0]
    assert documents[1]["source"].startswith("graphene://")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["cutout"], 2, "--center"),
        (["cutout", "--center", "1,2", "--image", "em"], 2, "3 numbers"),
        (["cutout", "--center", "1,2,3"], 2, "--datastack"),
        (["cutout", "--center", "1,2,3", "--image", "em", "-o", "x.jpg"], 2, "saved as .png"),
        (["cutout", "--center", "1,2,3", "--image", "no-such-folder"], 1, "no-such-folder"),
        (["cutout", "--center", "1,2,3", "--image", "boss://x"], 1, "BossDB"),
        (["info", "gs://"], 1, "no bucket"),
        (["serve"], 2, "--demo"),
        (["serve", "no-such-folder"], 2, "no-such-folder"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(words, code, said, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = run(*words, code=code)
    assert said in text
    assert "Traceback" not in text
    assert not list(tmp_path.iterdir())


def test_refusals_are_said_without_the_token(served: DemoServer, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    wrong = "f" * 32
    words = ["cutout", "--datastack", served.datastack, "--server", served.url, "--center", "160,160,6", "-o", out]
    text = run(*words, "--token", wrong, code=1)
    assert "refused" in text
    assert wrong not in text
    words[2] = "no_such_stack"
    assert "no_such_stack" in run(*words, "--token", served.token, code=1)
    assert "outside the data" in run("cutout", *datastack(served), "--center", "99999,160,6", "-o", out, code=1)
    assert not out.exists()


@pytest.mark.slow
def test_the_demo_leaves_a_picture_and_nothing_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "imageryclient", "demo"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert 3 <= len(done.stdout.strip().splitlines()) <= 6
    picture = work / "imageryclient-demo.png"
    assert str(picture) in done.stdout
    with Image.open(picture) as image:
        assert image.size == (512, 512)
    assert [file.name for file in work.iterdir()] == [picture.name]
    assert not list(home.rglob("*.json")), "the demo wrote into the user's home"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals differ on Windows")
def test_serve_prints_lines_that_work(volume: Path) -> None:
    # What runs in the background of a shell has Ctrl-C switched off, and leaves it so to what it starts.
    start = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from imageryclient.cli import main; main(prog_name='imageryclient')"
    )
    with subprocess.Popen(
        [sys.executable, "-u", "-c", start, "serve", str(volume), "--token", "a" * 32],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            lines = []
            while len(lines) < 5:
                lines.append(process.stdout.readline().rstrip())
            code = "\n".join(lines[2:5]).replace(".show()", ".size")
            space: dict[str, object] = {}
            exec(code.replace("ic.ImageryClient", "size = ic.ImageryClient"), space)
            assert space["size"] == (160, 160)  # the whole volume, at the imagery's 8 nm
        finally:
            process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert "ended" in rest
    assert not errors
    assert process.returncode == 0
