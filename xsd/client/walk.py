"""All nodes below one, many requests under way at once, in the order of a walk."""

from heapq import heappop, heappush

from xsd.client.client import Client
from xsd.client.nodes import split_strings, string
from xsd.client.session import Call
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.lean import Final, Iterator, deque, final
from xsd.protocol.ops import Op

UNDER_WAY: Final = 64
"""Nodes about which requests are under way at most."""


@final
class Visit:
    """A node that a walk has come to.

    Attributes:
        path: Its path, which begins with that of the top as it was given.
        depth: Levels below the top.
        is_last: Whether it is the last child of its parent.
        children: Its children in the walk, the last one first; whoever takes them away
            leaves them out.
    """

    __slots__ = (
        "_client",
        "_error",
        "_listing",
        "_names",
        "_permissions",
        "_reading",
        "children",
        "depth",
        "is_last",
        "path",
        "place",
    )

    def __init__(
        self, client: Client, path: bytes, place: tuple[int, ...], *, is_last: bool
    ) -> None:
        self.path = path
        self.depth = len(place)
        self.is_last = is_last
        # Which child of which child it is: the order of a walk is that of these.
        self.place = place
        self.children: list[Visit] = []
        self._client = client
        self._reading: Call | None = None
        self._permissions: Call | None = None
        self._listing: Call | None = None
        self._names: list[bytes] | None = None
        self._error: XenStoreError | None = None

    @property
    def value(self) -> bytes:
        """Its value.

        Raises:
            XenStoreError: If it cannot be read; ENOENT if it has gone meanwhile.
        """
        return self._finished(self._reading)

    @property
    def permissions(self) -> list[bytes]:
        """Its permissions, if the walk was to fetch them.

        Raises:
            XenStoreError: As from `value`.
        """
        return split_strings(self._finished(self._permissions))

    @property
    def names(self) -> list[bytes]:
        """The names of its children.

        Raises:
            XenStoreError: As from `value`.
        """
        if self._error is not None:
            raise self._error
        if self._names is None:
            raise AssertionError("it is not known yet")
        return self._names

    @property
    def is_known(self) -> bool:
        """Whether the answers have come."""
        return self._names is not None or self._error is not None

    @property
    def is_answered(self) -> bool:
        """Whether `learn` need not wait."""
        return self._listing is not None and self._listing.reply is not None

    def ask(self, *, permissions: bool) -> None:
        """Send the requests."""
        name = string(self.path)
        self._reading = self._client.start(Op.READ, name)
        if permissions:
            self._permissions = self._client.start(Op.GET_PERMS, name)
        self._listing = self._client.start(Op.DIRECTORY, name)

    def learn(self) -> None:
        """Wait for the answers, of which the listing is the last."""
        try:
            self._names = self._listed()
        except XenStoreError as error:
            self._error = error

    def _listed(self) -> list[bytes]:
        try:
            return split_strings(self._finished(self._listing))
        except XenStoreError as error:
            if error.errno != Errno.E2BIG:
                raise
        return self._client.directory(self.path)

    def found(self) -> "Iterator[Visit]":
        """Yield a visit for each child."""
        lead = self.path if self.path.endswith(b"/") else self.path + b"/"
        names = self._names or []
        for index, name in enumerate(names, start=1):
            place = (*self.place, index)
            last = index == len(names)
            yield Visit(self._client, lead + name, place, is_last=last)

    def _finished(self, call: Call | None) -> bytes:
        if call is None:
            raise AssertionError("the walk was not to fetch this")
        return self._client.finish(call)


def walk(
    client: Client,
    top: bytes,
    *,
    permissions: bool = False,
    depth: int | None = None,
) -> Iterator[Visit]:
    """Yield a node and all below it, parents first and children in their order.

    What comes next is asked for ahead. A node that vanishes meanwhile is yielded,
    raises ENOENT when it is asked for its value, and has nothing below it.

    Args:
        client: The client.
        top: Where to begin.
        permissions: Whether to fetch permissions, too.
        depth: Levels below the top to go to; None for all.

    Raises:
        XenStoreError: Behind a node that cannot be listed, unless it has vanished; also
            then for the top.
    """
    first = Visit(client, top, (), is_last=True)
    # Not asked about yet: of these, who comes first in the walk is asked about first.
    ahead = [(first.place, first)]
    asked: deque[Visit] = deque()
    waiting = [first]
    while waiting:
        visit = waiting.pop()
        while not visit.is_known:
            while ahead and len(asked) < UNDER_WAY:
                following = heappop(ahead)[1]
                following.ask(permissions=permissions)
                asked.append(following)
            _learn(asked.popleft(), depth, ahead)
            while asked and asked[0].is_answered:
                _learn(asked.popleft(), depth, ahead)
        yield visit
        try:
            visit.names  # noqa: B018  raises
        except XenStoreError as error:
            if error.errno != Errno.ENOENT or not visit.depth:
                raise
        waiting += visit.children


def _learn(
    visit: Visit, depth: int | None, ahead: list[tuple[tuple[int, ...], Visit]]
) -> None:
    """Wait for the answers about a node, and have its children asked about."""
    visit.learn()
    if visit.depth != depth:
        visit.children = list(visit.found())
        for child in visit.children:
            heappush(ahead, (child.place, child))
        visit.children.reverse()
