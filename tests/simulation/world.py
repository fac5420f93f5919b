"""A whole engine with everybody who talks to it, driven by one seed.

There are no sockets, no threads and no clock but a number. All that is drawn comes of
one generator, so a run is the same again for the same seed.
"""

from collections.abc import Callable
from random import Random
from typing import Final, final

from tests.fuzz.generate import Fuzzer
from tests.simulation import requests
from tests.simulation.machine import REFUSALS, Machine
from tests.simulation.peer import Peer
from tests.simulation.watcher import Watcher
from xsd.engine import Engine, Notice
from xsd.engine.inputs import MemoryTape
from xsd.engine.progress import PROTECT_AFTER
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.quota import MEMORY

PEERS_MAX: Final = 14
READ_ALL: Final = 1 << 30

ORDINARY: Final = "ordinary"
TOOLSTACK: Final = "toolstack"
GREEDY: Final = "greedy"
NOISY: Final = "noisy"


@final
class World:
    """The engine, its machine, and its clients.

    Attributes:
        engine: The engine.
        tape: What it has recorded.
        machine: The hypervisor.
        now_ms: The time.
        peers: The clients that are there.
        characters: What kind of client each is, by its connection's number.
        notices: What was said in the last step.
        watcher: Compares with the model, or None.
        answered: How many replies were read by clients that are gone.
    """

    def __init__(
        self, seed: int, *, noisy: bool = False, compared: bool = False
    ) -> None:
        """Make one in which nothing has happened.

        Args:
            seed: Of all that is drawn.
            noisy: Whether all its clients send anything, and much.
            compared: Whether it is compared with the model: all clients are ordinary
                ones then, and nobody has a quota of memory.
        """
        self.random = Random(seed)  # noqa: S311  nothing secret
        self._fuzzer = Fuzzer(seed)
        self.engine = Engine(Store())
        self.tape = MemoryTape()
        self.engine.tape = self.tape
        self.machine = Machine()
        self.engine.attach(self.machine)
        self.now_ms = 1000
        self.peers: list[Peer] = []
        self.characters: dict[int, str] = {}
        self.notices: list[Notice] = []
        self.answered = 0
        self._noisy = noisy
        self.watcher: Watcher | None = None
        if compared:
            self.watcher = Watcher(self.engine, self.tape, self.machine)
            self.engine.set_limit(-1, MEMORY, 0)
        self._steps: list[tuple[int, Callable[[], None]]] = [
            (44, self.somebody_asks),
            (16, self.somebody_reads),
            (12, self.a_transaction),
            (1, self.a_transaction_fails_again_and_again),
            (1, self.some_contend),
            (3, self.toolstack_makes_a_domain),
            (5, self.toolstack_asks),
            (2, self.a_domain_is_there),
            (1, self.a_domain_ends),
            (1, self.a_domain_is_replaced),
            (1, self.a_domain_stops),
            (1, self.a_page_is_refused),
            (1, self.a_ring_begins_anew),
            (1, self.a_domain_is_found),
            (2, self.a_client_comes),
            (1, self.a_client_goes),
            (3, self.a_setting_changes),
            (1, self.time_passes),
        ]
        self._weights = [weight for weight, _step in self._steps]

    def step(self) -> str:
        """Have something happen, and the engine carry out what is due.

        Returns:
            What it was.
        """
        (_weight, step), *_ = self.random.choices(self._steps, self._weights)
        self.notices = []
        step()
        self.turn(self.random.choice((0, 0, 1, 3, 20)))
        return step.__name__

    def turn(self, passed_ms: int = 0) -> None:
        """Have one turn, and the links do their part."""
        self.now_ms += passed_ms
        for peer in list(self.peers):
            peer.flush(self.random.choice((7, 40, 4000, 100_000)))
        self.notices += self.engine.take_notices()
        if self.watcher is not None:
            self.watcher.before_turn(self.peers)
        self.engine.turn(self.now_ms)
        notices = self.engine.take_notices()
        if self.watcher is not None:
            self.watcher.after_turn(notices)
        self.notices += notices
        for connection in self.engine.take_dirty():
            if connection.link is not None:
                connection.link.update()
        self._look_for_channels()
        gone = [each for each in self.peers if each.gone]
        for peer in gone:
            self.answered += peer.answered
            self.peers.remove(peer)

    @property
    def frames(self) -> int:
        """How many requests were answered, and the answers read."""
        return self.answered + sum([each.answered for each in self.peers])

    def settle(self) -> None:
        """Have everybody read, and time pass, until there is nothing left to do."""
        for _ in range(100_000):
            busy = self.engine.busy
            for peer in self.peers:
                if peer.waits:
                    busy = True
                    peer.read(READ_ALL)
            if not busy:
                return
            due_ms = self.engine.next_ms
            self.turn(max(0, due_ms - self.now_ms) if not self.engine.busy else 0)
        raise AssertionError("it does not come to rest")

    # Who there is.

    def add(self, domid: int, *, character: str) -> Peer:
        """A new client that comes by itself."""
        connection = self.engine.connect(domid)
        lazy = self.random.randrange(5) == 0
        peer = Peer(self.engine, connection, is_channel=False, lazy=lazy)
        self.peers.append(peer)
        self.characters[connection.id] = self._kind(character)
        return peer

    def _look_for_channels(self) -> None:
        for connection in self.machine.opened:
            lazy = self.random.randrange(5) == 0
            peer = Peer(self.engine, connection, is_channel=True, lazy=lazy)
            character = self.random.choice((ORDINARY, ORDINARY, GREEDY, NOISY))
            self.characters[connection.id] = self._kind(character)
            self.peers.append(peer)
        self.machine.opened.clear()

    def _kind(self, character: str) -> str:
        """What a new client is in a world of this kind."""
        if self._noisy:
            return NOISY
        if self.watcher is not None and character != TOOLSTACK:
            return ORDINARY
        return character

    def _peer(self) -> Peer | None:
        return self.random.choice(self.peers) if self.peers else None

    def _toolstack(self) -> Peer:
        for peer in self.peers:
            if self.characters[peer.connection.id] == TOOLSTACK:
                return peer
            if self._noisy and not peer.domid:
                return peer
        return self.add(0, character=TOOLSTACK)

    # What happens.

    def somebody_asks(self) -> None:
        """One of them makes requests, as its character is."""
        peer = self._peer()
        if peer is None:
            self._toolstack()
            return
        character = self.characters[peer.connection.id]
        if character == NOISY:
            self._make_noise(peer)
            return
        for _ in range(self.random.choice((1, 1, 2, 5, 30))):
            if character == GREEDY:
                op, payload = requests.greedy(self.random, peer.domid)
            else:
                op, payload = requests.ordinary(self.random, peer.domid)
            if op == Op.UNWATCH and self.random.randrange(4):
                payload = self._a_watch(peer) or payload
            peer.ask(op, payload, self._transaction(peer, op))

    def _make_noise(self, peer: Peer) -> None:
        """Anything, damaged or not; seldom what is no request at all."""
        numbers = list(peer.connection.transactions)
        count = self.random.randrange(1, 100 if self._noisy else 8)
        peer.write(self._fuzzer.frames(count, numbers))
        if self.random.randrange(60) == 0:
            peer.write(self._fuzzer.noise(self.random.randrange(40)))

    def _transaction(self, peer: Peer, op: int) -> int:
        """One of those that a client has open, or seldom one that it has not."""
        numbers = list(peer.connection.transactions)
        roll = self.random.randrange(10)
        if numbers and roll < 6 and op != Op.RESET_WATCHES:
            return self.random.choice(numbers)
        return 77 if roll == 9 and self.random.randrange(8) == 0 else 0

    def _a_watch(self, peer: Peer) -> bytes:
        """One of a client's watches, as UNWATCH names it."""
        watches = list(peer.connection.watches.values())
        if not watches:
            return b""
        watch = self.random.choice(watches)
        return b"%s\0%s\0" % (watch.shown, watch.token)

    def a_transaction(self) -> None:
        """Somebody opens one, or ends one."""
        peer = self._peer()
        if peer is None:
            return
        numbers = list(peer.connection.transactions)
        if numbers and self.random.randrange(2):
            ending = self.random.choice((b"T\0", b"T\0", b"F\0"))
            peer.ask(Op.TRANSACTION_END, ending, self.random.choice(numbers))
        else:
            peer.ask(Op.TRANSACTION_START, b"\0")

    def a_transaction_fails_again_and_again(self) -> None:
        """Somebody else writes what it relies on, until it is protected."""
        peer, other = self._peer(), self._peer()
        if peer is None or other is None or peer is other:
            return
        contended = b"/shared/" + self.random.choice(requests.NAMES)
        for _ in range(self.random.choice((2, PROTECT_AFTER + 2, PROTECT_AFTER + 5))):
            number = peer.connection.last_transaction + 1
            peer.ask(Op.TRANSACTION_START, b"\0")
            peer.ask(Op.READ, contended + b"\0", number)
            peer.ask(Op.WRITE, contended + b"\0mine", number)
            self.turn(1)
            other.ask(Op.WRITE, contended + b"\0" + requests.value(self.random))
            self.turn(1)
            peer.ask(Op.TRANSACTION_END, b"T\0", number)
            self.turn(1)
            peer.read(READ_ALL)

    def some_contend(self) -> None:
        """They change one node, each in a transaction, again and again."""
        contended = b"/shared/" + self.random.choice(requests.NAMES)
        some = self.random.sample(self.peers, min(4, len(self.peers)))
        # Who has changed something takes no turn, and starves.
        first = self.random.choice((Op.READ, Op.WRITE))
        for _ in range(self.random.choice((2, 4, PROTECT_AFTER + 4))):
            for step in range(3):
                for peer in some:
                    number = peer.connection.last_transaction
                    if step == 0:
                        peer.ask(Op.TRANSACTION_START, b"\0")
                    elif step == 1:
                        name = b"/shared/mine" if first == Op.WRITE else contended
                        peer.ask(first, name + b"\0", number)
                        peer.ask(Op.WRITE, contended + b"\0mine", number)
                    else:
                        peer.ask(Op.TRANSACTION_END, b"T\0", number)
                    peer.read(READ_ALL)
                self.turn(1)

    def somebody_reads(self) -> None:
        """Some of them read all, some or little."""
        for peer in list(self.peers):
            if not peer.lazy or self.random.randrange(20) == 0:
                peer.read(self.random.choice((3, 100, READ_ALL, READ_ALL)))

    def toolstack_makes_a_domain(self) -> None:
        """As a rule its home is there before it is introduced."""
        domid = self.random.choice(requests.GUESTS)
        if domid not in self.machine.living:
            self.machine.create(domid)
            if self.random.randrange(8) == 0:
                self.machine.bare.add(domid)
        toolstack = self._toolstack()
        home = requests.home_of(domid)
        toolstack.ask(Op.MKDIR, home + b"\0")
        toolstack.ask(Op.SET_PERMS, b"%s\0n%d\0" % (home, domid))
        toolstack.ask(Op.MKDIR, b"/shared\0")
        toolstack.ask(Op.SET_PERMS, b"/shared\0b%d\0r32757\0" % domid)
        toolstack.ask(Op.INTRODUCE, b"%d\x001\0%d\0" % (domid, 1 + domid))

    def toolstack_asks(self) -> None:
        """Something that only toolstacks may."""
        peer = self._toolstack() if self.random.randrange(8) else self._peer()
        if peer is not None:
            op, payload = requests.privileged(self.random)
            if self.watcher is None or not _is_unknown(op, payload):
                peer.ask(op, payload)

    def a_domain_is_there(self) -> None:
        """The hypervisor has it, and nobody has told yet."""
        domid = self.random.choice(requests.GUESTS)
        if domid not in self.machine.living:
            self.machine.create(domid)

    def a_domain_ends(self) -> None:
        """And the hypervisor tells."""
        known = [each.domid for each in self.engine.store.domains.all() if each.domid]
        ended = [each for each in known if self.random.randrange(3) == 0]
        for domid in ended:
            self.machine.destroy(domid)
        self.engine.domains_changed(ended, [])

    def a_domain_is_replaced(self) -> None:
        """By another of its id, before anybody looked."""
        if self.machine.living:
            self.machine.create(self.random.choice(list(self.machine.living)))

    def a_domain_stops(self) -> None:
        """And the hypervisor tells, perhaps with the end of others."""
        running = [
            each.domid
            for each in self.engine.store.domains.all()
            if each.domid and each.introduced and not each.shut_down
        ]
        if running:
            stopped = self.random.choice(running)
            ended = [each for each in running if self.random.randrange(6) == 0]
            for domid in ended:
                self.machine.destroy(domid)
            self.engine.domains_changed(
                [each for each in ended if each != stopped], [stopped]
            )

    def a_page_is_refused(self) -> None:
        """The next INTRODUCE of a domain fails, unless it is made anew."""
        domid = self.random.choice(requests.GUESTS)
        self.machine.unmapped[domid] = self.random.choice(REFUSALS)

    def a_ring_begins_anew(self) -> None:
        """Its guest has loaded another driver."""
        channels = [each for each in self.peers if each.is_channel]
        if channels:
            self.random.choice(channels).restart()

    def a_domain_is_found(self) -> None:
        """One of dom0less, or one that is there already."""
        domid = self.random.choice(requests.GUESTS)
        if domid not in self.machine.channels:
            self.engine.introduce_waiting(domid)

    def a_client_comes(self) -> None:
        """Of dom0, or a socket of a guest's."""
        if len(self.peers) >= PEERS_MAX:
            self.a_client_goes()
            return
        domid = self.random.choice((0, 0, *self.machine.living))
        characters = (ORDINARY, NOISY) if domid == 0 else (ORDINARY, GREEDY, NOISY)
        self.add(domid, character=self.random.choice(characters))

    def a_client_goes(self) -> None:
        """With or without what it still wanted."""
        sockets = [each for each in self.peers if not each.is_channel]
        if sockets:
            self.random.choice(sockets).leave()

    def a_setting_changes(self) -> None:
        """The operator has changed the file of settings."""
        roll = self.random.randrange(4)
        if roll == 0:
            self.engine.keep_orphans(keep=bool(self.random.randrange(2)))
        elif roll == 1:
            self.engine.expire_events_after(self.random.choice((0, 50, 2000)))
        else:
            name, limit = requests.setting(self.random)
            if self.watcher is not None and name == MEMORY.encode():
                return
            self.engine.set_limit(-1, name.decode(), limit)

    def time_passes(self) -> None:
        """Rests end, events expire."""
        self.now_ms += self.random.choice((100, 1000, 30_000))


def _is_unknown(op: int, payload: bytes) -> bool:
    """Whether the model does not know what a request does."""
    return op == Op.SET_FEATURE or (
        op == Op.SET_QUOTA and MEMORY.encode() in payload.split(b"\0")
    )
