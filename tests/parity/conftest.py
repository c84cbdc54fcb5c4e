"""What the comparisons with the peers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.environment import peer_python as find_peer_python

collect_ignore_glob = ["*_driver.py"]  # they run under the peers' Python


@pytest.fixture(scope="session")
def peer_python() -> Path:
    """The interpreter of the peers' environment; without it these tests are skipped, and say so."""
    python = find_peer_python()
    if python is None:
        pytest.skip("the peers are not installed: make their environment with `python tests/parity/environment.py`")
    return python
