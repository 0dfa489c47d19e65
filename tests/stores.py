"""Where the rigs keep their stores: in SQLite files, or each in a database of its own on a PostgreSQL server.

A test that is to hold on both asks for the fixture `each_engine`; `pytest --store postgresql` puts all others
on the server as well.
"""

from __future__ import annotations

from pathlib import Path

from tests.postgres_server import Server


class Places:
    """Gives a store's URL by the folder of its program."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self._urls: dict[Path, str] = {}

    def url(self, folder: Path) -> str:
        """The URL of the one store in a folder, the same each time."""
        if self.server is None:
            return f"sqlite:///{folder / 'store.sqlite'}"
        if folder not in self._urls:
            self._urls[folder] = self.server.new_database()
        return self._urls[folder]

    def folder(self, url: str) -> Path:
        """The folder that a URL was given for."""
        found = [folder for folder, given in self._urls.items() if given == url]
        return found[0] if found else Path(url.removeprefix("sqlite:///")).parent


PLACES = Places()
