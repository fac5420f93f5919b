"""The state of one client. Its behaviour is elsewhere."""

from typing import TYPE_CHECKING, Final, final

from xsd.engine.outbox import Outbox, Tally
from xsd.protocol.frame import Frame, FrameDecoder
from xsd.protocol.path import Path, parse_path
from xsd.protocol.perms import Caller
from xsd.store import Transaction, Watch
from xsd.store.footprint import Footprint
from xsd.store.usage import Usage

if TYPE_CHECKING:
    from xsd.engine.progress import Protection

_ID_LIMIT: Final = 1 << 32


@final
class Connection:
    """One client and all that is kept for it.

    Attributes:
        id: Number of the connection, never used again.
        caller: Who the client is.
        home: Where its relative paths begin.
        decoder: Input that is not a whole frame yet.
        backlog: Frames that are not answered yet, because others had their turn or
            the outbox is full.
        outbox: Output.
        transactions: Open ones by id.
        watches: By path and token.
        closing: Nothing is read any more; the connection ends when the outbox is
            empty.
        lost: It ends at once, whatever is in the outbox.
        refusals: Requests refused so far.
        conflicts: Transactions in a row that failed because of others.
        conflicted: What the last of these relied on.
        rests_until_ms: When a guest is served again that has asked for much work.
        tally: What a guest has under way; see the quota ``outstanding``.
        waited_for: The protection that its next request had to wait for; once only.
    """

    __slots__ = (
        "_last_transaction",
        "backlog",
        "caller",
        "closing",
        "conflicted",
        "conflicts",
        "decoder",
        "home",
        "id",
        "lost",
        "outbox",
        "refusals",
        "rests_until_ms",
        "tally",
        "transactions",
        "waited_for",
        "watches",
    )

    def __init__(self, number: int, caller: Caller, usage: Usage) -> None:
        self.id = number
        self.caller = caller
        self.home = b"/local/domain/%d" % caller.domid
        self.decoder = FrameDecoder()
        self.backlog: list[Frame] = []
        self.outbox = Outbox(None if caller.privileged else usage, caller.domid)
        self.transactions: dict[int, Transaction] = {}
        self.watches: dict[tuple[Path, bytes], Watch] = {}
        self.closing = False
        self.lost = False
        self.refusals = 0
        self.conflicts = 0
        self.conflicted: Footprint | None = None
        self.rests_until_ms = 0
        self.tally = Tally()
        self.waited_for: Protection | None = None
        self._last_transaction = 0

    def __repr__(self) -> str:
        return f"Connection(#{self.id}, dom{self.caller.domid})"

    def resolve(self, raw: bytes, *, limit: int, special: bool = False) -> Path:
        """The path that the client means; see `parse_path`."""
        return parse_path(raw, self.home, special=special, limit=limit)

    def keep(self, transaction: Transaction) -> int:
        """Keep an open transaction under a new id.

        Ids are 32 bits wide, begin at 1 and go up; 0 means no transaction.
        """
        number = self._last_transaction
        while True:
            number = (number + 1) % _ID_LIMIT
            if number and number not in self.transactions:
                break
        self._last_transaction = number
        self.transactions[number] = transaction
        return number

    def restart(self) -> None:
        """Forget what came and was not answered, and what was not sent.

        The client's next byte begins a frame again, and so does the next one that
        it is sent. A connection that is closing stays so.
        """
        self.backlog = []
        self.waited_for = None
        self.outbox.clear()
        if not self.closing:
            self.decoder = FrameDecoder()

    def drop(self, transaction: Transaction) -> int:
        """Keep a transaction no longer; its id, or 0 if it is not kept."""
        for number, each in self.transactions.items():
            if each is transaction:
                del self.transactions[number]
                return number
        return 0
