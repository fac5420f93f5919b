"""What parts cost by themselves: frames, the tree, the index of watches, the engine.

    python -m benchmarks.micro [--json]

Prints microseconds of one core, the best of many short rounds.
"""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Final

from benchmarks import bench_engine
from benchmarks.bench_engine import PATH, best_of
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.path import Path
from xsd.protocol.perms import Caller
from xsd.protocol.request import UNLIMITED
from xsd.store import Store
from xsd.store.watches import Watch, WatchIndex

COUNT: Final = 2_000
DOMAINS: Final = 1_000
DOM0: Final = Caller(0, privileged=True)


def at(text: bytes) -> Path:
    """Return the names of a path."""
    return tuple(text.split(b"/")) if text != b"/" else (b"",)


def frames() -> Iterator[tuple[str, Callable[[], None]]]:
    """Take frames out of bytes, and make one."""
    data = encode_frame(Op.READ, 1, 0, PATH) * 64
    decoder = FrameDecoder()

    def decode() -> None:
        for _ in range(COUNT // 64):
            decoder.feed(data)

    def encode() -> None:
        for _ in range(COUNT // 64 * 64):
            encode_frame(Op.READ, 1, 0, b"4")

    yield "frame: taken out of 64 that came at once", decode
    yield "frame: made", encode


def tree() -> Iterator[tuple[str, Callable[[], None]]]:
    """Read, write, make and remove nodes beside 1,000 domains' ones."""
    store = Store()
    paths = [at(b"/local/domain/%d/device/vif/0/state" % n) for n in range(DOMAINS)]
    for path in paths:
        store.write(DOM0, path, b"1")
    new = at(b"/local/domain/5/data/new")

    def read() -> None:
        view = store.view(None)
        for path in paths * 2:
            view.read(DOM0, path)

    def write() -> None:
        for path in paths * 2:
            store.write(DOM0, path, b"2")

    def make() -> None:
        for _ in range(COUNT):
            store.write(DOM0, new, b"")
            store.rm(DOM0, new)

    yield "tree: READ", read
    yield "tree: WRITE", write
    yield "tree: a node made and removed", make


def watches() -> Iterator[tuple[str, Callable[[], None]]]:
    """Register watches, and write beside 10,000 of them and under one."""
    index = WatchIndex()
    places = [b"/local/domain/%d/state" % number for number in range(COUNT)]
    found = [Watch(1, DOM0, at(each), each, b"t", UNLIMITED) for each in places]

    def register() -> None:
        for watch in found:
            index.add(watch)
        for watch in found:
            index.remove(watch)

    store = Store()
    for number in range(10_000):
        each = b"/other/%d/state" % number
        store.watch(Watch(1, DOM0, at(each), each, b"t", UNLIMITED))
    seen = at(b"/other/7/state")
    unseen = at(b"/local/domain/7/state")

    def quiet() -> None:
        for _ in range(COUNT):
            store.write(DOM0, unseen, b"1")

    def told() -> None:
        for _ in range(COUNT):
            store.write(DOM0, seen, b"1")

    yield "watch index: one registered and removed", register
    yield "watch index: a WRITE that none of 10,000 sees", quiet
    yield "watch index: a WRITE that one of 10,000 sees", told


def figures() -> Iterator[tuple[str, float]]:
    """Measure all: what, and its microseconds."""
    for part in (frames, tree, watches):
        for name, work in part():
            count = COUNT // 64 * 64 if part is frames else COUNT
            yield name, best_of(work, count) * 1e6
    for name, seconds in bench_engine.figures():
        yield f"engine: {' '.join(name.split())}", seconds * 1e6


def main(words: list[str]) -> None:
    """Print a line for each, or all as one object."""
    if words == ["--json"]:
        print(json.dumps({name: round(cost, 2) for name, cost in figures()}))
        return
    for name, cost in figures():
        print(f"{name:46} {cost:7.2f} us", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
