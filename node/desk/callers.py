"""Who calls at the desk, and what they may do: systems by their certificate, people by their sign-in's token.

Sees:     tokens on the way to being verified.
Refuses:  whoever sends no token where the desk asks for one; a name or role that the token does not give.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import Any, Final, Protocol

from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.asking import Ask
from elsewhere.clock import Clock
from elsewhere.errors import AskInvalid, ConfigInvalid
from elsewhere.identity import Identity, ProviderUnreachable, RoleMissing, TokenInvalid, TokenMissing
from elsewhere.wire.channel import HasAuthContext
from node.config import NodeConfig, OidcConfig
from node.desk.keyring import Lives, ProviderKeys
from node.desk.provider import Provider, split_url
from node.desk.tls import client_of
from node.desk.tokens import ALGORITHMS, Expected, Verifier

TOKEN_KEY: Final = "authorization"  # noqa: S105 - the name of a header
_SCHEME: Final = "bearer "


class Act(Enum):
    """What needs a role besides being signed in: which ones, as data."""

    REVIEW = ("reviewer",)
    NOTICES = ("reviewer", "safeguarding_lead", "emergency_desk")
    SECOND_LOOK = ("reviewer", "safeguarding_lead", "data_protection")
    READ_ANY_HISTORY = ("safeguarding_lead", "data_protection", "auditor")


class HasMetadata(HasAuthContext, Protocol):
    """The part of a servicer context that carries a token."""

    def invocation_metadata(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls; holding one proves that they may use the desk."""

    client: str  # the system: its certificate's common name, or "socket"
    identity: Identity | None  # None: the system names the person, and is believed

    def put(self, ask: Ask) -> Ask:
        """Give a question the name of whoever asks it.

        Raises:
            AskInvalid: it names somebody else than the token.
            RoleMissing: it names a role that the token does not give.
        """
        if self.identity is None:
            return ask
        if ask.asker not in ("", self.identity.subject):
            raise AskInvalid("asker: expected none beside a token, which names who asks; another is named")
        if ask.role not in self.identity.roles:
            raise RoleMissing(f"expected a role that your sign-in gives you ({self._roles()})")
        return replace(ask, asker=self.identity.subject)

    def name(self, stated: str) -> str:
        """Who acts: as the token says, else as the system does.

        Raises:
            AskInvalid: somebody else is named beside a token, or nobody without one.
        """
        if self.identity is not None and stated in ("", self.identity.subject):
            return self.identity.subject
        if self.identity is None and stated.strip():
            return stated
        raise AskInvalid(
            "expected who acts: the token's account alone, or, without a token, the account's name"
        )

    def check_may(self, act: Act) -> None:
        """Return only if their role allows an act, or the system answers for it; raises RoleMissing."""
        if self.identity is not None and not self.identity.roles & set(act.value):
            raise RoleMissing(f"expected one of the roles {', '.join(act.value)} (yours: {self._roles()})")

    def _roles(self) -> str:
        return ", ".join(sorted(self.identity.roles)) if self.identity and self.identity.roles else "none"


class Callers:
    """Tells who calls."""

    def __init__(self, verifier: Verifier | None, systems: Sequence[str], clock: Clock) -> None:
        """Prepare.

        Args:
            verifier: of tokens; None: every system names the person itself.
            systems: those that do so although there is one.
            clock: for what tokens say of time.
        """
        self._verifier, self._systems, self._clock = verifier, frozenset(systems), clock

    async def identify(self, context: HasMetadata) -> Caller:
        """Say who calls.

        Raises:
            CertificateInvalid: what the system showed is none.
            TokenMissing, TokenInvalid, TokenExpired, ProviderUnreachable: serve nothing.
        """
        client, shown = client_of(context), _token(context)
        if self._verifier is None:
            # Accepted unread it would look as if it had been checked.
            if shown is not None:
                raise TokenInvalid("expected no token: this desk knows no sign-in (desk.oidc in node.toml)")
            return Caller(client, None)
        if shown is None:
            if client in self._systems:
                return Caller(client, None)
            raise TokenMissing("expected a token of your agency's sign-in; none came. Sign in, and send it")
        return Caller(client, await self._verifier.verify(shown, self._clock()))


def make_callers(config: NodeConfig, clock: Clock) -> Callers:
    """Read and check what `[desk.oidc]` says.

    Raises:
        ConfigInvalid: the message names the key of node.toml.
    """
    oidc = config.desk.oidc
    if not oidc.issuer:
        return Callers(None, (), clock)
    try:
        split_url(oidc.issuer)
    except ProviderUnreachable:
        raise ConfigInvalid("desk.oidc.issuer: expected an https URL") from None
    if not oidc.audience:
        raise ConfigInvalid("desk.oidc.audience: expected the audience that tokens for this desk have")
    if not oidc.role_claim or not oidc.roles:
        raise ConfigInvalid("desk.oidc.roles: expected roles of the sign-in; without one nobody may ask")
    for name, allowed, found in (
        ("roles", vocabulary().roles, oidc.roles.values()),
        ("algorithms", ALGORITHMS, oidc.algorithms or [""]),
    ):
        if not set(found) <= set(allowed):
            raise ConfigInvalid(f"desk.oidc.{name}: expected some of {', '.join(allowed)}")
    expected = Expected(
        issuer=oidc.issuer,
        audience=oidc.audience,
        algorithms=tuple(oidc.algorithms),
        tolerance=timedelta(seconds=oidc.clock_tolerance_s),
        subject_claim=oidc.subject_claim,
        role_claim=tuple(oidc.role_claim),
        roles=dict(oidc.roles),
    )
    lives = Lives(timedelta(hours=oidc.keys_hours), timedelta(minutes=oidc.old_keys_minutes))
    provider = Provider(oidc.issuer, _tls(config, oidc))
    return Callers(Verifier(expected, ProviderKeys(provider.fetch, lives, clock)), oidc.systems, clock)


def _tls(config: NodeConfig, oidc: OidcConfig) -> ssl.SSLContext:
    """Trust of the sign-in's certificate: the CAs of a file of the agency's own, or the system's."""
    try:
        return ssl.create_default_context(cafile=str(config.dir / oidc.ca) if oidc.ca else None)
    except (OSError, ValueError):
        raise ConfigInvalid("desk.oidc.ca: expected a file of CA certificates in PEM") from None


def _token(context: HasMetadata) -> str | None:
    """The token that came, if one did; raises TokenInvalid for two, or for something else in its place."""
    found = [value for name, value in context.invocation_metadata() or () if name == TOKEN_KEY]
    if not found:
        return None
    if len(found) > 1 or not isinstance(found[0], str) or found[0][: len(_SCHEME)].lower() != _SCHEME:
        raise TokenInvalid("expected one bearer token")
    return found[0][len(_SCHEME) :].strip()
