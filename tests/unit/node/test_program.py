"""One node a folder: a second one would take the desk's socket away with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.errors import NodeRunning
from node.program import _alone


def test_a_second_node_in_one_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with _alone(tmp_path), pytest.raises(NodeRunning), _alone(tmp_path):
        pass

    with _alone(tmp_path):
        pass
