"""What an operator sets for one node: `node.toml`, read once at start.

Refuses:  unknown keys and values out of range, naming the key; secrets are never in it, only their folder.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import Field

from elsewhere.agreement.local import LocalPolicy
from elsewhere.clock import CLOCK_TOLERANCE
from elsewhere.errors import ConfigInvalid, DocumentInvalid
from elsewhere.fields import Fields
from elsewhere.settings import Section, StoreSection, read_settings
from node.keys.stating import Schedule
from node.studies.tables.sections import ResearchSection

FILE_NAME = "node.toml"
_CLOCK_TOLERANCE_S = int(CLOCK_TOLERANCE.total_seconds())


class CatalogueConfig(Section):
    """How this node publishes its catalogue, and holds those of others."""

    tick_s: float = Field(default=60, ge=0.05, le=3600, description="seconds between published deltas")
    delta_tags: int = Field(
        default=64, ge=16, le=4096, description="short tags in each delta, padding included"
    )
    max_held_mb: int = Field(
        default=2048, ge=1, le=1_048_576, description="memory for the catalogues of all other agencies"
    )


class LookupConfig(Section):
    """How this node asks and answers."""

    deadline_ms: int = Field(default=3000, ge=100, le=30_000, description="for a whole lookup")
    redeem_tick_ms: int = Field(
        default=25, ge=0, le=1000, description="second-round replies leave a multiple of it after arrival"
    )
    clock_tolerance_s: int = Field(
        default=_CLOCK_TOLERANCE_S,
        ge=1,
        le=_CLOCK_TOLERANCE_S,
        description="oldest or newest question accepted",
    )
    in_flight: int = Field(default=4, ge=1, le=64, description="own lookups at once; more wait their turn")
    retry_s: float = Field(
        default=30, ge=0.05, le=900, description="until an unreachable agency is asked again"
    )
    review_s: float = Field(
        default=120, ge=60, le=900, description="until an agency where a person decides is asked again"
    )
    workers: int = Field(default=0, ge=0, le=256, description="crypto threads; 0: one a core")
    others_per_s: float = Field(
        default=20, ge=0.1, le=10_000, description="questions a second of one other agency; more are dropped"
    )
    others_burst: int = Field(
        default=64, ge=1, le=10_000, description="questions of one other agency at once, before that counts"
    )
    others_in_all: int = Field(
        default=4,
        ge=2,
        le=1000,
        description="times its agreed limit: new questions of one other agency in a day; more are dropped",
    )
    asks_only: bool = Field(
        default=False,
        description="this agency has no records of its own; else none is answered before the first load",
    )


class OidcConfig(Section):
    """The agency's own sign-in, whose tokens name who asks at the desk."""

    issuer: str = Field(default="", description="https URL; empty: the desk's systems name who asks")
    audience: str = Field(default="", description="that a token for this desk has")
    ca: str = Field(
        default="", description="PEM file of the CAs that certify the issuer; empty: the system's"
    )
    algorithms: list[str] = Field(
        default_factory=lambda: ["RS256", "PS256", "ES256"], description="that a token may be signed with"
    )
    subject_claim: str = Field(
        default="sub", min_length=1, max_length=200, description="claim that names the account"
    )
    role_claim: list[str] = Field(
        default_factory=lambda: ["roles"], description="claim that lists roles: its names from the outside in"
    )
    roles: dict[str, str] = Field(
        default_factory=dict, description="roles of the issuer and what they are here"
    )
    systems: list[str] = Field(
        default_factory=list, description="clients that name the account and role themselves, without a token"
    )
    clock_tolerance_s: int = Field(
        default=60, ge=0, le=300, description="between the issuer's clock and this"
    )
    keys_hours: float = Field(
        default=12, ge=0.1, le=168, description="that keys serve while the issuer cannot be reached"
    )
    old_keys_minutes: float = Field(
        default=10, ge=0, le=1440, description="that a key serves which the issuer no longer lists"
    )


