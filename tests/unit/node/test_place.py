"""One process of a name: a second one would take the desk's socket away with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from elsewhere.errors import ConfigInvalid
from node.errors import NodeRunning
from node.processes.place import Place, other_places


@pytest.mark.parametrize("name", ["main", "second"])
def test_a_second_process_of_a_name_is_refused_until_the_first_has_ended(tmp_path: Path, name: str) -> None:
    with Place(tmp_path, name).alone(), pytest.raises(NodeRunning), Place(tmp_path, name).alone():
        pass

    with Place(tmp_path, name).alone():
        pass


def test_processes_of_different_names_run_beside_each_other(tmp_path: Path) -> None:
    first, second, third = (Place(tmp_path, name) for name in ("main", "b", "c"))

    with first.alone(), second.alone(), third.alone():
        assert other_places(tmp_path) == [second, third]

    assert len({place.desk_socket for place in (first, second, third)}) == 3
    assert first.desk_socket == tmp_path / "desk.sock"
    assert second.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["", "Main", "../up", "a/b", "1st", "a" * 33, "a.b"])
def test_a_name_that_is_no_plain_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigInvalid):
        Place(tmp_path, name)
