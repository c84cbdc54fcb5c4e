"""What can go wrong, as one tree; each error is also the builtin a caller would expect.

::

    ImageryError
    ├── BoundsError            (ValueError)       bounds, centre or size that make no box
    │   └── OutOfBoundsError   (IndexError)       a box that lies wholly outside the data
    ├── ArgumentError          (ValueError)       any other argument that makes no sense
    ├── ScaleError             (LookupError)      a mip or resolution that the data do not have
    ├── SourceError            (ValueError)       a source string that names nothing we can open
    │   ├── NotFoundError      (FileNotFoundError) nothing lies at the source
    │   └── FormatError        (ValueError)       what lies there is not what it should be
    ├── MissingDataError       (LookupError)      voxels or ids that are not there, when asked to be strict
    ├── DamagedDataError       (OSError)          bytes that fail their checks, fetched again and still wrong
    ├── TooLargeError          (MemoryError)      an estimate over the memory limit, before anything is read
    ├── StorageError           (OSError)          a server or a disk that does not answer as it should
    │   ├── AccessError        (PermissionError)  refused: no token, a wrong one, or no permission
    │   └── StorageTimeoutError (TimeoutError)    no answer in time
    └── MissingExtraError      (ImportError)      an optional package that is not installed

    ImageryWarning             (UserWarning)
    ├── MissingDataWarning                        voxels outside the data or in chunks that were never written
    └── IdWarning                                 ids that are absent, out of date, or too large for int64

Messages say what was asked, what there is, and what to do. No message ever holds a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cave.lineage import AbsentId

__all__ = [
    "AccessError",
    "ArgumentError",
    "BoundsError",
    "DamagedDataError",
    "FormatError",
    "IdWarning",
    "ImageryError",
    "ImageryWarning",
    "MissingDataError",
    "MissingDataWarning",
    "MissingExtraError",
    "NotFoundError",
    "OutOfBoundsError",
    "ScaleError",
    "SourceError",
    "StorageError",
    "StorageTimeoutError",
    "TooLargeError",
]


class ImageryError(Exception):
    """The root of every error this package raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Of two builtin parents, pickles that carry tracebacks (tblib's, with Dask) ask the wrong one to make it anew.
        return type(self), self.args, self.__dict__ or None


class BoundsError(ImageryError, ValueError):
    """Bounds, a centre or a size that do not make a box."""


class OutOfBoundsError(BoundsError, IndexError):
    """A box that lies wholly outside the data."""


class ArgumentError(ImageryError, ValueError):
    """An argument, other than bounds, that makes no sense."""


class ScaleError(ImageryError, LookupError):
    """A mip or a resolution that the data do not have."""


class SourceError(ImageryError, ValueError):
    """A source string that names nothing this package can open."""


class NotFoundError(SourceError, FileNotFoundError):
    """Nothing lies where the source points."""


class FormatError(SourceError):
    """What lies at the source is not what it should be."""


class MissingDataError(ImageryError, LookupError):
    """Voxels or ids that are not there, raised when `missing="raise"`; `absent` says why ids are not."""

    absent: tuple[AbsentId, ...] = ()


class DamagedDataError(ImageryError, OSError):
    """Bytes that fail their checks after they were fetched again."""


class TooLargeError(ImageryError, MemoryError):
    """A read whose estimate exceeds the memory limit; raised before anything is allocated."""


class StorageError(ImageryError, OSError):
    """A server or a disk that does not answer as it should; `status` is the HTTP status, where there is one."""

    status: int | None = None


class AccessError(StorageError, PermissionError):
    """Access refused: no token, a token that is not accepted, or no permission."""


class StorageTimeoutError(StorageError, TimeoutError):
    """No answer in time."""


class MissingExtraError(ImageryError, ImportError):
    """An optional package that is needed here and not installed."""


class ImageryWarning(UserWarning):
    """The root of every warning this package gives."""


class MissingDataWarning(ImageryWarning):
    """Voxels outside the data, or in chunks that were never written."""


class IdWarning(ImageryWarning):
    """Ids that are absent, out of date, or too large for the dtype asked for; `absent` says why each is not there."""

    absent: tuple[AbsentId, ...] = ()

    @property
    def stale(self) -> tuple[AbsentId, ...]:
        """Those of `absent` that are ids of objects, but not at the moment."""
        return tuple(one for one in self.absent if one.stale)
