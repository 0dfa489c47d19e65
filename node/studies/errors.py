"""Why a node takes no part in a study. The codes cross to the researcher; none depends on what data say."""

from __future__ import annotations

from elsewhere.errors import ElsewhereError


class BudgetSpent(ElsewhereError):
    """The query costs more than is left of a cap at this node. Nothing was charged; ask for less accuracy."""

    code = "refused.budget"

    def __init__(self, *, asked_nrho: int, left_nrho: int) -> None:
        super().__init__(f"the query costs rho {asked_nrho / 1e9:g}; {left_nrho / 1e9:g} is left")
        self.asked_nrho, self.left_nrho = asked_nrho, left_nrho


class QueryAnswered(ElsewhereError):
    """This very query was charged before. Whoever wants another answer asks with a new one."""

    code = "refused.replay"


class SecondRoster(ElsewhereError):
    """This query was answered for another roster. Whoever shows two is not to be trusted."""

    code = "refused.second_roster"


class NotPrepared(ElsewhereError):
    """The node has no key for this query: it was started again since, or never prepared. Ask anew."""

    code = "refused.unprepared"


class ClockWentBack(ElsewhereError):
    """The node's clock is behind its own ledger. Nothing is charged until its operator sets it."""

    code = "refused.clock"


class LedgerUnwritten(ElsewhereError):
    """The node could not make the charge durable, so no share left. Ask again once that is mended."""

    code = "refused.store"


class NotMapped(ElsewhereError):
    """This node does not hold the table, though the agreement says so. Its operator maps it."""

    code = "refused.table_unmapped"


class TableUnread(ElsewhereError):
    """This node could not read its table. What was charged before stands; nothing was charged for this."""

    code = "refused.table_unread"


class LocalVeto(ElsewhereError):
    """This agency's own policy takes no part in the project."""

    code = "refused.local"


class TooManyStudies(ElsewhereError):
    """The node has as many studies under way as it takes. Ask again later."""

    code = "refused.busy"


class SpenderUnknown(ElsewhereError):
    """Neither the agreement nor this node's ledger knows such a project, or such a person in it."""

    code = "budget.unknown"


class NotMember(ElsewhereError):
    """This agency is not an active member, or its roster is not current."""

    code = "refused.member"
