"""The reactor: an epoll of our own that holds every descriptor, and passes over it.

The event loop knows one descriptor only, the epoll's. When that is ready, there is a
pass: receive from all that have something, have the engine take its turn, send once
to everybody who has output. Then the epoll is polled again, with a short wait, before
the loop goes on: as long as requests keep coming, one costs no more system calls than
receiving it, sending its reply and its share of a poll.
"""

import select
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, final

from mypy_extensions import mypyc_attr

from xsd.engine import Connection, Engine, Notice
from xsd.engine.link import Link
from xsd.engine.loglimit import LogLimit
from xsd.transport.loop import Loop, Timer

READY_MAX: Final = 64
"""Descriptors that are served in one pass."""

LINGER_MS: Final = 10
"""How long it is waited for more before the loop goes on.

Longer than the kernel's tick (1 to 4 ms): a time-out before the next tick has the
kernel program the processor's timer for each wait, which on a virtual machine costs as
much as the rest of a request.
"""

PASSES_MS: Final = 10
"""How long the loop waits at most if there is always more, in milliseconds."""

RETRY_S: Final = 0.1
"""How long what has failed is left alone: at once it would only fail again."""

_IN: Final[int] = select.EPOLLIN
_OUT: Final[int] = select.EPOLLOUT


class Wire(Link):
    """A transport's end of a connection, which the reactor tells of bytes to move.

    Attributes:
        connection: The engine's end.
    """

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        connection.link = self

    def let_go(self) -> None:
        """Be the connection's link no longer: it is gone, and nothing looks for it."""
        self.connection.link = None

    @abstractmethod
    def on_input(self) -> None:
        """Hand what has come to the engine, or its end."""

    @abstractmethod
    def on_output(self) -> None:
        """Send what waits: there is room again."""

    @abstractmethod
    def give_up(self) -> None:
        """End the connection: something has failed that should not."""


