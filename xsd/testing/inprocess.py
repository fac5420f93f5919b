r"""A daemon in the test's own process and thread: no socket, no loop, no clock.

    with InProcess() as xenstore:
        dom0 = xenstore.client()
        guest = xenstore.guest(7)
        dom0.get(Op.WRITE, b"/local/domain/7/name\0web")

What is sent is carried out before `send` returns, as far as it may be; time passes only
when the test says so, or when a client waits for an answer that some time has to pass
for. So nothing depends on how fast the machine is, and every run is like the last.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Self, final

from xsd.client import Client, DisconnectedError, Transport
from xsd.engine import Connection, Engine, Notice
from xsd.engine.guests import Guests
from xsd.engine.inputs import Tape
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.domains import Domain
from xsd.testing.session import TIMEOUT_S, Session, strings

EVENT_TIMEOUT_MS: Final = 20_000
"""How long an event waits for a guest that does not read, as by default."""

_PORT: Final = 1000
"""The event channel of a domain has this number and its domid added."""


@final
class Shell:
    """What the transports of a daemon do with its engine, and nothing else."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now_ms = 0

    def turn(self) -> None:
        """Have the engine do all that it can do now, and end who is to be ended."""
        engine = self.engine
        engine.turn(self.now_ms)
        self._update()
        while engine.busy:
            engine.turn(self.now_ms)
            self._update()

    def read(self, connection: Connection) -> bytes:
        """Take all that is to be sent on a connection."""
        outbox = connection.outbox
        parts: list[bytes] = []
        while outbox.size:
            part = bytes(outbox.peek())
            self.engine.sent(connection, len(part))
            parts.append(part)
        self._end_if_over(connection)
        return b"".join(parts)

    def _update(self) -> None:
        for connection in self.engine.take_dirty():
            self._end_if_over(connection)

    def _end_if_over(self, connection: Connection) -> None:
        is_done = connection.closing and not connection.backlog
        if connection.lost or (is_done and not connection.outbox.size):
            self.engine.disconnect(connection)


@final
class Line(Transport):
    """One client's way to the daemon.

    What a guest sends before it is introduced is forgotten: a ring is empty then.

    Attributes:
        connection: The engine's end of it, None if there is none.
    """

    __slots__ = ("_machine", "connection")

    def __init__(self, machine: "Machine", connection: Connection | None) -> None:
        self._machine = machine
        self.connection = connection

    def send(self, data: bytes, timeout: float | None) -> None:
        """See `Transport.send`; it is never refused for want of room."""
        del timeout
        if self.connection is not None:
            self._machine.shell.engine.feed(self.connection, data)
            self._machine.run()

    def receive(self, timeout: float | None) -> bytes:
        """See `Transport.receive`; the time is that of the machine's clock.

        Nothing is waited for: if nothing comes when that time has passed, nothing does.
        """
        machine = self._machine
        until_ms = machine.shell.now_ms + int((timeout or 0) * 1000)
        while True:
            connection = self.connection
            if connection is not None:
                data = machine.shell.read(connection)
                machine.run()
                if data:
                    return data
                if connection.lost:
                    raise DisconnectedError("the daemon has ended the connection")
            if not machine.wait(until_ms):
                raise TimeoutError("nothing comes")

    def close(self) -> None:
        """End the connection."""
        if self.connection is not None:
            self._machine.shell.engine.disconnect(self.connection)
            self._machine.run()


@final
class Machine(Guests):
    """The hypervisor and the clock of a daemon in process: what its engine asks.

    Attributes:
        shell: Moves bytes.
        domains: The unique id of each domain that there is.
        lines: The line of each.
        is_seen: Whether the daemon looks at domains.
    """

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.domains: dict[int, int] = {}
        self.lines: dict[int, Line] = {}
        self.is_seen = True
        self._created = 0

    def create(self, domid: int) -> Line:
        """Make a domain."""
        if domid in self.domains:
            raise ValueError(f"there is a domain {domid}")
        self._created += 1
        self.domains[domid] = self._created
        line = self.lines[domid] = Line(self, None)
        return line

    def destroy(self, *domids: int) -> None:
        """Destroy domains; the daemon learns it from `tell`."""
        for domid in domids:
            del self.domains[domid]
            del self.lines[domid]

    def tell(self) -> None:
        """Have the daemon see which domains have ended."""
        if not self.is_seen:
            return
        engine = self.shell.engine
        ended = [
            each.domid
            for each in engine.store.domains.all()
            if each.unique_id and self.domains.get(each.domid) != each.unique_id
        ]
        engine.domains_changed(ended, [])
        self.run()

    def run(self) -> None:
        """Have the daemon do all that it can do now."""
        self.shell.turn()

    def advance(self, by_ms: int) -> None:
        """Let time pass."""
        self.shell.now_ms += by_ms
        self.run()

    def wait(self, until_ms: int) -> bool:
        """Let the time pass that somebody has to wait for, if it is not too long."""
        now_ms, next_ms = self.shell.now_ms, self.shell.engine.next_ms
        if not now_ms < next_ms <= until_ms:
            return False
        self.advance(next_ms - now_ms)
        return True

    def unique_id(self, domid: int) -> int | None:
        """See `Census.unique_id`."""
        return self.domains.get(domid)

    def connect(self, domain: Domain, port: int, connection: Connection) -> bool:
        """See `Guests.connect`; a domain that was not made has no channel."""
        del port
        line = self.lines.get(domain.domid)
        if line is None:
            return False
        line.connection = connection
        return True

    def reconnect(self, domain: Domain, port: int) -> None:
        """See `Guests.reconnect`: there is no ring to be emptied."""

    def disconnect(self, domain: Domain) -> None:
        """See `Guests.disconnect`: its line finds out."""


