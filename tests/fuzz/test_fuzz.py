"""Random and damaged requests: every one is answered and nothing else suffers.

What is the same for every seed: each request has one reply, no defect of ours shows
(EIO), the store stays consistent, and a client that has nothing to do with it has its
answers and its data.
"""

import contextlib
import os
import selectors
import socket
from pathlib import Path
from typing import Final, final

import pytest

from tests.engine.support import OK, take_bytes
from tests.engine.support import Client as EngineClient
from tests.engine.support import event as told
from tests.fuzz.generate import Fuzzer
from tests.support.daemons import start_xsd
from xsd.client import Client
from xsd.engine import Connection, Engine
from xsd.protocol.errors import ERROR_NAMES, Errno
from xsd.protocol.frame import Frame, FrameDecoder
from xsd.protocol.ops import Op
from xsd.protocol.perms import Caller
from xsd.store import Store
from xsd.store.check import verify

FIRST_SEED: Final = int(os.environ.get("XSD_FUZZ_SEED", "1"))
"""With another one, other requests are made; the default makes failures repeatable."""

SEEDS: Final = range(FIRST_SEED, FIRST_SEED + 5)

ENGINE_BATCHES: Final = 80
ENGINE_FRAMES: Final = 300
"""Of each batch; with 5 seeds that is 120,000 frames."""

ENGINE_PIECE: Final = 30
"""Of one client, before it may be another's turn."""

DAEMON_BATCHES: Final = 4
DAEMON_CLIENTS: Final = 4
DAEMON_FRAMES: Final = 300
"""Of each client in each batch, more than a turn; with 5 seeds that is 24,000."""

_NAMES: Final = frozenset(name.encode() + b"\0" for name in ERROR_NAMES)
_EIO: Final = Errno.EIO.name.encode() + b"\0"


def check_replies(requests: list[Frame], sent: list[Frame]) -> None:
    """Check that each request has one reply, in order; what else came are events."""
    replies = [frame for frame in sent if frame.op != Op.WATCH_EVENT]
    assert [(frame.req_id, frame.tx_id) for frame in replies] == [
        (frame.req_id, frame.tx_id) for frame in requests
    ]
    for request, reply in zip(requests, replies, strict=True):
        if reply.op == Op.ERROR:
            assert reply.payload in _NAMES
            assert reply.payload != _EIO, request
        else:
            assert reply.op == request.op


@final
class Fuzzed:
    """A connection to an engine that is sent anything.

    Attributes:
        connection: The engine's end of it.
    """

    def __init__(self, engine: Engine, caller: Caller) -> None:
        self._engine = engine
        self._caller = caller
        self._begin()

    def _begin(self) -> None:
        self.connection: Connection = self._engine.connect(self._caller)
        self._stream = self.connection.decoder
        self._requests = FrameDecoder()
        self._asked: list[Frame] = []
        self._sent = FrameDecoder()
        self._got: list[Frame] = []

    def send(self, data: bytes) -> None:
        """Send bytes."""
        if self.connection.decoder is not self._stream:
            # Its domain was introduced again: half a request is forgotten.
            self._stream = self.connection.decoder
            self._requests = FrameDecoder()
        self._asked += self._requests.feed(data)
        self._engine.receive(self.connection, data, 0)

    def read(self) -> bool:
        """Read what came and be served on; tells whether something happened."""
        sent = take_bytes(self.connection)
        self._got += self._sent.feed(sent)
        ready = self._engine.is_ready(self.connection)
        if ready:
            self._engine.resume(self.connection, 0)
        return ready or bool(sent)

    def check(self) -> None:
        """Check that everything was answered; comes back if it was ended."""
        connection = self.connection
        assert self._sent.pending == b""
        if not connection.lost:
            assert connection.backlog == []
            assert connection.closing == (self._requests.error is not None)
            check_replies(self._asked, self._got)
        self._asked, self._got = [], []
        if connection.lost or connection.closing:
            self._again()

    def _again(self) -> None:
        """Come back as another client of the same domain."""
        self._engine.disconnect(self.connection)
        store = self._engine.store
        if store.domains.get(self._caller.domid) is None:
            store.introduce(self._caller.domid, 1)
        self._caller = store.known(self._caller.domid).caller
        self._begin()


def settle(clients: list[Fuzzed]) -> None:
    """Serve all clients until nothing is left to do, and check what they got."""
    busy = True
    while busy:
        busy = False
        for client in clients:
            busy |= client.read()
    for client in clients:
        client.check()


