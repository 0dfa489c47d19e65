"""The gateway as a program: `python -m gateway FOLDER`, the same as `elsewhere gateway run --dir FOLDER`."""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from elsewhere.errors import ElsewhereError
from elsewhere.hardening import harden
from gateway.config import load_config
from gateway.logs import configure
from gateway.service import Gateway, run

FILES_BESIDE = 256  # the store, catalogues being read or written, the log


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


def serve(directory: Path) -> None:
    """Run the gateway of a folder until SIGTERM or SIGINT, then end in good order.

    Raises:
        ConfigInvalid, KeyFileExposed, KeyFileMissing: it did not start; the message says what to mend.
    """
    harden()
    configure()
    config = load_config(directory)
    allow_files(config.link.connections + FILES_BESIDE)

    def ready(gateway: Gateway) -> None:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, gateway.stop)
        host = config.listen.rsplit(":", 1)[0]
        sys.stderr.write(f"ready {host}:{gateway.port}\n")
        sys.stderr.flush()

    # A sixth less processor time a frame than with asyncio's own loop.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(config, clock=utc_now, ready=ready))


def allow_files(wanted: int) -> None:
    """Raise this process's limit of open files to what its connections need, as far as the system lets it."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now != resource.RLIM_INFINITY and now < wanted:
        limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))


def main() -> None:
    """Take the folder from the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m gateway FOLDER")
    try:
        serve(Path(sys.argv[1]))
    except ElsewhereError as err:
        sys.exit(f"error [{err.code}]: {err}")


if __name__ == "__main__":
    main()
