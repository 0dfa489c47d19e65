"""`elsewhere audit` on a federation that has asked and answered: receipts, one child, questions opened."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, select, update

from elsewhere.cli.main import commands
from elsewhere.errors import ElsewhereError, SignatureInvalid
from elsewhere.matchkeys import question_keys
from elsewhere.question import build_question
from elsewhere.transparency import draw
from elsewhere.transparency.errors import LogShort, NoteInvalid, ProofBroken
from node.asking.questions import QuestionMaker
from node.errors import LedgerDamaged
from node.store.exchange import asked, log, opening, subject
from tests.federation import EVA, KAI, ZOE, Federation, ask_about, person, small_federation

ALL = ("social", "police", "hospital")
LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[")


async def audit(*words: object) -> Result:
    """What `elsewhere audit` makes of some words, beside a federation that goes on."""
    return await asyncio.to_thread(CliRunner().invoke, commands, ["audit", *map(str, words)])


def said(result: Result) -> str:
    """What a command printed, without what the nodes beside it in this process logged meanwhile."""
    lines = result.output.splitlines(keepends=True)
    return "".join(line for line in lines if not LOGGED.match(line))


async def witnessed(made: Federation) -> None:
    """Have every log shown and signed, and the signatures fetched."""
    nodes = made.nodes.values()
    for part in ([node.showing for node in nodes], [node.witness for node in nodes]) * 2:
        for one in part:
            await one.step()


async def receipt_of(made: Federation, custodian: str) -> Path:
    found = await made.ask("social", ask_about(ZOE))
    path = made.folder / "receipt.json"
    path.write_bytes(found.answers[custodian].receipt)
    return path


async def test_a_receipt_gains_the_witnesses_that_have_seen_its_log(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        path = await receipt_of(made, "police")
        folder = ("--dir", tmp_path / "hospital")
        before = await audit("verify", path, *folder, "--json")
        assert json.loads(said(before))["log"]["witnesses"] == []
        assert isinstance((await audit("refresh", path, *folder)).exception, LogShort)

        await made.ask("social", ask_about(KAI))  # the log goes on
        await witnessed(made)
        assert (await audit("refresh", path, *folder)).exit_code == 0
        after = json.loads(said(await audit("verify", path, *folder, "--json")))
        assert after["receipt"] == json.loads(said(before))["receipt"]
        assert {line.split()[0] for line in after["log"]["witnesses"]} == {"hospital", "social"}
        for agency in ALL:
            sound = await audit("verify", "--dir", tmp_path / agency)
            assert said(sound).startswith("sound: ")


async def test_a_receipt_without_its_proof_or_with_anothers_is_not_genuine(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        path = await receipt_of(made, "police")
        held = json.loads(path.read_text())
        path.write_text(json.dumps({name: value for name, value in held.items() if name != "log_proof"}))
        bare = await audit("verify", path, "--dir", tmp_path / "hospital")
        assert isinstance(bare.exception, NoteInvalid)
        other = json.loads((await receipt_of(made, "hospital")).read_text())["log_proof"]
        path.write_text(json.dumps({**held, "log_proof": other}))
        swapped = await audit("verify", path, "--dir", tmp_path / "hospital")
        assert isinstance(swapped.exception, ElsewhereError)


async def test_one_child_is_told_of_until_its_salts_are_destroyed(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await made.ask("social", ask_about(EVA))
        with made.nodes["police"]._store.read() as connection:
            named = connection.execute(select(subject.c.records)).scalars().all()
        ((source, child),) = json.loads(next(records for records in named if records != "[]"))
        child_is = ("--source", source, "--person", child, "--dir", tmp_path / "police")

        told = json.loads(said(await audit("subject", *child_is, "--json")))
        assert [(one["asked_by"], one["state"]) for one in told["entries"]] == [
            ("Agency social", "KNOWN_CURRENT")
        ]
        assert "Zofia" not in said(await audit("subject", *child_is))

        assert said(await audit("erase", *child_is, "--yes")).startswith("1 entries")
        assert json.loads(said(await audit("subject", *child_is, "--json")))["entries"] == []
        assert said(await audit("verify", "--dir", tmp_path / "police")).startswith("sound: ")


async def test_a_question_asked_in_error_is_noted_beside_the_question(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        found = await made.ask("social", ask_about(ZOE))
        words = (found.started.lookup_id, "--reason", "wrong case", "--dir", tmp_path / "social")
        assert said(await audit("note", *words)) == "noted\n"
        assert (await audit("note", "0" * 32, *words[1:])).exit_code == 1
        assert (await audit("note", words[0], "--reason", "x" * 201, *words[3:])).exit_code == 2
        with made.nodes["social"]._store.read() as connection:
            kinds = connection.execute(select(log.c.kind).order_by(log.c.seq)).scalars().all()
        assert "asked" in kinds
        assert kinds[-1] == "note"


@pytest.fixture
def all_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw every entry; how many are drawn otherwise is a matter of tests/unit/test_draw.py."""
    monkeypatch.setattr(draw, "RATE", 1.0)


async def opened(made: Federation) -> tuple[Result, list[dict[str, object]]]:
    """Open what both witnesses draw of social care's questions."""
    files = []
    for witness in ("police", "hospital"):
        files += ["--draw", made.folder / f"{witness}.draw"]
        done = await audit("draw", "social", "--dir", made.folder / witness, "--out", files[-1])
        assert done.exit_code == 0, said(done)
    words = ("open", *files, "--auditor", "A. Uditor", "--dir", made.folder / "social")
    result = await audit(*words, "--json")
    return result, json.loads(said(result))["opened"] if result.exception is None else []


