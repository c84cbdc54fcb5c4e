"""Runs in the peers' environment: paints, stacks, colours and saves cases with imageryclient 1.0.4.

`python overlay_driver.py FOLDER` reads FOLDER/cases.json and FOLDER/inputs.npz and writes FOLDER/results.npz, and
below FOLDER/files what it saves. It imports nothing of ours, and 1.0.4 only when it runs, since pytest looks for
doctests in every module.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def segs_of(case, inputs):
    array = inputs[case["segs"]]
    if case["kind"] == "labels":
        return array
    masks = list(array)
    return dict(zip(case["keys"], masks, strict=True)) if case["kind"] == "dict" else masks


def colors_of(case):
    colors = case.get("colors")
    if isinstance(colors, dict):
        return {int(key): color for key, color in colors.items()}
    return colors


def overlay(case, inputs):
    from imageryclient import composite

    beneath = inputs[case["imagery"]] if case.get("imagery") else None
    if beneath is not None and case.get("picture"):
        beneath = Image.fromarray(np.ascontiguousarray(beneath.T))
    made = composite.composite_overlay(
        segs_of(case, inputs), colors=colors_of(case), imagery=beneath, **case["options"]
    )
    return np.stack([np.asarray(image) for image in (made if isinstance(made, list) else [made])])


def stack(case, inputs):
    from imageryclient import composite

    images = [inputs[name] for name in case["images"]]
    images = [Image.fromarray(image) if image.ndim == 3 else image for image in images]
    return np.asarray(composite.stack_images(images, **case["options"]))


def colors(case, inputs):
    from imageryclient import composite

    made = composite.discrete_colors([None] * case["count"], **case["options"])
    return np.array([[int(255 * c) for c in color] for color in made]).reshape(-1, 3)


def save(case, inputs):
    from imageryclient import imagery

    folder = Path(sys.argv[1], "files", case["name"])
    folder.mkdir(parents=True)
    array = inputs[case["array"]]
    if case["what"] == "imagery":
        imagery.save_image_slices(f"{folder}/p", "imagery", array, case["axis"], "imagery")
    else:
        for key, color in case["colormap"].items():
            imagery.save_image_slices(
                f"{folder}/p", f"root_id_{key}", array == int(key), case["axis"], "mask", color=color
            )
    return np.zeros(0)


def main():
    folder = Path(sys.argv[1])
    inputs = dict(np.load(folder / "inputs.npz"))
    cases = json.loads((folder / "cases.json").read_text())
    run = {"overlay": overlay, "stack": stack, "colors": colors, "save": save}
    np.savez(folder / "results.npz", **{case["name"]: run[case["call"]](case, inputs) for case in cases})


if __name__ == "__main__":
    main()
