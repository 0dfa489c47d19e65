"""What a version of one's own catalogue holds of all that was loaded, also after a commit that was unsure."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from elsewhere.errors import LogUnavailable
from node.catalogues.own import OwnCatalogue, OwnState
from node.store.exchange import published
from node.store.writer import Writer
from tests.unit.node.exchange_world import DELTA_TAGS, Agency, make_agencies, numbers


@pytest.fixture
def police(tmp_path: Path) -> Iterator[Agency]:
    agency = make_agencies(tmp_path)["police"]
    agency.start()
    yield agency
    agency.stop()


def state_of(own: OwnCatalogue) -> OwnState:
    assert own.state is not None
    return own.state


def stated_load(agency: Agency) -> int:
    with agency.store.read() as conn:
        return int(conn.execute(select(published.c.stated_load)).scalar_one())


@pytest.mark.parametrize("is_there", [True, False])
def test_after_a_commit_of_which_nobody_knows_it_goes_on_from_what_is_there(
    police: Agency, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    own = police.opened()
    own.step()
    submit, lost = Writer.submit, [True]

    def unsure(writer: Writer, change: Any) -> Future[Any]:
        if not lost:
            return submit(writer, change)
        lost.clear()
        if is_there:
            submit(writer, change).result()
        failed: Future[Any] = Future()
        failed.set_exception(LogUnavailable("the server was lost while it committed"))
        return failed

    monkeypatch.setattr(Writer, "submit", unsure)
    police.add_tags(numbers(5, 2))
    with pytest.raises(LogUnavailable):
        own.step()
    own.step()
    own.step()

    assert state_of(own).newest.version == 3 + is_there
    assert all(state_of(own).catalogue.contains_each(numbers(5, 2)))


def test_what_a_version_covers_is_told_once_it_is_stated(police: Agency) -> None:
    own = police.opened()
    police.add_tags(numbers(3 * DELTA_TAGS, 2))
    own.step()  # a snapshot, with all of it
    police.add_tags(numbers(2 * DELTA_TAGS, 3))
    loads = [stated_load(police)]
    for _ in range(3):
        own.note_stated(state_of(own).pieces[-1].head)
        loads.append(stated_load(police))
        own.step()
    own.note_stated(state_of(own).pieces[-1].head)
    loads.append(stated_load(police))

    assert loads == [0, 1, 1, 2, 2], "a version that leaves tags behind covers no more than the one before"
