"""Pictures, colours and files equal those of imageryclient 1.0.4, pixel for pixel."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imageryclient.files.export import save_imagery_slices, save_mask_slices
from imageryclient.painting.color import discrete_colors, rgb_bytes
from imageryclient.painting.figure import stack_images
from imageryclient.painting.overlay import composite_overlay

pytestmark = pytest.mark.peer
DRIVER = Path(__file__).with_name("overlay_driver.py")


def cells(shape, count, seed, empty=0.3):
    """Cells around random points, under large sparse ids; some of them empty."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, len(shape))) * shape
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    near = ((grid[..., None, :] - points) ** 2 + rng.normal(0, 4, (*shape, 1, 1))).sum(-1).argmin(-1)
    ids = rng.integers(1, 2**63, count, dtype=np.uint64)
    ids[rng.random(count) < empty] = 0
    return ids[near]


def blobs(shape, count, seed):
    """Masks that overlap; the third is empty."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    masks = np.stack(
        [
            ((grid - rng.random(len(shape)) * shape) ** 2).sum(-1) < (rng.random() * min(shape) * 0.6) ** 2
            for _ in range(count)
        ]
    )
    masks[2] = False
    return masks


def make_inputs():
    rng = np.random.default_rng(7)
    flat = cells((61, 47), 18, 1)
    solid = cells((40, 52), 25, 2, empty=0)
    return {
        "flat": flat,
        "solid": solid,
        "volume": cells((33, 29, 5), 14, 3),
        "masks": blobs((50, 44), 9, 4),
        "counts": blobs((50, 44), 9, 5).astype(np.int64),
        "mask_volume": blobs((24, 30, 4), 6, 6),
        "flat_image": rng.integers(0, 256, (61, 47), dtype=np.uint8),
        "solid_image": rng.integers(0, 256, (40, 52), dtype=np.uint8),
        "volume_image": rng.integers(0, 256, (33, 29, 5), dtype=np.uint8),
        "masks_image": rng.integers(0, 256, (50, 44), dtype=np.uint8),
        "mask_volume_image": rng.integers(0, 256, (24, 30, 4), dtype=np.uint8),
        "rgba": rng.integers(0, 256, (20, 30, 4), dtype=np.uint8),
        "rgb": rng.integers(0, 256, (25, 10, 3), dtype=np.uint8),
        "ids": (rng.integers(0, 4, (12, 9, 3))).astype(np.uint64),
    }


def overlay_cases(inputs):
    rng = np.random.default_rng(11)
    styles = [{}]
    for width, side, merge in itertools.product((1, 2, 3, 5, 10), ("in", "out"), (True, False)):
        styles.append({"outline": True, "width": width, "side": side, "merge_outline": merge})
    for style, overlap, beneath in itertools.product(styles, (True, False), (True, False)):
        options = {**style, "overlap": overlap, "alpha": round(float(rng.random()), 3)}
        for name in ("flat", "solid"):
            image = f"{name}_image" if beneath else None
            yield {"kind": "labels", "segs": name, "imagery": image, "options": options}
        image = "masks_image" if beneath else None
        colors = rng.random((9, 3)).tolist()
        yield {"kind": "list", "segs": "masks", "imagery": image, "options": options, "colors": colors}
        keys = rng.permutation(100)[:9].tolist()
        more = {str(key): rng.random(3).tolist() for key in [*keys, 5000]}
        yield {
            "kind": "dict",
            "segs": "masks" if beneath else "counts",
            "imagery": image,
            "picture": bool(rng.integers(2)),
            "keys": keys,
            "colors": more,
            "options": options,
        }
    for dim, style in itertools.product((0, 1, 2, -1), (styles[0], styles[5], styles[7], styles[8])):
        for name, kind in (("volume", "labels"), ("mask_volume", "list"), ("mask_volume", "dict")):
            keys = list(range(10, 16))
            options = {**style, "dim": dim, "alpha": 0.4, "palette": "tab10"}
            yield {"kind": kind, "segs": name, "imagery": f"{name}_image", "keys": keys, "options": options}
    for alpha in (0, 1, 0.999):
        yield {"kind": "labels", "segs": "flat", "imagery": "flat_image", "options": {"alpha": alpha}}
        yield {"kind": "list", "segs": "masks", "imagery": None, "options": {"alpha": alpha, "overlap": False}}


def make_cases(inputs):
    cases = [{"call": "overlay", "name": f"overlay{n}", **case} for n, case in enumerate(overlay_cases(inputs))]
    images = ["rgba", "flat_image", "rgb", "masks_image"]
    for n, (direction, spacing) in enumerate(itertools.product(("horizontal", "vertical"), (0, 10, 7))):
        options = {"direction": direction, "spacing": spacing}
        cases.append({"call": "stack", "name": f"stack{n}", "images": images, "options": options})
    rng = np.random.default_rng(3)
    for n, count in enumerate(range(0, 301, 3)):
        h, l, s = rng.random(3).round(4).tolist()  # noqa: E741
        for palette in ("husl", "hls"):
            options = {"palette": palette} if n % 4 == 0 else {"palette": palette, "h": h, "l": l, "s": s}
            cases.append({"call": "colors", "name": f"{palette}{n}", "count": count, "options": options})
    names = [
        "tab10",
        "tab20",
        "Set2",
        "Set3",
        "Paired",
        "deep",
        "muted",
        "pastel",
        "bright",
        "dark",
        "colorblind",
        "deep6",
        "viridis",
        "magma",
        "cividis",
        "RdBu",
        "coolwarm",
        "Blues",
        "Spectral_r",
        "rocket",
        "mako_r",
        "turbo",
        "twilight",
        "tab10_r",
        "gray",
    ]
    palettes = [*names, ["red", "#0f8", [0.1, 0.2, 0.3]]]
    for n, (palette, count) in enumerate(itertools.product(palettes, (1, 5, 13, 60))):
        cases.append({"call": "colors", "name": f"palette{n}", "count": count, "options": {"palette": palette}})
    for axis in (0, 1, 2):
        cases.append(
            {"call": "save", "name": f"imagery{axis}", "what": "imagery", "array": "volume_image", "axis": axis}
        )
        colormap = {"1": None, "2": [10, 200, 30], "3": [1, 2, 250, 128]}
        cases.append(
            {
                "call": "save",
                "name": f"masks{axis}",
                "what": "masks",
                "array": "ids",
                "axis": axis,
                "colormap": colormap,
            }
        )
    return cases


@pytest.fixture(scope="module")
def peer(peer_python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("overlay_peer")
    inputs = make_inputs()
    cases = make_cases(inputs)
    np.savez(folder / "inputs.npz", **inputs)
    (folder / "cases.json").write_text(json.dumps(cases))
    subprocess.run([peer_python, DRIVER, folder], check=True)
    return inputs, cases, dict(np.load(folder / "results.npz")), folder


def ours(case, inputs):
    beneath = inputs[case["imagery"]] if case.get("imagery") else None
    if beneath is not None and case.get("picture"):
        beneath = Image.fromarray(np.ascontiguousarray(beneath.T))
    segs = inputs[case["segs"]]
    if case["kind"] != "labels":
        segs = dict(zip(case["keys"], segs, strict=True)) if case["kind"] == "dict" else list(segs)
    colors = case.get("colors")
    if isinstance(colors, dict):
        colors = {int(key): color for key, color in colors.items()}
    made = composite_overlay(segs, colors=colors, imagery=beneath, **case["options"])
    return np.stack([np.asarray(image) for image in (made if isinstance(made, list) else [made])])


def test_overlays(peer):
    inputs, cases, results, _ = peer
    checked = 0
    for case in cases:
        if case["call"] == "overlay":
            np.testing.assert_array_equal(ours(case, inputs), results[case["name"]], err_msg=str(case))
            checked += 1
    assert checked > 300


def test_stacks(peer):
    inputs, cases, results, _ = peer
    for case in (case for case in cases if case["call"] == "stack"):
        images = [inputs[name] for name in case["images"]]
        images = [Image.fromarray(image) if image.ndim == 3 else image for image in images]
        made = stack_images(images, **case["options"])
        assert made.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(made), results[case["name"]], err_msg=str(case))


def test_colors(peer):
    _, cases, results, _ = peer
    for case in (case for case in cases if case["call"] == "colors"):
        made = discrete_colors([None] * case["count"], **case["options"])
        np.testing.assert_array_equal(rgb_bytes(made), results[case["name"]], err_msg=str(case))


def test_files(peer, tmp_path):
    inputs, cases, _, folder = peer
    for case in (case for case in cases if case["call"] == "save"):
        mine, theirs = tmp_path / case["name"], folder / "files" / case["name"]
        mine.mkdir()
        array = inputs[case["array"]]
        if case["what"] == "imagery":
            files = save_imagery_slices(mine / "p", array, case["axis"])
        else:
            colormap = {int(key): color for key, color in case["colormap"].items() if color}
            files = save_mask_slices(mine / "p", {key: array == key for key in (1, 2, 3)}, colormap, case["axis"])
        names = sorted(path.name for path in theirs.iterdir())
        assert sorted(path.name for path in files) == sorted(path.name for path in mine.iterdir()) == names
        for name in names:
            with Image.open(mine / name) as a, Image.open(theirs / name) as b:
                assert a.mode == b.mode
                np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=f"{case} {name}")
