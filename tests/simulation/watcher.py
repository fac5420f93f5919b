"""Looks on while an engine carries out requests, and compares with the model."""

from typing import final

from tests.simulation.machine import Machine
from tests.simulation.model import Asked, Event, Model, shown
from tests.simulation.peer import Peer
from xsd.engine import Engine, Notice
from xsd.engine.inputs import (
    CAME,
    DOMAINS,
    FOUND,
    LIMIT,
    ORPHANS,
    REQUEST,
    RESTARTED,
    WENT,
    Input,
    MemoryTape,
)
from xsd.protocol.ops import Op
from xsd.protocol.reply import encode_event

TRACED = ("io", "obj")


@final
class Seen:
    """What was traced of one request."""

    def __init__(self, fields: dict[str, object]) -> None:
        self.connection = int(str(fields["connection"]))
        self.number = int(str(fields["request_id"]))
        self.reply = b""
        self.length = 0
        self.channel = 0
        self.events: set[Event] = set()


@final
class Watcher:
    """Compares each request's reply and events, and the nodes now and then.

    Attributes:
        model: What has to be.
        asked: How many requests were compared.
    """

    def __init__(self, engine: Engine, tape: MemoryTape, machine: Machine) -> None:
        self.model = Model(machine)
        self.asked = 0
        self._engine = engine
        self._inputs = tape.inputs
        self._done = 0
        self._machine = machine
        self._clients: dict[int, Peer] = {}
        self._introduces = False
        engine.trace(TRACED, on=True)

    def before_turn(self, clients: list[Peer]) -> None:
        """Take note of what was not asked for by requests since the last turn."""
        self._clients = {each.connection.id: each for each in clients}
        for entry in self._inputs[self._done :]:
            self._happened(entry)
        self._done = len(self._inputs)

    def after_turn(self, notices: list[Notice]) -> None:
        """Compare what was carried out in a turn."""
        assert all(each.kind == REQUEST for each in self._inputs[self._done :])
        self._done = len(self._inputs)
        self._introduces = any(
            each.event == "io.request" and each.fields["message"] == "INTRODUCE"
            for each in notices
        )
        seen: Seen | None = None
        for notice in notices:
            fields = notice.fields
            if notice.event == "io.request":
                self._compare(seen)
                seen = Seen(fields)
            elif seen is None:
                pass
            elif notice.event == "io.reply":
                seen.reply = _bytes(fields["payload"])
                seen.length = int(str(fields["length"]))
            elif notice.event == "io.event":
                path, token = _bytes(fields["payload"]).split(b"\0")[:2]
                seen.events.add((int(str(fields["connection"])), path, token))
            elif notice.event == "obj.connected":
                seen.channel = int(str(fields["connection"]))
        self._compare(seen)

    def check(self) -> None:
        """Compare the nodes."""
        difference = self.model.differs(self._engine.store)
        assert not difference, difference

    def _happened(self, entry: Input) -> None:
        """An input that is no request."""
        model, kind = self.model, entry.kind
        if kind == CAME:
            model.came(entry.connection, entry.domid)
        elif kind == WENT:
            model.went(entry.connection)
        elif kind == RESTARTED:
            model.forget(entry.connection)
        elif kind == DOMAINS:
            count = entry.numbers[0] + 1
            model.domains(list(entry.numbers[count:]), list(entry.numbers[1:count]))
        elif kind == FOUND:
            channel = self._machine.channels.get(entry.domid)
            model.found(entry.domid, channel.id if channel else 0)
        elif kind == LIMIT:
            model.naive.set_quota(entry.domid, entry.name, entry.numbers[0])
        elif kind == ORPHANS:
            model.keep_orphans = bool(entry.numbers[0])
        else:
            raise AssertionError(entry)

    def _compare(self, seen: Seen | None) -> None:
        """Ask the model the same."""
        if seen is None:
            return
        frame = self._clients[seen.connection].by_id[seen.number]
        asked = Asked(seen.connection, frame, seen.reply, seen.channel)
        reply, events = self.model.answer(asked)
        self.asked += 1
        what = f"#{seen.connection} {Op(frame.op).name} {frame.payload!r}"
        if reply is not None:
            got = seen.reply, seen.length
            assert got == (shown(reply), len(reply)), f"{what}: {got}, not {reply!r}"
        expected = set(events)
        missing = [each for each in expected - seen.events if not self._excused(each)]
        assert not missing, f"{what}: nobody is told {missing}"
        more = seen.events - expected
        assert not more, f"{what}: told is {more}"

    def _excused(self, event: Event) -> bool:
        """Whether an event need not be told: its client is gone, or has it waiting."""
        number, path, token = event
        connection = self._engine.core.connections.get(number)
        if connection is None or connection.lost:
            return True
        if self._introduces and not connection.caller.privileged:
            # Its output may have been forgotten since, in the same turn.
            return True
        frame = encode_event(path, token)
        return frame is None or frame in connection.outbox.events()


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
