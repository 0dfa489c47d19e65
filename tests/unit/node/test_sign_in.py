"""Tokens of an agency's sign-in, with a real provider: what is believed, and what never is."""

from __future__ import annotations

import base64
import hmac
import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from joserfc import jws
from joserfc.jwk import ECKey

from elsewhere.errors import ConfigInvalid, ElsewhereError
from elsewhere.identity import ProviderUnreachable, TokenExpired, TokenInvalid
from node.config import load_config
from node.desk.callers import make_callers
from node.desk.keyring import Lives, ProviderKeys
from node.desk.provider import MAX_DOCUMENT_BYTES, Provider, parse_keys
from node.desk.tokens import MAX_TOKEN_BYTES, Expected, Verifier
from tests.sign_in import AUDIENCE, SUBJECT, SignIn, sign_in, signing_key


@dataclass
class World:
    """A sign-in, and a desk that knows it, whose clock the test moves."""

    said: SignIn
    folder: Path
    moved: timedelta = timedelta(0)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        tls = ssl.create_default_context(cafile=str(self.folder / "sign-in.pem"))
        provider = Provider(self.said.issuer, tls)
        lives = Lives(unconfirmed=timedelta(hours=1), unlisted=timedelta(minutes=10))
        self.keys = ProviderKeys(provider.fetch, lives, self.clock)
        expected = Expected(
            issuer=self.said.issuer,
            audience=AUDIENCE,
            algorithms=("RS256", "PS256", "ES256"),
            tolerance=timedelta(seconds=60),
            subject_claim="sub",
            role_claim=("realm_access", "roles"),
            roles={"Social-Worker": "practitioner", "Lead": "safeguarding_lead"},
        )
        self.verifier = Verifier(expected, self.keys)

    def clock(self) -> datetime:
        return self.at + self.moved

    async def refusal(self, token: str) -> ElsewhereError:
        with pytest.raises(ElsewhereError) as refused:
            await self.verifier.verify(token, self.clock())
        message = str(refused.value)
        assert not any(len(part) > 9 and part in message for part in (SUBJECT, *token.split(".")))
        assert "Social-Worker" not in message
        return refused.value


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SignIn, Path]]:
    folder = tmp_path_factory.mktemp("sign-in")
    with sign_in(folder) as said:
        yield said, folder


@pytest.fixture
def world(served: tuple[SignIn, Path]) -> World:
    said, folder = served
    fresh = SignIn(0)
    said.__dict__.update({**fresh.__dict__, "issuer": said.issuer})
    return World(said, folder)


@pytest.mark.parametrize("kind", ["EC", "RSA"])
async def test_a_good_token_names_its_subject_and_our_roles_alone(world: World, kind: str) -> None:
    key = signing_key(f"of-{kind}", kind)
    world.said.keys = [key]

    found = await world.verifier.verify(world.said.token(key, aud=["another", AUDIENCE]), world.clock())

    assert (found.subject, found.roles) == (SUBJECT, frozenset({"practitioner"}))
    assert SUBJECT not in repr(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example/tenant"},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": None},
        {"sub": None},
        {"sub": 7},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "x" * 201},
    ],
)
async def test_a_claim_that_is_missing_or_of_another_desk_is_refused(
    world: World, changes: dict[str, Any]
) -> None:
    assert (await world.refusal(world.said.token(**changes))).code == "token.invalid"


@pytest.mark.parametrize(
    ("claim", "by_s", "kind"),
    [
        ("exp", -59, None),
        ("exp", -61, TokenExpired),
        ("nbf", 59, None),
        ("nbf", 61, TokenInvalid),
        ("iat", 59, None),
        ("iat", 61, TokenInvalid),
    ],
)
async def test_clocks_may_differ_by_the_tolerance_and_no_more(
    world: World, claim: str, by_s: int, kind: type[ElsewhereError] | None
) -> None:
    times: dict[str, Any] = {claim: int(world.at.timestamp()) + by_s}
    token = world.said.token(**times)

    if kind is None:
        assert (await world.verifier.verify(token, world.clock())).subject == SUBJECT
    else:
        assert type(await world.refusal(token)) is kind


async def test_a_token_of_another_signer_with_the_same_key_id_is_refused(world: World) -> None:
    other = ECKey.generate_key("P-256", {"kid": "first"})

    assert "signature" in str(await world.refusal(world.said.token(other)))


