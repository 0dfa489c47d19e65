"""Who is at the desk: a person whom the agency's own sign-in names, with the roles that it gives them.

Sees:     an account's subject, inside its own agency only; it leaves as a pseudonym for each custodian.
Promises: no error here quotes a token, or anything that stood in one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from elsewhere.errors import ElsewhereError

MAX_SUBJECT = 200


class TokenMissing(ElsewhereError):
    """The desk takes questions of people who are signed in, and no token came. Sign in, and send one."""

    code = "token.missing"


class TokenInvalid(ElsewhereError):
    """The token is not one of the agency's own sign-in for this desk. The message says which check failed."""

    code = "token.invalid"


class TokenExpired(ElsewhereError):
    """The token was good and its time is over. Fetch a new one and ask again; nobody was asked."""

    code = "token.expired"


class ProviderUnreachable(ElsewhereError):
    """The sign-in's keys cannot be fetched, and those held are too old or lack the one that signed."""

    code = "provider.unreachable"


class RoleMissing(ElsewhereError):
    """The sign-in does not give this account a role that may do this. Nothing was done."""

    code = "role.missing"


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as a verified token names them."""

    subject: str = field(repr=False)
    roles: frozenset[str]  # of the vocabulary

    def __post_init__(self) -> None:
        if not 1 <= len(self.subject) <= MAX_SUBJECT or not self.subject.isprintable():
            raise TokenInvalid("expected a subject of 1 to 200 printable characters in the token")
