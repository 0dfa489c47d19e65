"""Queries that were sent and have not ended: kept as they were signed, so that no charge is lost with a call.

Promises: a query is kept before it leaves, until it has opened or nobody was asked. Sent again it is the same
          query: nodes that have charged for it give the same shares, and charge nothing more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elsewhere.canonical import Json, canonical_json, parse_canonical
from elsewhere.errors import ElsewhereError
from elsewhere.fields import Fields
from elsewhere.keyfiles import replace_file
from elsewhere.sdk.researcher.folder import STUDIES

_NAME: Final = re.compile(r"([0-9a-f]{64})\.sent\.json")


class NothingSent(ElsewhereError):
    """No query of this id was sent from this folder and has not ended. Ask a new one."""

    code = "research.nothing_sent"


@dataclass(frozen=True, slots=True)
class Sent:
    """A query on its way."""

    envelope: bytes
    accept_missing: bool


def keep_sent(folder: Path, qid: bytes, sent: Sent) -> None:
    """Keep a query that is about to leave."""
    (folder / STUDIES).mkdir(mode=0o700, exist_ok=True)
    entry: dict[str, Json] = {"query": sent.envelope.decode("utf-8"), "accept_missing": sent.accept_missing}
    replace_file(_path(folder, qid.hex()), canonical_json(entry) + b"\n")


def forget_sent(folder: Path, qid: bytes) -> None:
    """Forget one that has ended."""
    _path(folder, qid.hex()).unlink(missing_ok=True)


def sent_ids(folder: Path) -> list[str]:
    """Give the ids of those that have not ended, 64 hex digits each, the newest last."""
    files = sorted((folder / STUDIES).glob("*.sent.json"), key=lambda path: path.stat().st_mtime_ns)
    return [found[1] for path in files if (found := _NAME.fullmatch(path.name)) is not None]


def read_sent(folder: Path, query_id: str) -> Sent:
    """Read one.

    Args:
        folder: the researcher's.
        query_id: its first digits will do; empty: the only one there is.

    Raises:
        NothingSent: there is none of that id, or more than one; names those that there are.
        NotCanonical, DocumentInvalid: its file was changed.
    """
    ids = sent_ids(folder)
    wanted = [one for one in ids if one.startswith(query_id)]
    if len(wanted) != 1:
        listed = ", ".join(one[:12] for one in ids) or "none"
        raise NothingSent(f"expected the id of one study that was sent and did not end; there are: {listed}")
    fields = Fields(parse_canonical(_path(folder, wanted[0]).read_bytes().removesuffix(b"\n")))
    found = Sent(fields.text("query").encode("utf-8"), fields.flag("accept_missing"))
    fields.done()
    return found


def _path(folder: Path, query_id: str) -> Path:
    return folder / STUDIES / f"{query_id}.sent.json"