async def test_the_public_key_is_no_shared_secret(world: World) -> None:
    """The oldest trick: sign by HMAC with what everybody can fetch, and call it HS256."""
    key = signing_key("of-RSA", "RSA")
    world.said.keys = [key]
    token = unsigned(world.said, alg="HS256", kid="of-RSA")
    mac = hmac.digest(key.as_pem(private=False), token[:-1].encode(), "sha256")
    token += base64.urlsafe_b64encode(mac).decode().rstrip("=")

    assert "algorithm" in str(await world.refusal(token))


def unsigned(said: SignIn, **header: Any) -> str:
    parts = ({"alg": "none", "kid": "first", **header}, said.claims())
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts) + "."
    )


async def test_an_unsigned_token_is_refused(world: World) -> None:
    for algorithm in ("none", "None", "", 7, ["ES256"], None):
        assert (await world.refusal(unsigned(world.said, alg=algorithm))).code == "token.invalid"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256"},  # with the key of ES256
        {"alg": "ES384"},
        {"crit": ["exp"], "exp": 1},
        {"b64": False, "crit": ["b64"]},
        {"typ": "logout+jwt"},
        {"typ": 7},
        {"kid": 7},
        {"kid": "x" * 257},
    ],
)
async def test_a_header_that_asks_for_something_else_is_refused(world: World, header: dict[str, Any]) -> None:
    head, payload, signature = world.said.token().split(".")
    told = json.loads(base64.urlsafe_b64decode(head + "=="))
    head = base64.urlsafe_b64encode(json.dumps(told | header).encode()).decode().rstrip("=")

    assert (await world.refusal(f"{head}.{payload}.{signature}")).code == "token.invalid"


async def test_a_key_that_a_token_brings_itself_is_not_used(world: World) -> None:
    own = ECKey.generate_key("P-256")
    public = own.as_dict(private=False)
    token = world.said.token(own, {"jwk": public, "kid": "first", "jku": world.said.issuer})

    assert "signature" in str(await world.refusal(token))


async def test_a_claim_said_twice_is_refused(world: World) -> None:
    payload = json.dumps(world.said.claims())[:-1] + ', "sub": "another"}'
    token = jws.serialize_compact({"alg": "ES256", "kid": "first"}, payload, world.said.keys[0])

    assert (await world.refusal(token)).code == "token.invalid"


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", "x" * (MAX_TOKEN_BYTES + 1), "a.b.c.d.e"])
async def test_what_is_no_token_is_refused_before_anything_is_fetched(world: World, token: str) -> None:
    assert (await world.refusal(token)).code == "token.invalid"
    assert world.said.fetched == 0


async def test_keys_that_change_while_the_desk_runs_are_fetched_at_the_first_token(world: World) -> None:
    await world.verifier.verify(world.said.token(), world.clock())
    first, second = world.said.keys[0], signing_key("second")
    world.said.keys = [second]
    world.moved = timedelta(seconds=11)

    assert (await world.verifier.verify(world.said.token(second), world.clock())).subject == SUBJECT
    # Whoever was signed in by the old key stays so for a while, and no longer.
    await world.verifier.verify(world.said.token(first), world.clock())
    world.moved += timedelta(minutes=11)
    assert (await world.refusal(world.said.token(first, exp=int(world.clock().timestamp()) + 9))).code in (
        "token.invalid",
        "provider.unreachable",
    )
    assert world.said.fetched >= 2


async def test_made_up_key_ids_cost_the_sign_in_one_fetch_in_ten_seconds(world: World) -> None:
    await world.verifier.verify(world.said.token(), world.clock())
    world.moved = timedelta(seconds=11)

    for number in range(20):
        token = world.said.token(header={"kid": f"made-up-{number}"})
        assert "another key" in str(await world.refusal(token))

    assert world.said.fetched == 2


async def test_a_token_without_a_key_id_needs_a_provider_of_one_key(world: World) -> None:
    key = world.said.keys[0]
    token = world.said.token(key)
    _, payload, _ = token.split(".")
    bare = jws.serialize_compact({"alg": "ES256"}, base64.urlsafe_b64decode(payload + "=="), key)
    assert (await world.verifier.verify(bare, world.clock())).subject == SUBJECT

    world.said.keys = [key, signing_key("second")]
    world.moved = timedelta(seconds=11)
    await world.refusal(world.said.token(header={"kid": "made-up"}))
    assert (await world.refusal(bare)).code == "token.invalid"


