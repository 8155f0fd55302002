"""The settings of one embedded PostgreSQL, as the `-c` flags of its command line; never written to postgresql.conf.

The defaults suit a machine with 2 cores and 24 GB. What keeps the socket private cannot be overridden, because the
server trusts whoever reaches that socket.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from coalition.storage.embedded_error import EmbeddedError

NAME_LENGTH_MAX = 32  # with our prefix and mark it fits a cluster_name, which has 63 bytes
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})

DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        # An acknowledged purchase survives a power cut.
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        # Few, slow checkpoints: each one makes the next writes log whole pages.
        "max_wal_size": "4GB",
        "min_wal_size": "512MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        # A batch locks many partitions and rows' relations; short indexed statements gain nothing from jit.
        "max_locks_per_transaction": "256",
        "jit": "off",
        "random_page_cost": "1.1",
        "TimeZone": "UTC",
        # No personal data in the log: no statement, no parameter, and (terse) no "Key (card_number)=(...) exists".
        "log_timezone": "UTC",
        "log_destination": "stderr",
        "logging_collector": "off",
        "log_statement": "none",
        "log_min_duration_statement": "-1",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_min_error_statement": "panic",
        "log_min_messages": "warning",
        "log_error_verbosity": "terse",
        "log_line_prefix": "%m [%p] ",
    }
)

# Owned by the supervisor: they say where the server listens, who may enter and how its processes are recognised.
RESERVED = frozenset(
    {
        "listen_addresses",
        "unix_socket_directories",
        "unix_socket_permissions",
        "unix_socket_group",
        "port",
        "data_directory",
        "config_file",
        "hba_file",
        "ident_file",
        "external_pid_file",
        "cluster_name",
    }
)


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """One instance: where it lives, what it is called, how large it may grow, and any further server setting."""

    directory: Path
    name: str  # "ledger" or "keydb"; part of paths and of process titles
    shared_buffers: str = "512MB"
    max_connections: int = 120
    extra: Mapping[str, str] = field(default_factory=lambda: NO_SETTINGS)

    def __post_init__(self) -> None:
        if not (self.name.isascii() and self.name.isidentifier() and len(self.name) <= NAME_LENGTH_MAX):
            raise EmbeddedError(
                f"name {self.name!r} of an embedded database must be "
                f"up to {NAME_LENGTH_MAX} letters, digits or underscores"
            )
        taken = sorted(RESERVED & {key.lower() for key in self.extra})
        if taken:
            raise EmbeddedError(
                f"settings {', '.join(taken)} belong to the embedded server and keep its socket private: "
                "remove them, or name a server of your own with --database-url"
            )

    def flags(self, *, wal_compression: str) -> list[str]:
        """The `-c name=value` arguments; `extra` wins over every default."""
        values = {
            **DEFAULTS,
            "wal_compression": wal_compression,
            "shared_buffers": self.shared_buffers,
            "max_connections": str(self.max_connections),
            **self.extra,
        }
        return [argument for name, value in values.items() for argument in ("-c", f"{name}={value}")]
