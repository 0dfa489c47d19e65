"""The options that say which node's desk a command talks to: a folder here, or a host and certificate.

Refuses:  a desk on another machine without a client certificate; a folder and a host at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from elsewhere.keyfiles import read_secret
from elsewhere.sdk.desk import Desk
from elsewhere.sdk.target import ClientCertificate

Command = TypeVar("Command", bound=Callable[..., Any])
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option(
        "--node",
        envvar="ELSEWHERE_NODE",
        metavar="DIR",
        type=click.Path(exists=True),
        help="Folder of your agency's node; ELSEWHERE_NODE in the environment serves too.",
    ),
    click.option("--target", metavar="HOST:PORT", help="Instead of --node: the node on another machine."),
    click.option("--ca", type=_FILE, help="With --target: the CA of that node's certificate."),
    click.option("--cert", type=_FILE, help="With --target: your certificate."),
    click.option("--key", type=_FILE, help="With --target: its key, mode 0600."),
    click.option(
        "--token-file", type=_FILE, help="Your agency's sign-in's token, if the desk asks for one; mode 0600."
    ),
)


def desk_options(command: Command) -> Command:
    """Give a command the options --node, --target, --ca, --cert, --key and --token-file."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def open_desk(given: Mapping[str, Any]) -> Desk:
    """Connect to the desk that was named; raises click.UsageError if it was named badly."""
    files = {name: given[name] for name in ("ca", "cert", "key")}
    token = read_secret(given["token_file"]).decode("ascii", "replace").strip() if given["token_file"] else ""
    if given["target"] is None:
        if given["node"] is None:
            raise click.UsageError("say which node: --node DIR, or ELSEWHERE_NODE in the environment")
        if any(files.values()):
            raise click.UsageError("--ca, --cert and --key go with --target")
        return Desk(Path(given["node"]), token=token)
    if not all(files.values()):
        raise click.UsageError("--target needs --ca, --cert and --key")
    return Desk(given["target"], credentials=ClientCertificate.from_files(**files), token=token)
