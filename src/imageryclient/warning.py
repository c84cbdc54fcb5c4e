"""Warnings that point at the line of a caller, and not into this package."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from .errors import ImageryWarning

__all__ = ["warn_caller"]

_PACKAGE = str(Path(__file__).parent)


def warn_caller(warning: ImageryWarning) -> None:
    """Warn at the first line outside this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and Path(frame.f_code.co_filename).is_relative_to(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(warning, stacklevel=level)
