"""`xsd watch`: one line for each change, as xenstore-watch prints it."""

import sys

from xsd.cli.common import ClientParser, CommandError, connect, raw, refused, show
from xsd.client.client import Client
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.lean import Final, Sequence

_EXAMPLES: Final = """
Each watch prints its own path once at the start. @introduceDomain and
@releaseDomain tell of domains that come and go.

examples:
  xsd watch /local/domain/5/device         until Ctrl-C
  xsd watch -n 2 /a                        until the first change
  xsd watch --depth 1 /local/domain        neither grandchildren nor below
"""


def watch(words: Sequence[str], socket: str | None) -> int:
    """Print the path of each change."""
    parser = ClientParser("watch", "Print the path of each change.", _EXAMPLES)
    parser.add_argument(
        "-n",
        dest="count",
        type=int,
        default=-1,
        metavar="NR",
        help="exit after this many lines (default: never)",
    )
    parser.add_argument(
        "--depth",
        type=int,
        metavar="N",
        help="levels below the node that count (default: all)",
    )
    parser.add_paths()
    options = parser.parse(words, socket)
    with connect(options) as client:
        for path in raw(options.paths):
            _set(client, path, options.depth)
        _print_events(client, options.count)
    return 0


def _set(client: Client, path: bytes, depth: int | None) -> None:
    try:
        client.watch(path, path, depth)
    except XenStoreError as error:
        if depth is not None and error.errno == Errno.EINVAL:
            message = f"{show(path)}: the daemon refuses a watch with a depth, as old"
            raise CommandError(f"{message} ones do") from None
        said = f"Unable to add watch on {show(path)}"
        raise refused("watch", error, path, said) from None


def _print_events(client: Client, count: int) -> None:
    """Print as many events, or all that come if `count` is negative."""
    while count:
        event = client.next_event()
        if event is None:
            raise AssertionError("a wait without a limit has ended")
        sys.stdout.buffer.write(event.path + b"\n")
        sys.stdout.buffer.flush()
        count -= 1
