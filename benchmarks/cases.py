"""What is measured end to end: the table of cases, each a run of the load generator."""

from collections.abc import Iterator
from typing import Final, NamedTuple


class Unit(NamedTuple):
    """How a figure is to be read.

    Attributes:
        text: Its unit, with what is counted.
        more_is_better: Whether the higher figure is the better one.
        judged: Whether its ratio decides `make bench-check`; not what scatters by
            itself, or has no ratio.
    """

    text: str
    more_is_better: bool = False
    judged: bool = True


UNITS: Final = {
    "ops_per_s": Unit("requests/s", more_is_better=True),
    "p50_us": Unit("µs, p50", judged=False),
    "p99_us": Unit("µs, p99", judged=False),
    "max_us": Unit("µs, the longest wait", judged=False),
    "srv_cpu_us_per_op": Unit("µs of the daemon's processor a request"),
    "commits_per_s": Unit("commits/s", more_is_better=True),
    "eagain_pct": Unit("% EAGAIN", judged=False),
    "domains_per_s": Unit("domains/s", more_is_better=True),
    "sum_avg_us": Unit("µs, sum of its tests' averages"),
    "settle_events_per_s": Unit("events/s", more_is_better=True),
    "srv_cpu_us_per_event": Unit("µs of the daemon's processor an event"),
    "delivered_pct": Unit("% of events one by one, without a wait", judged=False),
    "register_us": Unit("µs to register a watch"),
    "bytes_per_watch": Unit("bytes a watch"),
    "read_p50_us": Unit("µs, p50 of a READ", judged=False),
    "connect_us": Unit("µs to connect", judged=False),
    "bytes_per_conn": Unit("bytes a connection"),
    "children": Unit("children made within 40 s", more_is_better=True, judged=False),
    "create_last500_us": Unit("µs to make one, of the last 500"),
    "list_ms": Unit("ms to list all", judged=False),
    "rm_one_us": Unit("µs to RM one", judged=False),
    "rm_all_ms": Unit("ms to RM all"),
    "create_us_per_node": Unit("µs to make a node"),
    "bytes_per_node": Unit("bytes a node"),
    "rand_read_p50_us": Unit("µs, p50 of a READ anywhere"),
    "rm_s": Unit("s to RM all"),
    "start_ms": Unit("ms from the start to the first answer"),
    "empty_mb": Unit("MB when it is empty"),
}


class Case(NamedTuple):
    """A row of the table.

    Attributes:
        group: What it is chosen by, beside its name.
        words: The load generator's mode and options; none for what a start costs.
        metrics: What is shown of its answer, the most telling first.
        quick: Whether it is in the quick set.
        wakes: Whether it is measured on two cores as well.
        told: What README calls it; nothing for what README does not show.
    """

    group: str
    words: str
    metrics: tuple[str, ...]
    quick: bool = True
    wakes: bool = False
    told: str = ""


_ALONE: Final = ("ops_per_s", "p50_us", "p99_us", "srv_cpu_us_per_op")
_MANY: Final = ("ops_per_s", "p50_us", "p99_us")
_PIPE: Final = ("ops_per_s", "srv_cpu_us_per_op")
_COMMITS: Final = ("commits_per_s", "eagain_pct", "max_us")
_FAN: Final = ("settle_events_per_s", "srv_cpu_us_per_event", "delivered_pct")
_WATCHED: Final = ("p50_us", "ops_per_s", "read_p50_us")
_WATCHES: Final = (*_WATCHED, "register_us", "bytes_per_watch")
_IDLE: Final = ("p50_us", "ops_per_s")
_IDLERS: Final = (*_IDLE, "connect_us", "bytes_per_conn")
_CHILDREN: Final = ("create_last500_us", "list_ms", "rm_one_us", "rm_all_ms")
_TREE: Final = (*("create_us_per_node", "rm_s", "rand_read_p50_us", "bytes_per_node"),)
_BOOT: Final = ("domains_per_s", "eagain_pct", "p50_us")


