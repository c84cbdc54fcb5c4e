"""Show states in a real Neuroglancer, in headless Chromium, and keep what it paints; runs under the peers' Python.

    viewer_driver.py STATES.json FOLDER CHROMIUM

STATES.json holds a list of {"state": …, "size": [width, height]}; picture number n becomes FOLDER/n.png.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import neuroglancer
import neuroglancer.webdriver

PATIENCE = 90  # seconds for a picture; the viewer waits for ever where a source is bad


def main() -> None:
    states, folder, browser = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    neuroglancer.set_server_bind_address("127.0.0.1")
    viewer = neuroglancer.Viewer()
    driver = neuroglancer.webdriver.Webdriver(
        viewer,
        headless=True,
        browser_binary_path=browser,
        extra_command_line_args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        print_logs=False,
    )
    for number, wanted in enumerate(json.loads(states.read_text(encoding="utf-8"))):
        viewer.set_state(neuroglancer.ViewerState(wanted["state"]))
        with viewer.config_state.txn() as config:
            config.viewer_size = wanted["size"]
            config.show_ui_controls = False
            config.show_panel_borders = False
        done = threading.Event()
        pictures: list[bytes] = []

        def keep(reply: object, pictures: list[bytes] = pictures, done: threading.Event = done) -> None:
            pictures.append(reply.screenshot.image)  # type: ignore[attr-defined]
            done.set()

        viewer.async_screenshot(keep)
        if not done.wait(PATIENCE):
            print(f"no picture of state {number} in {PATIENCE} s", file=sys.stderr)
            os._exit(1)
        (folder / f"{number}.png").write_bytes(pictures[0])
    driver.driver.quit()
    os._exit(0)  # the viewer's server has threads that do not end


if __name__ == "__main__":
    main()
