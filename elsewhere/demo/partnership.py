"""The demonstration's partnership: four stewards, whom it plays itself, found it and let the agencies in.

Holds:    the stewards' keys and their passphrase, in the demonstration's own folder. In a partnership each is
          a person who keeps the key, and hears newcomers' fingerprints by telephone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console

from elsewhere.demo.processes import Workbench

_PASSPHRASE: Final = ("--passphrase-file", "passphrase")
_FINGERPRINT: Final = re.compile(r"\bfingerprint (\d{5}(?:-\d{5}){3})\b")


def found_partnership(
    bench: Workbench, console: Console, agencies: Sequence[tuple[str, str]], listen: str
) -> None:
    """Make the stewards' keys and the gateway, and have the stewards sign the first roster.

    Args:
        bench: where commands run.
        console: for whoever watches.
        agencies: id and name of each; each has a steward.
        listen: where the gateway will, as HOST:PORT.
    """
    console.print("It plays the four stewards too: in a partnership each is a person, and keeps the key.")
    (bench.folder / "passphrase").touch(0o600)
    (bench.folder / "passphrase").write_text("correct horse battery staple\n")
    ids = [id for id, _ in agencies]
    made = bench.run_together([_keygen(id, name) for id, name in agencies])
    heard = {id: heard_in(said) for id, said in zip(ids, made, strict=True)}
    cards = [word for id in ids for word in ("--steward", f"{id}-card.json")]
    where = ("--dir", "gw", "--federation", "Northshire", "--listen", listen)
    bench.run("gateway", "init", *where, *cards, "--out", "proposal-1.json")
    _sign(bench, 1, ids, heard)


def let_in(bench: Workbench, heard: Mapping[str, str], researchers: Mapping[str, str]) -> None:
    """Have the stewards let all agencies in, and hand each its admission.

    Args:
        bench: where commands run; each request to join lies there.
        heard: the fingerprint of each agency, as it read it out.
        researchers: and of each researcher, by id.
    """
    requests = [word for id in heard for word in ("--admit", f"{id}-request.json")]
    bench.run("gateway", "propose", "--dir", "gw", *requests, "--out", "proposal-2.json")
    _sign(bench, 2, list(heard), {**heard, **researchers})
    bench.run_together(
        [
            ("gateway", "admit", f"{id}-request.json", "--dir", "gw", "--out", f"{id}-admission.json")
            for id in heard
        ]
    )


def heard_in(said: str) -> str:
    """The fingerprint in what a command printed, which its user would read out; empty if there is none."""
    found = _FINGERPRINT.search(said)
    return found[1] if found is not None else ""


def _keygen(id: str, name: str) -> tuple[str, ...]:
    """The command that makes a steward's key."""
    return (
        *("steward", "keygen", "--agency", id, "--name", f"Steward of {name}"),
        *("--out", f"{id}-steward.key", "--card", f"{id}-card.json", *_PASSPHRASE),
    )


def _sign(bench: Workbench, number: int, ids: Sequence[str], heard: Mapping[str, str]) -> None:
    """Have every agency's steward sign a proposal, and enact it."""
    proposal = f"proposal-{number}.json"
    told = [word for id, digits in heard.items() for word in ("--heard", f"{id}={digits}")]
    bench.run_together(
        [
            (
                *("steward", "sign", proposal, "--key", f"{id}-steward.key", *_PASSPHRASE, *told, "--yes"),
                *("--out", f"{id}-{number}.sig"),
            )
            for id in ids
        ]
    )
    bench.run("gateway", "enact", proposal, *(f"{id}-{number}.sig" for id in ids), "--dir", "gw")
