"""The state of a running daemon: fetched, and its nodes made what others were."""

from collections.abc import Callable, Iterator
from typing import Final, final

from xsd.cli.common import CommandError, show, strerror
from xsd.client.client import Client
from xsd.client.nodes import NodeOperations, string
from xsd.client.session import Call
from xsd.engine.control_state import PIECE
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.lean import deque
from xsd.protocol.ops import Op
from xsd.protocol.records import NodeData, Record
from xsd.protocol.stream import StreamError, read_stream

UNDER_WAY: Final = 64
"""Pieces of a state that are asked for at a time."""

Tell = Callable[[int, int], None]
"""Is told how much is done, and how much there is."""


def fetch(client: Client, tell: Tell = lambda _done, _whole: None) -> bytes:
    """A copy of all that a daemon has, as a stream.

    Args:
        client: Who asks; the copy is kept for it.
        tell: Is told of bytes.

    Raises:
        CommandError: If the daemon cannot, or was replaced meanwhile.
    """
    try:
        size = int(client.control("state", "copy"))
        return b"".join(_pieces(client, size, tell))
    except ValueError:
        raise CommandError("the daemon was replaced meanwhile: try again") from None
    except XenStoreError as error:
        if error.errno == Errno.EINVAL:
            reason = "it is no xsd, or an older one"
            raise CommandError(
                f"the daemon does not tell its state: {reason}"
            ) from None
        reason = strerror(error)
        raise CommandError(f"the daemon does not tell its state: {reason}") from None


def _pieces(client: Client, size: int, tell: Tell) -> Iterator[bytes]:
    """Ask for many at once; an answer has a NUL behind what it tells."""
    asked: deque[Call] = deque()
    done = 0
    for offset in range(0, size, PIECE):
        words = (b"state", b"read", b"%d" % offset)
        payload = b"".join([string(word) for word in words])
        asked.append(client.start(Op.CONTROL, payload))
        if len(asked) < UNDER_WAY and offset + PIECE < size:
            continue
        client.push()
        # The daemon works on the second half while the first is taken.
        left = UNDER_WAY // 2 if offset + PIECE < size else 0
        while len(asked) > left:
            piece = client.finish(asked.popleft())[:-1]
            done += len(piece)
            tell(done, size)
            yield piece


def records_of(data: bytes) -> list[Record]:
    """What is in a state that was fetched.

    Raises:
        CommandError: If it is damaged, which is a defect.
    """
    try:
        return read_stream(data)
    except StreamError as error:
        raise CommandError(f"what the daemon tells cannot be read: {error}") from error


@final
class Tree:
    """Nodes as somebody has told of them.

    Attributes:
        nodes: Value and permissions, as text, by path, each after the one above it.
    """

    def __init__(self, records: list[Record]) -> None:
        self.nodes: dict[bytes, tuple[bytes, list[bytes]]] = {}
        for record in records:
            if isinstance(record, NodeData) and not record.connection:
                # Who is stale was there once, and is stale again when it is set.
                perms = [entry.text for entry in record.entries]
                self.nodes[record.path] = record.value, perms

    def below(self, top: bytes) -> "Tree":
        """A node and what is below it."""
        found = Tree([])
        lead = top.rstrip(b"/") + b"/"
        found.nodes = {
            path: node
            for path, node in self.nodes.items()
            if path == top or path.startswith(lead)
        }
        return found


def steps(present: Tree, wanted: Tree) -> list[tuple[Op, bytes]]:
    """Requests that make a tree another one, without those that change nothing."""
    found: list[tuple[Op, bytes]] = []
    for path in present.nodes:
        # What is below goes with it; a special node cannot be removed.
        above = path.rpartition(b"/")[0] or b"/"
        is_topmost = above in wanted.nodes or above not in present.nodes
        if path not in wanted.nodes and is_topmost and path.startswith(b"/"):
            found.append((Op.RM, string(path)))
    for path, (value, perms) in wanted.nodes.items():
        old = present.nodes.get(path)
        if path.startswith(b"/") and (old is None or old[0] != value):
            found.append((Op.WRITE, string(path) + value))
        if old is None or old[1] != perms:
            payload = b"".join([string(each) for each in (path, *perms)])
            found.append((Op.SET_PERMS, payload))
    return found


def carry_out(
    transaction: NodeOperations, todo: list[tuple[Op, bytes]], tell: Tell
) -> None:
    """Take steps.

    Raises:
        CommandError: If one is refused; nothing of them may be committed then.
    """
    for number, (op, payload) in enumerate(todo):
        try:
            transaction.request(op, payload)
        except XenStoreError as error:
            path = show(payload.partition(b"\0")[0])
            raise CommandError(f"{op.name} {path}: {strerror(error)}") from None
        tell(number + 1, len(todo))


def replace(
    client: Client, wanted: Tree, top: bytes, tell: Tell = lambda _done, _whole: None
) -> int:
    """Make a node and all below it, or the whole tree, what it was elsewhere.

    That is one transaction: all of it happens or nothing, those who watch are told,
    and what others do meanwhile comes before or after.

    Args:
        client: Who does it.
        wanted: What is to be there.
        top: The node; ``/`` for everything, special nodes as well.
        tell: Is told of steps.

    Returns:
        How many steps there were.

    Raises:
        CommandError: If one is refused.
        XenStoreError: EAGAIN if others changed the same nodes again and again.
    """

    def work(transaction: NodeOperations) -> int:
        # Later than its beginning: what somebody changed in between is a conflict, or
        # none of our business.
        present = Tree(records_of(fetch(client)))
        if top != b"/":
            present = present.below(top)
        todo = steps(present, wanted)
        carry_out(transaction, todo, tell)
        return len(todo)

    return client.run_transaction(work)
