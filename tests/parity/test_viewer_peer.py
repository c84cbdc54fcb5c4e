"""Links and colours beside what a real Neuroglancer paints, in headless Chromium."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imageryclient as ic
from imageryclient.demo.server import DemoServer
from imageryclient.demo.writer import Layout, write_precomputed
from imageryclient.neuroglancer.colors import segment_colors
from imageryclient.neuroglancer.links import parse_link
from imageryclient.neuroglancer.placement import Placement
from imageryclient.sectioncutout import SectionCutout

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(400)]
SIDE, DEEP = 80, 40
NM = (8.0, 8.0, 16.0)
GREY = "#uicontrol invlerp normalized(range=[0, 255])\nvoid main() { emitGrayscale(normalized()); }"
PLAIN = {
    "showAxisLines": False,
    "showScaleBar": False,
    "showDefaultAnnotations": False,
    "crossSectionBackgroundColor": "#000000",
}


@pytest.fixture(scope="session")
def screenshots(peer_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[np.ndarray]]:
    """Gives the pictures, (height, width, 3), that a viewer shows of states in panels of a size."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    known = subprocess.run([peer_python, "-c", "import neuroglancer, selenium"], capture_output=True, check=False)
    if known.returncode:
        pytest.skip("the peers' environment has no neuroglancer and selenium: make it anew")

    def take(states: list[tuple[dict[str, Any], tuple[int, int]]]) -> list[np.ndarray]:
        folder = tmp_path_factory.mktemp("pictures")
        wanted = [{"state": state, "size": size} for state, size in states]
        (folder / "states.json").write_text(json.dumps(wanted))
        driver = Path(__file__).with_name("viewer_driver.py")
        known = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        known["SE_OFFLINE"] = "true"
        subprocess.run(
            [peer_python, driver, folder / "states.json", folder, browser], env=known, check=True, timeout=360
        )
        return [np.asarray(Image.open(folder / f"{n}.png").convert("RGB")) for n in range(len(states))]

    return take


