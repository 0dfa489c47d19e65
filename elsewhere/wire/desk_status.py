"""A refused question as it crosses the desk API: a gRPC status, the message, and our code in the trailers.

Sees:     messages of errors raised on purpose, which name fields and never hold a person.
Refuses:  to pass on the text of an accident: an incident number goes out, the text stays in the node's log.
Source:   docs/errors.md. Unlike the hop to the gateway, both ends of this one are one agency.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import grpc

from elsewhere.errors import (
    AskInvalid,
    CertificateInvalid,
    DeskBusy,
    DeskMalformed,
    DeskRefused,
    DeskUnreachable,
    ElsewhereError,
    GatewayUnreachable,
    LogUnavailable,
    NotActive,
    NotAdmitted,
    PersonMalformed,
    RosterExpired,
    StoreBusy,
    StoreUnavailable,
    TooManyKeys,
    UnknownWord,
)
from elsewhere.freshness import RosterStale
from elsewhere.identity import (
    ProviderUnreachable,
    RoleMissing,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
)
from elsewhere.noticing import NoticeGone
from elsewhere.reviewing import ReviewGone, ReviewInvalid
from elsewhere.secondlook import ReasonMissing, SamePerson, SecondLookGone, SecondLookOverdue

CODE_KEY: Final = "elsewhere-code"
INTERNAL: Final = "internal"
MAX_MESSAGE: Final = 1000
# What classes keep beside their message; ids and names of fields, nothing of a person.
_KEPT: Final = ("field", "agency", "state", "kind")
_WORD = re.compile(r"[A-Za-z0-9_.,-]{1,2000}")

# Errors that a caller can do something about: with which status they go out.
_STATUS: Final[dict[type[ElsewhereError], grpc.StatusCode]] = {
    AskInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    PersonMalformed: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownWord: grpc.StatusCode.INVALID_ARGUMENT,
    TooManyKeys: grpc.StatusCode.INVALID_ARGUMENT,
    NotActive: grpc.StatusCode.PERMISSION_DENIED,
    CertificateInvalid: grpc.StatusCode.UNAUTHENTICATED,
    TokenMissing: grpc.StatusCode.UNAUTHENTICATED,
    TokenInvalid: grpc.StatusCode.UNAUTHENTICATED,
    TokenExpired: grpc.StatusCode.UNAUTHENTICATED,
    RoleMissing: grpc.StatusCode.PERMISSION_DENIED,
    ProviderUnreachable: grpc.StatusCode.UNAVAILABLE,
    ReviewInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    ReviewGone: grpc.StatusCode.NOT_FOUND,
    NoticeGone: grpc.StatusCode.NOT_FOUND,
    ReasonMissing: grpc.StatusCode.INVALID_ARGUMENT,
    SecondLookOverdue: grpc.StatusCode.FAILED_PRECONDITION,
    SecondLookGone: grpc.StatusCode.NOT_FOUND,
    SamePerson: grpc.StatusCode.PERMISSION_DENIED,
    DeskBusy: grpc.StatusCode.RESOURCE_EXHAUSTED,
    NotAdmitted: grpc.StatusCode.FAILED_PRECONDITION,
    RosterExpired: grpc.StatusCode.FAILED_PRECONDITION,
    RosterStale: grpc.StatusCode.FAILED_PRECONDITION,
    GatewayUnreachable: grpc.StatusCode.UNAVAILABLE,
    LogUnavailable: grpc.StatusCode.UNAVAILABLE,
    StoreBusy: grpc.StatusCode.UNAVAILABLE,
    StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    DeskMalformed: grpc.StatusCode.INTERNAL,
}

Metadata = tuple[tuple[str, str], ...]
_Rebuild = Callable[[str, Mapping[str, str]], ElsewhereError]


def to_desk_status(error: ElsewhereError) -> tuple[grpc.StatusCode, str, Metadata]:
    """Give what a desk service ends a call with.

    Args:
        error: raised on purpose; its message must be fit to show the asker.

    Returns:
        The status, the message of at most 1,000 characters, and trailers: the code, and what the class keeps
        beside it (`field` of PersonMalformed, `agency` and `state` of NotActive, `kind` and `allowed` of
        UnknownWord).
    """
    status = _STATUS.get(type(error), grpc.StatusCode.UNKNOWN)
    kept = {name: getattr(error, name, None) for name in _KEPT}
    if isinstance(error, UnknownWord):
        kept["allowed"] = ",".join(error.allowed)
    words = ((name, word) for name, word in kept.items() if isinstance(word, str) and _WORD.fullmatch(word))
    trailers = tuple((f"elsewhere-{name}", word) for name, word in words)
    return status, str(error)[:MAX_MESSAGE], ((CODE_KEY, error.code), *trailers)


def internal_desk_status(incident: str) -> tuple[grpc.StatusCode, str, Metadata]:
    """Give what a call ends with after an accident: the number to quote, and nothing of what happened."""
    message = f"something went wrong in your agency's node; quote incident {incident} to its operator"
    return grpc.StatusCode.INTERNAL, message, ((CODE_KEY, INTERNAL),)


def from_desk_status(
    status: grpc.StatusCode, message: str | None, trailers: Iterable[tuple[str, str | bytes]] | None
) -> ElsewhereError:
    """Give the error that a call ended with, of the same class as the node raised where this library has it.

    Args:
        status, message, trailers: of the failed call, as gRPC gives them.

    Returns:
        An error to raise: DeskUnreachable where no node answered, DeskRefused for a code not known here.
    """
    found = {key: value for key, value in trailers or () if isinstance(value, str)}
    code, text = found.get(CODE_KEY), (message or "")[:MAX_MESSAGE]
    if code is None:
        return _without_code(status)
    rebuild = _REBUILD.get(code)
    if rebuild is not None:
        return rebuild(text, found)
    plain = _PLAIN.get(code)
    return plain(text) if plain is not None else DeskRefused(text, code=code[:64])


def _without_code(status: grpc.StatusCode) -> ElsewhereError:
    """An error of gRPC's own: no node, no node in time, or something that is no node."""
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeskUnreachable("expected an answer of your agency's node in time; it gave none. Ask again")
    if status is grpc.StatusCode.UNIMPLEMENTED:
        return DeskUnreachable("expected your agency's node there; something else answers")
    if status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return DeskUnreachable(
            "expected your agency's node to answer; none does. Start it with 'elsewhere node run --dir DIR', "
            "or check --node, or the certificate if it is on another machine"
        )
    return DeskRefused(f"your agency's node ended the call without a reason ({status.name.lower()})")


def _person_malformed(text: str, found: Mapping[str, str]) -> ElsewhereError:
    field = found.get("elsewhere-field", "person")
    return PersonMalformed(field, text.removeprefix(f"{field}: "))


def _not_active(_: str, found: Mapping[str, str]) -> ElsewhereError:
    return NotActive(found.get("elsewhere-agency", "this agency"), found.get("elsewhere-state", "unknown"))


def _unknown_word(_: str, found: Mapping[str, str]) -> ElsewhereError:
    return UnknownWord(found.get("elsewhere-kind", "word"), found.get("elsewhere-allowed", "").split(","))


_REBUILD: Final[dict[str, _Rebuild]] = {
    PersonMalformed.code: _person_malformed,
    NotActive.code: _not_active,
    UnknownWord.code: _unknown_word,
}
_PLAIN: Final[dict[str, Callable[[str], ElsewhereError]]] = {
    error.code: error for error in _STATUS if error.code not in _REBUILD
}