def _round_trips() -> Iterator[tuple[str, Case]]:
    for kind, told in (
        ("read", "one client reads, requests a second"),
        ("write", "one client writes, requests a second"),
        ("mixed", ""),
    ):
        name = f"{kind}-sync"
        yield name, Case("sync", name, _ALONE, wakes=True, told=told)
    for count, told in (
        (1, ""),
        (10, ""),
        (100, "100 clients read at once"),
        (1000, "1,000 clients read at once"),
    ):
        name = f"read-conc-{count}"
        words = f"read-conc -c {count}"
        wakes = count in {10, 100}
        yield name, Case("conc", words, _MANY, quick=count > 1, wakes=wakes, told=told)
    for depth in (1, 16, 64):
        for kind, more in (("read", ""), ("write", " -w")):
            told = f"one client {kind}s, 64 requests at once" if depth == 64 else ""
            words = f"pipe -d {depth}{more}"
            name = f"pipe-{kind}-{depth}"
            yield name, Case("pipe", words, _PIPE, quick=depth == 64, told=told)


def _transactions() -> Iterator[tuple[str, Case]]:
    told = "transactions of one read and one write"
    yield "tx-rmw", Case("tx", "tx-rmw", _ALONE, wakes=True, told=told)
    for count in (10, 100):
        for kind, more in (("disjoint", ""), ("same", " --same")):
            told = f"{count} clients' transactions on one node, commits a second"
            yield (
                f"tx-contend-{count}-{kind}",
                Case(
                    "tx",
                    f"tx-contend -c {count}{more}",
                    _COMMITS,
                    quick=kind == "same" or count == 10,
                    told=told if kind == "same" else "",
                ),
            )
    for count in (1, 8):
        told = "" if count > 1 else "a toolstack's whole work, domains a second"
        words = f"domain-boot -c {count}"
        yield f"domain-boot-{count}", Case("boot", words, _BOOT, wakes=True, told=told)
    metrics = ("sum_avg_us",)
    yield "test-xenstore", Case("xen", "test-xenstore -i 200", metrics, wakes=True)


def _watches() -> Iterator[tuple[str, Case]]:
    for count in (1, 100, 1000):
        told = f"events a second to {count} watchers" if count == 100 else ""
        name = f"watch-fanout-{count}"
        words = f"watch-fanout -W {count}"
        yield name, Case("fanout", words, _FAN, quick=count > 1, told=told)
    words = "watch-fanout -W 1000 --one-conn"
    yield "watch-fanout-1conn-1000", Case("fanout", words, _FAN)
    for count in (0, 1000, 10_000, 50_000):
        told = "one client writes beside 10,000 watches, µs" if count == 10_000 else ""
        metrics = _WATCHES if count else _WATCHED
        words = f"watch-scale -W {count}"
        quick = count == 10_000
        yield f"watch-scale-{count}", Case("watches", words, metrics, quick, told=told)


def _sizes() -> Iterator[tuple[str, Case]]:
    for count in (1, 1000, 5000):
        told = "one client reads beside 1,000 idle ones, µs" if count == 1000 else ""
        metrics: tuple[str, ...] = _IDLERS if count > 1 else _IDLE
        quick = count == 1000
        words = f"idle-conns -c {count}"
        yield f"idle-conns-{count}", Case("idle", words, metrics, quick, told=told)
    for count in (1000, 10_000, 100_000):
        words = f"dir-scale -n {count} --limit 40"
        metrics = ("children", *_CHILDREN) if count > 10_000 else _CHILDREN
        yield f"dir-scale-{count}", Case("dir", words, metrics, quick=count == 10_000)
    told = "make 100,000 nodes, µs for each"
    words = "tree-scale -n 100000"
    yield "tree-scale-100k", Case("tree", words, _TREE, told=told)
    yield "start", Case("start", "", ("start_ms", "empty_mb"), told="start, ms")


CASES: Final = dict([*_round_trips(), *_transactions(), *_watches(), *_sizes()])


def chosen(words: str) -> list[str]:
    """Return the names of cases: of `quick`, `whole`, groups and single ones.

    Raises:
        ValueError: If there is none for a word.
    """
    found: list[str] = []
    for word in words.split(","):
        names = [
            name
            for name, case in CASES.items()
            if word in {"whole", name, case.group} or (word == "quick" and case.quick)
        ]
        if not names:
            raise ValueError(f"there is no case, group or set {word!r}")
        found += names
    return list(dict.fromkeys(found))
