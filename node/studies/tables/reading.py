"""This agency's tables: which are mapped, and exact counts over them.

Promises: no error quotes a cell. What children have several ids is this node's own finding: the groups of its
          caseload.
"""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy import func, select

from elsewhere.research.question import Question
from node.caseload.index import current_load
from node.store.caseload import member, record, source
from node.store.engine import Store
from node.studies.errors import NotMapped, TableUnread
from node.studies.tables.counting import count
from node.studies.tables.engines import Within, open_table, sweep
from node.studies.tables.reasons import why_unread
from node.studies.tables.sections import ResearchSection

_log = structlog.get_logger(__name__)


class Tables:
    """Reads. Blocks; any thread."""

    def __init__(self, section: ResearchSection, folder: Path, store: Store) -> None:
        self._section, self._folder, self._store = section, folder, store
        self._loaded = frozenset[str]()  # sources of the caseload, as far as they were looked for
        sweep(folder)

    def holds(self, question: Question) -> bool:
        """Whether the table and every column that a question names are mapped, and its children are known.

        A caseload that was never loaded would let two ids of one child count as two children, unseen.
        """
        section = self._section.tables.get(question.table)
        named = {*question.by, *(name for name, _ in question.where), question.metric.column} - {""}
        if section is None or not named <= set(section.columns):
            return False
        if section.caseload and section.caseload not in self._loaded:
            self._loaded = loaded_sources(self._store)
        return not section.caseload or section.caseload in self._loaded

    def vector(self, question: Question) -> list[int]:
        """Count exactly.

        Raises:
            NotMapped: the table, or a column that the question names, is not mapped.
            TableUnread: it cannot be read now.
        """
        if not self.holds(question):
            raise NotMapped("expected a mapping of the table and of every column that is asked about")
        section = self._section.tables[question.table]
        try:
            merged = self._merged(section.caseload)
            with open_table(section, within(self._section, self._folder), merged) as opened:
                return count(opened, section, question)
        except Exception as err:
            # Engines and drivers quote cells in their errors.
            _log.error("table.unread", table=question.table, why=why_unread(err))
            raise TableUnread("expected to read the table; its engine does not") from None

    def _merged(self, of: str) -> list[tuple[str, int]] | None:
        """The ids of one source that mean a child who has more than one there, with the child's number."""
        if not of:
            return None
        with self._store.read() as connection:
            newest = current_load(connection)
            ours = (member.c.load_id == newest, member.c.record_id == record.c.id, record.c.source == of)
            many = (
                select(member.c.group_id)
                .where(*ours)
                .group_by(member.c.group_id)
                .having(func.count(record.c.person_ref.distinct()) > 1)
                .correlate(None)  # the same tables are outside: it looks at all rows of its own
            )
            found = select(record.c.person_ref, member.c.group_id).where(*ours, member.c.group_id.in_(many))
            return [(own, int(group)) for own, group in connection.execute(found.distinct())]


def loaded_sources(store: Store) -> frozenset[str]:
    """The sources of this node's caseload."""
    with store.read() as connection:
        return frozenset(connection.execute(select(source.c.name)).scalars())


def within(section: ResearchSection, folder: Path) -> Within:
    """What reading one of a node's tables may take."""
    return Within(folder, section.memory_mb, section.count_s)
