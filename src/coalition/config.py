"""Settings: what a command says, else the environment (COALITION_...), else var/coalition.toml, else the default.

The only reader of the environment. A bad value is refused with the setting's name before anything is started.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from coalition.domain.errors import CoalitionError

PREFIX: Final = "COALITION_"
SETTINGS_FILE: Final = "coalition.toml"
PORT_MAX: Final = 65_535
_TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,200}", re.ASCII)


class SettingInvalid(CoalitionError):
    """A setting cannot be used; the message names it and its cure."""


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("must be a time zone such as Asia/Shanghai") from None
    return value


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (host and colon and port.isdigit() and int(port) <= PORT_MAX):
        raise ValueError("must be host:port such as 127.0.0.1:7443; port 0 takes a free one")
    return value


def _trust_domain(value: str) -> str:
    if not _TRUST_DOMAIN.fullmatch(value):
        raise ValueError("must have only a-z, 0-9, '.', '-' and '_', for example coalition.example")
    return value


def _collector(value: str) -> str:
    parts = urlsplit(value)
    # A password in a URL ends up in messages of libraries, and a query has no meaning here.
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ValueError("must be a collector's address without a password, such as http://127.0.0.1:4318/v1/traces")
    return value


Address = Annotated[str, AfterValidator(_address)]


class Settings(BaseSettings):
    """Every setting with its default. `None` for a database URL means the embedded PostgreSQL below `var`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    var: Path = Field(Path("var"), description="directory of the embedded databases, keys and certificates")
    database_url: str | None = Field(None, repr=False, description="the ledger, as role coalition_app")
    settlement_database_url: str | None = Field(None, repr=False, description="the same as role coalition_settlement")
    auditor_database_url: str | None = Field(None, repr=False, description="the same as role coalition_auditor")
    owner_database_url: str | None = Field(None, repr=False, description="the same as its owner, for migrations only")
    keydb_url: str | None = Field(None, repr=False, description="the key database, as role coalition_app")
    keydb_owner_url: str | None = Field(None, repr=False, description="the same as its owner, for migrations only")
    listen: Address = Field("127.0.0.1:7443", description="address of the server; port 0 takes a free one")
    settlement_listen: Address = Field("127.0.0.1:7444", description="address of the settlement server")
    trust_domain: Annotated[str, AfterValidator(_trust_domain)] = Field(
        "coalition.example", description="of every identity spiffe://<trust domain>/..."
    )
    certificates: Path | None = Field(None, description="default: certificates below var")
    keys: Path | None = Field(None, description="directory of the key ring; default: keys below var")
    keys_passphrase_file: Path | None = Field(None, description="file with the ring's passphrase; default: none")
    desk_workers: int = Field(3, ge=1, le=32, description="processes that decide and write, a connection each")
    desk_batch_max: int = Field(1024, ge=1, le=4096, description="operations decided in one transaction")
    desk_queue_max: int = Field(8192, ge=1, le=1_000_000, description="operations that may wait before the desk")
    # At least 100, so that a batch of 1,000 fits what a quiet caller may send at once, ten seconds' worth.
    caller_rate: int = Field(2_000, ge=100, le=1_000_000, description="operations a second of one identity")
    till_server_rate: int = Field(50_000, ge=100, le=1_000_000, description="the same of a till server")
    caller_calls_max: int = Field(512, ge=1, le=4_096, description="calls and streams of one identity at once")
    caller_operations_max: int = Field(
        4_096, ge=1_000, le=1_000_000, description="operations of one identity that may wait at once"
    )
    connections_max: int = Field(8_192, ge=1, le=1_000_000, description="connections at once, of all callers")
    stream_idle_seconds: float = Field(600, ge=0.1, le=3_600, description="a stream without a request ends")
    stream_stall_seconds: float = Field(30, ge=0.1, le=3_600, description="a stream whose answers nobody reads ends")
    retention_days: int = Field(
        5 * 366, ge=0, le=36_600, description="after a wallet's last operation its member cannot be erased for so long"
    )
    lane_count: int = Field(64, ge=1, le=1024, description="set when the database is made, never changed")
    zone: Annotated[str, AfterValidator(_zone)] = Field("Asia/Shanghai", description="says what day it is")
    currency: str = Field("CNY", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of the scheme")
    witness_policy: Path | None = Field(
        None, description="tlog-policy file of the witnesses that checkpoints are sent to; default: none"
    )
    display_name: str = Field("Coalition", min_length=1, max_length=120, description="name of the scheme, for people")
    first_window: str | None = Field(
        None,
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$",
        description="label of the first settlement window; default: this month",
    )
    metrics_listen: Address | None = Field(None, description="host:port of the metrics for Prometheus; default: none")
    trace_endpoint: Annotated[str, AfterValidator(_collector)] | None = Field(
        None, description="OTLP/HTTP address that traces are sent to; default: none, and nothing is traced"
    )
    trace_ratio: float = Field(0.01, ge=0, le=1, description="share of calls traced whose callers do not say")
    log_level: str = Field("info", pattern=r"^(debug|info|warning|error)$", description="debug, info, warning, error")

    @property
    def certificates_directory(self) -> Path:
        return self.certificates or self.var / "certificates"

    @property
    def keys_directory(self) -> Path:
        return self.keys or self.var / "keys"

    @property
    def witnessed_file(self) -> Path:
        """Where the last checkpoint that a quorum of witnesses has cosigned is kept."""
        return self.var / "audit" / "witnessed"

    @property
    def is_embedded(self) -> bool:
        """Whether the ledger is the embedded PostgreSQL."""
        return self.database_url is None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic hands every source by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """A command's options win over the environment, that over the file."""
        said = {**env_settings(), **init_settings()}
        file = Path(said.get("var", "var")) / SETTINGS_FILE
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)


def load_settings(**said: Any) -> Settings:
    """The settings, with what a command said (None counts as not said). Raises SettingInvalid."""
    try:
        return Settings(**{name: value for name, value in said.items() if value is not None})
    except ValidationError as error:
        lines = [_told(str(each["loc"][0]) if each["loc"] else "?", each["msg"]) for each in error.errors()]
        raise SettingInvalid("\n".join(lines)) from None
    except ValueError as error:  # a settings file that is no TOML
        raise SettingInvalid(f"{SETTINGS_FILE} in the var directory cannot be read: {error}") from None


def _told(name: str, sentence: str) -> str:
    if name not in Settings.model_fields:
        return f"setting {name} does not exist: remove it from {SETTINGS_FILE} or the environment"
    return f"setting {name} ({PREFIX}{name.upper()}): {sentence.removeprefix('Value error, ')}"


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment for a child process that is to have the same settings."""
    said = {
        f"{PREFIX}{name.upper()}": str(value.resolve() if isinstance(value, Path) else value)
        for name in Settings.model_fields
        if (value := getattr(settings, name)) is not None
    }
    return {**os.environ, **said}