class DeskConfig(Section):
    """Where the agency's own systems may ask, besides the Unix socket. Never without a client certificate."""

    listen: str = Field(default="", description="host:port; empty: the Unix socket only")
    tls_key: str = Field(default="", description="PEM file, mode 0600; paths start at the node's folder")
    tls_cert: str = Field(
        default="", description="PEM file: the desk's certificate, for the host that is dialled"
    )
    client_ca: str = Field(
        default="", description="PEM file: signs the agency's own systems; never the federation's CA"
    )
    connections: int = Field(
        default=256, ge=8, le=65536, description="open at once, at the socket and at `listen` each"
    )
    oidc: OidcConfig = OidcConfig()


class KeysConfig(Section):
    """How long this node's keys live; it changes them by itself."""

    epoch_days: float = Field(default=30, ge=1, le=366, description="from one VOPRF key to the next")
    overlap_hours: float = Field(
        default=96,
        ge=1,
        le=744,
        description="for which the key before it goes on; then it is destroyed",
    )
    announce_minutes: float = Field(
        default=60, ge=1, le=1440, description="from stating a new VOPRF key until others ask under it"
    )
    sealing_days: float = Field(default=7, ge=1, le=366, description="from one sealing key to the next")
    sealing_overlap_hours: float = Field(
        default=72,
        ge=1,
        le=744,
        description="for which the key before it opens what was sealed to it",
    )
    alarm_hours: float = Field(
        default=24, ge=0.1, le=744, description="a change of keys that takes longer is an error in the log"
    )

    def schedule(self) -> Schedule:
        """The same as lengths of time."""
        return Schedule(
            epoch=timedelta(days=self.epoch_days),
            overlap=timedelta(hours=self.overlap_hours),
            announce=timedelta(minutes=self.announce_minutes),
            sealing=timedelta(days=self.sealing_days),
            sealing_overlap=timedelta(hours=self.sealing_overlap_hours),
            alarm=timedelta(hours=self.alarm_hours),
        )


class LogConfig(Section):
    """How this node shows its log, and watches those of others."""

    show_s: float = Field(
        default=30, ge=0.05, le=3600, description="between checkpoints of this agency's log, as it grows"
    )
    watch_s: float = Field(
        default=20, ge=0.05, le=3600, description="between looks at the logs that this agency witnesses"
    )


class NodeConfig(Section):
    """The whole of `node.toml`."""

    agency: str = Field(pattern="^[a-z][a-z0-9-]{1,31}$", description="this agency's id")
    name: str = Field(min_length=1, max_length=120, description="this agency's name as people know it")
    gateways: list[str] = Field(default_factory=list, description="host:port of each gateway replica")
    store: StoreSection = StoreSection()
    catalogue: CatalogueConfig = CatalogueConfig()
    lookup: LookupConfig = LookupConfig()
    desk: DeskConfig = DeskConfig()
    keys: KeysConfig = KeysConfig()
    log: LogConfig = LogConfig()
    research: ResearchSection = ResearchSection()
    policy: dict[str, Any] = Field(default_factory=dict, description="read by elsewhere.agreement.local")
    dir: Path = Field(exclude=True)

    @property
    def store_url(self) -> str:
        """The store's URL, with the default filled in."""
        return self.store.url_in(self.dir)

    @property
    def store_password(self) -> Path | None:
        """The file with the password of the store's server, if there is one."""
        return self.store.password_in(self.dir)

    def local_policy(self) -> LocalPolicy:
        """This agency's own rules, which only tighten what the agreement permits.

        Raises:
            DocumentInvalid: an unknown word; a node must not start with a policy it misreads.
        """
        return LocalPolicy.from_fields(Fields(self.policy, "policy"))


def load_config(directory: Path) -> NodeConfig:
    """Read and check a node's settings.

    Args:
        directory: the node's folder, as `elsewhere node init` made it.

    Raises:
        ConfigInvalid: no such file, not TOML, an unknown key or a value out of range; the message names it.
    """
    config = read_settings(NodeConfig, directory / FILE_NAME, whose="node")
    try:
        config.local_policy()
    except DocumentInvalid as err:
        raise ConfigInvalid(f"{FILE_NAME}: {err}") from None
    return config
