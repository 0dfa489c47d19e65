"""Why a node adds nothing to a sum. The codes cross to the researcher; none depends on what data say."""

from __future__ import annotations

from elsewhere.errors import ElsewhereError


class RosterRefused(ElsewhereError):
    """The participants that a gateway shows are not those of the query, or one did not sign. Do not retry."""

    code = "refused.roster"


class TooFewTakePart(ElsewhereError):
    """Fewer take part than the agreement asks, or too few operators stay if some of them collude."""

    code = "refused.too_few"


class TooFewHold(ElsewhereError):
    """Fewer that hold the table take part than were agreed: the sum would be nearly one agency's own."""

    code = "refused.holders"


class SealRefused(ElsewhereError):
    """What another member sealed for this query is missing, altered or does not open. Ask a new query."""

    code = "refused.seal"


class SharesApart(ElsewhereError):
    """Shares are not all of one query, one roster and one length, or one is missing: there is no sum."""

    code = "study.shares"


class NoiseUnfit(ElsewhereError):
    """A value or a scale that the noise is not good for. Nothing was released."""

    code = "refused.noise"
