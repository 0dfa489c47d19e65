"""A searcher written from the document alone finds what ours finds, and shares no line with it.

It stands in `searcher/`, runs as a process of its own, and makes its message classes of proto/ while it runs.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from elsewhere.cli.main import commands
from tests import partnership
from tests.architecture.sources import PACKAGES, ROOT, imported_modules, sources
from tests.federation import federation

HERE = Path(__file__).parent
SHARED = ("commitment", "request_digest", "decision", "clause", "released", "call_reference")
DATA = ["--proto", str(ROOT / "proto"), "--data", str(ROOT / "elsewhere")]
ZOFIA = {"given": "Zofia", "family": "Wielopolska-Hart", "postcode": "NX1 2AB"}
KAI = {"given": "Kai", "family": "Okonkwo", "postcode": "NX3 4EF"}
# The custodian writes her name and birth date otherwise, and keeps his whereabouts to itself.
HELD = [
    {**ZOFIA, "given": "Zofiia", "dob": "03/02/2015", "nhs": "999 000 0026", "status": "open"},
    {**KAI, "dob": "11/12/2016", "shield": "place"},
]
ASKED_ZOFIA = {**ZOFIA, "birth_date": "2015-02-03", "nhs_number": "9990000026"}
ASKED_KAI = {**KAI, "birth_date": "2016-12-11"}
NOBODY = {"given": "Evangeline", "family": "Marchbanks", "birth_date": "2012-07-21", "postcode": "NX5 6GH"}
NOBODY |= {"nhs_number": "9990000018"}
TERMS = {"purpose": "S47_ENQUIRY", "basis": "A6C_DUTY", "urgency": "RED", "role": "practitioner"}
TERMS |= {"asker": "worker-1", "case_reference": "C-1"}
TRIAGE = TERMS | {"purpose": "MASH_TRIAGE"}
NOT_OURS_TO_ASK = TERMS | {"purpose": "SCHOOL_SAFEGUARDING"}
# People whose names are read in several ways, in letters of several scripts.
WRITTEN = [
    ("Amara", "Okafor"), ("Zoë", "Łukaszewska"), ("Kate", "Smith"), ("Jo", "Mac Neil"), ("A", "Patel"),
    ("Baby", "Jones"), ("Baby of Jane", "Brown"), ("", "Sana Khan"), ("Rebecca", ""), ("twin 2", ""),
    ("Anne-Marie Lucy", "de la Cruz-Saint John"), ("Siân", "O'Neill"), ("Abc", "De"), ("Ab", "Cd"),
    ("Дмитрий", "Иванов"), ("Θεόδωρος", "Παπαδόπουλος"), ("محمد", "علي"), ("İpek", "Weiß"),
]  # fmt: skip


async def searcher(*arguments: object, given: object = None) -> list[Any]:
    """Run the second searcher as a process of its own; give each line it printed."""
    # A command of ours that ran in this process has forbidden its children to import from where they stand.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "searcher",
        *(str(a) for a in arguments),
        cwd=HERE,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(90):
            out, err = await process.communicate(json.dumps(given).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return [json.loads(line) for line in out.splitlines()]


def elsewhere(*arguments: object) -> str:
    """Give what a command of ours prints."""
    result = CliRunner().invoke(commands, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_an_agency_with_other_software_is_admitted_asks_and_is_answered(tmp_path: Path) -> None:
    request, admission = tmp_path / "request", tmp_path / "admission"
    folder = ["--dir", tmp_path / "council"]
    both = ["police", "hospital"]
    questions = [
        {"child": ASKED_ZOFIA, "terms": TERMS, "custodians": both},
        {"child": NOBODY, "terms": TERMS, "custodians": both},
        {"child": ASKED_KAI, "terms": TERMS, "custodians": ["police"]},
        {"child": ASKED_KAI, "terms": TRIAGE, "custodians": ["police"]},
        {"child": ASKED_ZOFIA, "terms": NOT_OURS_TO_ASK, "custodians": ["police"]},
    ]
    async with federation(tmp_path) as made:
        made.join("police", HELD)
        made.join("hospital")
        await made.start(*both)
        await searcher("join", *folder, "--agency", "council", "--request", request)
        # With a steward of its own, so that it has a change of stewards to follow.
        admitted = partnership.admit(tmp_path / "gw", request.read_bytes(), now=datetime.now(UTC))
        admission.write_bytes(admitted.to_bytes())

        listening = ["--gateway", f"127.0.0.1:{made._port}"]
        asking = ["ask", *folder, "--admission", admission, *listening, *DATA]
        *answered, loaded = await searcher(*asking, given=questions)

        told = [{answer["custodian"]: answer for answer in one["answers"]} for one in answered]
        assert [{name: answer["state"] for name, answer in one.items()} for one in told] == [
            {"police": "KNOWN_CURRENT", "hospital": "NOTHING_RETURNED"},
            {"police": "NOTHING_RETURNED", "hospital": "NOTHING_RETURNED"},
            {"police": "CALL_BACK"},
            {"police": "NOTHING_RETURNED"},
            {"police": "DENIED"},
        ]
        zofia, nobody, kai, triage, denied = (one["police"] for one in told)
        assert (zofia["strength"], zofia["tier"], zofia["service"]) == ("IDENTIFIER", "R3", "Front door")
        assert (kai["collection"], triage["collection"]) == ("protected", "involvement")
        assert denied["code"] == "purpose.sector"
        # A call reference comes with the second reply only: Redeem was sent, whatever was decided.
        logged = [_logged(tmp_path / "police", one) for one in (zofia, nobody, kai, triage, denied)]
        assert [(entry["decision"], entry["state"]) for entry in logged] == [
            ("PERMIT", "KNOWN_CURRENT"),
            ("PERMIT", "NOTHING_RETURNED"),
            ("PERMIT", "CALL_BACK"),
            ("PERMIT", "NOTHING_RETURNED"),
            ("DENY", "NOTHING_RETURNED"),
        ]
        receipt = tmp_path / "receipt"
        receipt.write_text(zofia["receipt"], "utf-8")
        elsewhere("audit", "verify", receipt, "--dir", tmp_path / "hospital")

        await made.nodes["police"].showing.step()
        export = tmp_path / "export"
        elsewhere("audit", "export", "--dir", tmp_path / "police", "--out", export)
        public = made.nodes["police"].trust.roster.active("police").signing_key
        by = {"origin": "northshire/police/log", "public": public.hex()}
        checked = ["check", "--export", export, "--receipt", receipt]
        assert (await searcher(*checked, given=by))[0]["is_in_it"] is True
        lines = export.read_bytes().splitlines(keepends=True)
        export.write_bytes(b"".join(lines[:2] + lines[3:]))  # one entry left out
        with pytest.raises(AssertionError, match="as many entries"):
            await searcher(*checked, given=by)

    assert "searcher" in loaded["modules"]
    assert not set(loaded["modules"]) & {*PACKAGES, "tests"}


def _logged(custodian: Path, answer: dict[str, Any]) -> dict[str, Any]:
    """The one entry that a custodian's log has under the reference of an answer, about that receipt."""
    shown = elsewhere("audit", "show", answer["call_reference"], "--dir", custodian, "--json")
    (entry,) = json.loads(shown)["entries"]
    receipt = json.loads(base64.b64decode(json.loads(answer["receipt"])["payload"]))
    assert (entry["kind"], entry["counterparty"]) == ("answered", "council")
    assert [entry[name] for name in SHARED] == [receipt[name] for name in SHARED]
    return dict(entry)


