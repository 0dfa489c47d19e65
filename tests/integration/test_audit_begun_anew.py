"""The opening audit of an agency that begins another log, or sets the time of a question back."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select

from elsewhere.cli.main import commands
from elsewhere.errors import SignatureInvalid
from elsewhere.transparency import draw
from elsewhere.transparency.errors import NoteInvalid
from node.auditing.drawing import DrawFile, open_draw
from node.ledger import book
from node.ledger.tree import begin_anew
from node.ledger.witness import DRAWABLE_FOR, forget_witnessed
from node.store.exchange import asked, log
from node.store.ledger import edge, witnessed_before
from tests.federation import KAI, ZOE, Federation, ask_about, small_federation
from tests.integration.test_audit import audit, opened, said, witnessed


def note_of(made: Federation, witness: str) -> DrawFile:
    return DrawFile.from_bytes((made.folder / f"{witness}.draw").read_bytes())


async def begin(made: Federation) -> None:
    words = ["node", "begin-log", "--reason", "restored", "--dir", str(made.folder / "social"), "--yes"]
    assert (await asyncio.to_thread(CliRunner().invoke, commands, words)).exit_code == 0
    await witnessed(made)


async def test_beginning_another_log_draws_nothing_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "RATE", 0.75)
    async with small_federation(tmp_path) as made:
        for _ in range(4):
            await made.ask("social", ask_about(ZOE))
            await witnessed(made)
        _, first = await opened(made)
        before = {name: note_of(made, name).notes for name in ("police", "hospital")}
        for _ in range(3):
            await begin(made)
        _, again = await opened(made)
        assert [one["entry"] for one in again] == [one["entry"] for one in first]
        for name, notes in before.items():
            assert note_of(made, name).notes[: len(notes)] == notes, "what was signed is handed on"


async def test_a_drawn_question_that_a_new_log_leaves_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "RATE", 1.0)
    async with small_federation(tmp_path) as made:
        social = made.nodes["social"]
        with social._store.read() as connection:
            entries = connection.execute(select(edge.c.size, edge.c.hashes)).one_or_none()
            kept = connection.execute(select(log.c.seq).order_by(log.c.seq.desc()).limit(1)).scalar() or 0
        await witnessed(made)
        await made.ask("social", ask_about(ZOE))
        await witnessed(made)
        with social._store.write() as connection:
            connection.execute(delete(log).where(log.c.seq > kept))
            connection.execute(delete(asked))
            connection.execute(delete(edge))
            if entries is not None:
                connection.execute(edge.insert().values(id=1, size=entries.size, hashes=entries.hashes))
            begin_anew(connection, datetime.now(UTC))
            book.append(connection, book.make_entry("log_begun", {"reason": "none"}, datetime.now(UTC)))
        await made.ask("social", ask_about(KAI))
        await witnessed(made)
        result, _ = await opened(made)
        found = json.loads(said(result))["opened"]
        assert result.exit_code == 1
        assert {one["outcome"] for one in found} == {"one_child", "lost"}
        words = ["--draw", tmp_path / "police.draw", "--draw", tmp_path / "hospital.draw"]
        told = await audit("open", *words, "--auditor", "A", "--dir", tmp_path / "social")
        assert "LOST: it was drawn of a log" in told.output
        with social._store.read() as connection:
            last = connection.execute(select(log.c.body).order_by(log.c.seq.desc()).limit(1)).scalar_one()
        assert json.loads(last)["lost"]


async def test_a_time_set_back_makes_no_question_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draw, "RATE", 1.0)
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(KAI))
        await witnessed(made)  # before it, so that witnesses know what was not there yet
        entry = _asked_long_ago(made, timedelta(days=31))
        with made.nodes["social"]._store.write() as connection:
            book.append(connection, entry)
        await witnessed(made)
        result, _ = await opened(made)
        found = json.loads(said(result))["opened"]
        assert [one["outcome"] for one in found] == ["one_child", "missing"]
        assert result.exit_code == 1


def _asked_long_ago(made: Federation, age: timedelta) -> book.Entry:
    """An entry like that of the question before it, with another id and a time of long ago."""
    with made.nodes["social"]._store.read() as connection:
        body = connection.execute(select(log.c.body).where(log.c.kind == "asked")).scalars().first()
    facts: dict[str, Any] = json.loads(body or b"{}")
    for name in ("kind", "time_ms", "call_reference", "salt"):
        facts.pop(name)
    return book.make_entry("asked", {**facts, "lookup_id": "0" * 32}, datetime.now(UTC) - age)


async def test_a_draw_that_was_cut_or_is_of_long_ago_is_refused(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        for _ in range(2):
            await made.ask("social", ask_about(ZOE))
            await witnessed(made)
        await opened(made)
        whole, roster = note_of(made, "police"), made.nodes["social"].trust.roster
        assert len(whole.notes) > 1
        now = datetime.now(UTC)
        for notes in (whole.notes[:-1], whole.notes[1:]):
            cut = DrawFile(whole.agency, whole.witness, whole.at, notes, whole.signature)
            with pytest.raises(SignatureInvalid):
                open_draw(cut, roster, "social", now)
        assert open_draw(whole, roster, "social", now).states
        with pytest.raises(NoteInvalid, match="last 7 days"):
            open_draw(whole, roster, "social", now + timedelta(days=8))


async def test_signatures_on_a_log_before_are_kept_as_long_as_the_others(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await witnessed(made)
        await begin(made)
        now = datetime.now(UTC)
        for moved, is_kept in ((timedelta(), True), (DRAWABLE_FOR + timedelta(hours=1), False)):
            with made.nodes["police"]._store.write() as connection:
                forget_witnessed(connection, now + moved)
                found = connection.execute(select(witnessed_before)).all()
            assert bool(found) is is_kept