@pytest.mark.usefixtures("all_drawn")
async def test_an_honest_question_opens_to_one_child(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await made.ask("social", ask_about(KAI))
        await witnessed(made)
        result, found = await opened(made)
        assert result.exit_code == 0
        assert [one["outcome"] for one in found] == ["one_child"] * 2
        assert [one["proven_by"] for one in found] == [["hospital", "police"]] * 2
        assert ZOE["family"] in json.dumps(found[0]["child"])
        with made.nodes["social"]._store.read() as connection:
            last = connection.execute(select(log.c.body).order_by(log.c.seq.desc()).limit(1)).scalar_one()
        assert json.loads(last)["kind"] == "opened"
        assert ZOE["family"].encode() not in last


@pytest.mark.usefixtures("all_drawn")
async def test_two_children_in_one_question_are_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = QuestionMaker.prepare

    def prepare_for_two(maker: QuestionMaker, ask: object, secrets: object, now: object) -> object:
        """Ask Kai's keys too, where a question about Zofia alone has fillers."""
        made = prepare(maker, ask, secrets, now)  # type: ignore[arg-type]
        keys = (*made.keys, *question_keys(person(KAI)))[:40]
        question = build_question(list(dict.fromkeys(key.data for key in keys)), secrets)  # type: ignore[arg-type]
        return type(made)(question, keys, made.notes)

    async with small_federation(tmp_path) as made:
        with monkeypatch.context() as patch:
            patch.setattr(QuestionMaker, "prepare", prepare_for_two)
            await made.ask("social", ask_about(ZOE))
        await made.ask("social", ask_about(ZOE))
        await witnessed(made)
        result, _ = await opened(made)
        assert result.exit_code == 1
        assert [one["outcome"] for one in json.loads(said(result))["opened"]] == ["otherwise", "one_child"]


@pytest.mark.usefixtures("all_drawn")
async def test_what_opens_a_question_cannot_be_lost_without_notice(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await witnessed(made)
        with made.nodes["social"]._store.write() as connection:
            connection.execute(delete(opening))
        result, _ = await opened(made)
        assert result.exit_code == 1
        assert [one["outcome"] for one in json.loads(said(result))["opened"]] == ["missing"]


@pytest.mark.usefixtures("all_drawn")
async def test_receipts_that_would_prove_what_was_asked_cannot_be_lost_without_notice(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await made.ask("social", ask_about(KAI))
        await witnessed(made)
        with made.nodes["social"]._store.write() as connection:
            first = select(asked.c.lookup_id).order_by(asked.c.id).limit(1).scalar_subquery()
            connection.execute(delete(asked).where(asked.c.lookup_id == first))
        result, _ = await opened(made)
        assert result.exit_code == 1
        assert [one["outcome"] for one in json.loads(said(result))["opened"]] == ["missing", "one_child"]


@pytest.mark.usefixtures("all_drawn")
async def test_a_question_that_is_filed_as_something_else_is_drawn_and_seen(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await witnessed(made)
        with made.nodes["social"]._store.write() as connection:
            connection.execute(update(log).where(log.c.kind == "asked").values(kind="note"))
        _, found = await opened(made)
        assert [one["outcome"] for one in found] == ["one_child"]
        assert isinstance((await audit("verify", "--dir", tmp_path / "social")).exception, LedgerDamaged)


@pytest.mark.usefixtures("all_drawn")
async def test_a_question_left_out_of_the_log_since_is_caught(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await witnessed(made)
        with made.nodes["social"]._store.write() as connection:
            connection.execute(delete(log).where(log.c.kind == "asked"))
        result, _ = await opened(made)
        assert isinstance(result.exception, ProofBroken)


async def test_a_draw_of_another_log_or_by_itself_is_refused(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await witnessed(made)
        file = tmp_path / "draw"
        assert (await audit("draw", "hospital", "--dir", tmp_path / "police", "--out", file)).exit_code == 0
        words = ("open", "--draw", file, "--auditor", "A", "--dir", tmp_path / "social")
        assert isinstance((await audit(*words)).exception, NoteInvalid)
        forged = json.loads(file.read_text()) | {"agency": "social"}
        file.write_text(json.dumps(forged, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n")
        assert isinstance((await audit(*words)).exception, SignatureInvalid)
        assert (await audit("draw", "social", "--dir", tmp_path / "social", "--out", file)).exit_code == 1


async def test_one_witness_does_not_stand_for_the_other_nor_twice_for_itself(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        await made.ask("social", ask_about(ZOE))
        await witnessed(made)
        file = tmp_path / "draw"
        assert (await audit("draw", "social", "--dir", tmp_path / "police", "--out", file)).exit_code == 0
        rest = ("--auditor", "A", "--dir", tmp_path / "social")
        one = await audit("open", "--draw", file, *rest)
        assert one.exit_code == 1
        assert "none of hospital" in one.output
        with made.nodes["social"]._store.read() as connection:
            last = connection.execute(select(log.c.body).order_by(log.c.seq.desc()).limit(1)).scalar_one()
        assert list(json.loads(last)["draws"]) == ["police"]
        assert isinstance((await audit("open", "--draw", file, "--draw", file, *rest)).exception, NoteInvalid)


async def test_catalogues_are_checked_while_the_node_runs(tmp_path: Path) -> None:
    async with small_federation(tmp_path) as made:
        result = await audit("padding", "--dir", made.folder / "police", "--json")
        found = json.loads(said(result))["catalogues"]
        assert {one["collection"] for one in found} == {"involvement", "protected"}
        assert all(one["for_records"] > 0 for one in found if one["collection"] == "involvement")
        assert "sound: 2 catalogues" in said(await audit("padding", "--dir", made.folder / "police"))
