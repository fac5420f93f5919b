"""`xsd update`: another daemon in the place of the running one, without a stop.

The steps are those of xenstore-control's live-update, so that they work with every
daemon of XenStore that knows them.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, final

from xsd.cli.common import ClientParser, CommandError, LimitedClient, show, strerror
from xsd.client.client import Client
from xsd.client.errors import NotListeningError
from xsd.protocol.errors import XenStoreError

_EXAMPLES: Final = """
FILE is the program of the new daemon: without one, what this command is part of.
The exit status is 0 if it serves now, else 1, and a line says why the old one goes on.

examples:
  xsd update                               after another version was installed
  xsd update /usr/sbin/xenstored           the daemon of another package
  xsd update --arguments='-N --quota nodes=2000'
"""

TIMEOUT_S: Final = 60
"""Seconds that open transactions may take, unless told otherwise."""

PROOF_S: Final = 120
"""Seconds that everything else may take, a new daemon's proof included."""

_COMMAND: Final = "live-update"
_OK: Final = b"OK"
_BUSY: Final = b"BUSY"
_AGAIN_S: Final = 1.0


@final
class RefusedError(Exception):
    """The daemon goes on as it was.

    Attributes:
        starting: Whether it has accepted the file.
        reason: What it says.
    """

    def __init__(self, reason: str, *, starting: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.starting = starting


def replace_daemon(
    client: Client,
    file: bytes,
    *,
    arguments: bytes | None = None,
    timeout_s: int | None = None,
    force: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Have the daemon become another.

    Args:
        client: Asks for it, and hears of the new one.
        file: The program of the new daemon.
        arguments: Its command line, with blanks between; None for that of the old one.
        timeout_s: Seconds that open transactions may take, if they are waited for.
        force: Go on without them then.
        tell: Is told how far it is.

    Raises:
        RefusedError: If it does not.
    """
    _step(client, b"-f", file, starting=False)
    try:
        if arguments is not None:
            _step(client, b"-c", arguments, starting=True)
        limit = [b"-t", b"%d" % timeout_s] if timeout_s is not None else []
        words = [b"-s", *limit, *([b"-F"] if force else [])]
        tell("the new daemon proves itself")
        deadline = time.monotonic() + (TIMEOUT_S if timeout_s is None else timeout_s)
        while not _step(
            client, *words, starting=True, is_last=time.monotonic() >= deadline
        ):
            tell("the old one is busy")
            time.sleep(_AGAIN_S)
    except RefusedError:
        # There is no session any more if the daemon has refused by itself.
        client.control(_COMMAND, "-a")
        raise


def _step(client: Client, *words: bytes, starting: bool, is_last: bool = True) -> bool:
    """Take a step; False if it is to be repeated, which it is not if it is the last.

    Raises:
        RefusedError: If it is refused.
    """
    try:
        said = client.control(_COMMAND, *words)
    except XenStoreError as error:
        raise RefusedError(strerror(error), starting=starting) from error
    if said != _OK and (is_last or said != _BUSY):
        raise RefusedError(show(said), starting=starting)
    return said == _OK


def update(words: Sequence[str], socket: str | None) -> int:
    """Have the daemon become another, and say how it went."""
    parser = ClientParser(
        "update",
        "Have a new daemon go on in the place of the running one, without a stop.",
        _EXAMPLES,
        limited=False,
    )
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="the new daemon (default: this one)"
    )
    parser.add_argument(
        "--arguments", metavar="WORDS", help="for the new daemon, not those of the old"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="end transactions that the new daemon could not go on with",
    )
    parser.add_argument(
        "--timeout",
        type=int,
        default=TIMEOUT_S,
        metavar="SECONDS",
        help=f"to wait for such transactions (default: {TIMEOUT_S})",
    )
    options = parser.parse(words, socket)
    file = str(Path(options.file or own_daemon(sys.argv[0])).absolute())
    arguments = options.arguments
    with LimitedClient(options.socket, options.timeout + PROOF_S) as client:
        try:
            replace_daemon(
                client,
                os.fsencode(file),
                arguments=None if arguments is None else os.fsencode(arguments),
                timeout_s=options.timeout,
                force=options.force,
                tell=_tell,
            )
        except RefusedError as error:
            raise CommandError(f"{file}: {error.reason}: the old one goes on") from None
        except (ConnectionError, NotListeningError) as error:
            raise CommandError(f"{file}: the daemon has ended: {error}") from None
    print(f"{file} serves now")
    return 0


def own_daemon(program: str) -> str:
    """The daemon that a command is part of: `xenstored` beside it, or it itself.

    Raises:
        CommandError: If it is no program that a daemon could become.
    """
    for each in (Path(program).with_name("xenstored"), Path(program)):
        if each.is_file() and os.access(each, os.X_OK):
            return str(each)
    raise CommandError("the new daemon is to be named: xsd update FILE")


def _tell(text: str) -> None:
    """Say how far it is, to somebody who looks on."""
    if sys.stderr.isatty():
        sys.stderr.write(f"xsd update: {text}\n")