@final
class InProcess:
    """A daemon, its hypervisor, and the clock of both.

    Args:
        event_timeout_ms: How long an event waits for a guest that does not read.
        tape: Is handed all that changes the daemon's state.

    Attributes:
        engine: What answers, for a look inside.
        store: What it serves.
    """

    def __init__(
        self, *, event_timeout_ms: int = EVENT_TIMEOUT_MS, tape: Tape | None = None
    ) -> None:
        self.store = Store()
        self.engine = Engine(self.store)
        self.engine.tape = tape
        self.engine.expire_events_after(event_timeout_ms)
        self._machine = Machine(Shell(self.engine))
        self.engine.attach(self._machine)
        self._toolstack = self.client()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        for connection in self.engine.connections:
            self.engine.disconnect(connection)

    # Clients

    def connect(self, domid: int = 0) -> Line:
        """Another connection of dom0, or of a domain that is introduced."""
        if domid:
            self.store.introduced(domid)
        return Line(self._machine, self.engine.connect(domid))

    def client(self, domid: int = 0) -> Session:
        """A session on such a connection."""
        return Session(self.connect(domid), domid)

    def library(self, domid: int = 0) -> Client:
        """The client library on such a connection; its time limits are the clock's."""
        return Client(transport=self.connect(domid), timeout=TIMEOUT_S)

    # Domains

    def create(self, domid: int) -> Session:
        """Make a domain, which is served as soon as somebody introduces it.

        Raises:
            ValueError: If there is one of this id.
        """
        return Session(self._machine.create(domid), domid)

    def exists(self, domid: int) -> bool:
        """Tell whether there is a domain of this id, be it introduced or not."""
        return domid in self._machine.domains

    def introduce(self, domid: int) -> None:
        """INTRODUCE a domain, as a toolstack does."""
        payload = strings(b"%d" % domid, b"1", b"%d" % self.port(domid))
        self._toolstack.ok(Op.INTRODUCE, payload)

    def guest(self, domid: int) -> Session:
        """Make a domain that is introduced and has a home of its own."""
        guest = self.create(domid)
        self.introduce(domid)
        self._toolstack.make(b"/local/domain/%d" % domid, b"n%d" % domid)
        return guest

    def port(self, domid: int) -> int:
        """The event channel that INTRODUCE of a domain is to be told."""
        return _PORT + domid

    def unique_id(self, domid: int) -> int:
        """What no other domain ever has, whatever its domid; 0 if there is none."""
        return self._machine.domains.get(domid, 0)

    def kill(self, *domids: int) -> None:
        """Destroy domains, all at once for the daemon."""
        self._machine.destroy(*domids)
        self._machine.tell()

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Have the daemon see only afterwards which domains have ended."""
        self._machine.is_seen = False
        try:
            yield
        finally:
            self._machine.is_seen = True
            self._machine.tell()

    def shutdown(self, domid: int) -> None:
        """Have a domain stop by itself."""
        self.engine.domains_changed([], [domid])
        self.run()

    # Time

    @property
    def now_ms(self) -> int:
        """What the clock shows, milliseconds from 0 on."""
        return self._machine.shell.now_ms

    def advance(self, by_ms: int) -> None:
        """Let time pass, and the daemon do what it waited for."""
        self._machine.advance(by_ms)

    def run(self) -> None:
        """Have the daemon do all that it can do now."""
        self._machine.run()

    def take_notices(self) -> list[Notice]:
        """What the log should say since this was asked last."""
        return self.engine.take_notices()
