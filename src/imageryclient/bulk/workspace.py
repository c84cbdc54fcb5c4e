"""Where an export lies, and how its files come to be: each whole or not there, whenever the process ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ..errors import ArgumentError, NotFoundError
from ..files.disk import disk_errors

__all__ = ["Workspace", "append", "writing"]

_PAUSES = (0.05, 0.2, 1.0)  # seconds between tries to remove what another process may still use


def writing(where: str | os.PathLike[str]) -> AbstractContextManager[None]:
    """Turn what the system says of a disk into `StorageError`, with what to do.

    Examples
    --------
    >>> with writing("train.zarr"):
    ...     raise OSError("out of order")
    Traceback (most recent call last):
    imageryclient.errors.StorageError: 'train.zarr' cannot be written: out of order. Mend that and export again: ...
    """
    return disk_errors(where, "export again: places that are done are kept")


def append(path: Path, data: bytes) -> None:
    """Write at the end of a file, which is made if need be; all of it, else it is an error.

    Raises
    ------
    StorageError
        If the disk is full, or does not let it be written; some of it may be there.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "lines")
    >>> append(path, b"one "), append(path, b"two"), path.read_bytes()
    (None, None, b'one two')
    """
    left = memoryview(data)
    with writing(path), path.open("ab", buffering=0) as file:
        while left:  # a disk that is nearly full takes some, and says that it is full only when asked again
            left = left[file.write(left) or 0 :]


@dataclass(frozen=True, slots=True)
class Workspace:
    """The output, and what is needed until it is complete.

    Parameters
    ----------
    output : pathlib.Path
        A folder; or one file, which is put together from parts in a folder beside it.
    single : bool
        Whether it is one file.

    Examples
    --------
    >>> Workspace(Path("train.h5"), single=True).folder.name, Workspace(Path("train.zarr")).manifest("csv").name
    ('train.h5.parts', 'manifest.csv')
    """

    output: Path
    single: bool = False

    @property
    def folder(self) -> Path:
        """Where the files of places are written: the output itself, or the parts of it."""
        return self.output.with_name(f"{self.output.name}.parts") if self.single else self.output

    @property
    def settings(self) -> Path:
        """What shapes the output, as JSON; stays with it."""
        return self._beside("settings.json")

    @property
    def journal(self) -> Path:
        """The folder of journals; goes at a clean end."""
        return self.folder / ".journal"

    @property
    def staging(self) -> Path:
        """The folder of files that are not whole yet; goes at a clean end."""
        return self.folder / ".staging"

    @property
    def packs(self) -> Path:
        """The folder of parts that are to lie in one file at the end; goes at a clean end."""
        return self.folder / ".packs"

    @property
    def lock(self) -> Path:
        """What a process holds while it writes."""
        return self.folder / ".lock"

    def manifest(self, kind: str) -> Path:
        """Give the file that tells of each place; stays with the output."""
        return self._beside(f"manifest.{kind}")

    def _beside(self, name: str) -> Path:
        return self.output.with_name(f"{self.output.stem}.{name}") if self.single else self.output / name

    @property
    def begun(self) -> bool:
        """Whether an export was begun here."""
        return self.settings.is_file()

    @property
    def open(self) -> bool:
        """Whether an export was begun here and did not come to its end."""
        return self.journal.is_dir()

    def check(self) -> None:
        """Refuse a place where something else lies.

        Raises
        ------
        ArgumentError
            If the output exists and was not written by an export.
        NotFoundError
            If the folder it is to lie in does not exist.
        """
        if not self.output.absolute().parent.is_dir():
            raise NotFoundError(
                f"cannot write {str(self.output)!r}: there is no folder {str(self.output.parent)!r}; make it first"
            )
        if self.begun:
            return
        if self.single:
            taken = self.output.exists()
        else:
            taken = self.output.is_file() or (self.output.is_dir() and self._holds_more())
        if taken:
            raise ArgumentError(
                f"{str(self.output)!r} exists, and no export wrote it: choose another name, or remove it"
            )

    def _holds_more(self) -> bool:
        """Whether there is anything but what an export leaves that ended before it could say what it was."""
        return any(path not in (*self._passing, self.lock) for path in self.output.iterdir())

    @property
    def _passing(self) -> tuple[Path, ...]:
        return self.journal, self.staging, self.packs

    def begin(self) -> None:
        """Make the folders."""
        with writing(self.output):
            for folder in (self.folder, *self._passing):
                folder.mkdir(exist_ok=True)

    def end(self) -> None:
        """Remove what is needed no more once the manifest is written."""
        with writing(self.output):
            for folder in self._passing:
                _remove(folder)
        self.leave()

    def leave(self) -> None:
        """Remove the folder of parts of a single file, once nothing is in it."""
        if self.single:
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    @contextlib.contextmanager
    def staged(self, path: Path, *, lasting: bool = False) -> Iterator[Path]:
        """Give a name to write to, which becomes `path` when the block ends well; the folders are made.

        Parameters
        ----------
        path : pathlib.Path
            The file.
        lasting : bool
            Whether it must be on the disk before it gets its name: what it is made from may go then.

        Raises
        ------
        StorageError
            If the disk is full, or does not let it be written.
        """
        name = self.staging / f"{uuid.uuid4().hex}{path.suffix}"  # writers may look at the suffix
        with writing(path):
            try:
                yield name
                if lasting:
                    with name.open("r+b") as file:
                        os.fsync(file.fileno())
                try:
                    os.replace(name, path)
                except FileNotFoundError:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(name, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    name.unlink()

    def write(self, path: Path, data: bytes | bytearray | memoryview) -> None:
        """Write a file, whole or not at all; one that is there is replaced."""
        with self.staged(path) as name:
            name.write_bytes(data)


def _remove(folder: Path) -> None:
    """Remove a folder; again, where somebody has a file in it open or has just put one there."""
    for pause in _PAUSES:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
        if not folder.exists():
            return
        time.sleep(pause)
    shutil.rmtree(folder)