async def test_held_keys_serve_for_a_while_without_the_provider_then_everybody_is_refused(
    world: World,
) -> None:
    await world.verifier.verify(world.said.token(), world.clock())
    world.said.status = 503

    world.moved = timedelta(minutes=59)
    long = world.said.token(exp=int(world.at.timestamp()) + 90_000)
    assert (await world.verifier.verify(long, world.clock())).subject == SUBJECT
    world.moved = timedelta(minutes=61)
    assert isinstance(await world.refusal(long), ProviderUnreachable)
    world.said.status = 200
    world.moved += timedelta(seconds=11)
    assert (await world.verifier.verify(long, world.clock())).subject == SUBJECT


async def test_a_new_key_while_the_provider_is_away_is_not_called_wrong(world: World) -> None:
    await world.verifier.verify(world.said.token(), world.clock())
    world.said.status = 503
    world.moved = timedelta(seconds=11)

    assert isinstance(await world.refusal(world.said.token(signing_key("second"))), ProviderUnreachable)


@pytest.mark.parametrize(
    "change",
    [
        {"discovery": {"issuer": "https://127.0.0.1/another"}},
        {"discovery": {"jwks_uri": "http://127.0.0.1/keys"}},
        {"discovery": {"jwks_uri": None}},
        {"status": 302, "location": "https://127.0.0.1/keys"},
        {"status": 404},
        {"body": b"no json"},
        {"body": b"[" * 100_000},
        {"body": b"{}" + b" " * MAX_DOCUMENT_BYTES},
        {"listed": [{"kty": "oct", "k": "AAAA", "kid": "first"}]},
    ],
)
async def test_a_provider_that_says_something_else_is_not_believed(
    world: World, change: dict[str, Any]
) -> None:
    world.said.__dict__.update(change)

    assert isinstance(await world.refusal(world.said.token()), ProviderUnreachable)


async def test_a_provider_of_another_ca_is_not_believed(world: World) -> None:
    provider = Provider(world.said.issuer, ssl.create_default_context())

    with pytest.raises(ProviderUnreachable, match="certificate"):
        provider.fetch()


def test_who_accepts_and_says_nothing_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.desk.provider.STEP_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        provider = Provider(f"https://127.0.0.1:{silent.getsockname()[1]}", ssl.create_default_context())
        with pytest.raises(ProviderUnreachable):
            provider.fetch()


def test_only_public_signature_keys_of_a_size_that_holds_are_taken() -> None:
    good = signing_key("first").as_dict(private=False)
    small = {"kty": "RSA", "kid": "small", "e": "AQAB", "n": "x" * 170}  # of 1,020 bits
    given_away = signing_key("second").as_dict(private=True)
    other_use = {**signing_key("third").as_dict(private=False), "use": "enc"}
    odd = [7, {}, {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "OKP"}]

    found = parse_keys(json.dumps({"keys": [good, small, given_away, other_use, *odd]}).encode())

    assert list(found) == ["first"]


def test_two_keys_of_one_id_are_refused() -> None:
    one, two = (ECKey.generate_key("P-256", {"kid": "same"}).as_dict(private=False) for _ in range(2))

    with pytest.raises(ProviderUnreachable, match="id of its own"):
        parse_keys(json.dumps({"keys": [one, two]}).encode())


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"issuer": "http://sign-in.example"}, "issuer"),
        ({"audience": ""}, "audience"),
        ({"roles": {}}, "roles"),
        ({"roles": {"Social-Worker": "king"}}, "roles"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"ca": "none.pem"}, "ca"),
    ],
)
def test_settings_that_cannot_be_meant_stop_the_start(
    world: World, tmp_path: Path, change: dict[str, Any], key: str
) -> None:
    oidc = {**world.said.settings(world.folder), **change}
    settings = {"agency": "social", "name": "Social care", "desk": {"oidc": oidc}}
    (tmp_path / "node.toml").write_text(tomli_w.dumps(settings))

    with pytest.raises(ConfigInvalid, match=rf"^desk\.oidc\.{key}: "):
        make_callers(load_config(tmp_path), lambda: datetime.now(UTC))
