"""A researcher asks through the SDK and the command: real gateway, real nodes, every share added again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from elsewhere.agreement.document import AgreementRollback
from elsewhere.agreement.studies import HeldTable
from elsewhere.canonical import canonical_json, parse_canonical
from elsewhere.cli.research import research as command
from elsewhere.errors import RosterRollback, SignatureInvalid
from elsewhere.research.errors import ProjectRefused, QuestionInvalid, ResearcherRefused
from elsewhere.research.estimate import Estimate, Suppressed
from elsewhere.sdk.research import Research, readd
from elsewhere.sdk.researcher.ends import Failed, Opened, Refused
from elsewhere.sdk.researcher.kept import Kept
from elsewhere.securesum.errors import RosterRefused, SharesApart, TooFewHold
from tests.federation import Federation, federation
from tests.studying import agree, enrolled, mapping, ready, research, write_table

AGENCIES = ("social", "police", "hospital", "schools")
ROWS = [
    {"child": f"c{n}", "day": f"2025-{1 + n % 12:02}-03", "source": "1A" if n % 3 else "6", "nfa": "Y"}
    for n in range(300)
]
T = TypeVar("T")


async def beside(step: Callable[[], T]) -> T:
    """Run what blocks beside the loop that gateway and nodes run on."""
    return await asyncio.to_thread(step)


@asynccontextmanager
async def studying(folder: Path, **changes: Any) -> AsyncIterator[tuple[Federation, Path]]:
    """Four nodes, of which social care holds referrals, and a researcher whom the agreement lists."""
    async with federation(folder) as made:
        for agency in AGENCIES:
            made.join(agency, [], research=mapping() if agency == "social" else {"tick_ms": 10})
        write_table(made.folder / "social" / "referrals.csv", ROWS)
        about = await beside(partial(enrolled, made, folder / "ana"))
        caps = {"cap_nrho": 1_000_000_000, "researcher_cap_nrho": 500_000_000}
        people = {"people": ("ana",), "researchers": (about.entry,)}
        agree(made.folder, research(["social"], **(caps | people | changes)))
        await made.start(*AGENCIES)
        await ready(made)
        yield made, folder / "ana"


async def typed(folder: Path, *words: str) -> Result:
    """Run the command."""
    return await beside(partial(CliRunner().invoke, command, [words[0], "--dir", str(folder), *words[1:]]))


def said(result: Result) -> dict[str, Any]:
    """The JSON object that a command printed; gateway and nodes log beside it in this process."""
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(line)
    return found


async def test_estimates_are_near_the_truth_with_what_they_cost_and_what_is_left(tmp_path: Path) -> None:
    async with studying(tmp_path) as (_, folder):
        asker = Research(folder)
        study = asker.table("referral", year=2025).where(nfa=["Y"]).group_by("source").count()
        before = await beside(partial(study.preview, accuracy=40))
        told: list[str] = []

        end = await beside(partial(study.run, accuracy=40, tell=lambda one: told.append(one.state)))

        assert isinstance(end, Opened)
        assert end.price.interval == pytest.approx(40, rel=0.02)
        assert end.price == before.price
        school, police = end["1A"], end["6"]
        assert isinstance(school, Estimate)
        assert isinstance(police, Estimate)
        # Beyond four intervals' halves: less than once in 10^14.
        assert abs(school.value - 200) < 160
        assert abs(police.value - 100) < 160
        assert school.shown % 5 == 0
        assert school.high - school.low == pytest.approx(2 * end.price.interval)
        assert any(isinstance(cell, Suppressed) for cell in end.cells)
        assert before.is_affordable
        assert before.price.charge_nrho == end.price.charge_nrho
        assert end.budget_left_nrho == before.left_after_nrho
        assert (await beside(asker.budget)).least_nrho == end.budget_left_nrho
        assert {one.agency: one.state for one in end.participants} == dict.fromkeys(AGENCIES, "shared")
        assert told.count("shared") == len(AGENCIES)


async def test_what_is_more_exact_than_is_allowed_is_refused_with_what_is(tmp_path: Path) -> None:
    async with studying(tmp_path) as (_, folder):
        study = Research(folder).table("referral", year=2025).count()
        for ask in (study.preview, study.run):
            with pytest.raises(QuestionInvalid, match="expected at least") as refusal:
                await beside(partial(ask, accuracy=1e-3))
        budget = await beside(study.research.budget)
        possible = float(str(refusal.value).partition("at least ")[2].partition(",")[0])
        there = await beside(partial(study.preview, accuracy=possible))

    assert {one.researcher for one in budget.left} == {500_000_000}  # nothing was spent
    assert there.price.interval == pytest.approx(possible, abs=1e-3)


async def test_a_price_is_met_from_either_side(tmp_path: Path) -> None:
    async with studying(tmp_path, floor_nrho=10**12) as (_, folder):
        study = Research(folder).table("referral", year=2025).count()
        dear = await beside(partial(study.preview, rho=0.5))
        again = await beside(partial(study.preview, accuracy=dear.price.interval))
        over = await beside(partial(study.preview, rho=0.51))
        refused = await beside(partial(study.run, rho=0.51))
        budget = await beside(study.research.budget)
        spent = await beside(partial(study.run, rho=0.5))

    assert dear.price.charge_nrho <= 500_000_000
    assert dear.price.charge_nrho == pytest.approx(500_000_000, rel=1e-6)
    assert again.price.rho == pytest.approx(dear.price.rho, rel=1e-3)
    assert (dear.is_affordable, over.is_affordable) == (True, False)
    assert isinstance(refused, Refused)
    assert refused.code == "refused.budget"  # no node was asked
    assert {one.code for one in refused.participants} == {"refused.budget"}
    assert budget.least_nrho == 500_000_000  # an over-ask changes nothing
    assert isinstance(spent, Opened)
    assert 0 <= spent.budget_left_nrho < 1000  # a millionth of a count at most


async def test_tables_say_who_lacks_what_and_what_may_be_asked(tmp_path: Path) -> None:
    async with studying(tmp_path) as (_, folder):
        offers = {one.table.id: one for one in await beside(Research(folder).tables)}

    assert offers["referral"].holders == ("social",)
    assert offers["referral"].lacking == ("hospital", "police", "schools")
    assert offers["referral"].is_open
    assert (offers["housing"].holders, offers["housing"].is_open) == ((), False)


async def test_a_table_that_too_few_hold_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    held = (HeldTable("referral", ("social", "schools")),)
    async with studying(tmp_path, held=held) as (_, folder):
        asker = Research(folder)
        offers = {one.table.id: one for one in await beside(asker.tables)}
        study = asker.table("referral", year=2025).count()
        for step in (partial(study.preview, rho=0.1), partial(study.run, rho=0.1)):
            with pytest.raises(TooFewHold):
                await beside(step)

    assert offers["referral"].min_holders == 3
    assert not offers["referral"].is_open


async def test_a_study_without_everybody_does_not_begin_unless_that_is_accepted(tmp_path: Path) -> None:
    async with studying(tmp_path) as (made, folder):
        await made.stop("schools")
        study = Research(folder).table("referral", year=2025).count()
        refused = await beside(partial(study.run, rho=0.1))
        left = (await beside(study.research.budget)).least_nrho
        opened = await beside(partial(study.run, rho=0.1, accept_missing=True))

    assert isinstance(refused, Refused)
    states = {one.agency: one.state for one in refused.participants}
    assert states == {**dict.fromkeys(AGENCIES, "released"), "schools": "unreachable"}
    assert left == 500_000_000
    assert isinstance(opened, Opened)
    assert opened.agencies == ("hospital", "police", "social")


async def test_a_kept_study_adds_up_again_and_one_that_was_altered_does_not(tmp_path: Path) -> None:
    async with studying(tmp_path) as (_, folder):
        end = await beside(partial(Research(folder).table("referral", year=2025).count().run, rho=0.2))
    assert isinstance(end, Opened)
    assert end.path is not None

    again = readd(folder, end.path)
    assert (again.query_id, again.cells, again.price) == (end.query_id, end.cells, end.price)

    held = parse_canonical(end.path.read_bytes().removesuffix(b"\n"))
    assert isinstance(held, dict)

    def altered(**changes: Any) -> Path:
        path = tmp_path / "altered.json"
        path.write_bytes(canonical_json({**held, **changes}))
        return path

    kept = Kept.from_bytes(end.path.read_bytes())
    shares = {agency: one.decode() for agency, one in kept.shares.items()}
    prepares = [one.decode() for one in kept.prepares]
    with pytest.raises(SharesApart):
        readd(folder, altered(shares={agency: shares[agency] for agency in AGENCIES[1:]}))
    with pytest.raises(SharesApart):
        readd(folder, altered(shares={**shares, "police": shares["social"]}))
    with pytest.raises(SharesApart):
        readd(folder, altered(prepares=prepares[1:]))  # another roster than the shares are for
    with pytest.raises(RosterRefused):
        readd(folder, altered(prepares=[*prepares[1:], prepares[1]]))
    envelope = {**json.loads(shares["social"]), "signatures": json.loads(shares["police"])["signatures"]}
    with pytest.raises(SharesApart):
        readd(folder, altered(shares={**shares, "social": canonical_json(envelope).decode()}))
    query = {**json.loads(kept.query), "signatures": envelope["signatures"]}
    with pytest.raises(SignatureInvalid):
        readd(folder, altered(query=canonical_json(query).decode()))


async def test_results_become_tables_and_pictures(tmp_path: Path) -> None:
    async with studying(tmp_path) as (_, folder):
        study = Research(folder).table("referral", year=2025).group_by("source", "nfa").count()
        end = await beside(partial(study.run, rho=0.4))
    assert isinstance(end, Opened)

    rows = study.question.width
    frame, table = end.to_polars(), end.to_pandas()
    assert frame.columns == list(table.columns)
    assert (frame.height, len(table)) == (rows, rows)
    assert frame["suppressed"].sum() == sum(isinstance(cell, Suppressed) for cell in end.cells)
    html = end._repr_html_()
    assert html.count("<tr>") == rows + 1
    for words in ("suppressed", "95 % interval", "4 agencies", "epsilon", "budget left"):
        assert words in html
    axes = end.plot()
    assert len(axes.patches) == len(end.estimates) > 0
    assert len(axes.lines) > 0


async def test_the_command_shows_what_the_sdk_gives(tmp_path: Path) -> None:
    async with studying(tmp_path, floor_nrho=10**12) as (_, folder):
        asked = ("referral", "--year", "2025", "--where", "nfa=Y,N", "--by", "source")
        tables = await typed(folder, "tables")
        preview = await typed(folder, "preview", *asked, "--accuracy", "60", "--json")
        shown = await typed(folder, "query", *asked, "--accuracy", "60")
        query = await typed(folder, "query", *asked, "--rho", "0.1", "--json")
        dear = await typed(folder, "query", *asked, "--rho", "0.6")
        budget = await typed(folder, "budget", "--json")
        found = said(query)
        again = await typed(folder, "readd", str(folder / "studies" / f"{found['query_id']}.json"), "--json")
        wrong = await typed(folder, "query", *asked)

    assert tables.exit_code == 0, tables.output
    assert "hospital, police, schools" in " ".join(tables.stdout.split())
    assert preview.exit_code == 0, preview.output
    assert said(preview)["interval"] == pytest.approx(60, rel=0.02)
    assert shown.exit_code == 0, shown.output
    for words in ("estimate", "95 % interval", "suppressed", "4: hospital", "cost", "budget left", "epsilon"):
        assert words in shown.stdout
    assert found["outcome"] == "opened"
    assert {"query_id", "estimates", "interval", "rho", "epsilon", "budget_left", "agencies"} <= found.keys()
    assert said(again)["estimates"] == found["estimates"]
    assert dear.exit_code == 1
    assert "REFUSED" in dear.stdout
    assert "Nothing was charged" in dear.stdout
    assert "refused.budget" in dear.stdout
    assert said(budget)["budget_left"] == pytest.approx(found["budget_left"])
    assert wrong.exit_code == 2


async def test_a_failed_study_says_so_and_what_was_charged(tmp_path: Path) -> None:
    async with studying(tmp_path) as (made, folder):
        (made.folder / "social" / "referrals.csv").write_text("nothing of the kind\n")
        end = await beside(partial(Research(folder).table("referral", year=2025).count().run, rho=0.1))
        shown = await typed(folder, "query", "referral", "--year", "2025", "--rho", "0.1")

    assert isinstance(end, Failed)
    states = {one.agency: (one.state, one.code) for one in end.participants}
    assert states["social"][0] == "refused"
    assert states["police"] == ("shared", "")
    assert end.charge_nrho == pytest.approx(100_000_000, rel=1e-6)
    assert shown.exit_code == 1
    assert "FAILED" in shown.stdout
    assert "REFUSED" not in shown.stdout


async def test_who_is_not_listed_asks_nothing(tmp_path: Path) -> None:
    async with studying(tmp_path, researchers=research(["social"]).researchers) as (_, folder):
        asker = Research(folder)
        await beside(asker.refresh)
        with pytest.raises(ResearcherRefused):  # the agreement lists another key under this name
            _ = asker.project


async def test_no_more_is_paid_than_makes_an_answer_more_exact(tmp_path: Path) -> None:
    async with studying(tmp_path) as (_, folder):
        study = Research(folder).table("referral", year=2025).count()
        dear = await beside(partial(study.preview, rho=0.5))
        fair = await beside(partial(study.preview, rho=0.16))

    assert dear.price.rho == pytest.approx(
        0.5 / 3, rel=1e-3
    )  # a share's floor of 0.5, three that do not collude
    assert dear.price.interval == pytest.approx(fair.price.interval, rel=0.03)


async def test_a_gateway_that_shows_older_documents_is_refused(tmp_path: Path) -> None:
    async with studying(tmp_path) as (made, folder):
        asker = Research(folder)
        await beside(asker.refresh)
        older = Research(folder)
        assert made.gateway is not None
        directory = made.gateway.directory
        roster, agreement = directory._succession.envelope, directory._agreement
        part = asker.agreement.research
        assert part is not None
        agree(made.folder, replace(part, period_days=364))
        directory.refresh()
        await beside(asker.refresh)

        held = asker._documents
        with pytest.raises(RosterRollback):
            held.follow(roster, (), b"")
        with pytest.raises(AgreementRollback):
            held.follow(b"", (), agreement)
        assert older._documents.roster.version < held.roster.version
        assert Research(folder)._documents.roster.version == held.roster.version
        with pytest.raises(ProjectRefused):
            _ = Research(folder, project="another").project
