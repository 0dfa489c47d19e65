"""Runs a partnership of four made-up agencies by public commands; asks about three children, and one total.

Holds:    a folder for its owner alone, with the agencies' keys and records; removed at the end.
Promises: every command is printed as an operator would type it. However it ends, no process is left.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from elsewhere.demo.partnership import found_partnership, heard_in, let_in
from elsewhere.demo.processes import CommandFailed, Workbench, program
from elsewhere.demo.questions import QUESTIONS, Question
from elsewhere.demo.studying import ask_total, enrol_researcher, map_tables, say_how_to_ask

ASKER = "social-care"
_READY_S = 30


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person at the terminal asked for."""

    seed: int
    size: int
    once: bool
    as_json: bool


@dataclass(frozen=True, slots=True)
class Agency:
    """One made-up agency as its operator would describe it."""

    id: str
    name: str
    sector: str
    in_hours: str
    out_of_hours: str


AGENCIES = (
    Agency("police", "Northshire Police", "POLICE", "0000 000 100", "0000 000 109"),
    Agency("nhs-trust", "Northshire Hospitals", "NHS_TRUST", "0000 000 200", "0000 000 209"),
    Agency("social-care", "Northshire Social Care", "SOCIAL_CARE", "0000 000 300", "0000 000 309"),
    Agency("schools", "Northshire Schools", "SCHOOL", "0000 000 400", "0000 000 409"),
)


class _Ended(BaseException):
    """Somebody asked us to end. Not an Exception: nothing on the way may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _Signals:
    """Notes the signals that end a program, instead of being ended by them."""

    def __init__(self) -> None:
        self._number = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def check_end(self) -> None:
        """Raise if we are to end."""
        if self._number:
            raise _Ended(self._number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._number = number


def run_demo(wishes: Wishes) -> int:
    """Run the whole demonstration.

    Returns:
        0 when the questions were answered, also when it was then ended by Ctrl-C; 1 when a command failed
        (its last lines are shown); 128 and the signal's number when it was ended before.
    """
    console = Console(stderr=wishes.as_json, highlight=False, soft_wrap=True)
    answered = False
    signals = _Signals()
    with _folder() as folder:
        bench = Workbench(
            folder,
            say=lambda typed: console.print(f"[dim]$ {escape(typed)}[/dim]"),
            check_end=signals.check_end,
            program=program(),
        )
        try:
            _set_up(bench, console, wishes)
            for question in QUESTIONS:
                _ask(bench, console, question, as_json=wishes.as_json)
            ask_total(bench, console, as_json=wishes.as_json)
            answered = True
            if not wishes.once:
                _say_how_to_go_on(console, folder)
                say_how_to_ask(console, bench)
                bench.watch()
        except CommandFailed as failure:
            console.print(f"[bold red]{escape(str(failure))}[/bold red]\n{escape(failure.tail)}")
            return 1
        except _Ended as ended:
            return 0 if answered and ended.number == signal.SIGINT else 128 + ended.number
        finally:
            console.print("[dim]ending the processes and removing the folder[/dim]")
            bench.stop()
    return 0


def _set_up(bench: Workbench, console: Console, wishes: Wishes) -> None:
    """Found the partnership, load the records, start gateway and nodes."""
    console.print(f"[bold]Four agencies and a gateway in {bench.folder}[/bold] ({_libsodium()})")
    made_up = ("--seed", str(wishes.seed), "--size", str(wishes.size), "--studies", "--out", ".")
    bench.run("demo", "population", *made_up)
    listen = f"127.0.0.1:{_free_port()}"
    found_partnership(bench, console, [(agency.id, agency.name) for agency in AGENCIES], listen)
    gateway = bench.serve("gateway", "run", "--dir", "gw")
    made = bench.run_together([_init(agency) for agency in AGENCIES])
    bench.wait_for_word(gateway, "ready", timeout_s=_READY_S)
    researchers = enrol_researcher(bench, console)
    heard = {agency.id: heard_in(said) for agency, said in zip(AGENCIES, made, strict=True)}
    let_in(bench, heard, researchers)
    bench.run_together([("node", "accept", f"{a.id}-admission.json", "--dir", a.id) for a in AGENCIES])
    map_tables(bench, console, [agency.id for agency in AGENCIES])
    bench.run_together(
        [("node", "load", f"{a.id}.csv", "--mapping", f"{a.id}.toml", "--dir", a.id) for a in AGENCIES]
    )
    for agency in AGENCIES:
        bench.serve("node", "run", "--dir", agency.id)
    bench.run_together([("node", "status", "--dir", a.id, "--wait", str(_READY_S)) for a in AGENCIES])


def _init(agency: Agency) -> tuple[str, ...]:
    """The command that makes an agency's node."""
    return (
        *("node", "init", "--dir", agency.id, "--agency", agency.id, "--name", agency.name),
        *("--sector", agency.sector, "--in-hours", agency.in_hours, "--out-of-hours", agency.out_of_hours),
        *("--out", f"{agency.id}-request.json"),
    )


def _ask(bench: Workbench, console: Console, question: Question, *, as_json: bool) -> None:
    """Ask one question as social care would, and pass the answers on."""
    console.print(f"\n[bold]{escape(question.title)}[/bold]")
    if not as_json:
        sys.stdout.flush()
        bench.run("ask", "--node", ASKER, *question.options, shown=True)
        return
    said = bench.run("ask", "--node", ASKER, *question.options, "--json")
    sys.stdout.write(json.dumps(json.loads(said), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _say_how_to_go_on(console: Console, folder: Path) -> None:
    """Say which command asks further questions, and which files hold the children to ask about."""
    typed = shlex.join([*program(), "ask", "--node", str(folder / ASKER), *QUESTIONS[0].options])
    console.print("\n[bold]To ask more, copy into another terminal and change what you like:[/bold]")
    console.print(f"  {escape(typed)}")
    console.print(
        f"The made-up records are in {folder}/*.csv. Ctrl-C ends everything and removes the folder."
    )


def _libsodium() -> str:
    """Which libsodium does the blinding."""
    from elsewhere.oprf.group import library

    found = library()
    return f"libsodium {found.version} from {'the system' if found.origin == 'system' else 'the rbcl wheel'}"


def _free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _folder() -> Iterator[Path]:
    """A fresh folder for its owner alone, removed with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix="elsewhere-"))
    try:
        os.chmod(folder, 0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
