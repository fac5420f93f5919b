"""The state of one client. Its behaviour is elsewhere."""

from typing import Final, final

from xsd.engine.link import Link
from xsd.engine.mark import Mark
from xsd.engine.outbox import Outbox, Tally
from xsd.protocol.frame import Frame, FrameDecoder
from xsd.protocol.limits import UINT_MAX
from xsd.protocol.path import Path, domain_path
from xsd.protocol.perms import Caller
from xsd.store import Transaction, Watch
from xsd.store.footprint import Footprint
from xsd.store.usage import Usage

HIGH_WATER: Final = 256 * 1024
"""Unsent bytes from which on a client's requests are left until it has read some."""

MANY_WATCHES: Final = 1000
"""Watches of one client that the log is told of at first."""


@final
class Connection:
    """One client and all that is kept for it.

    Attributes:
        id: Number of the connection, never used again.
        caller: Who the client is.
        home: Where its relative paths begin.
        link: Who moves its bytes, or None.
        mark: What a process that follows this one finds of it, or None.
        decoder: Input that is not a whole frame yet.
        backlog: Frames that are not answered yet: it is not their turn, or they have
            to wait for something.
        many_watches: How many watches are worth a line of the log, next.
        outbox: Output.
        transactions: Open ones by id.
        watches: By path and token.
        last_transaction: Id of the transaction opened last.
        closing: Nothing is read any more; the connection ends when everything is
            answered and the outbox is empty.
        restarts: How often it has begun anew.
        served: Requests that were carried out for it, whatever came of them.
        lost: It ends at once, whatever is in the outbox.
        is_channel: It is the channel of an introduced domain, and ends with it.
        queued: It is among those whose turn it is.
        dirty: It is among those that have something new for their links.
        held: The request that a guest was held up with when a time was set to look at
            that; else None.
        has_slot: What is under way with it outlives the process; see ledger.py.
        has_read: Some of its output was taken since it was last looked at.
        is_watched: A time is set at which it is looked at whether it reads.
        is_kernel: It is our own kernel, which is not given up for what waits for it.
        paused: Its link does not read from it until it wants input.
        expires_ms: Time that is set at which its oldest event will have expired; 0 for
            none.
        awaits_reading: Its next request has to wait until its client has read some.
        conflicts: Transactions in a row that failed because of others.
        conflicted: What the last of these relied on, for the next one's protection;
            of a client of dom0's that needs one.
        pays_until_ms: When it will have paid for others' waiting at contested nodes.
        owes_until_ms: When a guest will have worked off what it has asked for.
        rests_until_ms: When a guest is served again that owes too much.
        tally: What a guest has under way; see the quota ``outstanding``.
        waited_for: Number of the protection that its next request had to wait for;
            0 for none. Each is waited for once only. IN_VAIN if it waited for its turn
            at a contested node for too long.
    """

    __slots__ = (
        "awaits_reading",
        "backlog",
        "caller",
        "closing",
        "conflicted",
        "conflicts",
        "decoder",
        "dirty",
        "expires_ms",
        "has_read",
        "has_slot",
        "held",
        "home",
        "id",
        "is_channel",
        "is_kernel",
        "is_watched",
        "last_transaction",
        "link",
        "lost",
        "many_watches",
        "mark",
        "outbox",
        "owes_until_ms",
        "paused",
        "pays_until_ms",
        "queued",
        "restarts",
        "rests_until_ms",
        "served",
        "tally",
        "transactions",
        "waited_for",
        "watches",
    )

    def __init__(
        self, number: int, caller: Caller, usage: Usage, fallen: list[Tally]
    ) -> None:
        """Make a connection on which nothing has happened.

        Args:
            number: Its number.
            caller: Who the client is.
            usage: Where a guest's output is counted.
            fallen: Is told of its tally; see `Tally`.
        """
        self.id = number
        self.caller = caller
        self.home = domain_path(caller.domid)
        self.link: Link | None = None
        self.mark: Mark | None = None
        self.decoder = FrameDecoder()
        self.backlog: list[Frame] = []
        self.outbox = Outbox() if caller.privileged else Outbox(usage, caller.domid)
        self.transactions: dict[int, Transaction] = {}
        self.watches: dict[tuple[Path, bytes], Watch] = {}
        self.many_watches = MANY_WATCHES
        self.last_transaction = 0
        self.served = 0
        self.restarts = 0
        self.has_slot = False
        self.closing = False
        self.lost = False
        self.is_channel = False
        self.is_kernel = False
        self.is_watched = False
        self.has_read = False
        self.held: Frame | None = None
        self.queued = False
        self.dirty = False
        self.paused = False
        self.expires_ms = 0
        self.awaits_reading = False
        self.conflicts = 0
        self.conflicted: Footprint | None = None
        self.pays_until_ms = 0
        self.owes_until_ms = 0
        self.rests_until_ms = 0
        self.tally = Tally(number, fallen)
        self.waited_for = 0

    def __repr__(self) -> str:
        return f"Connection(#{self.id}, dom{self.caller.domid})"

    @property
    def wants_input(self) -> bool:
        """Whether there is nothing to do before more is read from the client."""
        return not (
            self.backlog or self.closing or self.lost or self.outbox.size > HIGH_WATER
        )

    @property
    def pending(self) -> bytes:
        """What the client has sent and was not carried out."""
        waiting = [frame.whole for frame in self.backlog]
        return b"".join([*waiting, self.decoder.pending])

    def keep(self, transaction: Transaction) -> int:
        """Keep an open transaction under a new id.

        Ids are 32 bits wide, begin at 1 and go up; 0 means no transaction.
        """
        number = self.last_transaction
        while True:
            number = (number + 1) & UINT_MAX
            if number and number not in self.transactions:
                break
        self.last_transaction = number
        self.transactions[number] = transaction
        return number

    def restart(self) -> None:
        """Forget what came and was not answered, and what was not sent.

        The client's next byte begins a frame again, and so does the next one that
        it is sent. A connection that is closing stays so.
        """
        self.restarts += 1
        self.backlog = []
        self.waited_for = 0
        self.outbox.clear()
        if not self.closing:
            self.decoder = FrameDecoder()
