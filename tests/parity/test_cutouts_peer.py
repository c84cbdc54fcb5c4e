"""Calls that imageryclient 1.0.4 answers rightly are answered alike, to the voxel and to the file; and where it errs.

Both read the same server. The boxes lie inside the data with corners on the grids that are read, and sizes change
by a factor of two at most: beyond that 1.0.4 errs, as `test_where_the_peer_errs` shows.
"""

from __future__ import annotations

import json
import subprocess
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imageryclient.cave.node_ids import NodeLayout
from imageryclient.demo.history import History
from imageryclient.demo.server import DEMO_TOKEN, DemoServer
from imageryclient.demo.writer import Layout, downsample_image, downsample_labels, write_precomputed
from imageryclient.errors import ImageryWarning
from parity.cutouts_driver import run

pytestmark = pytest.mark.peer
DRIVER = Path(__file__).with_name("cutouts_driver.py")

SHAPE, OFFSET = (208, 176, 24), (64, 32, 8)  # in voxels of 8 x 8 x 40 nm
VIEWER = (4, 4, 40)
GRAPH_CHUNK = (64, 64, 16)
SEG_OF = {"graph": "supervoxels", "flat": "flat"}
IMAGE_MIPS = {1: 8, 2: 16, 3: 32}  # nm along x and y
SEG_MIPS = {0: 8, 1: 16}


