"""Why a query is not asked or not answered. The codes cross to the researcher; none depends on any data."""

from __future__ import annotations

from elsewhere.errors import ElsewhereError


class QuestionInvalid(ElsewhereError):
    """The question is not one that the dictionary offers. Correct what is named; nothing was asked."""

    code = "question.invalid"

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key, self.reason = key, reason


class AgreementRefused(ElsewhereError):
    """The agreement in force is another than the query names, has no research in it, or has run out."""

    code = "refused.agreement"


class RosterChanged(ElsewhereError):
    """The roster in force is another than the query names. Fetch the new one and ask again."""

    code = "refused.roster_version"


class ProjectRefused(ElsewhereError):
    """The agreement has no such project, or it is closed. Its stewards decide about that."""

    code = "refused.project"


class ResearcherRefused(ElsewhereError):
    """Not signed by a person of the project. Its stewards list people in the agreement."""

    code = "refused.researcher"


class TableRefused(ElsewhereError):
    """The project may not ask this table, or nobody holds it."""

    code = "refused.table"


class TermsRefused(ElsewhereError):
    """A term of the query is not what dictionary and agreement make it: a mistake, or a lie."""

    code = "refused.terms"

    def __init__(self, term: str) -> None:
        super().__init__(f"expected {term} as dictionary and agreement make it; the query states another")
        self.term = term


class QueryExpired(ElsewhereError):
    """The query has run out, or is good for too long. Ask again."""

    code = "refused.expired"


class ChargeTooSmall(ElsewhereError):
    """The query would cost next to nothing. Ask more exactly; nothing was charged."""

    code = "refused.charge"

    def __init__(self, asked_nrho: int, least_nrho: int) -> None:
        super().__init__(
            f"expected a query that costs rho {least_nrho / 1e9:g} at least, which is the floor; this one"
            f" costs {asked_nrho / 1e9:g}. Ask more exactly"
        )
        self.asked_nrho, self.least_nrho = asked_nrho, least_nrho
