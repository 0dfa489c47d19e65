"""What an operator sets for one gateway: `gateway.toml`, read once at start.

Refuses:  unknown keys and values out of range, naming the key; secrets are never in it, only their folder.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from elsewhere.settings import Section, StoreSection, read_settings, settings_from

FILE_NAME = "gateway.toml"
_ADDRESS = r"^[A-Za-z0-9.-]{1,253}:\d{1,5}$"


class LinkConfig(Section):
    """How nodes are held on to."""

    connections: int = Field(default=1024, ge=8, le=65_536, description="open at once, of everybody")
    handshake_s: float = Field(
        default=10, ge=0.1, le=60, description="how long a connection may take over its TLS handshake"
    )
    beat_ms: int = Field(default=5000, ge=500, le=60_000, description="heartbeat; three missed end a link")
    hello_s: float = Field(default=5, gt=0, le=60, description="how long a new link may take to say Hello")
    of_agency: int = Field(default=8, ge=1, le=64, description="processes of one agency, one link each")
    queue_frames: int = Field(default=1024, ge=16, le=65_536, description="frames waiting for one node")


class LookupConfig(Section):
    """How many lookups may be under way at once."""

    of_agency: int = Field(default=64, ge=1, le=4096, description="of one searching agency")
    of_all: int = Field(default=2048, ge=1, le=65_536, description="of all agencies together")


class CatalogueConfig(Section):
    """How much ciphertext is cached."""

    max_chunks: int = Field(default=1024, ge=1, le=65_536, description="of one snapshot, 1 MiB each")
    max_deltas: int = Field(default=4096, ge=1, le=65_536, description="on one snapshot; then it is renewed")
    quota_mb: int = Field(default=4096, ge=1, le=1_048_576, description="of one custodian, on the disk")
    fetches: int = Field(default=32, ge=1, le=4096, description="of one agency at once")


class LogConfig(Section):
    """How much is kept of the members' logs: 32 bytes an entry."""

    quota_mb: int = Field(default=1024, ge=1, le=1_048_576, description="of one agency, on the disk")


class StudyConfig(Section):
    """How researchers' studies are run."""

    prepare_s: float = Field(
        default=10, ge=1, le=60, description="for each node to say whether it takes part"
    )
    commit_s: float = Field(default=60, ge=15, le=600, description="for each node to charge and to answer")
    of_researcher: int = Field(default=2, ge=1, le=64, description="studies of one researcher at once")
    of_all: int = Field(default=8, ge=1, le=256, description="studies at once")


class GatewayConfig(Section):
    """The whole of `gateway.toml`."""

    federation: str = Field(pattern="^[a-z][a-z0-9-]{1,31}$", description="the partnership's id")
    listen: str = Field(pattern=_ADDRESS, description="host:port to listen on; port 0: any free one")
    addresses: list[str] = Field(default_factory=list, description="host:port that nodes dial; empty: listen")
    replicas: list[str] = Field(
        default_factory=list, description="host:port of the federation's other gateways, for admissions"
    )
    poll_s: float = Field(
        default=1, ge=0.01, le=60, description="how often roster and agreement are looked at"
    )
    push_ms: int = Field(default=250, ge=0, le=60_000, description="changes within this time go out together")
    drain_s: float = Field(
        default=5, ge=0, le=60, description="how long lookups under way may take at the end"
    )
    store: StoreSection = StoreSection()
    link: LinkConfig = LinkConfig()
    lookup: LookupConfig = LookupConfig()
    catalogue: CatalogueConfig = CatalogueConfig()
    log: LogConfig = LogConfig()
    study: StudyConfig = StudyConfig()
    dir: Path = Field(exclude=True)

    @property
    def store_url(self) -> str:
        """The store's URL, with the default filled in."""
        return self.store.url_in(self.dir)

    @property
    def store_password(self) -> Path | None:
        """The file with the password of the store's server, if there is one."""
        return self.store.password_in(self.dir)

    @property
    def dialled(self) -> tuple[str, ...]:
        """The addresses that admissions tell nodes to dial, of all gateways."""
        return (*self.own_addresses, *self.replicas)

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """The addresses by which nodes dial this gateway."""
        return tuple(self.addresses) or (self.listen,)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the gateway's certificate is good for; this machine's own names are among them."""
        dialled = (address.rsplit(":", 1)[0] for address in (*self.own_addresses, self.listen))
        return tuple(dict.fromkeys((*dialled, "localhost", "127.0.0.1")))


def load_config(directory: Path) -> GatewayConfig:
    """Read and check a gateway's settings.

    Args:
        directory: the gateway's folder, as `elsewhere gateway init` made it.

    Raises:
        ConfigInvalid: no such file, not TOML, an unknown key or a value out of range; the message names it.
    """
    return read_settings(GatewayConfig, directory / FILE_NAME, whose="gateway")


def config_from(found: dict[str, object]) -> GatewayConfig:
    """Check settings from any source; raises ConfigInvalid naming the key."""
    return settings_from(GatewayConfig, found, FILE_NAME)
