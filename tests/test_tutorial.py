"""The tutorial of MICrONS, word for word, through the real caveclient, against our own server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imageryclient.demo.build import build_fib25, build_phantom
from imageryclient.demo.server import DEMO_TOKEN, DemoServer
from imageryclient.demo.tutorial import center_of
from imageryclient.errors import MissingDataWarning

SHARED = Path(__file__).resolve().parents[2] / "shared"
TUTORIAL = SHARED / "tutorial.md"
FIB25 = SHARED / "data" / "fib25" / "fib25.npz"
DATASTACK = "minnie65_public"


def cells() -> list[str]:
    if not TUTORIAL.exists():
        pytest.skip(f"the tutorial is not at {TUTORIAL}")
    text = TUTORIAL.read_text(encoding="utf-8")
    code = re.findall(r"^```\{code-cell\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(r"^:tags:.*\n", "", cell) for cell in code]


def fib25(folder: Path) -> Path:
    if not FIB25.exists():
        pytest.skip(f"the real volume is not at {FIB25}")
    return build_fib25(folder, FIB25)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("build", "fits"),
    [
        pytest.param(build_phantom, nullcontext(), id="phantom"),
        # 250 voxels of 10 nm are 500 of the viewer's 5 nm: the tutorial's 512 reach a little beyond them
        pytest.param(fib25, pytest.warns(MissingDataWarning, match=r"imagery: 4\.63 % .* outside"), id="fib25"),
    ],
)
def test_the_tutorial_runs(
    build: Callable[[Path], Path],
    fits: AbstractContextManager[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = cells()
    folder = build(tmp_path / "volume")
    about = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    (folder / "demo.json").write_text(json.dumps({**about, "datastack": DATASTACK}), encoding="utf-8")
    home = tmp_path / "home"
    secrets = home / ".cloudvolume" / "secrets"
    secrets.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with DemoServer(folder) as server:
        servers = json.dumps({DATASTACK: server.url})
        (secrets / "cave_datastack_to_server_map.json").write_text(servers, encoding="utf-8")
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("USERPROFILE", str(home))
        monkeypatch.setenv("API_SECRET", DEMO_TOKEN)
        moved, count = re.subn(r"^ctr = .*$", f"ctr = {center_of(server)}", second, flags=re.MULTILINE)
        assert count == 1
        space: dict[str, object] = {}
        exec(first, space)
        *lines, last = moved.strip().splitlines()[:-1]  # the last line is a note
        with fits:
            exec("\n".join(lines), space)
        picture = eval(last, space)
    assert isinstance(picture, Image.Image)
    assert (picture.mode, picture.size) == ("RGB", (512, 512))
    image, segs = space["image"], space["segs"]
    assert image.shape == (512, 512)
    assert len(segs) > 20
    covered = sum(mask for mask in segs.values())
    assert covered.max() == 1
    assert covered.mean() > 0.8
    # Where there is an object, its colour shows; elsewhere the imagery is untouched.
    pixels = np.asarray(picture).astype(int)
    tinted = np.ptp(pixels, axis=2) > 0
    assert not tinted[~covered.T.astype(bool)].any()
    assert tinted[covered.T.astype(bool)].mean() > 0.99
    assert np.array_equal(pixels[~covered.T.astype(bool)][:, 0], image.T[~covered.T.astype(bool)])
    out = Path(tmp_path / "tutorial.png")
    picture.save(out)
    assert DEMO_TOKEN not in capsys.readouterr().out
