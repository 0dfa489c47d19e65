"""What can be wrong with a proposal once it comes back signed."""

from __future__ import annotations

from elsewhere.errors import ElsewhereError


class ProposalStale(ElsewhereError):
    """The roster moved on since the proposal was made. Propose again; its signatures are of no more use."""

    code = "proposal.stale"


class TooFewSigned(ElsewhereError):
    """Fewer stewards than the quorum have signed. Nothing was changed; give all signatures at once."""

    code = "proposal.too_few"


class WouldUnbind(ElsewhereError):
    """Agencies that are bound by the agreement would not be any more. Nothing was changed."""

    code = "proposal.unbinds"


class SignedTwice(ElsewhereError):
    """Two of the signatures are by one steward, who counts once. Nothing was changed."""

    code = "proposal.signed_twice"