class Transport(ABC):
    """Connections without descriptors of their own, which a transport looks after."""

    __slots__ = ()

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether `receive` would find something."""

    @abstractmethod
    def wake(self) -> None:
        """Something has woken the daemon, not necessarily anything of ours."""

    @abstractmethod
    def receive(self) -> None:
        """Hand what has come to the engine, which takes its turn afterwards."""

    @abstractmethod
    def finish(self) -> None:
        """A pass is over: everybody has been sent to."""


@final
@mypyc_attr(native_class=True)
class Reactor:
    """Moves bytes between descriptors and the engine.

    An exception of one wire or callback is reported and costs that one only.

    Attributes:
        engine: What answers.
        now_ms: When the last pass began, in milliseconds of `clock`.
        linger_ms: How long it is waited for more before the loop goes on.
        retry_s: How long what has failed is left alone.
    """

    __slots__ = (
        "_callbacks",
        "_clock",
        "_core",
        "_epoll",
        "_limit",
        "_loop",
        "_next_ms",
        "_on_notice",
        "_passing",
        "_poll",
        "_retries",
        "_schedule",
        "_scheduled",
        "_timer",
        "_timer_ms",
        "_transports",
        "_wires",
        "engine",
        "linger_ms",
        "now_ms",
        "retry_s",
    )

    def __init__(
        self,
        engine: Engine,
        on_notice: Callable[[Notice], None],
        loop: Loop,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to wait for whatever will be added.

        Args:
            engine: What answers.
            on_notice: Is given what the log should say.
            loop: Calls us when there is something to do.
            clock: Seconds of a monotonic clock.
        """
        self.engine = engine
        self._core = engine.core
        self._schedule = engine.core.schedule
        self.linger_ms = LINGER_MS
        self.retry_s = RETRY_S
        self.now_ms = int(clock() * 1000)
        self._on_notice = on_notice
        self._limit = LogLimit()
        self._loop = loop
        self._clock = clock
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        # By descriptor.
        self._wires: list[Wire | None] = []
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._transports: list[Transport] = []
        self._timer: Timer | None = None
        self._timer_ms = 0
        # When the engine has to take a turn in any case.
        self._next_ms = 0
        # Whether `_go_on` is about to be called.
        self._scheduled = False
        self._passing = False
        # Whether a turn that failed is about to be tried again.
        self._retries = False
        loop.add_reader(self._epoll.fileno(), self._on_ready)

    def close(self) -> None:
        """Wait for nothing any more; what was added is left as it is."""
        if self._epoll.closed:
            return
        # What the ends of clients had for the log.
        for notice in self.engine.take_notices():
            self.note(notice)
        self._note_left_out(self._limit.end())
        self._loop.remove_reader(self._epoll.fileno())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._epoll.close()

    def fileno(self) -> int:
        """Descriptor that is readable when there is something to do."""
        return self._epoll.fileno()

    @property
    def busy(self) -> bool:
        """Whether a pass is going to come, whatever happens."""
        return self._scheduled

    # What is waited for.

    def add(self, descriptor: int, wire: Wire) -> None:
        """Tell a wire of input at its descriptor.

        Raises:
            OSError: If the kernel does not watch over that descriptor.
        """
        self._epoll.register(descriptor, _IN)
        wires = self._wires
        while len(wires) <= descriptor:
            wires.append(None)
        wires[descriptor] = wire

    def change(self, descriptor: int, wire: Wire, reading: bool, writing: bool) -> None:
        """Say anew what a wire is to be told of."""
        mask = (_IN if reading else 0) | (_OUT if writing else 0)
        if self._wires[descriptor] is None:
            if mask:
                self._epoll.register(descriptor, mask)
                self._wires[descriptor] = wire
        elif mask:
            self._epoll.modify(descriptor, mask)
        else:
            # With no mask we would still be told of an end, again and again.
            self.remove(descriptor)

    def remove(self, descriptor: int) -> None:
        """Forget a wire's descriptor, which is still open."""
        if self._wires[descriptor] is not None:
            self._wires[descriptor] = None
            self._epoll.unregister(descriptor)

    def listen(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Have something called while a descriptor is ready that is no client's."""
        self._epoll.register(descriptor, _IN)
        self._callbacks[descriptor] = callback

    def ignore(self, descriptor: int) -> None:
        """Undo `listen`, even if it has been undone by then."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def rest(self, descriptor: int) -> None:
        """Leave a descriptor of `listen` alone for some time."""
        callback = self._callbacks.get(descriptor)
        if callback is not None:
            self._epoll.modify(descriptor, 0)
            again = partial(self._listen_again, descriptor)
            self._loop.call_later(self.retry_s, again)

    def _listen_again(self, descriptor: int) -> None:
        if descriptor in self._callbacks and not self._epoll.closed:
            self._epoll.modify(descriptor, _IN)

    def include(self, transport: Transport) -> None:
        """Have a transport take part in the passes."""
        self._transports.append(transport)

    def exclude(self, transport: Transport) -> None:
        """Undo `include`, even if it has never been done."""
        if transport in self._transports:
            self._transports.remove(transport)

    # What is reported.

    def note(self, notice: Notice) -> None:
        """Hand something to the log, unless there has been enough of the kind."""
        # If that fails, there is nowhere left to tell it.
        with suppress(Exception):
            if self._limit.admits(notice, self.now_ms):
                self._on_notice(notice)

    def _note_all(self) -> None:
        """Hand what there is to the log, and have a pass when there will be more."""
        for notice in self.engine.take_notices():
            self.note(notice)
        look_ms = self._limit.look_ms
        if look_ms and look_ms <= self.now_ms:
            self._note_left_out(self._limit.look(self.now_ms))
            look_ms = self._limit.look_ms
        if look_ms and (not self._next_ms or look_ms < self._next_ms):
            self._next_ms = look_ms

    def _note_left_out(self, notices: list[Notice]) -> None:
        """Tell the log what was left out."""
        with suppress(Exception):
            for notice in notices:
                self._on_notice(notice)

    def failed(self, wire: Wire, error: Exception) -> None:
        """Report a defect of ours that one connection has met, and end that one."""
        connection = wire.connection
        fields: dict[str, object] = {
            "connection": connection.id,
            "domid": connection.caller.domid,
        }
        self.note(Notice("error", "connection.failed", fields, error))
        try:
            wire.give_up()
        except Exception as another:  # noqa: BLE001  the others must not suffer
            self.note(Notice("error", "connection.failed", fields, another))

    def report(self, what: str, error: Exception) -> None:
        """Report a defect of ours that is not one connection's.

        Args:
            what: What has failed.
            error: How.
        """
        fields: dict[str, object] = {"what": what}
        self.note(Notice("error", "reactor.failed", fields, error))

    # When there is a pass.

    def wake(self) -> None:
        """Have a pass soon: something was changed outside of one."""
        if not self._passing and not self._scheduled and not self._epoll.closed:
            self._scheduled = True
            self._loop.call_soon(self._go_on)

    def run(self) -> None:
        """Make a pass over what is ready now; does nothing within a pass."""
        if not self._passing and not self._epoll.closed:
            self._run(0)

    def _on_ready(self) -> None:
        self._run(PASSES_MS)

    def _go_on(self) -> None:
        self._scheduled = False
        if not self._epoll.closed:
            self._run(PASSES_MS)

    def _retry(self) -> None:
        self._retries = False
        self.wake()

    def _on_time(self) -> None:
        self._timer = None
        if not self._epoll.closed:
            self._run(PASSES_MS)

    def _run(self, passes_ms: int) -> None:
        """Make passes, as long as there is more but for so long at most."""
        self._passing = True
        goes_on = False
        try:
            for transport in self._transports:
                self._wake(transport)
            goes_on = self._pass(self._poll(0, READY_MAX))
            until_ms = self.now_ms + passes_ms
            while self.now_ms < until_ms and not self._epoll.closed:
                wait_ms = 0
                if not goes_on:
                    wait_ms = self.linger_ms
                    if self._next_ms:
                        wait_ms = max(0, min(wait_ms, self._next_ms - self.now_ms))
                ready: list[tuple[int, int]] = self._poll(wait_ms / 1000, READY_MAX)
                if not ready and not goes_on:
                    break
                goes_on = self._pass(ready)
            self._passing = False
            next_ms = self._next_ms
            if next_ms and (self._timer is None or next_ms < self._timer_ms):
                self._set_timer(next_ms)
            if goes_on:
                self.wake()
        except Exception as error:  # noqa: BLE001  clients must be able to go on
            self._passing = False
            try:
                self.report("pass", error)
            finally:
                # There is no memory, perhaps not even for a timer. What is ready stays
                # so, and the loop would call us at once.
                time.sleep(RETRY_S)

    def _set_timer(self, next_ms: int) -> None:
        """Have a pass at that time, which is before the one that is set."""
        if self._epoll.closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ms = next_ms
        # Time has passed since the pass began: it may be late by that, never early.
        delay_ms = max(next_ms - self.now_ms, 1)
        self._timer = self._loop.call_later(delay_ms / 1000, self._on_time)

    # A pass.

    def _pass(self, ready: list[tuple[int, int]]) -> bool:
        """Receive, have the engine take its turn, send; tell whether to go on."""
        now = self._clock()
        self.now_ms = int(now * 1000)
        self._receive(ready)
        for transport in self._transports:
            try:
                transport.receive()
            except Exception as error:  # noqa: BLE001  the others must not suffer
                self.report("receive", error)
        has_failed = False
        try:
            self.engine.turn(self.now_ms)
        except Exception as error:  # noqa: BLE001  clients must be able to go on
            has_failed = True
            self.report("turn", error)
            if not self._retries:
                # Once, however many passes there are meanwhile.
                self._loop.call_later(self.retry_s, self._retry)
                self._retries = True
        self._send()
        goes_on = False
        for transport in self._transports:
            try:
                transport.finish()
            except Exception as error:  # noqa: BLE001  the others must not suffer
                self.report("finish", error)
            if transport.busy:
                goes_on = True
        self._next_ms = self._schedule.next_ms
        if self._core.notices or self._limit.look_ms:
            self._note_all()
        # Only now: who has read may go on.
        return goes_on or (not has_failed and self._schedule.busy)

    def _receive(self, ready: list[tuple[int, int]]) -> None:
        wires = self._wires
        for descriptor, events in ready:
            wire = wires[descriptor] if descriptor < len(wires) else None
            if wire is None:
                self._call(descriptor)
                continue
            try:
                if events & _OUT:
                    wire.on_output()
                if events & ~_OUT and wires[descriptor] is wire:
                    wire.on_input()
            except Exception as error:  # noqa: BLE001  the others must not suffer
                self.failed(wire, error)

    def _wake(self, transport: Transport) -> None:
        try:
            transport.wake()
        except Exception as error:  # noqa: BLE001  the others must not suffer
            self.report("wake", error)

    def _call(self, descriptor: int) -> None:
        callback = self._callbacks.get(descriptor)
        if callback is None:
            return
        try:
            callback()
        except Exception as error:  # noqa: BLE001  the others must not suffer
            self.report("callback", error)
            self.rest(descriptor)

    def _send(self) -> None:
        """Have all links do what their connections ask for."""
        # An end may leave something for others.
        while self._core.dirty:
            for connection in self.engine.take_dirty():
                link = connection.link
                if link is None:
                    continue
                try:
                    link.update()
                except Exception as error:  # noqa: BLE001  the others must not suffer
                    if isinstance(link, Wire):
                        self.failed(link, error)
                    else:
                        self.report("update", error)
