"""Files of a node or gateway: secrets only their owner can read, others that are never half there.

Holds:    nothing; secrets pass through.
Refuses:  to overwrite a secret, and to read one that anybody else could read too.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from elsewhere.errors import ElsewhereError, KeyFileExposed, KeyFileMissing, StoreUnavailable

_GONE = ".gone"


class StoreExposed(ElsewhereError):
    """Others than its owner can read the store. Do not start; set mode 0600 and find out why."""

    code = "store.exposed"


def write_secret(path: Path, data: bytes) -> None:
    """Write a new secret file durably; an existing one is never overwritten.

    Raises:
        FileExistsError: there is one already; replacing a key is a rotation, not a write.
    """
    beside = path.with_name(path.name + ".part")
    beside.unlink(missing_ok=True)  # what a crash may have left
    # O_EXCL with the mode in the same call: there is no moment at which the file is readable to others.
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        _sync(file)
    try:
        os.link(beside, path)  # whole from its first moment, and never in the place of another
    finally:
        beside.unlink()
    _sync_folder(path.parent)


def read_secret(path: Path) -> bytes:
    """Read a secret file that only its owner can read.

    Raises:
        KeyFileMissing: no such file.
        KeyFileExposed: group or others have any right to it, it is a link, or another user owns it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise KeyFileMissing(f"expected the key file {path.name}; it is not there") from None
    except OSError:
        raise KeyFileExposed(f"expected {path.name} to be a plain file of this user; it is not") from None
    with os.fdopen(handle, "rb") as file:
        _check_private(path.name, os.fstat(file.fileno()))
        return file.read()


def destroy_secret(path: Path) -> None:
    """Overwrite a secret file and remove it; one that is gone already is no matter.

    What a disk, a snapshot or a backup keeps of the file elsewhere is out of reach of any program.
    """
    # Under another name first: killed half-way, nobody takes what is left for the secret.
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, path.with_name(path.name + _GONE))
        _sync_folder(path.parent)
    finish_destroying(path.parent)


def supersede(held: Path, successor: Path) -> Path:
    """Put a secret file in the place of another in one step.

    Returns: where the one before is, to be destroyed. Killed in between it is there as well.
    """
    before = held.with_name(f"{held.stem}-before{held.suffix}")
    before.unlink(missing_ok=True)
    os.link(held, before)
    os.replace(successor, held)
    _sync_folder(held.parent)
    return before


def finish_destroying(folder: Path) -> None:
    """Overwrite and remove what a crash left of secrets that were being destroyed."""
    for path in folder.glob("*" + _GONE):
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        with os.fdopen(handle, "wb") as file:
            file.write(bytes(os.fstat(handle).st_size))
            _sync(file)
        path.unlink(missing_ok=True)
        _sync_folder(folder)


def check_secrets(folder: Path) -> None:
    """Return only if no file in a folder of keys can be read by others; the files are not read.

    Raises:
        KeyFileExposed: names the first that can.
    """
    for path in sorted(folder.glob("*.key")):
        _check_private(path.name, path.lstat())


def check_store_file(path: Path) -> None:
    """Make a SQLite file for its owner alone, or check that it is. SQLite gives its side files the same mode.

    Raises:
        StoreUnavailable: no such folder, no right to it, or a link.
        StoreExposed: others have a right to the file.

    Source: SQLite, "How To Corrupt An SQLite Database File", §2.2. Closing a file, whoever opened it, takes
        this process's locks off it. One that has the store open already would lose what tells other processes
        so, and they would delete the journal under it. Hence a file that is there is looked at, never opened.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    except OSError as err:
        raise StoreUnavailable(
            f"expected to open {path.name} in an existing folder: {os.strerror(err.errno or 0)}"
        ) from None
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode) or not os.access(path, os.R_OK | os.W_OK):
        raise StoreUnavailable(f"expected {path.name} to be a file of this user; it is something else")
    mode = stat.S_IMODE(about.st_mode)
    if mode & 0o077:
        raise StoreExposed(
            f"expected {path.name} with mode 0600; it has {mode:04o}: others can read what is in it"
        )


class Replacement:
    """A file for its owner alone, written beside the one it is to replace.

    A reader, or a power cut, meets the old file or the new one, whole. End with `finish` or `abandon`.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._beside = path, path.with_name(path.name + ".part")
        self._beside.unlink(missing_ok=True)  # what a crash may have left
        handle = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self.file: BinaryIO = os.fdopen(handle, "wb")

    def finish(self) -> None:
        """Wait until everything is on the disk, and put it in its place."""
        with self.file:
            _sync(self.file)
        os.replace(self._beside, self._path)
        _sync_folder(self._path.parent)

    def abandon(self) -> None:
        """Leave nothing of an unfinished file; harmless after `finish`."""
        with contextlib.suppress(OSError):  # a full disk refuses what was not written yet
            self.file.close()
        with contextlib.suppress(OSError):
            self._beside.unlink()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write in: it takes the other's place when the block ends, and goes when it raises."""
    new = Replacement(path)
    try:
        yield new.file
        new.finish()
    except BaseException:
        new.abandon()
        raise


def replace_file(path: Path, data: bytes) -> None:
    """Put a document in place of an older one, as `replacing` does."""
    with replacing(path) as file:
        file.write(data)


def _sync(file: BinaryIO) -> None:
    """Wait until everything written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check_private(name: str, about: os.stat_result) -> None:
    """Return only for a plain file of this user that nobody else has a right to."""
    mode = stat.S_IMODE(about.st_mode)
    if not stat.S_ISREG(about.st_mode) or mode & 0o077 or about.st_uid != os.geteuid():
        raise KeyFileExposed(f"expected {name} with mode 0600 and owned by this user; it has {mode:04o}")
