"""Clients that change the same nodes without pause: their attempts are counted."""

from collections.abc import Callable, Generator
from random import Random
from typing import Final, final

import pytest

from tests.engine.support import OK, Client, give, guest_of, run
from xsd.engine import Engine
from xsd.engine.contest import TURN_MS
from xsd.engine.progress import PROTECT_AFTER
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.check import verify

Steps = Generator[tuple[Op, bytes], bytes]
"""Requests of a transaction, each made when the one before is answered."""

Work = Callable[[int], Steps]
"""What a client does in each of its transactions; by its number."""

KEYS: Final = (b"/key/0", b"/key/1", b"/key/2")

ATTEMPTS: Final = PROTECT_AFTER + 1
"""What a commit needs at most."""

ROUNDS: Final = 3000


def one_key(_number: int) -> Steps:
    """Count."""
    value = yield Op.READ, KEYS[0] + b"\0"
    yield Op.WRITE, KEYS[0] + b"\0%d" % (int(value) + 1)


def keys_in_any_order(number: int) -> Steps:
    """Two may each have read what the other one is about to read."""
    keys = list(KEYS)
    Random(number).shuffle(keys)  # noqa: S311  a test's
    for key in keys:
        yield Op.READ, key + b"\0"
    for key in keys:
        yield Op.WRITE, key + b"\0%d" % number


def change_first(number: int) -> Steps:
    """Then what is looked at later must not have changed since."""
    yield Op.WRITE, KEYS[number % 3] + b"\0%d" % number
    yield Op.WRITE, KEYS[0] + b"\0%d" % number


def next_name(number: int) -> Steps:
    """A child whose name depends on those that there are."""
    names = yield Op.DIRECTORY, b"/key\0"
    yield Op.WRITE, b"/key/%d\0%d" % (names.count(b"\0") % 20, number)


def blind(number: int) -> Steps:
    """No more than a write of each."""
    for key in KEYS:
        yield Op.WRITE, key + b"\0%d" % number


@final
class Contender:
    """One that makes such transactions without pause.

    Attributes:
        attempts: What each of its commits has needed.
        failed: Attempts since the last one.
        rounds: How often it was asked to go on until each of them.
    """

    def __init__(self, client: Client, number: int, work: Work) -> None:
        self.client = client
        self.attempts: list[int] = []
        self.rounds: list[int] = []
        self.failed = 0
        self._passed = 0
        self._requests = self._all(number, work)
        self._ask(next(self._requests))

    def go_on(self) -> None:
        """Ask for the next thing if the last was answered."""
        self._passed += 1
        for _op, payload in self.client.take():
            self._ask(self._requests.send(payload))

    def _ask(self, request: tuple[Op, bytes, int]) -> None:
        frame = self.client.frame(*request)
        self.client.engine.feed(self.client.connection, frame)

    def _all(self, number: int, work: Work) -> Generator[tuple[Op, bytes, int], bytes]:
        while True:
            tx = int((yield Op.TRANSACTION_START, b"\0", 0).rstrip(b"\0"))
            steps = work(number)
            request = next(steps)
            while request[0] != Op.TRANSACTION_END:
                answer = yield (*request, tx)
                try:
                    request = steps.send(answer)
                except StopIteration:
                    request = Op.TRANSACTION_END, b"T\0"
            self.failed += 1
            if (yield (*request, tx)) == OK:
                self.attempts.append(self.failed)
                self.rounds.append(self._passed)
                self.failed = self._passed = 0


def contend(contenders: list[Contender], writers: list[Client], rounds: int) -> None:
    """Have all go on in any order, again and again, a millisecond each time."""
    engine = contenders[0].client.engine
    order = Random(rounds)  # noqa: S311  a test's
    contenders = contenders[:]
    for now_ms in range(rounds):
        order.shuffle(contenders)
        for each in contenders:
            each.go_on()
        for writer in writers:
            writer.take()
            for op, payload in blind(now_ms):
                engine.feed(writer.connection, writer.frame(op, payload))
        run(engine, now_ms)
    assert verify(engine.store) == []