def test_links_and_colours_are_those_of_the_viewer(
    screenshots: Callable[..., list[np.ndarray]], tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    ids = rng.integers(2**53, 2**64, (SIDE, SIDE, DEEP), dtype=np.uint64)
    em = rng.integers(0, 256, ids.shape, dtype=np.uint8)
    at = Layout(resolution=NM, chunk_size=(32, 32, 20), encoding="raw")
    write_precomputed(tmp_path / "seg", [(ids, at)], kind="segmentation")
    write_precomputed(tmp_path / "em", [(em, at)], kind="image")
    middle, section = (SIDE // 2, SIDE // 2, DEEP // 2), (SIDE, SIDE)
    states: list[tuple[dict[str, Any], tuple[int, int]]] = []
    wanted: list[np.ndarray] = []
    with DemoServer(tmp_path) as server:
        client = ic.ImageryClient(
            image_source=f"precomputed://{server.url}/data/em",
            segmentation_source=f"precomputed://{server.url}/data/seg",
        )
        cut = client.cutout(middle, size=section)
        assert cut.image is not None
        assert cut.segmentation is not None
        gray, labels = cut.image[:, :, 0].astype(float), cut.segmentation[:, :, 0]
        chosen = {int(labels[3, 4]): "#ff8000", int(labels[50, 60]): "#0080ff"}
        for contrast in (None, (200, 50)):
            low, high = contrast or (0, 255)
            shown = 255 * np.clip((gray - low) / (high - low), 0, 1)
            for seed in (0, 7, 4000000000):
                for alpha in (1.0, 0.5):
                    look = {
                        "palette": f"neuroglancer:{seed}",
                        "colors": chosen,
                        "alpha": alpha,
                        "display_range": contrast,
                    }
                    state = parse_link(cut.neuroglancer_url(root_ids=[], **look)).state or {}
                    states.append(({**state, **PLAIN}, section))
                    painted = segment_colors(labels, seed, colors=chosen)
                    formula = ((1 - alpha) * shown[:, :, None] + alpha * painted).transpose(1, 0, 2)
                    picture = cut.overlay(**look)
                    assert isinstance(picture, Image.Image)
                    ours = np.asarray(picture.convert("RGB"), float)
                    assert np.abs(ours - formula).max() <= 1.5
                    wanted.append(ours)
        plain = parse_link(cut.neuroglancer_url()).state or {}
        for layout, right, down, turn in (("xz", 0, 2, 1), ("yz", 2, 1, -1)):
            view = {**plain, **PLAIN, "layout": layout, "layers": plain["layers"][:1]}
            _, turned = ic.from_neuroglancer(view, size=(64, 48))
            assert turned.image is not None
            # Where each pixel's centre lies, by the panel's own arithmetic; a yz panel shows z from right to left.
            centre = np.array(plain["position"]) * NM
            across = turn * (np.arange(64) + 0.5 - 32) * NM[0] + centre[right]
            along = (np.arange(48) + 0.5 - 24) * NM[0] + centre[down]
            index: list[Any] = [0, 0, 0]
            index[right] = np.floor(across / NM[right]).astype(int)[None, :] - turned.bounds.start[right]
            index[down] = np.floor(along / NM[down]).astype(int)[:, None] - turned.bounds.start[down]
            states.append((view, (64, 48)))
            wanted.append(turned.image[tuple(index)][:, :, None].repeat(3, axis=2))
        pictures = screenshots(states)
    for (state, _), seen, ours in zip(states, pictures, wanted, strict=True):
        far = np.abs(seen.astype(float) - ours).max(axis=-1)
        assert np.mean(far <= 1.5) >= 0.995, state  # 1/255, and half a step of rounding


def near_ties(cut: SectionCutout) -> np.ndarray:
    """Pixels, (right, down), that lie so near to the edge of a voxel that a browser, which counts corners of its
    polygons in sixteenths of a pixel, may take the next one."""
    near = np.zeros(cut.shape, bool)
    for name in cut.sources:
        inward = cut.placements.get(name, Placement()).inward(NM)
        points = (cut.section.points(cut.section.whole) @ inward[:, :3].T + inward[:, 3]) / NM
        steps = np.abs(inward[:, :3] @ cut.section.axes[:, :2]).sum(axis=1) * cut.nm_per_pixel / NM
        edge = np.abs(points - np.round(points)) < np.maximum(steps / 32, 1e-4)
        near |= edge.any(axis=1).reshape(cut.shape[::-1]).T
    return near


@pytest.mark.parametrize("grain", [1, 10])
def test_tilted_views_and_moved_layers_are_those_of_the_viewer(
    screenshots: Callable[..., list[np.ndarray]], tmp_path: Path, grain: int
) -> None:
    rng = np.random.default_rng(6)
    coarse = rng.integers(2**53, 2**64, (SIDE // grain, SIDE // grain, DEEP // grain), dtype=np.uint64)
    ids = np.kron(coarse, np.ones((grain,) * 3, np.uint64))
    em = np.asarray(ids % 256, np.uint8)
    at = Layout(resolution=NM, chunk_size=(32, 32, 20), voxel_offset=(20, 30, 10), encoding="raw")
    write_precomputed(tmp_path / "seg", [(ids, at)], kind="segmentation")
    write_precomputed(tmp_path / "em", [(em, at)], kind="image")
    middle, size = [60.3, 70.2, 30.4], (120, 90)
    nm = {axis: [size * 1e-9, "m"] for axis, size in zip("xyz", NM, strict=True)}
    bent = np.column_stack([rng.normal(size=(3, 3)), np.zeros(3)])  # stretched, sheared, turned and mirrored
    bent[:, 3] = np.array(middle) - bent[:, :3] @ (np.array(middle) * NM) / NM
    moves: list[dict[str, Any]] = [
        {"matrix": [[1, 0, 0, -7.5], [0, 1, 0, 12.25], [0, 0, 1, 3]]},
        {"inputDimensions": {**nm, "x": [10e-9, "m"], "z": [12e-9, "m"]}},
        {"matrix": [[0, 1, 0, -10], [-1, 0, 0, 130], [0, 0, 1, 0]], "inputDimensions": {**nm, "y": [9e-9, "m"]}},
        {"matrix": bent.tolist()},
    ]
    states: list[dict[str, Any]] = []
    wanted: list[tuple[np.ndarray, np.ndarray]] = []
    with DemoServer(tmp_path) as server:
        em_source, seg_source = (f"precomputed://{server.url}/data/{name}" for name in ("em", "seg"))
        client = ic.ImageryClient(image_source=em_source, segmentation_source=seg_source, missing="fill")

        def expect(state: dict[str, Any], cut: ic.Cutout | SectionCutout, alpha: float) -> None:
            assert isinstance(cut, SectionCutout)
            assert cut.image is not None
            assert cut.segmentation is not None
            assert min(coverage.fraction for coverage in cut.coverage.values()) > 0.25, "little is to be seen"
            opacity = alpha * (cut.segmentation != 0)[:, :, None]
            painted = (1 - opacity) * cut.image[:, :, None] + opacity * segment_colors(cut.segmentation)
            layers = [state["layers"][0], {**state["layers"][1], "segments": [], "selectedAlpha": alpha}]
            states.append({**state, **PLAIN, "layers": layers})
            wanted.append((painted.transpose(1, 0, 2), near_ties(cut).T))

        for alpha, panel, nm_per_pixel in ((0.0, "xy", 8.0), (0.5, "xz", 5.0), (1.0, "yz", 11.0)):
            turn = rng.normal(size=4)
            cut = client.section(middle, size, orientation=turn, panel=panel, nm_per_pixel=nm_per_pixel)  # type: ignore[arg-type]
            expect(parse_link(cut.neuroglancer_url(root_ids=[], palette="neuroglancer")).state or {}, cut, alpha)
        for move in moves:
            for turned in ([0, 0, 0, 1], rng.normal(size=4).tolist()):
                moved = {"url": seg_source, "transform": {"outputDimensions": nm, **move}}
                layers: list[dict[str, Any]] = [
                    {"type": "image", "name": "em", "source": em_source, "opacity": 1, "shader": GREY},
                    {"type": "segmentation", "name": "seg", "source": moved},
                ]
                state = {"dimensions": nm, "position": middle, "layout": "xy", "layers": layers}
                state["crossSectionOrientation"] = turned
                _, shown = ic.from_neuroglancer(state, size, missing="fill")
                expect(state, shown, 0.5)
                expect(parse_link(shown.neuroglancer_url(root_ids=[])).state or {}, shown, 0.5)
        pictures = screenshots([(state, size) for state in states])
    for state, seen, (ours, ties) in zip(states, pictures, wanted, strict=True):
        same = np.abs(seen.astype(float) - ours).max(axis=-1) <= 1.5  # 1/255, and half a step of rounding
        assert np.mean(same[~ties]) >= 0.9995, state
        assert np.mean(same) >= (0.97 if grain == 1 else 0.995), state  # of noise every voxel is an edge


CAVE = (
    "#uicontrol float black slider(min=0, max=1, default=0.2)\n#uicontrol float white slider(min=0, max=1, default=0.7)"
    "\nfloat rescale(float value) {\n  return (value - black) / (white - black);\n}\nvoid main() {\n"
    "  float val = toNormalized(getDataValue());\n  if (val < black) {\n    emitRGB(vec3(0,0,0));\n"
    "  } else if (val > white) {\n    emitRGB(vec3(1.0, 1.0, 1.0));\n  } else {\n    emitGrayscale(rescale(val));\n"
    "  }\n}\n"
)
INVLERP = "#uicontrol invlerp normalized(range=[20, 100])\nvoid main() { emitGrayscale(normalized()); }"


def test_states_as_they_are_found_look_as_in_the_viewer_and_so_do_the_links_made_of_them(
    screenshots: Callable[..., list[np.ndarray]], tmp_path: Path
) -> None:
    rng = np.random.default_rng(7)
    em = rng.integers(0, 256, (64, 64, 64), dtype=np.uint8)
    ids = np.kron(rng.integers(2**53, 2**64, (8, 8, 8), dtype=np.uint64), np.ones((8, 8, 8), np.uint64))
    ids = ids.astype(np.uint64)
    at = Layout(resolution=(8, 8, 8), encoding="raw")
    volumes = (em, "image"), (em.astype(np.uint16) * 100, "image"), (ids, "segmentation")
    colored = (rng.integers(0, 256, (64, 64, 64, 3), dtype=np.uint8), "image")
    for name, (array, kind) in zip(("em", "em16", "seg", "rgb"), (*volumes, colored), strict=True):
        write_precomputed(tmp_path / name, [(array, at)], kind=kind)
    nm = {axis: [8e-9, "m"] for axis in "xyz"}
    mirrored = {axis: nm[axis] for axis in "zyx"}
    one, two, three = (str(ids[x, 30, 32]) for x in (30, 40, 20))
    size = (64, 64)
    with DemoServer(tmp_path) as server:

        def image(name: str = "em", **more: Any) -> dict[str, Any]:
            return {"type": "image", "name": name, "source": f"precomputed://{server.url}/data/{name}", **more}

        def labels(**more: Any) -> dict[str, Any]:
            return {**image("seg"), "type": "segmentation", **more}

        def state(*layers: Any, **more: Any) -> dict[str, Any]:
            return {"dimensions": nm, "position": [32, 32, 32.5], "layout": "xy", "layers": list(layers), **more}

        def moved(**transform: Any) -> dict[str, Any]:
            return image(source={"url": image()["source"], "transform": {"outputDimensions": nm, **transform}})

        def controls(low: float, high: float) -> dict[str, Any]:
            return {"shaderControls": {"normalized": {"range": [low, high]}}}

        pose = {"position": {"voxelSize": [8, 8, 8], "voxelCoordinates": [32, 32, 32.5]}, "orientation": [0, 0, 1, 0]}
        named = {"em": image(), "seg": labels(segments=[one, two], selectedAlpha=0.3, notSelectedAlpha=0.1)}
        found = [
            {"navigation": {"pose": pose, "zoomFactor": 8}, "layout": "xy", "layers": named},
            state(image("em16")),
            state(image("em16", **controls(1000, 20000))),
            state(image(**controls(100, 100))),
            state(image(shader=INVLERP)),
            state(image(shader=CAVE)),
            state(image("em16", shader=CAVE, shaderControls={"black": 0.3})),
            state(image(shader=CAVE, shaderControls={"black": 0.8, "white": 0.1})),
            state(image("rgb", shader="void main() { emitRGB(vec3(toNormalized(getDataValue(0)), "
                        "toNormalized(getDataValue(1)), toNormalized(getDataValue(2)))); }")),
            state(image(), labels(equivalences=[[two, one]], segments=[one, three], selectedAlpha=0.6)),
            state(image(), labels(equivalences=[[one, two]], selectedAlpha=1, segmentColors={one: "red", two: "#0f0"})),
            state(image(), labels(saturation=0.3, colorSeed=9, segments=[one, f"!{two}"], notSelectedAlpha=0.2)),
            state(image(), labels(ignoreNullVisibleSet=False, notSelectedAlpha=0.2)),
            state(image(), labels(segmentColors={one: "rgba(255, 0, 0, 0.5)", two: "hsl(120, 100%, 25%)"})),
            state(image(), labels(name="lead", segments=[one, two], colorSeed=5, visible=False),
                  labels(name="b", linkedSegmentationGroup="lead", selectedAlpha=1)),
            state(labels(selectedAlpha=0.3, notSelectedAlpha=0.1, segments=[one])),
            state(image(transform=[[1, 0, 0, 80], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])),
            state(image(transform={"translation": [80, 0, 0], "scale": [2, 1, 1], "rotation": [0, 0, 1, 0]}),
                  position=[-10, -8, 32.5]),
            state(moved(outputDimensions=mirrored, matrix=[[0, 0, 1, 5], [0, 1, 0, 2], [1, 0, 0, 0]])),
            state(moved(inputDimensions={"x": [16e-9, "m"], "y": [8e-9, "m"], "z": [8e-9, "m"]})),
            state(image(), dimensions=mirrored, position=[32.5, 32, 32]),
            state(image(), displayDimensions=["z", "x", "y"], position=[32, 32.5, 32]),
            state(image(), crossSectionOrientation=[0, 0, 0.5**0.5, 0.5**0.5]),
            state(image(), crossSectionOrientation=[1, 0, 0, 0]),
            state(image(), labels(), layout="xz", position=[32, 32.5, 32]),
            state(image(), labels(), layout="yz", position=[32.5, 32, 32]),
        ]  # fmt: skip
        states: list[dict[str, Any]] = []
        wanted: list[np.ndarray] = []
        for each in found:
            _, cut = ic.from_neuroglancer(each, size, missing="fill")
            whole = all(coverage.complete for coverage in cut.coverage.values())
            contrast = {"percentiles": (97, 3) if whole else (3, 97), "gamma": 0.6}  # beyond the data is no 0 there
            for seen, options in ((each, {}), (None, {}), (None, contrast)):
                picture = cut.overlay(**options)  # type: ignore[arg-type]
                assert isinstance(picture, Image.Image)
                black = Image.new("RGBA", picture.size, "black")
                black.alpha_composite(picture)
                wanted.append(np.asarray(black.convert("RGB"), float))
                link = parse_link(cut.neuroglancer_url(**options)).state or {}
                states.append({**(link if seen is None else seen), **PLAIN})
        pictures = screenshots([(one, size) for one in states])
    for shown, seen, ours in zip(states, pictures, wanted, strict=True):
        assert seen.shape == ours.shape
        far = np.abs(seen.astype(float) - ours).max(axis=-1)
        assert np.mean(far <= 1) >= 0.995, shown
