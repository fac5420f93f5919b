"""A daemon of a few lines: it answers what pretended guests ask on their rings."""

import os
import select
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar, final

from xsd.hypervisor.base import DYING, Channel
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import Op
from xsd.protocol.ring import ERROR_PROTOCOL, ERROR_RING_INDEX, Ring, RingError
from xsd.testing import Guest

T = TypeVar("T")


@final
class EchoServer:
    """Answers each request with its own payload, in a thread.

    A request whose payload begins with `/refused` gets EACCES, WATCH is preceded by
    an event, and transactions have the id 1. Nothing is read while a reply waits for
    room.

    Attributes:
        path: The control socket.
    """

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "control")
        self._hypervisor = EmulatedHypervisor(self.path)
        self._clients: dict[int, _Client] = {}
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._wake = os.eventfd(0)
        self._stopped = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "EchoServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._stop)
        self._thread.join()
        os.close(self._wake)

    def run(self, work: Callable[[], T]) -> T:
        """Do something in the server's thread."""
        future: Future[T] = Future()

        def do() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  it is the caller's
                future.set_exception(error)

        self._work.put(do)
        os.eventfd_write(self._wake, 1)
        return future.result(timeout=10)

    def introduce(self, guest: Guest) -> None:
        """Begin to serve a guest."""
        self.run(lambda: self._connect(guest.domid, guest.port))

    def rebind(self, guest: Guest) -> None:
        """Go on serving a domain that has another port."""
        self.run(lambda: self._rebind(guest.domid, guest.port))

    def domids(self) -> list[int]:
        """Return the domains that are served."""
        return self.run(lambda: [c.channel.domid for c in self._clients.values()])

    def _run(self) -> None:
        while not self._stopped:
            control = self._hypervisor.fileno()
            ready, _, _ = select.select([control, self._wake], [], [])
            if self._wake in ready:
                os.eventfd_read(self._wake)
                while not self._work.empty():
                    self._work.get()()
            if control in ready and not self._stopped:
                self._look()

    def _stop(self) -> None:
        self._stopped = True
        for client in list(self._clients.values()):
            self._release(client)
        self._hypervisor.close()

    def _look(self) -> None:
        ports, changed = self._hypervisor.pending()
        for port in ports:
            self._serve(self._clients[port])
        for client in list(self._clients.values()) if changed else []:
            state = self._hypervisor.state(client.channel.domid)
            gone = state is None or state.state == DYING
            if gone or (state and state.unique_id != client.unique_id):
                self._release(client)

    def _connect(self, domid: int, port: int) -> None:
        channel = self._hypervisor.connect(domid, port)
        state = self._hypervisor.state(domid)
        assert state is not None
        self._clients[channel.port] = _Client(channel, state.unique_id)

    def _rebind(self, domid: int, port: int) -> None:
        for client in list(self._clients.values()):
            if client.channel.domid == domid:
                del self._clients[client.channel.port]
                self._hypervisor.rebind(client.channel, port)
                self._clients[client.channel.port] = client

    def _release(self, client: "_Client") -> None:
        del self._clients[client.channel.port]
        client.ring.release()
        self._hypervisor.disconnect(client.channel)

    def _serve(self, client: "_Client") -> None:
        try:
            # Until there is nothing to do: a lazy guest does not always notify.
            while client.move():
                self._hypervisor.notify(client.channel)
        except RingError:
            client.ring.error = ERROR_RING_INDEX
            self._hypervisor.notify(client.channel)


@final
class _Client:
    """A ring and what has not been written to it yet."""

    def __init__(self, channel: Channel, unique_id: int) -> None:
        self.channel = channel
        self.unique_id = unique_id
        self.ring = Ring(channel.page)
        self.decoder = FrameDecoder()
        self.outbox = b""

    def move(self) -> bool:
        """Move bytes one way, or the other; False if there are none."""
        if self.outbox:
            size = self.ring.write_responses(self.outbox)
            self.outbox = self.outbox[size:]
            return size > 0
        data = self.ring.read_requests(RING_SIZE)
        for frame in self.decoder.feed(data):
            self.outbox += _answer(frame)
        if self.decoder.error is not None:
            self.ring.error = ERROR_PROTOCOL
        return data != b""


def _answer(frame: Frame) -> bytes:
    op, req_id, tx_id, payload = frame.op, frame.req_id, frame.tx_id, frame.payload
    if payload.startswith(b"/refused"):
        return encode_frame(Op.ERROR, req_id, tx_id, b"EACCES\0")
    if op == Op.TRANSACTION_START:
        payload = b"1\0"
    reply = encode_frame(op, req_id, tx_id, payload)
    if op == Op.WATCH:
        return encode_frame(Op.WATCH_EVENT, 0, 0, payload) + reply
    return reply
