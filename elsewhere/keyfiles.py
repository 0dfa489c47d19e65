"""Files of a node or gateway: secrets only their owner can read, documents that are never half there.

Holds:    nothing; secrets pass through.
Refuses:  to overwrite a secret, and to read one that anybody else could read too.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from elsewhere.errors import KeyFileExposed, KeyFileMissing


def write_secret(path: Path, data: bytes) -> None:
    """Write a new secret file durably; an existing one is never overwritten.

    Raises:
        FileExistsError: there is one already; replacing a key is a rotation, not a write.
    """
    # O_EXCL with the mode in the same call: there is no moment at which the file is readable to others.
    _write(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), data)


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


def check_secrets(folder: Path) -> None:
    """Return only if no file in a folder of keys can be read by others; the files are not read.

    Raises:
        KeyFileExposed: names the first that can.
    """
    for path in sorted(folder.glob("*.key")):
        _check_private(path.name, path.lstat())


def replace_file(path: Path, data: bytes) -> None:
    """Put a document in place of an older one: a reader, or a power cut, meets the old or the new, whole."""
    part = path.with_name(f".{path.name}.part")
    _write(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), data)
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(handle: int, data: bytes) -> None:
    """Write everything and wait until it is on the disk."""
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _check_private(name: str, about: os.stat_result) -> None:
    """Return only for a plain file of this user that nobody else has a right to."""
    mode = stat.S_IMODE(about.st_mode)
    if not stat.S_ISREG(about.st_mode) or mode & 0o077 or about.st_uid != os.geteuid():
        raise KeyFileExposed(f"expected {name} with mode 0600 and owned by this user; it has {mode:04o}")
