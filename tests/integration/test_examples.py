"""The examples, run as they stand against real nodes: every estimate near the truth beside it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import runpy
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from elsewhere.agreement.document import agreement_from_toml
from elsewhere.demo.events import TABLES
from elsewhere.demo.population import region, views
from elsewhere.demo.tables import TableWriter, agreement_part, table_mapping
from elsewhere.research.estimate import Estimate
from elsewhere.sdk.researcher.ends import Opened
from tests import partnership
from tests.architecture.sources import ROOT
from tests.federation import federation
from tests.gateway_support import utc_now
from tests.studying import enrolled, ready

EXAMPLES = ROOT / "examples"
YEAR, SIZE = 2025, 3000


@asynccontextmanager
async def demonstration(folder: Path) -> AsyncIterator[None]:
    """What the demonstration has: four agencies with their tables, a researcher in the agreement."""
    with ExitStack() as files:
        writer = TableWriter(folder, seed=7, year=YEAR, files=files)
        for view in views(region(seed=7, size=SIZE, today=date(YEAR + 1, 3, 2))):
            writer.add(view)
    async with federation(folder) as made:
        for agency in TABLES:
            mapped = tomllib.loads(table_mapping(agency))["research"]["tables"]
            made.join(agency, [], research={"tables": mapped, "tick_ms": 10})
        about = await asyncio.to_thread(partial(enrolled, made, folder / "ana"))
        entry = f"[[research.researchers]]\n{tomli_w.dumps(about.entry.to_json())}"
        path = folder / "gw" / "agreement.toml"
        path.write_text(path.read_text("utf-8") + agreement_part(entry, utc_now().date()))
        assert agreement_from_toml(path.read_text("utf-8")).research is not None
        partnership.resign(folder / "gw", now=utc_now())
        await made.start(*TABLES)
        await ready(made)
        yield


@pytest.fixture
def _beside_truth(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both examples stand in a folder with the module that counts the truth."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    sys.modules.pop("truth", None)


def check_near(answer: Opened, true: Mapping[tuple[str, ...], int]) -> None:
    """Each estimate within six standard deviations: all cells but once in a million runs."""
    for cell in answer.cells:
        if isinstance(cell, Estimate):
            assert abs(cell.value - true[cell.keys]) < 3 * answer.price.interval, cell
        else:
            assert true[cell.keys] < 10 + 3 * answer.price.interval, cell
    assert answer.estimates
    assert max(true.values()) > answer.price.interval


@pytest.mark.usefixtures("_beside_truth")
async def test_script_and_notebook_answer_five_questions_with_the_truth_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELSEWHERE_DEMO", str(tmp_path))
    monkeypatch.setenv("ELSEWHERE_YEAR", str(YEAR))
    async with demonstration(tmp_path):
        script = runpy.run_path(str(EXAMPLES / "five_questions.py"))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            answers = await asyncio.to_thread(partial(script["main"], tmp_path, YEAR))
        space = await asyncio.to_thread(run_notebook)

    assert len(answers) == 5
    assert printed.getvalue().count("truth") >= 5
    assert "budget left" in printed.getvalue()
    for answer, true in answers:
        check_near(answer, true)
    assert [answer.question for answer, _ in answers] == [one.question for one in space["results"].values()]
    for number, result in space["results"].items():
        check_near(result, answers[number - 1][1])


def run_notebook() -> dict[str, Any]:
    """Run a notebook's cells in their order, in one namespace."""
    space: dict[str, Any] = {}
    cells = json.loads((EXAMPLES / "five_questions.ipynb").read_text("utf-8"))["cells"]
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), space)
    return space


def test_the_notebook_is_kept_without_what_a_run_left_in_it() -> None:
    notebook = json.loads((EXAMPLES / "five_questions.ipynb").read_text("utf-8"))

    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 4)
    for cell in notebook["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
