"""`xsd control`: an operator's commands to the daemon, as xenstore-control has them.

What it prints, and its exit status, are those of xenstore-control; why a command was
refused it says itself, since the daemon answers with a number only. By the name of
xenstore-control it says what that says.
"""

import os
import re
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from xsd.cli.common import (
    ClientParser,
    as_original,
    connect,
    program,
    raw,
    show,
    strerror,
)
from xsd.cli.update import PROOF_S, TIMEOUT_S, RefusedError, replace_daemon
from xsd.client.client import Client
from xsd.client.errors import NotListeningError
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.number import c_int

EXIT_MISUSE: Final = 2
EXIT_REFUSED: Final = 3


class _Command(NamedTuple):
    """What can be asked for.

    Attributes:
        usage: The words behind it.
        counts: How many there may be.
        text: What it does, a line for the list.
        more: What else is to be known, lines for its own help.
    """

    usage: str
    counts: tuple[int, ...]
    text: str
    more: str = ""


_QUOTA_MORE: Final = """\
Without words: the limits that hold for all domains without one of their own.
DOMID: what that domain uses, and the most that it ever used.
max: the most that any domain ever used; with -r they begin anew afterwards.
set: another limit, until the daemon ends or the file of settings changes it.
"""

_LOG_MORE: Final = """\
Without words: what is traced. on, off: begin or end tracing, to wherever the log goes.
+SWITCH, -SWITCH: trace this too, or no longer; obj, io, wrl, acc or tdb.
A trace has what clients send, passwords too.
"""

_FILE_MORE: Final = """\
FILE is the daemon's: an absolute path where it may write.
"""

_UPDATE_MORE: Final = """\
FILE goes on with all clients; if it cannot, the daemon says why and stays.
-c: its command line, else that of the old daemon. A daemon that cannot go on with open
transactions waits for them, 60 seconds or those of -t, and with -F it ends them then.
"""

COMMANDS: Final = {
    "check": _Command(
        "", (0,), "look over the whole store; the log says what is wrong"
    ),
    "journal": _Command("", (0,), "tell whether what changes the store is kept"),
    "log": _Command(
        "[on|off|+SWITCH|-SWITCH]",
        (0, 1),
        "show what is traced, or change it",
        _LOG_MORE,
    ),
    "logfile": _Command("FILE", (1,), "send the log to a file, and trace", _FILE_MORE),
    "memreport": _Command(
        "[FILE]", (0, 1), "tell who uses what, in the log or in a file", _FILE_MORE
    ),
    "print": _Command("TEXT", (1,), "put a line into the log"),
    "quota": _Command(
        "[DOMID|max [-r]|set NAME VALUE]",
        (0, 1, 2, 3),
        "show limits and what is used, or set limits",
        _QUOTA_MORE,
    ),
    "quota-soft": _Command(
        "[set NAME VALUE]", (0, 3), "the same for limits that are only remarked on"
    ),
    "live-update": _Command(
        "[-c WORDS] [-F] [-t SECONDS] FILE",
        (1, 2, 3, 4, 5, 6),
        "another daemon in the place of this one",
        _UPDATE_MORE,
    ),
    "help": _Command("", (0,), "list the commands that the daemon itself names"),
}
"""Those of xenstore-control; the daemon may know others, which are handed to it."""

_EXAMPLES: Final = """
The exit status is 0, 1 without a daemon, 2 without a command, and 3 if it is refused.

examples:
  xsd control quota 5                      what domain 5 uses
  xsd control quota set nodes 2000         another limit for all domains
  xsd control memreport /var/log/report    who uses what, into a file
  xsd control log --help                   more about one command
"""

_FILE_STAGE: Final = "Setting update binary"

_UPDATE_OPTIONS: Final = {
    "-c": "Missing command line value",
    "-t": "Missing timeout value",
}


def control(words: Sequence[str], socket: str | None) -> int:
    """Give the daemon a command, and print its answer."""
    parser = ClientParser(
        "control", f"Give the daemon a command.\n\n{_list()}", _EXAMPLES
    )
    parser.usage = (
        f"{program('control')} [-h] [--socket PATH] [-s] [--timeout SECONDS]"
        " COMMAND [WORD ...]"
    )
    imitates = as_original("control")
    if imitates and words[:1] not in (["-h"], ["--help"]):
        # What begins with a dash is the daemon's to refuse, as there.
        return _as_original(list(words), socket)
    before = _before_command(parser, words)
    options = parser.parse(words[:before], socket)
    if before == len(words):
        return _misused(parser)
    name, *arguments = words[before:]
    if arguments[:1] in (["-h"], ["--help"]) and name in COMMANDS:
        _print_help(name)
        return 0
    if name == "live-update" and options.timeout:
        options.timeout += PROOF_S + TIMEOUT_S
    with connect(options) as client:
        try:
            if name == "live-update" and not _lacking(arguments):
                _update(client, arguments)
            else:
                _show_answer(_asked(client, name, arguments))
        except RefusedError as error:
            line = f"{program('control')}: {' '.join([name, *arguments])}: {error}\n"
            sys.stderr.buffer.write(os.fsencode(line))
            return EXIT_REFUSED
        except XenStoreError as error:
            sys.stdout.flush()
            reason = _why(client, name, arguments, error)
            line = f"{program('control')}: {' '.join([name, *arguments])}: {reason}\n"
            sys.stderr.buffer.write(os.fsencode(line))
            sys.stderr.buffer.flush()
            return EXIT_REFUSED
    return 0