def scene(count: int, work: Work, who: str) -> list[Contender]:
    """Clients of dom0 or guests, or half of each, in a store that all may write."""
    engine = Engine(Store())
    dom0 = Client(engine)
    for path in (b"/key", *KEYS):
        give(dom0, path, b"b0\0", b"0")
    guests = {"dom0": 0, "guests": count, "both": count // 2}[who]
    clients = [
        guest_of(engine, number + 1) if number < guests else Client(engine)
        for number in range(count)
    ]
    return [Contender(client, number, work) for number, client in enumerate(clients)]


@pytest.mark.parametrize("writers", [0, 3], ids=["quiet", "flooded"])
@pytest.mark.parametrize("who", ["dom0", "guests", "both"])
@pytest.mark.parametrize(
    "work",
    [one_key, keys_in_any_order, change_first, next_name],
    ids=lambda work: work.__name__,
)
def test_everybody_commits_after_few_attempts(
    work: Work, who: str, writers: int
) -> None:
    """Whatever they rely on, and though guests write into all of it without pause.

    Of dom0 and guests that contend, dom0: guests have what it leaves.
    """
    count = 10
    contenders = scene(count, work, who)
    engine = contenders[0].client.engine
    flood = [guest_of(engine, 50 + number) for number in range(writers)]
    contend(contenders, flood, 60 * count)
    for each in contenders[count // 2 if who == "both" else 0 :]:
        assert len(each.attempts) >= 4
        assert max([*each.attempts, each.failed]) <= ATTEMPTS


@pytest.mark.parametrize("count", [10, 100])
@pytest.mark.parametrize("who", ["dom0", "guests"])
def test_those_who_count_have_their_turns_in_order(who: str, count: int) -> None:
    """All but the first fail once; then nobody does, and everybody waits alike.

    A commit of two requests and the beginning of the next take two rounds.
    """
    contenders = scene(count, one_key, who)
    contend(contenders, [], 12 * count)
    attempts = [number for each in contenders for number in each.attempts]
    assert max(attempts) <= 2
    assert sum(attempts) - len(attempts) < count
    commits = [len(each.attempts) for each in contenders]
    assert min(commits) >= 4
    assert max(commits) - min(commits) <= 2
    assert max(number for each in contenders for number in each.rounds) <= 3 * count


def meet(number: int) -> Steps:
    """Be one more in a directory, and see who is there."""
    yield Op.DIRECTORY, b"/key\0"
    yield Op.WRITE, b"/key/dom%d\0" % number


@pytest.mark.parametrize("count", [15, 100])
@pytest.mark.parametrize("who", ["dom0", "guests"])
def test_many_who_meet_in_a_directory_all_get_in(who: str, count: int) -> None:
    """Each at its second attempt, however many there are."""
    contenders = scene(count, meet, who)
    contend(contenders, [], 12 * count)
    assert max(each.attempts[0] for each in contenders) <= 2


def dawdle(number: int) -> Steps:
    """Do nothing for a while, having looked at what others count with."""
    yield Op.READ, KEYS[0] + b"\0"
    for _ in range(number):
        yield Op.GET_DOMAIN_PATH, b"1\0"


@pytest.mark.parametrize("pause_ms", [TURN_MS // 2, TURN_MS - 2, 3 * TURN_MS])
def test_a_guest_that_dawdles_keeps_others_waiting_but_rarely(pause_ms: int) -> None:
    """Whether it is in time or not: it pays with turns of its own."""
    commits = []
    for dawdlers in (0, 1):
        counting = scene(3, one_key, "guests")
        engine = counting[0].client.engine
        others = [
            Contender(guest_of(engine, 9), pause_ms, dawdle) for _ in range(dawdlers)
        ]
        contend(counting + others, [], ROUNDS)
        commits.append(sum(len(each.attempts) for each in counting))
    assert commits[0] == pytest.approx(ROUNDS / 2, rel=0.05)
    # Else it has nearly all of the time.
    assert commits[1] > 0.8 * commits[0]


def test_dom0_commits_a_thousand_nodes_beside_guests_that_write_them() -> None:
    """Its client is slow and they wait as long as it goes on."""
    engine = Engine(Store())
    dom0 = Client(engine)
    nodes = [b"/many/%d" % number for number in range(1000)]
    for path in nodes:
        give(dom0, path, b"b0\0")
    writers = [guest_of(engine, domid) for domid in range(1, 21)]
    now_ms = 0
    replies: list[int] = []
    while not replies or replies[-1] == Op.ERROR:
        tx = dom0.start()
        for number, path in enumerate(nodes):
            now_ms += 1
            run(engine, now_ms)
            dom0.ok(Op.WRITE, path + b"\0mine", tx)
            writer = writers[number % 20]
            writer.take()
            written = nodes[number * 7 % 1000]
            frame = writer.frame(Op.WRITE, written + b"\0v")
            engine.feed(writer.connection, frame)
        ((op, _payload),) = dom0.ask(Op.TRANSACTION_END, b"T\0", tx)
        replies.append(op)
    assert len(replies) <= ATTEMPTS