async def test_it_asks_the_keys_that_ours_asks() -> None:
    people = [
        {"given": given, "family": family, "birth_date": "2016-12-05", "postcode": postcode}
        | {"past_postcodes": ["SW1A OAA", "ZZ99 3VZ"], "nhs_number": "999 000 0026"}
        for (given, family), postcode in zip(WRITTEN, itertools.cycle(["nx1 2ab", "AB1 2CD"]), strict=False)
    ]

    theirs = await searcher("keys", *DATA, given=people)

    for person, asked in zip(people, theirs, strict=True):
        assert asked == _explained(person)


def _explained(person: dict[str, Any]) -> list[str]:
    """What the command `matchkeys explain` says of the same person."""
    options = {"given": "given", "family": "family", "birth_date": "dob", "postcode": "postcode"}
    options |= {"nhs_number": "nhs-number"}
    typed = [text for name, option in options.items() for text in (f"--{option}", person[name])]
    typed += [text for code in person["past_postcodes"] for text in ("--past-postcode", code)]
    keys = json.loads(elsewhere("matchkeys", "explain", "--json", *typed))["keys"]
    return [f"{key['strength']} {key['rule']}: {', '.join(key['values'])}" for key in keys]


async def test_it_makes_every_test_vector_of_the_document() -> None:
    blocks = _vectors((ROOT / "docs" / "protocol.md").read_text("utf-8"))

    (made,) = await searcher("make", *DATA, given=blocks)

    assert made["seal"].pop("opened") == blocks["pad"]["message"]
    assert made.keys() == blocks.keys() - {"sizes", "payload types"}
    for label, values in made.items():
        assert values == {name: blocks[label].get(name) for name in values}, label


def test_no_line_of_it_imports_ours() -> None:
    (*files,) = (source for source in sources("tests") if source.path.startswith("tests/external/searcher/"))
    imported = {name for source in files for name in imported_modules(source)}

    assert files
    assert not {name for name in imported if name.partition(".")[0] in {*PACKAGES, "tests"}}


def _vectors(document: str) -> dict[str, dict[str, str]]:
    """The blocks of the document: lines `name = value`; indented lines go on with the value before."""
    blocks: dict[str, dict[str, str]] = {}
    for label, body in re.findall(r"```vector ([^\n]+)\n(.*?)```", document, re.DOTALL):
        values: dict[str, str] = {}
        for line in body.replace("\n    ", "").splitlines():
            name, _, value = line.partition(" =")
            values[name] = value.removeprefix(" ")
        blocks[label] = values
    return blocks