def _list() -> str:
    lines = [f"  {name:<11} {each.text}" for name, each in COMMANDS.items()]
    return "\n".join(["commands:", *lines])


def _print_help(name: str) -> None:
    command = COMMANDS[name]
    print(f"usage: xsd control {name} {command.usage}".rstrip())
    print(f"\n{command.text[0].upper()}{command.text[1:]}.")
    if command.more:
        print(f"\n{command.more}", end="")


def _before_command(parser: ClientParser, words: Sequence[str]) -> int:
    """Return how many words are options of our own, and their values."""
    valued = {
        name
        for each in parser.arguments
        if each.is_option and not each.is_switch
        for name in each.names
    }
    count = 0
    while count < len(words) and words[count].startswith("-"):
        count += 2 if words[count] in valued else 1
    return min(count, len(words))


def _misused(parser: ClientParser) -> int:
    sys.stderr.write(f"usage: {parser.usage}\n")
    sys.stderr.write("xsd control: what shall the daemon do? xsd control --help\n")
    return EXIT_MISUSE


def _show_answer(answer: bytes) -> None:
    sys.stdout.buffer.write(answer + b"\n")


def _asked(client: Client, name: str, arguments: list[str]) -> bytes:
    """Return the daemon's answer.

    Raises:
        XenStoreError: If it refuses.
    """
    return client.control(*raw([name, *arguments]))


def _update(client: Client, arguments: list[str]) -> None:
    """Replace the daemon.

    Raises:
        RefusedError: If it goes on instead.
    """
    file = b""
    line: bytes | None = None
    timeout_s: int | None = None
    words = iter(raw(arguments))
    for word in words:
        match word:
            case b"-c":
                line = next(words, None)
            case b"-t":
                timeout_s = c_int(next(words, b""))
            case b"-F":
                pass
            case _:
                file = word
    replace_daemon(
        client,
        file,
        arguments=line,
        timeout_s=TIMEOUT_S if timeout_s is None else timeout_s,
        force="-F" in arguments,
    )


def _as_original(words: list[str], socket: str | None) -> int:
    """Do what xenstore-control does, and say what it says."""
    if not words:
        sys.stderr.write(f"Usage:\n{sys.argv[0]} <command> [<arg>...]\n")
        return EXIT_MISUSE
    name, *arguments = words
    try:
        client = Client(socket)
    except NotListeningError:
        sys.stderr.write("Failed to contact Xenstored.\n")
        return 1
    with client:
        if name == "live-update" and (lacking := _lacking(arguments)):
            sys.stderr.write(f"{lacking}\n")
            return EXIT_MISUSE
        try:
            if name == "live-update":
                _update(client, arguments)
            else:
                _show_answer(_asked(client, name, arguments))
        except RefusedError as error:
            stage = "Starting live update" if error.starting else _FILE_STAGE
            line = f"{stage} failed:\n{error}\n"
            sys.stderr.buffer.write(os.fsencode(line))
            sys.stderr.buffer.flush()
            return EXIT_REFUSED
        except XenStoreError as error:
            sys.stdout.flush()
            sys.stderr.buffer.write(_said_of(client, error))
            sys.stderr.buffer.flush()
            return EXIT_REFUSED
    return 0


def _lacking(arguments: list[str]) -> str:
    """Return what xenstore-control misses behind live-update, or nothing."""
    words = iter(arguments)
    file = None
    for word in words:
        if word in _UPDATE_OPTIONS:
            if next(words, None) is None:
                return _UPDATE_OPTIONS[word]
        elif word != "-F":
            file = word
    return "Missing binary specification" if file is None else ""


def _said_of(client: Client, error: XenStoreError) -> bytes:
    if error.errno != Errno.EINVAL:
        return b"Error %d when trying to execute command.\n" % error.errno
    known = client.control("help")
    return b"Command not supported. Valid commands are:\n" + known + b"\n"


def _why(client: Client, name: str, arguments: list[str], error: XenStoreError) -> str:
    """Say why the daemon may have refused: it tells an errno only."""
    command = COMMANDS.get(name)
    if command is None:
        return f"no such command; there are {', '.join(COMMANDS)}"
    if len(arguments) not in command.counts:
        return f"it is to be called as: xsd control {name} {command.usage}".rstrip()
    reason = ""
    if name in {"quota", "quota-soft"}:
        reason = _why_no_quota(client, name, arguments, error)
    elif name == "log":
        switches = ", ".join(_names(client, name))
        reason = "takes on or off"  # of older daemons, which show no switches
        if switches:
            reason = f"takes on, off, or + or - and one of {switches}"
    elif name in {"logfile", "memreport"}:
        reason = f"the daemon cannot write there: {strerror(error)}"
    return reason or f"{strerror(error)}; the daemon's log says why"


def _why_no_quota(
    client: Client, name: str, arguments: list[str], error: XenStoreError
) -> str:
    match arguments:
        case ["set", quota, value]:
            names = _names(client, name)
            if quota not in names:
                return f"there is no such quota; there are {', '.join(names)}"
            return f"{value!r} is no whole number from 1 on"
        case [domid] if error.errno == Errno.ENOENT:
            return f"there is no domain {domid}"
        case _:
            return f"it is to be called as: xsd control {name} {COMMANDS[name].usage}"


def _names(client: Client, name: str) -> list[str]:
    """Return what the daemon shows a value of, `name : value` in a line each."""
    try:
        text = show(client.control(name))
    except XenStoreError:
        return []
    return re.findall(r"^([a-z-]+) *:", text, re.MULTILINE)
