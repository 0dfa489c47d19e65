"""Unix sockets for gRPC at any path: the kernel takes 107 bytes, folders of real machines are longer.

Promises: the address stays good while the object is open, whatever the length of the path.
Refuses:  nothing itself; whoever dials checks that the socket is theirs with `check_own_socket`.
Source:   unix(7), sun_path; proc(5), /proc/self/fd: an open folder has a short name there.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from types import TracebackType

from elsewhere.errors import DeskUnreachable

MAX_SUN_PATH = 107


class SocketAddress:
    """A gRPC target for a socket in a folder that exists; close it after channel or server."""

    def __init__(self, path: Path) -> None:
        """Open the socket's folder if its path is too long to be given as it is.

        Args:
            path: of the socket, which need not exist yet.

        Raises:
            OSError: there is no such folder.
        """
        whole = path.absolute()
        self._folder: int | None = None
        if len(os.fsencode(whole)) > MAX_SUN_PATH:
            self._folder = os.open(whole.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            whole = Path(f"/proc/self/fd/{self._folder}") / whole.name
        self.target = f"unix:{whole}"

    def close(self) -> None:
        """Let go of the folder; the target is good no more."""
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def __enter__(self) -> SocketAddress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_listened_at(path: Path) -> bool:
    """Whether somebody listens at a socket: what a process that was killed leaves behind answers nobody."""
    try:
        with SocketAddress(path) as address, socket.socket(socket.AF_UNIX) as probe:
            probe.connect(address.target.removeprefix("unix:"))
    except OSError:
        return False
    return True


def check_own_socket(path: Path) -> None:
    """Return only if a socket is there and belongs to the user who is about to send a child's name into it.

    Raises:
        DeskUnreachable: no socket, something else, or another user's.
    """
    try:
        about = path.stat()
    except OSError:
        raise DeskUnreachable(
            f"expected a running node's socket, {path.name}, in that folder; there is none. "
            "Start the node with 'elsewhere node run --dir DIR'"
        ) from None
    if not stat.S_ISSOCK(about.st_mode):
        raise DeskUnreachable(f"expected {path.name} to be a socket; it is something else")
    # Root may read everything anyway; anybody else dials only what is their own.
    if os.geteuid() not in (0, about.st_uid):
        raise DeskUnreachable(f"expected {path.name} to belong to this user; it belongs to another")