@dataclass(frozen=True)
class Stack:
    """Whole arrays of a datastack by mip, as they were written, and its history."""

    folder: Path
    images: dict[int, np.ndarray]
    supervoxels: dict[int, np.ndarray]
    flat: dict[int, np.ndarray]
    history: History

    def voxels(self, array, nm, low, high, resolution, out=None):
        """What a box at `resolution` holds of a scale of `nm`: the voxel at each centre of the grid of `out`."""
        out = out or (nm, nm, 40)
        picks = []
        for a, b, r, t, s, o in zip(low, high, resolution, out, (nm, nm, 40), offset_at(nm), strict=True):
            grid = range(a * r // t, -(-b * r // t))
            picks.append([(2 * i + 1) * t // (2 * s) - o for i in grid])
        assert all(min(pick) >= 0 for pick in picks)
        return array[np.ix_(*picks)]

    def roots(self, labels, moment=None):
        return self.history.roots(labels, moment)


def offset_at(nm):
    return OFFSET[0] * 8 // nm, OFFSET[1] * 8 // nm, OFFSET[2]


def make_stack(folder):
    """Blocky bodies under noise: 3 x 3 x 2 blocks, cut into supervoxels at the graph's chunks."""
    rng = np.random.default_rng(3)
    layout = NodeLayout.covering(SHAPE, GRAPH_CHUNK)
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    seeds = rng.uniform(0, SHAPE, (40, 3))
    rough = grid[::3, ::3, ::2].astype(np.float32)
    nearest = np.stack([(((rough - seed) * (1, 1, 5)) ** 2).sum(-1) for seed in seeds], axis=-1).argmin(-1)
    bodies = nearest.repeat(3, 0).repeat(3, 1).repeat(2, 2)[: SHAPE[0], : SHAPE[1]]
    chunks = grid // GRAPH_CHUNK
    code = (chunks @ np.array([64, 8, 1])) * 100 + bodies
    names, inverse = np.unique(code, return_inverse=True)
    places = np.stack([names // 6400, names // 800 % 8, names // 100 % 8], axis=1)
    ids = layout.compose(1, places, names % 100 + 1)
    owner = names % 100
    ids[owner < 4] = 0  # gaps between bodies
    labels = np.asfortranarray(ids[inverse.reshape(SHAPE)])
    held = owner >= 4
    order = np.argsort(ids[held])
    history = History.create(ids[held][order], owner[held][order], layout, start=1.6e9, edits=24, seed=2)
    history.save(folder)

    em = np.asfortranarray(rng.integers(1, 256, SHAPE, dtype=np.uint8))
    images = {1: em, 2: downsample_image(em, (2, 2, 1)), 3: downsample_image(em, (4, 4, 1))}
    supervoxels = {0: labels, 1: np.asfortranarray(downsample_labels(labels, (2, 2, 1)))}
    flat_labels = np.where(labels == 0, 0, bodies * 1001 + 2**40).astype(np.uint64)
    flat = {0: np.asfortranarray(flat_labels), 1: np.asfortranarray(downsample_labels(flat_labels, (2, 2, 1)))}

    def layouts(arrays, nms, **more):
        return [
            (arrays[mip], Layout(resolution=(nm, nm, 40), voxel_offset=offset_at(nm), chunk_size=GRAPH_CHUNK, **more))
            for mip, nm in nms.items()
        ]

    finest = (2 * SHAPE[0], 2 * SHAPE[1], SHAPE[2])
    none = Layout(resolution=VIEWER, voxel_offset=offset_at(4), chunk_size=GRAPH_CHUNK, placeholder=True)
    write_precomputed(folder / "imagery", [(finest, none), *layouts(images, IMAGE_MIPS, encoding="raw")], kind="image")
    segments = {"encoding": "compressed_segmentation", "compress": "gzip"}
    for name, arrays in (("supervoxels", supervoxels), ("flat", flat)):
        write_precomputed(folder / name, layouts(arrays, SEG_MIPS, **segments), kind="segmentation")
    demo = {
        "datastack": "peer",
        "description": "Blocks.",
        "viewer_resolution": VIEWER,
        "layers": {name: name for name in ("imagery", "supervoxels", "flat")},
        "table": "peer_v1",
        "graph": {**layout.to_info(), "bounding_box": SHAPE, "cv_mip": 0},
        "segmentation_kind": "graphene",
    }
    (folder / "demo.json").write_text(json.dumps(demo))
    return Stack(folder, images, supervoxels, flat, history)


def make_clients(stack, url):
    image = {"image_source": f"precomputed://{url}/data/imagery", "auth_token": DEMO_TOKEN}
    graph = {**image, "segmentation_source": f"graphene://{url}/segmentation/table/peer_v1"}
    flat = {**image, "segmentation_source": f"precomputed://{url}/data/flat"}
    cave = {"datastack_name": "peer", "server_address": url, "auth_token": DEMO_TOKEN}
    middle = {"moment": stack.history.operations[12].time}
    return {
        "cave": {"cave": cave},
        "pinned": {"cave": cave, "timestamp": middle, "resolution": [8, 8, 40]},
        "graph": {**graph, "resolution": list(VIEWER)},
        "flat": {**flat, "resolution": list(VIEWER)},
        "image": graph,
        "coarse": {**graph, "resolution": "image", "image_mip": 2, "segmentation_mip": 1},
        "segmentation": {**flat, "resolution": "segmentation", "segmentation_mip": 1},
        "imagery": {**image, "segmentation": False},
        "versioned": {"cave": {**cave, "version": 1}},
    }


class Plan:
    """Cases for both, made at random but the same each time."""

    def __init__(self, stack):
        self.stack = stack
        self.rng = np.random.default_rng(8)
        self.cases = []

    def add(self, client, call, /, **arguments):
        name = f"{len(self.cases)}-{call}"
        self.cases.append({"name": name, "client": client, "call": call, "arguments": arguments})
        return self.cases[-1]

    def box(self, nm, resolution, depth=None, most=1000):
        """Corners inside the data, on the grid of `nm`, in voxels of `resolution`; `most` nm wide."""
        step = max(nm, resolution[0]) // resolution[0]
        low, high = [], []
        for axis in (0, 1):
            first = OFFSET[axis] * 8 // resolution[0]
            last = (OFFSET[axis] + SHAPE[axis]) * 8 // resolution[0]
            size = int(self.rng.integers(2, most // max(nm, resolution[0]) + 1)) * step
            low.append(int(self.rng.integers(first // step, (last - size) // step + 1)) * step)
            high.append(low[-1] + size)
        depth = int(self.rng.integers(1, 9)) if depth is None else depth
        low.append(int(self.rng.integers(OFFSET[2], OFFSET[2] + SHAPE[2] - depth + 1)))
        return low, [*high, low[2] + depth]

    def place(self, nm, resolution=VIEWER, most=1000):
        """A box said one of the ways there are."""
        way = self.rng.integers(6)
        low, high = self.box(nm, resolution, depth=1 if way in (2, 3) else None, most=most)
        size = [b - a for a, b in zip(low, high, strict=True)]
        center = [a + s // 2 for a, s in zip(low, size, strict=True)]
        return [
            {"bounds": [low, high]},
            {"bounds": {"array": [low, high]}},
            {"bounds": center, "bbox_size": size[:2]},
            {"bounds": [low, high]},
            {"bounds": {"array": center}, "bbox_size": {"array": size}},
            {"bounds": [center, high], "bbox_size": size},
        ][way]

    def ids_in(self, place, resolution, source, mip=0, moment=None):
        """Half of the ids in a place that `place` gave."""
        bounds = np.array(place["bounds"]["array"] if isinstance(place["bounds"], dict) else place["bounds"])
        if "bbox_size" in place:
            size = place["bbox_size"]
            size = np.array(size["array"] if isinstance(size, dict) else [*size, 1][:3])
            low = np.atleast_2d(bounds)[0] - size // 2
            bounds = np.array([low, low + size])
        labels = (self.stack.supervoxels if source == "graph" else self.stack.flat)[mip or 0]
        inside = self.stack.voxels(labels, SEG_MIPS[mip or 0], *bounds.tolist(), resolution)
        ids = np.unique(self.stack.roots(inside, moment) if source == "graph" else inside)
        ids = self.rng.permutation(ids[ids != 0])
        return [int(i) for i in ids[: max(1, len(ids) // 2)]]


RESOLUTIONS = (VIEWER, (8, 8, 40), (16, 16, 40))


def plan_cutouts(plan):
    rng = plan.rng
    for client, mip in ((c, m) for c in ("cave", "graph", "flat") for m in (None, 1, 2, 3)):
        nm = IMAGE_MIPS[mip or 1]
        for resolution in (None, *RESOLUTIONS):
            more = {} if resolution is None else {"resolution": list(resolution)}
            place = plan.place(nm, resolution or VIEWER)
            plan.add(client, "image_cutout", **place, mip=mip, **more)
            for scale in (True, False) if nm in (r := (resolution or VIEWER)[0], 2 * r) else (False,):
                place = plan.place(nm, resolution or VIEWER)
                plan.add(client, "image_cutout", **place, mip=mip, scale_to_bounds=scale, **more)
    for nm, mip in ((8, None), (8, 1), (16, 2), (32, 3)):
        for resolution, deep in ((r, d) for r in RESOLUTIONS for d in (True, False)):
            # whole voxels of either kind
            low, high = plan.box(max(nm, resolution[0]), resolution, depth=None if deep else 1)
            wide = [b - a for a, b in zip(low, high, strict=True)]
            center = [a + w // 2 for a, w in zip(low, wide, strict=True)]
            size = [w * resolution[0] // nm for w in wide[:2]] + wide[2:]
            arguments = {"bounds": center, "image_size": size if deep else size[:2], "resolution": list(resolution)}
            plan.add("graph", "image_cutout", **arguments, mip=mip)
            if nm < 32:
                seg_mip = None if mip is None else mip - 1
                plan.add("graph", "segmentation_cutout", **arguments, mip=seg_mip)
                plan.add("flat", "split_segmentation_cutout", **arguments, mip=seg_mip)

    times = [op.time for op in plan.stack.history.operations]
    moments = [None, times[0] - 1, times[5], times[11] + 10.0, times[-1] + 100]
    for client, call, mip in (
        (c, f, m)
        for c in ("graph", "flat")
        for f in ("segmentation_cutout", "split_segmentation_cutout")
        for m in (None, 0, 1)
    ):
        nm = SEG_MIPS[mip or 0]
        for resolution, which in ((r, w) for r in RESOLUTIONS for w in ("all", None, "some", "one", "null")):
            place = plan.place(nm, resolution)
            moment = moments[int(rng.integers(len(moments)))]
            options = {"mip": mip, "resolution": list(resolution), "root_ids": which}
            if which in ("some", "one"):
                ids = plan.ids_in(place, resolution, client, mip, moment)
                options["root_ids"] = ids if which == "some" else ids[:1]
            if which == "null":
                options["root_ids"] = "all"
                key = "include_null_root" if call.startswith("split") else "convert_to_int64"
                options[key] = call.startswith("split")
            if moment is not None:
                options["timestamp"] = {"moment": moment} if rng.random() < 0.5 else int(moment)
                if which in ("some", "one") and client == "graph":
                    del options["timestamp"]  # 1.0.4 gives the leaves of roots of any moment
                    options["root_ids"] = plan.ids_in(place, resolution, client, mip)[: len(options["root_ids"])]
            # 1.0.4 spoils ids beyond 2**53 when it changes the size
            fits = nm in (resolution[0], 2 * resolution[0]) if client == "flat" else nm == resolution[0]
            options["scale_to_bounds"] = fits and bool(rng.integers(2))
            plan.add(client, call, **place, **options)


def plan_pairs(plan):
    """Imagery and segmentation together, at all mips whose grids differ by a factor of two at most."""
    pairs = [(None, None), (1, 0), (1, 1), (2, 0), (2, 1), (3, 1)]
    for client, (image_mip, seg_mip), split, resize in (
        (c, p, s, r) for c in ("graph", "flat") for p in pairs for s in (True, False) for r in (True, False)
    ):
        nms = IMAGE_MIPS[image_mip or 1], SEG_MIPS[seg_mip or 0]
        through_float = client == "graph" and not split and resize and nms[0] < nms[1]
        if through_float:
            continue
        for resolution in RESOLUTIONS:
            place = plan.place(max(nms), resolution)
            options = {"resize": resize, "split_segmentations": split, "resolution": list(resolution)}
            options |= {"image_mip": image_mip, "segmentation_mip": seg_mip}
            plan.add(client, "image_and_segmentation_cutout", **place, **options)
            fits = all(nm in (resolution[0], 2 * resolution[0]) for nm in nms) and (resize or nms[0] == nms[1])
            if client == "flat" and fits:
                options |= {"scale_to_bounds": True, "include_null_root": bool(plan.rng.integers(2))}
                plan.add(client, "image_and_segmentation_cutout", **plan.place(max(nms), resolution), **options)
            if client == "flat":
                ids = plan.ids_in(place, resolution, client, seg_mip)
                plan.add(client, "image_and_segmentation_cutout", **place, **{**options, "root_ids": ids})
            elif split:
                ids = plan.ids_in(place, resolution, client, seg_mip)
                plan.add(client, "image_and_segmentation_cutout", **place, **options, root_ids=ids)


def plan_clients(plan):
    """What the makers' arguments do."""
    for client, nm, resolution in (
        ("pinned", 8, (8, 8, 40)),
        ("cave", 8, VIEWER),
        ("image", 8, (8, 8, 40)),
        ("coarse", 16, (16, 16, 40)),
        ("segmentation", 16, (16, 16, 40)),
        ("imagery", 8, (8, 8, 40)),
    ):
        plan.add(client, "resolution")
        for _ in range(4):
            plan.add(client, "image_cutout", **plan.place(nm, resolution))
            if client != "imagery":
                plan.add(client, "segmentation_cutout", **plan.place(nm, resolution))
                plan.add(client, "split_segmentation_cutout", **plan.place(nm, resolution), root_ids=None)
                if client != "segmentation":
                    plan.add(client, "image_and_segmentation_cutout", **plan.place(nm, resolution))
        for size in ([512, 512], [100, 33, 7], {"array": [64, 65]}):
            for resolution_of_size in (None, [4, 4, 40], [10, 7, 30]):
                for mip in (None, 1):
                    more = {"image_size": size, "mip": mip, "resolution": resolution_of_size}
                    plan.add(client, "image_bbox_size_from_dimensions", **more)
                    if client != "imagery":
                        plan.add(client, "segmentation_bbox_size_from_dimensions", **more)


def plan_files(plan):
    def add(client, call, **arguments):
        plan.add(client, call, filename_prefix={"prefix": f"{len(plan.cases)}"}, **arguments)

    both = "save_image_and_segmentation_masks"
    for axis in (0, 1, 2):
        low, high = plan.box(32, VIEWER, depth=3, most=200)
        where = {"bounds": [low, high], "slice_axis": axis}
        ids = plan.ids_in(where, VIEWER, "graph", 1)
        colors = [[255, 0, 0], [1, 200, 30, 128], [0, 0, 250]]
        masks = {**where, "segmentation_colormap": {"by_id": [[i, colors[n % 3]] for n, i in enumerate(ids)]}}
        for mip in (1, 2, 3):
            add("graph", "save_imagery", **where, mip=mip)
        add("graph", "save_segmentation_masks", **where, mip=1)
        add("graph", "save_segmentation_masks", **masks, root_ids=ids)
        add("graph", both, **masks, image_mip=2, include_null_root=True)
        add("cave", both, **masks, segmentation_mip=1)
        add("flat", both, **where, resize=False, image_mip=2)
        add("flat", both, **where, root_ids=None, scale_to_bounds=True)
        # of single sections 1.0.4 saves only arrays at hand that kept their third axis
        shape = [9, 7]
        shape.insert(axis, 1)
        picture = {"bytes": plan.rng.integers(0, 256, shape).tolist()}
        labels = plan.rng.integers(0, 3, shape)
        held = {"by_id": [[i, {"array": (labels == i).astype(int).tolist()}] for i in range(3)]}
        colormap = {"by_id": [[1, [255, 0, 0]], [2, [1, 200, 30, 128]]]}
        add("cave", "save_imagery", precomputed_image=picture, slice_axis=axis)
        at_hand = {"slice_axis": axis, "segmentation_colormap": colormap}
        add("cave", "save_segmentation_masks", precomputed_masks=held, **at_hand)
        add("cave", both, precomputed_data={"pair": [picture, held]}, **at_hand)


def plan_errors(plan):
    """Calls that 1.0.4 answers wrongly; with each, the right answer of every part, None for what 1.0.4 gets right."""
    stack = plan.stack
    low, high = [200, 104, 10], [296, 184, 14]
    fine, coarse = (8, 8, 40), (16, 16, 40)
    roots = stack.history.roots
    whole = [[128, 64, 8], [544, 416, 32]]
    retired = stack.history.operations[0].before[0]
    late = {"moment": stack.history.operations[-1].time + 9}
    both = "image_and_segmentation_cutout"
    truth = {}

    def add(answer, client, call, /, **arguments):
        truth[plan.add(client, call, **arguments)["name"]] = answer

    # ids pass through float64 wherever ndimage.zoom changes the size
    labels = stack.voxels(stack.supervoxels[1], 16, low, high, VIEWER, fine)
    add([None, roots(labels)], "graph", both, bounds=[low, high], image_mip=1, segmentation_mip=1)
    labels = stack.voxels(stack.supervoxels[0], 8, low, high, VIEWER, VIEWER)
    at = {"bounds": [low, high], "scale_to_bounds": True}
    add([roots(labels)], "graph", "segmentation_cutout", **at)
    add([roots(labels)], "graph", "segmentation_cutout", **at, convert_to_int64=False)
    # beyond a factor of two, ndimage.zoom misplaces voxels; so it does when it shrinks
    image = stack.voxels(stack.images[3], 32, low, high, VIEWER, fine)
    add([image, None], "flat", both, bounds=[low, high], image_mip=3, segmentation_mip=0)
    quartered = [[a // 4, b // 4, c] for a, b, c in (low, high)]
    image = stack.voxels(stack.images[1], 8, *quartered, coarse, coarse)
    at = {"bounds": quartered, "resolution": list(coarse)}
    add([image], "graph", "image_cutout", **at, mip=1, scale_to_bounds=True)
    # corners between voxels lose the last one
    odd = [[201, 105, 10], [297, 185, 14]]
    add([stack.voxels(stack.images[1], 8, *odd, VIEWER)], "graph", "image_cutout", bounds=odd)
    labels = stack.voxels(stack.supervoxels[1], 16, *odd, VIEWER)
    add([roots(labels)], "graph", "segmentation_cutout", bounds=odd, mip=1)
    # a box one voxel wide along x loses track of its axes
    thin = [[200, 104, 10], [202, 184, 14]]
    image = stack.voxels(stack.images[1], 8, *thin, VIEWER, VIEWER)
    add([image], "graph", "image_cutout", bounds=thin, scale_to_bounds=True)
    # without resize, scale_to_bounds reaches one layer alone
    labels = stack.voxels(stack.flat[1], 16, low, high, VIEWER, VIEWER)
    mips = {"image_mip": 1, "segmentation_mip": 1}
    add([None, labels], "flat", both, bounds=[low, high], **mips, resize=False, scale_to_bounds=True)
    # a root that was retired before the moment is painted all the same
    none = np.zeros((104, 88, 24), np.uint64)
    add([none], "graph", "segmentation_cutout", bounds=whole, mip=1, root_ids=[retired], timestamp=late)
    # without any of the ids there is no mask to take the imagery's size from
    image = stack.voxels(stack.images[2], 16, low, high, VIEWER, fine)
    ids = {"root_ids": [int(roots(stack.history.supervoxels).max()) + 1000], "split_segmentations": True}
    add([image, {}], "graph", both, bounds=[low, high], **ids, image_mip=2, segmentation_mip=0)
    # the version of a CAVEclient is passed over
    labels = stack.voxels(stack.supervoxels[1], 16, *whole, VIEWER)
    first = roots(labels, stack.history.versions[1])
    add([first], "versioned", "segmentation_cutout", bounds=whole, mip=1)
    # pixels that make no whole voxels of the resolution come out as one more
    at = {"bounds": [64, 90, 12], "image_size": [39, 20], "resolution": list(coarse)}
    start = (2 * (64 - 19 // 2), 2 * (90 - 10 // 2), 12)  # 39 pixels are 19.5 voxels
    image = stack.voxels(stack.images[1], 8, start, (start[0] + 39, start[1] + 20, 13), fine)
    add([image], "graph", "image_cutout", **at)
    # outside of the data all is black, without a word
    away = [[5000, 5000, 10], [5064, 5064, 12]]
    add("OutOfBoundsError", "graph", "image_cutout", bounds=away)
    add("OutOfBoundsError", "graph", "segmentation_cutout", bounds=away)
    # a single section cannot be saved
    section = [low, [*high[:2], low[2] + 1]]
    add([], "graph", "save_imagery", bounds=section, filename_prefix={"prefix": "section"})
    prefix = {"prefix": "sections"}
    add([], "graph", "save_segmentation_masks", bounds=section, filename_prefix=prefix)
    return truth


def plan_beyond(plan):
    """Boxes that reach beyond the data on some side: 1.0.4 is right, but says nothing."""
    for axis in range(3):
        for side in (0, 1):
            low, high = [200, 104, 10], [296, 184, 14]
            (low if side == 0 else high)[axis] = [(64, 32, 2), (608, 480, 40)][side][axis]
            plan.add("graph", "image_cutout", bounds=[low, high])
            plan.add("graph", "segmentation_cutout", bounds=[low, high], mip=1)
            plan.add("flat", "split_segmentation_cutout", bounds=[low, high], mip=0, include_null_root=True)


@dataclass(frozen=True)
class Both:
    """Cases with what 1.0.4 and we gave for them, in a folder with their files below `files` and `ours`."""

    cases: list[dict]
    theirs: dict[str, np.ndarray]
    mine: dict[str, np.ndarray]
    folder: Path
    truth: dict[str, object]
    beyond: list[dict]


@pytest.fixture(scope="module")
def both(peer_python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cutouts_peer")
    (folder / "stack").mkdir()
    stack = make_stack(folder / "stack")
    plan = Plan(stack)
    for add in (plan_cutouts, plan_pairs, plan_clients, plan_files):
        add(plan)
    same = len(plan.cases)
    truth = plan_errors(plan)
    warned = len(plan.cases)
    plan_beyond(plan)
    with DemoServer(stack.folder) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("USERPROFILE", str(folder))
        clients = make_clients(stack, server.url)
        (folder / "cases.json").write_text(json.dumps({"clients": clients, "cases": plan.cases}))
        with subprocess.Popen([peer_python, DRIVER, folder]) as process:
            mine = run(clients, plan.cases[:same], folder / "ours")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ImageryWarning)
                mine |= run(clients, plan.cases[same:], folder / "ours")
        assert process.returncode == 0
    theirs = dict(np.load(folder / "results.npz"))
    return Both(plan.cases[:same], theirs, mine, folder, truth, plan.cases[warned:])


def difference(case, theirs, mine):
    """What is not the same, None if all is."""
    name = case["name"]
    names = [key for key in theirs if key == name or key.startswith(f"{name}/")]
    if names != [key for key in mine if key == name or key.startswith(f"{name}/")]:
        errors = [str(results.get(f"{name}/error", "")) for results in (theirs, mine)]
        return f"1.0.4 gave {names} {errors[0]}, ours {errors[1]}"
    for key in names:
        a, b = theirs[key], mine[key]
        if "dimensions" not in key and "resolution" not in key and a.dtype != b.dtype:
            return f"{key}: {a.dtype}, ours {b.dtype}"
        if not np.array_equal(a, b):
            return f"{key}: shape {a.shape}, ours {b.shape}" if a.shape != b.shape else f"{key}: {(a != b).mean():.1%}"
    return None


def test_the_same_answers(both):
    assert len(both.cases) > 800
    found = {str(case): wrong for case in both.cases if (wrong := difference(case, both.theirs, both.mine))}
    assert not found, "\n".join(f"{wrong}: {case}" for case, wrong in found.items())
    assert not [key for case in both.cases if (key := f"{case['name']}/error") in both.theirs]


def test_the_same_files(both):
    saving = [case for case in both.cases if case["call"].startswith("save")]
    names = {case["arguments"]["filename_prefix"]["prefix"] for case in saving}
    theirs = {path.relative_to(both.folder / "files"): path for path in (both.folder / "files").rglob("*.png")}
    mine = {path.relative_to(both.folder / "ours"): path for path in (both.folder / "ours").rglob("*.png")}
    assert sorted(theirs) == sorted(name for name in mine if name.parts[0] in names)
    assert {name.parts[0] for name in theirs} == names
    for name, path in theirs.items():
        with Image.open(path) as a, Image.open(mine[name]) as b:
            assert a.mode == b.mode, name
            np.testing.assert_array_equal(np.asarray(b), np.asarray(a), err_msg=str(name))


def test_boxes_beyond_the_data(both):
    assert [difference(case, both.theirs, both.mine) for case in both.beyond] == [None] * 18


def test_where_the_peer_errs(both):
    for name, answer in both.truth.items():
        their_error, my_error = (str(results.get(f"{name}/error", "")) for results in (both.theirs, both.mine))
        if isinstance(answer, str):
            assert my_error.startswith(answer), name
            assert not any(both.theirs[f"{name}/0"].ravel()), name
            continue
        assert my_error == "", name
        assert answer or their_error, name
        for part, expected in enumerate(answer):
            if expected is None:
                assert np.array_equal(both.mine[f"{name}/{part}"], both.theirs[f"{name}/{part}"]), name
            elif isinstance(expected, dict):
                assert both.mine[f"{name}/{part}/ids"].size == 0, name
            else:
                expected = np.squeeze(expected)
                assert np.array_equal(both.mine[f"{name}/{part}"], expected), name
                assert not np.array_equal(both.theirs.get(f"{name}/{part}"), expected), name
    sections = [path.name for path in (both.folder / "ours" / "section").iterdir()]
    assert sections == ["p_imagery.png"]
    assert len(list((both.folder / "ours" / "sections").iterdir())) > 1
