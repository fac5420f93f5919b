"""The command line of `xenstored` and of `xsd serve`: the C daemon's, and some more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from xsd.daemon.arguments import Option, scan

OPTIONS: Final = (
    Option("help", "Hh", "", "print this text and exit"),
    Option("version", "", "", "print the version and exit"),
    Option("no-fork", "N", "", "stay in the foreground"),
    Option("config", "", "file", "settings; else $XSD_CONFIG, /etc/xen/xsd.toml"),
    Option("pid-file", "F", "file", "lock it and write the process id to it"),
    Option("socket", "", "path", "listen here, not on <rundir>/socket"),
    Option("hypervisor", "", "what", "auto, xen or emulated"),
    Option("log-level", "", "level", "debug, info, warning or error"),
    Option("log-format", "", "format", "auto, console or json"),
    Option("record", "", "file", "record what comes in, for debugging"),
    Option(
        "trace-file", "T", "file", "log and trace to this file; SIGHUP opens it anew"
    ),
    Option("trace-control", "", "switch", "+what or -what of obj, io, wrl, acc, tdb"),
    Option("entry-nb", "E", "n", "quota: nodes of a domain"),
    Option("entry-size", "S", "n", "quota: bytes of a node"),
    Option("watch-nb", "W", "n", "quota: watches of a domain"),
    Option("transaction", "t", "n", "quota: open transactions of a domain"),
    Option("perm-nb", "A", "n", "quota: permissions of a node"),
    Option("path-max", "M", "n", "quota: bytes of a path, at most 2048"),
    Option("quota", "Q", "what=n", "any quota by name; 0 is no limit"),
    Option("quota-soft", "q", "what=n", "warn above n; what: memory"),
    Option("timeout", "w", "what=s", "wait s seconds; what: watch-event"),
    Option("keep-orphans", "K", "", "keep nodes of domains that are gone (unsafe)"),
    Option("event", "", "n", "event channel of the control domain"),
    Option("master-domid", "", "n", "the control domain, if it is not domain 0"),
    Option("priv-domid", "", "n", "a second domain with all rights"),
    Option("live-update", "U", "", "take over the state of an update (internal)"),
    Option("no-domain-init", "D", gone=True),
    Option("internal-db", "I", gone=True),
    Option("preserve-local", "L", gone=True),
    Option("output-pid", "P", gone=True),
    Option("no-recovery", "R", gone=True),
    Option("verbose", "V", gone=True),
)


@final
@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command line, read but not yet validated.

    Attributes:
        settings: Keys and raw values for `config.load`, in order.
        ignored: Sentences about words without effect, to be shown as warnings.
        wants_help: `--help` was given.
        wants_version: `--version` was given.
    """

    settings: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    wants_help: bool = False
    wants_version: bool = False


def parse(arguments: Sequence[str]) -> CommandLine:
    """Read the words after the program's name.

    Raises:
        UsageError: If the words are no command line at all. Unknown options are not
            an error: other versions' start scripts must work.
    """
    found = scan(arguments, OPTIONS)
    names = {name for name, _ in found.given}
    settings = tuple(pair for pair in found.given if pair[0] not in {"help", "version"})
    return CommandLine(
        settings=settings,
        ignored=tuple(found.ignored),
        wants_help="help" in names,
        wants_version="version" in names,
    )
