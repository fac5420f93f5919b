"""What one request costs inside the engine: bytes in, bytes out, no sockets.

    python benchmarks/bench_engine.py

Prints microseconds of one core for each request, the best of many short rounds.
"""

import time
from collections.abc import Callable, Iterator

from xsd.engine import Connection, Engine
from xsd.engine.inputs import MemoryTape
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store

ROUNDS = 40
REQUESTS = 2_000

PATH = b"/local/domain/5/device/vif/0/state\0"


def exchange(engine: Engine, connection: Connection, data: bytes) -> bytes:
    """Hand bytes to the engine and take what it answers, as a transport does."""
    engine.feed(connection, data)
    engine.turn(0)
    answer = b""
    for dirty in engine.take_dirty():
        answer = bytes(dirty.outbox.peek())
        engine.sent(dirty, len(answer))
    return answer


def best_of(work: Callable[[], None], count: int) -> float:
    """Seconds that one of `count` requests takes, in the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        best = min(best, (time.process_time() - begin) / count)
    return best


def refusals(engine: Engine) -> float:
    """Seconds that a guest's READ takes which it may not make, and its line."""
    guest = engine.connect(5)
    frame = encode_frame(Op.READ, 1, 0, PATH)

    def work() -> None:
        for _ in range(REQUESTS):
            exchange(engine, guest, frame)
            engine.take_notices()

    return best_of(work, REQUESTS)


def figures() -> Iterator[tuple[str, float]]:
    """Measure one kind of request after the other: what it is, and its seconds."""
    engine = Engine(Store())
    connection = engine.connect(0)
    frames = {
        "write": encode_frame(Op.WRITE, 1, 0, PATH + b"4"),
        "read": encode_frame(Op.READ, 1, 0, PATH),
        "get_perms": encode_frame(Op.GET_PERMS, 1, 0, PATH),
        "directory": encode_frame(Op.DIRECTORY, 1, 0, b"/local/domain/5\0"),
        "missing": encode_frame(Op.READ, 1, 0, b"/local/domain/6/name\0"),
    }
    for name, frame in frames.items():
        for depth in (1, 16):
            data = frame * depth

            def work(data: bytes = data, depth: int = depth) -> None:
                for _ in range(REQUESTS // depth):
                    exchange(engine, connection, data)

            yield (
                f"{name:12} {depth:3} at once",
                best_of(work, REQUESTS // depth * depth),
            )
    yield f"{'refused':12} to a guest  ", refusals(engine)
    tape = MemoryTape()

    def taped() -> None:
        for _ in range(REQUESTS):
            exchange(engine, connection, frames["write"])
        tape.inputs.clear()

    engine.tape = tape
    yield f"{'write':12}   on a tape ", best_of(taped, REQUESTS)
    engine.tape = None
    yield (
        f"{'transaction':12}   of 4 requests",
        best_of(lambda: transactions(engine, connection), REQUESTS // 10),
    )


def transactions(engine: Engine, connection: Connection) -> None:
    """Carry out so many of a start, a READ, a WRITE and an end."""
    for _ in range(REQUESTS // 10):
        start = encode_frame(Op.TRANSACTION_START, 1, 0, b"\0")
        number = int(exchange(engine, connection, start)[16:-1])
        for op, payload in (
            (Op.READ, PATH),
            (Op.WRITE, PATH + b"5"),
            (Op.TRANSACTION_END, b"T\0"),
        ):
            exchange(engine, connection, encode_frame(op, 1, number, payload))


def main() -> None:
    """Print a line for each."""
    for name, seconds in figures():
        print(f"{name} {seconds * 1e6:7.2f} us", flush=True)


if __name__ == "__main__":
    main()
