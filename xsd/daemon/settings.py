"""Every setting of the daemon, once: its name, what it may be, and what it means.

The command line, the loader, the messages about mistakes, reloading, `xsd config`, the
manual pages, the completion and the tables of docs/configuration.md are made from
this table: a new setting is a new row. It is named as in the file, section and key
with dots between them: `quota.soft.memory` is `memory` in `[quota.soft]`.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, final

from xsd.client.address import PATH_VARIABLE, RUNDIR_VARIABLE
from xsd.daemon.arguments import Option
from xsd.daemon.setting import (
    Choice,
    Choices,
    File,
    Given,
    Number,
    Setting,
    Switch,
    rows_of,
    setting,
)
from xsd.engine.tracing import DEFAULT_SWITCHES, SWITCHES
from xsd.persistence.journal import SYNCS
from xsd.protocol.limits import DOMID_FIRST_RESERVED, REL_PATH_MAX
from xsd.store import quota

SOCKET_PATH_MAX: Final = 107
"""Most bytes of a Unix socket's path: `sun_path` of unix(7) less its NUL."""

RUNDIR: Final = Path("/var/run/xenstored")

TRACE_DIRECTORY: Final = Path("/var/lib/xen/xenstore")

HYPERVISORS: Final = ("auto", "xen", "emulated")
LOG_FORMATS: Final = ("auto", "console", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

_DOMID: Final = Number("domain id", DOMID_FIRST_RESERVED - 1)

_HARD: Final = Option(
    "quota", "Q", "what=n", f"0 is no limit; what: {', '.join(quota.DEFAULTS)}", 21
)
_SOFT: Final = Option(
    "quota-soft", "q", "what=n", f"warn above n; what: {quota.MEMORY}", 22
)


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _quota(
    name: str,
    unit: str,
    text: str,
    own: Option | None = None,
    *,
    most: int | None = None,
    also: str = "",
) -> int:
    given = [] if own is None else [Given(own, most=most)]
    return setting(
        f"quota.{name}",
        Number(unit),
        quota.DEFAULTS[name],
        f"{text} 0 is no limit.",
        *given,
        Given(_HARD, name, also=also),
        live=True,
    )


@final
@dataclass(frozen=True, slots=True)
class Config:
    """The table of settings; an instance has a value for each.

    The number at the end of an option is its place in the text for `--help`.
    """

    rundir: Path = setting(
        "daemon.rundir",
        File("rundir"),
        RUNDIR,
        "Directory for the socket.",
        variable=RUNDIR_VARIABLE,
    )
    socket: Path = setting(
        "daemon.socket",
        File("socket"),
        RUNDIR / "socket",
        f"Where clients connect, at most {SOCKET_PATH_MAX} bytes; by default `socket`"
        " in the rundir.",
        Option("socket", "", "path", "listen here, not on <rundir>/socket", 6),
        variable=PATH_VARIABLE,
    )
    pid_file: Path | None = setting(
        "daemon.pid-file",
        File("pid-file"),
        None,
        "File that is locked and holds the process id while the daemon runs.",
        Option("pid-file", "F", "file", "lock it and write the process id to it", 5),
    )
    foreground: bool = setting(
        "daemon.foreground",
        Switch(),
        False,
        "Stay in the foreground.",
        Option("no-fork", "N", "", "stay in the foreground", 3),
    )
    hypervisor: str = setting(
        "domains.hypervisor",
        Choice(*HYPERVISORS),
        "auto",
        "Whose domains are served: Xen's, pretended ones, or Xen's where it runs.",
        Option("hypervisor", "", "what", _or(HYPERVISORS), 7),
    )
    control_domid: int = setting(
        "domains.control",
        _DOMID,
        0,
        "The control domain, which has all rights and owns the root.",
        Option("priv-domid", "", "n", "the control domain, if it is not domain 0", 27),
    )
    control_event_channel: int | None = setting(
        "domains.control-event-channel",
        Number("port"),
        None,
        "Event channel of a control domain that is not the daemon's own.",
        Option("event", "", "n", "event channel of another control domain", 25),
    )
    own_domid: int = setting(
        "domains.own",
        _DOMID,
        0,
        "The domain that the daemon runs in, which clients of the socket are.",
        Option("master-domid", "", "n", "the daemon's own domain, if it is not 0", 26),
    )
    keep_orphans: bool = setting(
        "domains.keep-orphans",
        Switch(),
        False,
        "Keep the nodes of domains that are gone; this is unsafe.",
        Option(
            "keep-orphans", "K", "", "keep nodes of domains that are gone (unsafe)", 24
        ),
        live=True,
    )
    log_level: str = setting(
        "log.level",
        Choice(*LOG_LEVELS),
        "info",
        "The least severe level that is logged.",
        Option("log-level", "", "level", _or(LOG_LEVELS), 8),
        live=True,
    )
    log_format: str = setting(
        "log.format",
        Choice(*LOG_FORMATS),
        "auto",
        "How lines look: for people, as JSON, or for people on a terminal only.",
        Option("log-format", "", "format", _or(LOG_FORMATS), 9),
        live=True,
    )
    log_file: Path | None = setting(
        "log.file",
        File("log"),
        None,
        "Where the log goes instead of standard error or syslog; SIGHUP reopens it.",
        Option("log-file", "", "file", "log to this file; SIGHUP opens it anew", 10),
    )
    trace_file: Path | None = setting(
        "log.trace-file",
        File("trace", TRACE_DIRECTORY),
        None,
        "Where the log goes, and traces with it, instead of to log.file.",
        Option("trace-file", "T", "file", "log to this file, and trace", 12),
    )
    tracing: bool = setting(
        "log.tracing",
        Switch(),
        False,
        "Trace from the start, wherever the log goes; what clients send may be secret.",
        Option("trace", "", "", "trace from the start, wherever the log goes", 13),
        live=True,
    )
    trace_switches: frozenset[str] = setting(
        "log.trace",
        Choices(*SWITCHES),
        DEFAULT_SWITCHES,
        "What is traced in the log, once tracing is on.",
        Option(
            "trace-control",
            "",
            "switch",
            f"+what or -what of {', '.join(SWITCHES)}",
            14,
        ),
        live=True,
    )
    record_file: Path | None = setting(
        "log.record",
        File("record"),
        None,
        "Where all that changes the state is recorded, for debugging.",
        Option("record", "", "file", "record what comes in, for debugging", 11),
    )
    quota_nodes: int = _quota(
        quota.NODES,
        "nodes",
        "Nodes that a domain may own.",
        Option("entry-nb", "E", "n", "quota: nodes of a domain", 15),
    )
    quota_watches: int = _quota(
        quota.WATCHES,
        "watches",
        "Watches that a domain may have.",
        Option("watch-nb", "W", "n", "quota: watches of a domain", 17),
    )
    quota_outstanding: int = _quota(
        quota.OUTSTANDING,
        "requests",
        "Replies and events that may be under way because of a domain.",
    )
    quota_memory: int = _quota(
        quota.MEMORY, "bytes", "Memory that the daemon may use for a domain."
    )
    quota_transactions: int = _quota(
        quota.TRANSACTIONS,
        "transactions",
        "Transactions that a domain may have open at a time.",
        Option("transaction", "t", "n", "quota: open transactions of a domain", 18),
    )
    quota_transaction_nodes: int = _quota(
        quota.TRANSACTION_NODES, "nodes", "Nodes that one transaction may depend on."
    )
    quota_node_permissions: int = _quota(
        quota.NODE_PERMISSIONS,
        "entries",
        "Entries that the permissions of a node may have.",
        Option("perm-nb", "A", "n", "quota: permissions of a node", 19),
    )
    # Only this option of C's is cut, `--quota` is not. C's help text calls the quota
    # path-length, its table path-max: both are in use.
    quota_path_max: int = _quota(
        quota.PATH_MAX,
        "bytes",
        "Length of a path, without the domain's own part of it.",
        Option(
            "path-max", "M", "n", f"quota: bytes of a path, at most {REL_PATH_MAX}", 20
        ),
        most=REL_PATH_MAX,
        also="path-length",
    )
    quota_node_size: int = _quota(
        quota.NODE_SIZE,
        "bytes",
        "Size of a node: its value, its permissions and the names of its children.",
        Option("entry-size", "S", "n", "quota: bytes of a node", 16),
    )
    soft_memory: int = setting(
        f"quota.soft.{quota.MEMORY}",
        Number("bytes"),
        quota.SOFT_DEFAULTS[quota.MEMORY],
        "Memory of a domain from which on the log remarks on it. 0 is no limit.",
        Given(_SOFT, quota.MEMORY),
        live=True,
    )
    watch_event_timeout_s: int = setting(
        "timeout.watch-event",
        Number("seconds"),
        20,
        "How long a watch event may wait for a guest to fetch it; 0 is for ever.",
        Given(
            Option("timeout", "w", "what=s", "wait s seconds; what: watch-event", 23),
            "watch-event",
        ),
        live=True,
    )
    journal: bool | None = setting(
        "journal.keep",
        Switch(),
        None,
        "Keep what changes the state in files, and begin with what was kept. If it is"
        " not set, `xenstored` does and `xsd serve` does not.",
        Option("journal", "", "", "keep the state in files, and begin with it", 29),
        Given(Option("no-journal", "", "", "keep no journal", 30), off=True),
    )
    journal_directory: Path | None = setting(
        "journal.directory",
        File("journal"),
        None,
        "Directory of these files; by default `journal` beside the socket.",
        Option("journal-directory", "", "dir", "where; else beside the socket", 31),
    )
    journal_sync: str = setting(
        "journal.sync",
        Choice(*SYNCS),
        SYNCS[0],
        "When they have to be on a disk; on a tmpfs, never.",
        Option("journal-sync", "", "when", f"{_or(SYNCS)} wait for a disk", 32),
    )
    journal_checkpoint_mib: int = setting(
        "journal.checkpoint",
        Number("MiB"),
        4,
        "How much is kept of changes until the whole state is written anew.",
        Option("journal-checkpoint", "", "n", "write all anew after n MiB", 33),
    )
    live_update: bool = setting(
        "live-update",
        Switch(),
        False,
        "State is taken over from the process before; only a daemon says so.",
        Option(
            "live-update", "U", "", "take over the state of an update (internal)", 28
        ),
    )

    @property
    def traces(self) -> bool:
        """Whether it is traced from the start."""
        return self.tracing or self.trace_file is not None

    @property
    def limits(self) -> dict[str, int]:
        """All quotas by their names in the store."""
        return {name: getattr(self, ROWS[key].field) for key, name in LIMITS.items()}


ROWS: Final[dict[str, Setting]] = {row.key: row for row in rows_of(fields(Config))}
"""All rows by key."""

SETTINGS: Final = {key: row for key, row in ROWS.items() if row.section}
"""Those that the file may have, in its order."""

SECTIONS: Final = tuple(dict.fromkeys(row.section for row in SETTINGS.values()))
"""In the order of the file."""

LIMITS: Final = {
    **{f"quota.{name}": name for name in quota.DEFAULTS},
    **{f"quota.soft.{name}": quota.SOFT_PREFIX + name for name in quota.SOFT_DEFAULTS},
}
"""Quotas: setting -> name in the store."""
