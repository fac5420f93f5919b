"""Every setting of the daemon, once: its name, what it may be, and what it means.

The loader, the messages about mistakes, `xsd config` and the documentation are all
made from this table. A setting is named as in the file, section and key with dots
between them: `quota.soft.memory` is `memory` in `[quota.soft]`.
"""

import enum
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from xsd.engine.tracing import DEFAULT_SWITCHES, SWITCHES
from xsd.protocol.limits import DOMID_FIRST_RESERVED
from xsd.store.quota import DEFAULTS, SOFT_DEFAULTS

INT_MAX: Final = 2**31 - 1

SOCKET_PATH_MAX: Final = 107
"""Most bytes of a Unix socket's path: `sun_path` of unix(7) less its NUL."""

RUNDIR: Final = Path("/var/run/xenstored")

QUOTAS: Final = tuple(DEFAULTS)
SOFT_QUOTAS: Final = tuple(SOFT_DEFAULTS)
TRACE_SWITCHES: Final = SWITCHES
HYPERVISORS: Final = ("auto", "xen", "emulated")
LOG_FORMATS: Final = ("auto", "console", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

Value = Path | str | int | frozenset[str] | None
"""What a setting can be; None if it is optional and not set."""


class Kind(enum.Enum):
    """What a setting looks like in the file."""

    SWITCH = "true or false"
    NUMBER = "a whole number"
    PATH = "an absolute path"
    CHOICE = "one of"
    CHOICES = "a list of"


@final
@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        key: Its name, sections first.
        kind: What it looks like.
        default: What it is if nobody says otherwise.
        text: One sentence about it.
        unit: What is counted, `bytes`, if it is a number.
        high: The greatest number; the least is 0.
        allowed: The words that a choice is made from.
        live: A reload changes it in a daemon that runs.
        options: How it is given on the command line.
        variable: How it is given in the environment, "" if it is not.
    """

    key: str
    kind: Kind
    default: Value
    text: str
    unit: str = ""
    high: int = INT_MAX
    allowed: tuple[str, ...] = ()
    live: bool = False
    options: tuple[str, ...] = ()
    variable: str = ""

    @property
    def section(self) -> str:
        """The section of the file that it stands in."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Its name inside that section."""
        return self.key.rpartition(".")[2]

    @property
    def expected(self) -> str:
        """What it has to be, in words."""
        words = str(self.kind.value)
        if self.kind is Kind.NUMBER:
            return f"{words} from 0 to {self.high}"
        if self.allowed:
            return f"{words} {', '.join(map(render, self.allowed))}"
        return words

    def check(self, value: object) -> Value:
        """Return a value of the file as the daemon uses it.

        Raises:
            ValueError: If it cannot be that; the text says what was expected.
        """
        if self._may_be(value):
            match value:
                case str() if self.kind is Kind.PATH:
                    return Path(value)
                case list():
                    return frozenset(value)
                case str() | int():
                    return value
        raise ValueError(f"{render(value)} is not {self.expected}")

    def _may_be(self, value: object) -> bool:
        match self.kind, value:
            case (Kind.SWITCH, bool()) | (Kind.NUMBER, bool()):
                # In Python true is a number.
                return self.kind is Kind.SWITCH
            case Kind.NUMBER, int():
                return 0 <= value <= self.high
            case Kind.PATH, str():
                return "\0" not in value and Path(value).is_absolute()
            case Kind.CHOICE, str():
                return value in self.allowed
            case Kind.CHOICES, list():
                return all(one in self.allowed for one in value)
        return False


def render(value: object) -> str:
    """Return a value as it is written in the file; None as what cannot stand there."""
    text = str(value)
    match value:
        case None:
            text = "(not set)"
        case bool():
            text = text.lower()
        case str() | Path():
            # JSON's strings are TOML's, but for this one character.
            text = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
        case frozenset():
            text = render([word for word in TRACE_SWITCHES if word in value])
        case list():
            text = f"[{', '.join(map(render, value))}]"
        case dict():
            text = "a section"
    return text


_QUOTA_ROWS: Final = {
    "nodes": ("nodes", ("entry-nb",), "Nodes that a domain may own."),
    "watches": ("watches", ("watch-nb",), "Watches that a domain may have."),
    "outstanding": (
        "requests",
        (),
        "Replies and events that may be under way because of a domain.",
    ),
    "memory": ("bytes", (), "Memory that the daemon may use for a domain."),
    "transactions": (
        "transactions",
        ("transaction",),
        "Transactions that a domain may have open at a time.",
    ),
    "transaction-nodes": ("nodes", (), "Nodes that one transaction may depend on."),
    "node-permissions": (
        "entries",
        ("perm-nb",),
        "Entries that the permissions of a node may have.",
    ),
    "path-max": (
        "bytes",
        ("path-max",),
        "Length of a path, without the domain's own part of it.",
    ),
    "node-size": (
        "bytes",
        ("entry-size",),
        "Size of a node: its value, its permissions and the names of its children.",
    ),
}

_SOFT_ROWS: Final = {
    "memory": ("bytes", "Memory of a domain from which on the log remarks on it."),
}


def _quotas() -> Iterable[Setting]:
    for name, default in DEFAULTS.items():
        unit, options, text = _QUOTA_ROWS[name]
        yield Setting(
            f"quota.{name}",
            Kind.NUMBER,
            default,
            f"{text} 0 is no limit.",
            unit=unit,
            live=True,
            options=(*options, f"quota {name}=n"),
        )
    for name, default in SOFT_DEFAULTS.items():
        unit, text = _SOFT_ROWS[name]
        yield Setting(
            f"quota.soft.{name}",
            Kind.NUMBER,
            default,
            f"{text} 0 is no limit.",
            unit=unit,
            live=True,
            options=(f"quota-soft {name}=n",),
        )


_TABLE: Final = (
    Setting(
        "daemon.rundir",
        Kind.PATH,
        RUNDIR,
        "Directory for the socket.",
        variable="XENSTORED_RUNDIR",
    ),
    Setting(
        "daemon.socket",
        Kind.PATH,
        RUNDIR / "socket",
        "Where clients connect, at most 107 bytes; by default `socket` in the rundir.",
        options=("socket",),
        variable="XENSTORED_PATH",
    ),
    Setting(
        "daemon.pid-file",
        Kind.PATH,
        None,
        "File that is locked and holds the process id while the daemon runs.",
        options=("pid-file",),
    ),
    Setting(
        "daemon.foreground",
        Kind.SWITCH,
        default=False,
        text="Stay in the foreground.",
        options=("no-fork",),
    ),
    Setting(
        "domains.hypervisor",
        Kind.CHOICE,
        "auto",
        "Whose domains are served: Xen's, pretended ones, or Xen's where it runs.",
        allowed=HYPERVISORS,
        options=("hypervisor",),
    ),
    Setting(
        "domains.control",
        Kind.NUMBER,
        0,
        "The control domain, which has all rights and owns the root.",
        unit="domain id",
        high=DOMID_FIRST_RESERVED - 1,
        options=("master-domid",),
    ),
    Setting(
        "domains.control-event-channel",
        Kind.NUMBER,
        None,
        "Event channel of the control domain.",
        unit="port",
        options=("event",),
    ),
    Setting(
        "domains.privileged",
        Kind.NUMBER,
        0,
        "A second domain that has all rights; 0 is none.",
        unit="domain id",
        high=DOMID_FIRST_RESERVED - 1,
        options=("priv-domid",),
    ),
    Setting(
        "domains.keep-orphans",
        Kind.SWITCH,
        default=False,
        text="Keep the nodes of domains that are gone; this is unsafe.",
        live=True,
        options=("keep-orphans",),
    ),
    Setting(
        "log.level",
        Kind.CHOICE,
        "info",
        "The least severe level that is logged.",
        allowed=LOG_LEVELS,
        live=True,
        options=("log-level",),
    ),
    Setting(
        "log.format",
        Kind.CHOICE,
        "auto",
        "How lines look: for people, as JSON, or for people on a terminal only.",
        allowed=LOG_FORMATS,
        live=True,
        options=("log-format",),
    ),
    Setting(
        "log.file",
        Kind.PATH,
        None,
        "Where the log goes instead of standard error or syslog; SIGHUP reopens it.",
        options=("trace-file",),
    ),
    Setting(
        "log.trace",
        Kind.CHOICES,
        DEFAULT_SWITCHES,
        "What is traced in the log, once tracing is on (by CONTROL, or by a file).",
        allowed=TRACE_SWITCHES,
        live=True,
        options=("trace-control",),
    ),
    Setting(
        "log.record",
        Kind.PATH,
        None,
        "Where all that clients and guests send is recorded, for debugging.",
        options=("record",),
    ),
    *_quotas(),
    Setting(
        "timeout.watch-event",
        Kind.NUMBER,
        20,
        "How long a watch event may wait for a guest to fetch it; 0 is for ever.",
        unit="seconds",
        live=True,
        options=("timeout watch-event=s",),
    ),
)

SETTINGS: Final[dict[str, Setting]] = {setting.key: setting for setting in _TABLE}
"""By key, in the order of the file."""

SECTIONS: Final = tuple(dict.fromkeys(setting.section for setting in _TABLE))
"""In the order of the file."""
