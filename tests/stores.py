"""Where the rigs keep their stores: in SQLite files, or each in a database of its own on a PostgreSQL server.

A test that is to hold on both asks for the fixture `each_engine`; all others are on SQLite.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url

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

    def folder(self, url: URL) -> Path:
        """The folder that an open store's URL was given for."""
        if url.get_backend_name() == "sqlite":
            return Path(str(url.database)).parent
        return next(
            folder for folder, given in self._urls.items() if make_url(given).database == url.database
        )

    def end(self) -> None:
        """Forget all of them; the server's may be given again."""
        if self.server is not None:
            for url in self._urls.values():
                self.server.empty(url)
        self.server, self._urls = None, {}


PLACES = Places()