def give_homes(dom0: EngineClient) -> None:
    """Give guests a node of their own again, and all of them to read."""
    for path, entries in (
        (b"/local/domain/1", b"n1\0r2\0"),
        (b"/local/domain/2", b"b2\0"),
        (b"/a", b"r0\0"),
    ):
        dom0.ok(Op.WRITE, path + b"\0")
        dom0.ok(Op.SET_PERMS, path + b"\0" + entries)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_engine_withstands_anything(seed: int) -> None:
    """Two clients of dom0 and two guests, and a bystander that sees only its own."""
    fuzzer = Fuzzer(seed)
    engine = Engine(Store())
    store = engine.store
    bystander = EngineClient(engine)
    bystander.ask(Op.WATCH, b"/bystander\0t\0")
    for domid in (1, 2):
        store.introduce(domid, 1)
    callers = [store.privileged.caller] * 2 + [store.known(n).caller for n in (1, 2)]
    clients = [Fuzzed(engine, caller) for caller in callers]

    for number in range(ENGINE_BATCHES):
        value = b"%d" % number
        assert bystander.ask(Op.WRITE, b"/bystander\0" + value) == [
            told(b"/bystander", b"t"),
            (Op.WRITE, OK),
        ]
        give_homes(bystander)
        for _ in range(ENGINE_FRAMES // ENGINE_PIECE):
            client = clients[fuzzer.below(len(clients))]
            client.send(
                fuzzer.frames(ENGINE_PIECE, list(client.connection.transactions))
            )
            settle(clients)
        if fuzzer.chance(30):
            client = clients[fuzzer.below(len(clients))]
            client.send(fuzzer.frames(5, ()) + fuzzer.noise(fuzzer.below(100)))
            settle(clients)
        assert verify(store) == []
        assert bystander.reply(Op.READ, b"/bystander\0") == (Op.READ, value)
        assert [n.event for n in engine.take_notices() if n.error] == []


@final
class Fuzzing:
    """A client of a real daemon that sends one lot of bytes.

    Attributes:
        sock: Its socket.
        received: What came, to be compared with what was sent.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(path))
        self.sock.setblocking(False)
        self.received = b""
        self._data = data
        self._left = memoryview(data)

    def ready(self, selector: selectors.BaseSelector, mask: int) -> bool:
        """Send and read what is possible; tells whether it goes on."""
        try:
            if mask & selectors.EVENT_READ:
                piece = self.sock.recv(1 << 16)
                self.received += piece
                if not piece:
                    return False
            if mask & selectors.EVENT_WRITE:
                self._left = self._left[self.sock.send(self._left) :]
                if not self._left:
                    self.sock.shutdown(socket.SHUT_WR)
                    selector.modify(self.sock, selectors.EVENT_READ, self)
        except BlockingIOError:
            return True
        except (BrokenPipeError, ConnectionResetError):
            # After a bad header the daemon closes; what it answered is there still.
            with contextlib.suppress(ConnectionResetError, BlockingIOError):
                while piece := self.sock.recv(1 << 16):
                    self.received += piece
            return False
        return True

    def check(self) -> None:
        """Check what came by what was sent."""
        requests = FrameDecoder().feed(self._data)
        check_replies(requests, FrameDecoder().feed(self.received))


def exchange(clients: list[Fuzzing]) -> None:
    """Serve all clients at once until the daemon has ended each."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            selector.register(client.sock, both, client)
        while selector.get_map():
            for key, mask in selector.select():
                if not key.data.ready(selector, mask):
                    selector.unregister(key.fileobj)
    for client in clients:
        client.sock.close()
        client.check()


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_daemon_withstands_anything(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Several clients at once, some that go without reading, and a bystander."""
    fuzzer = Fuzzer(1000 + seed)
    directory = tmp_path_factory.mktemp("xs")
    with (
        start_xsd(directory) as daemon,
        Client(str(daemon.socket), timeout=30.0) as bystander,
    ):
        for number in range(DAEMON_BATCHES):
            value = b"%d" % number
            bystander.write("/bystander", value)
            ids = range(1, 8)
            lots = [fuzzer.frames(DAEMON_FRAMES, ids) for _ in range(DAEMON_CLIENTS)]
            lots[-1] += fuzzer.noise(100)
            rude = Fuzzing(daemon.socket, b"")
            rude.sock.send(fuzzer.frames(20, ids))
            rude.sock.close()
            exchange([Fuzzing(daemon.socket, lot) for lot in lots])

            assert bystander.read("/bystander") == value
        assert bystander.request(Op.CONTROL, b"check\0") == OK
    log = (directory / "log").read_text(encoding="utf-8")

    assert "store.checked" in log
    for defect in ("request.failed", "store.inconsistent", "loop.failed", "Traceback"):
        assert defect not in log
