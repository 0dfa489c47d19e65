"""Tokens of the agency's own sign-in: is this one of ours, for this desk, good now, and who is it?

Sees:     tokens and what they claim; nothing of that is kept, logged or put into a message.
Refuses:  algorithms that are not agreed on (none and shared secrets never are), keys a token brings itself,
          another issuer's or audience's tokens, times out of bounds, extensions that it does not know.
Source:   RFC 7519 §7.2; RFC 8725 §3; OpenID Connect Core 1.0 §3.1.3.7.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jws
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jws import CompactSignature, JWSRegistry
from joserfc.jwt import JWTClaimsRegistry

from elsewhere.identity import Identity, TokenExpired, TokenInvalid
from node.desk.keyring import ProviderKeys
from node.desk.provider import MAX_KID, PublicKey

MAX_TOKEN_BYTES: Final = 12 * 1024
MAX_ROLES: Final = 1000
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_TYPES: Final = ("jwt", "at+jwt", "application/at+jwt")


class _Registry(JWSRegistry):
    """The library's, with bounds that fit: a certificate chain in the header is longer than its own."""

    max_header_length = 4096
    max_payload_length = MAX_TOKEN_BYTES


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to say."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    tolerance: timedelta  # between the sign-in's clock and this one
    subject_claim: str
    role_claim: tuple[str, ...]  # names from the outside in
    roles: Mapping[str, str]  # theirs -> ours


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verifies tokens of one provider."""

    expected: Expected
    keys: ProviderKeys

    async def verify(self, token: str, now: datetime) -> Identity:
        """Say whom a token is about.

        Raises:
            TokenInvalid, TokenExpired, ProviderUnreachable: serve nothing.
        """
        shown = open_token(token, self.expected.algorithms)
        key = await self.keys.find(key_id(shown))
        return identity_in(shown, key, self.expected, now)


def open_token(token: str, algorithms: Iterable[str]) -> CompactSignature:
    """Take a token apart. Nothing in it is to be believed yet.

    Raises:
        TokenInvalid: too long, not a signed token, or signed in a way that is not allowed here.
    """
    if len(token) > MAX_TOKEN_BYTES:
        raise TokenInvalid(f"expected a token of at most {MAX_TOKEN_BYTES} bytes; it has more")
    try:
        shown = jws.extract_compact(token.encode("ascii"), registry=_registry(algorithms))
        header = shown.headers()
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise TokenInvalid("expected a signed JSON Web Token in its compact form; it is none") from None
    if not isinstance(header, dict) or header.keys() & {"crit", "b64"}:
        raise TokenInvalid("expected a token without extensions; it demands one")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise TokenInvalid("expected an ID token or access token; it is of another type")
    # RFC 8725 §3.1: the token's own word on its algorithm picks from our list and adds nothing to it.
    if header.get("alg") not in tuple(algorithms):
        raise TokenInvalid(
            "expected an algorithm that desk.oidc.algorithms allows; it is signed with another"
        )
    return shown


def key_id(shown: CompactSignature) -> str:
    """Which key a token says that it was signed with; "" if it says none. Raises TokenInvalid."""
    kid = shown.headers().get("kid", "")
    if not isinstance(kid, str) or len(kid) > MAX_KID:
        raise TokenInvalid(f"expected a key id of at most {MAX_KID} characters in the token")
    return kid


def identity_in(shown: CompactSignature, key: PublicKey, expected: Expected, now: datetime) -> Identity:
    """Check signature and claims, and give whom they name.

    Args:
        shown: from `open_token`.
        key: of the provider, never of the token.
        expected: what it has to say.
        now: aware time.

    Raises:
        TokenInvalid: the signature or a claim does not hold.
        TokenExpired: everything else holds.
    """
    try:
        is_signed = jws.validate_compact(shown, key, registry=_registry(expected.algorithms))
    except (JoseError, ValueError, TypeError):
        is_signed = False
    if not is_signed:
        raise TokenInvalid("expected a signature of your agency's sign-in; it does not verify")
    return claims_to_identity(shown.payload, expected, now)


def claims_to_identity(payload: bytes, expected: Expected, now: datetime) -> Identity:
    """Check claims whose signature holds, and give whom they name; raises as `identity_in` does."""
    claims = _claims(payload)
    _check_claims(claims, expected, now)
    subject = claims.get(expected.subject_claim)
    if not isinstance(subject, str):
        raise TokenInvalid("expected a text in the claim that desk.oidc.subject_claim names")
    return Identity(subject, roles_in(claims, expected))


def roles_in(claims: Mapping[str, Any], expected: Expected) -> frozenset[str]:
    """Our roles for those that a token lists; others in it mean nothing here."""
    found: object = claims
    for name in expected.role_claim:
        found = found.get(name) if isinstance(found, Mapping) else None
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list):
        return frozenset()
    theirs = (role for role in listed[:MAX_ROLES] if isinstance(role, str))
    return frozenset(expected.roles[role] for role in theirs if role in expected.roles)


def _check_claims(claims: dict[str, Any], expected: Expected, now: datetime) -> None:
    """Return only if the token is of this issuer, for this desk, and good now."""
    registry = JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=int(expected.tolerance.total_seconds()),
        iss={"essential": True, "value": expected.issuer},
        aud={"essential": True, "value": expected.audience},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
    )
    # Expiry last: who is told to fetch a new token has one that is right in all else.
    late = {"exp": claims.get("exp")}
    try:
        registry.validate({**{name: value for name, value in claims.items() if name != "exp"}, **late})
    except ExpiredTokenError:
        raise TokenExpired("expected a token that is good now; its time is over. Sign in again") from None
    except (MissingClaimError, InvalidClaimError) as err:
        raise TokenInvalid(f"expected a token for this desk, good now; {_fault(err)}") from None
    except (JoseError, ValueError, TypeError, OverflowError):
        raise TokenInvalid("expected a token whose claims are of the right kind; one is not") from None


def _fault(err: MissingClaimError | InvalidClaimError) -> str:
    """Which claim is wrong, by its registered name: the library's own text could quote more."""
    names = [name for name in ("iss", "aud", "exp", "iat", "nbf", "sub") if name in err.claim.split(",")]
    what = ", ".join(names) or "of another kind"
    return f"it lacks {what}" if isinstance(err, MissingClaimError) else f"its {what} does not fit"


def _claims(payload: bytes) -> dict[str, Any]:
    try:
        found = json.loads(payload, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise TokenInvalid("expected claims in the token, each once; there are none")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which nothing is said twice: two readers could take two things from it."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _registry(algorithms: Iterable[str]) -> JWSRegistry:
    return _Registry(algorithms=tuple(algorithms), strict_check_header=False)
