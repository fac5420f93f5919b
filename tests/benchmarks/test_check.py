"""When `make bench-check` calls a row lost."""

from benchmarks.check import check, judged, losses
from benchmarks.samples import ONE_CORE, Row, Samples
from benchmarks.sides import BASE, OURS

CASE = "read-sync"
ROW = Row(CASE, "ops_per_s")


def samples(*ratios: float, case: str = CASE) -> Samples:
    """Rounds in which ours carries out so many times what the base does."""
    found = Samples()
    add(found, *ratios, case=case)
    return found


def add(found: Samples, *ratios: float, case: str = CASE) -> None:
    for ratio in ratios:
        found.add(ONE_CORE, case, BASE, {"ops_per_s": 1000.0})
        found.add(ONE_CORE, case, OURS, {"ops_per_s": 1000.0 * ratio})


def test_a_tenth_less_is_no_loss_yet() -> None:
    """A little more is."""
    then = samples(2.0)

    assert losses([ROW], then, samples(1.81)) == []
    assert [loss.row for loss in losses([ROW], then, samples(1.79))] == [ROW]


def test_the_rounds_medians_are_compared() -> None:
    """Of each round's own ratio: one bad round decides nothing."""
    assert losses([ROW], samples(2.0, 2.1, 0.5), samples(2.0, 0.1, 2.0)) == []


def test_a_figure_that_shall_be_small_is_lost_when_it_grows() -> None:
    """Ratios are above 1 where ours is better, whatever the unit."""
    row = Row("start", "start_ms")
    then, now = Samples(), Samples()
    for found, ours in ((then, 100.0), (now, 120.0)):
        found.add(ONE_CORE, "start", BASE, {"start_ms": 10.0})
        found.add(ONE_CORE, "start", OURS, {"start_ms": ours})

    assert then.ratio(ONE_CORE, row, OURS) == 0.1
    assert [loss.row for loss in losses([row], then, now)] == [row]


def test_a_case_that_fails_now_is_a_loss() -> None:
    """And one that the table does not have is none."""
    failed = Samples()
    failed.add(ONE_CORE, CASE, BASE, {"ops_per_s": 1000.0})
    failed.add(ONE_CORE, CASE, OURS, {})

    assert [loss.now for loss in losses([ROW], samples(2.0), failed)] == [0.0]
    assert losses([ROW], failed, samples(2.0)) == []


def test_what_scatters_by_itself_decides_nothing() -> None:
    """The longest waits, and what has no ratio."""
    metrics = {row.metric for row in judged(["read-sync", "tx-contend-10-same"])}

    assert metrics == {"ops_per_s", "srv_cpu_us_per_op", "commits_per_s"}


def test_a_row_under_suspicion_is_measured_again() -> None:
    """With more rounds each time, and it alone; all of its rounds decide."""
    now = Samples()
    asked: list[tuple[list[str], int]] = []

    def measure(cases: list[str], rounds: int) -> None:
        asked.append((cases, rounds))
        for case in cases:
            lucky = case != CASE or len(asked) > 1
            add(now, *[2.0 if lucky else 1.0] * rounds, case=case)

    then = samples(2.0)
    add(then, 2.0, case="write-sync")

    assert check([CASE, "write-sync"], then, now, measure) == []
    assert asked == [([CASE, "write-sync"], 3), ([CASE], 4)]


def test_what_stays_behind_is_lost() -> None:
    """After the last rounds, too."""
    now = Samples()
    rounds: list[int] = []

    def measure(_: list[str], count: int) -> None:
        rounds.append(count)
        add(now, *[1.5] * count)

    found = check([CASE], samples(2.0), now, measure)

    assert rounds == [3, 4, 8]
    assert [(loss.row, loss.then, loss.now) for loss in found] == [(ROW, 2.0, 1.5)]


def test_a_row_that_was_not_suspicious_at_first_is_left_alone() -> None:
    """Looking often enough would find one bad median among many rows."""
    now = Samples()
    cpu = Row(CASE, "srv_cpu_us_per_op")

    def result(ops: float, work: float) -> dict[str, float]:
        return {"ops_per_s": ops, "srv_cpu_us_per_op": work}

    def measure(_: list[str], count: int) -> None:
        first = not now.rounds
        for _round in range(count):
            now.add(ONE_CORE, CASE, BASE, result(1000, 10))
            now.add(ONE_CORE, CASE, OURS, result(1000, 5 if first else 50))

    then = Samples()
    then.add(ONE_CORE, CASE, BASE, result(1000, 10))
    then.add(ONE_CORE, CASE, OURS, result(2000, 5))

    assert [loss.row for loss in check([CASE], then, now, measure)] == [ROW]
    assert now.ratio(ONE_CORE, cpu, OURS) == 0.2
