"""Settings that are no mistake, and yet not what somebody can have meant."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.store.support import at
from xsd.daemon.advice import WATCHED, advice, without_effect
from xsd.daemon.settings import ROWS, Config
from xsd.protocol.perms import Caller
from xsd.store import Watch

FILE = Path("/f")
TOO_MUCH = "more than quota.memory, 2621440"
GUEST = Caller(1, privileged=False)
WATCH = Watch(1, GUEST, at(WATCHED), WATCHED, WATCHED, -1)
WATCHES = Config().quota_memory // WATCH.size
"""What there is room for."""

WATCHES_SAID = (
    f"{WATCHES + 1} watches of paths such as {WATCHED.decode()} take about"
    f" {(WATCHES + 1) * WATCH.size} bytes, {TOO_MUCH}"
)


def test_the_defaults_need_no_advice() -> None:
    """Nor does a limit that is none."""
    assert advice(Config()) == []
    unlimited = Config(quota_memory=0, quota_node_size=0, quota_path_max=0)
    assert advice(replace(unlimited, quota_watches=10**6)) == []


@pytest.mark.parametrize(
    ("config", "key", "text"),
    [
        (
            Config(soft_memory=2621441),
            "quota.soft.memory",
            "2621441 is over quota.memory, 2621440: nobody is remarked on in time",
        ),
        (
            Config(quota_watches=WATCHES + 1),
            "quota.watches",
            WATCHES_SAID,
        ),
        (
            Config(quota_nodes=109_227),
            "quota.nodes",
            f"109227 empty nodes take about 2621448 bytes, {TOO_MUCH}",
        ),
        (
            Config(quota_transaction_nodes=14484),
            "quota.transaction-nodes",
            f"14484 nodes of a transaction take about 2621604 bytes, {TOO_MUCH}",
        ),
        (
            Config(quota_outstanding=12137),
            "quota.outstanding",
            f"12137 messages take about 2621592 bytes, {TOO_MUCH}",
        ),
        (
            Config(quota_node_size=2621441),
            "quota.node-size",
            f"2621441 bytes of one node take about 2621441 bytes, {TOO_MUCH}",
        ),
        (
            Config(quota_node_size=23),
            "quota.node-size",
            "an empty node has 24 bytes, more than 23",
        ),
        (
            Config(quota_node_permissions=255),
            "quota.node-permissions",
            "255 entries take 2056 bytes, more than quota.node-size, 2048",
        ),
        (
            Config(quota_path_max=3073),
            "quota.path-max",
            "3073 has no effect: no path has more than 3072 bytes",
        ),
        (
            Config(log_file=FILE, trace_file=Path("/t")),
            "log.file",
            "has no effect: the log goes to log.trace-file",
        ),
        *(
            (
                replace(config, trace_switches=frozenset()),
                key,
                "nothing is traced: log.trace is empty",
            )
            for config, key in (
                (Config(tracing=True), "log.tracing"),
                (Config(trace_file=FILE), "log.trace-file"),
            )
        ),
        (
            Config(log_file=FILE, record_file=FILE),
            "log.record",
            "is the same file as log.file: /f",
        ),
    ],
)
def test_what_contradicts_another_setting_is_named(
    config: Config, key: str, text: str
) -> None:
    """With both numbers; one less or one more is nothing to speak of."""
    assert advice(config) == [(key, text)]


@pytest.mark.parametrize(
    "config",
    [
        Config(soft_memory=2621440),
        Config(quota_watches=WATCHES),
        Config(quota_transaction_nodes=14483),
        Config(quota_outstanding=12136),
        Config(quota_node_size=24, quota_node_permissions=1),
        Config(quota_node_permissions=254),
        Config(quota_path_max=3072),
        Config(tracing=True),
        Config(trace_file=FILE),
        # Lists of children come in parts, and transactions read others' nodes.
        Config(quota_node_size=100_000),
        Config(quota_transaction_nodes=5000, quota_nodes=10),
    ],
)
def test_what_can_hold_together_is_not_spoken_of(config: Config) -> None:
    """At the very edge."""
    assert advice(config) == []


def test_a_setting_without_effect_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """If somebody has made it."""
    row = ROWS["domains.control"]._replace(idle=True)
    monkeypatch.setitem(ROWS, row.key, row)

    assert without_effect(Config()) == {}
    assert without_effect(Config(control_domid=1)) == {row.key: "has no effect yet"}
    assert advice(Config(control_domid=1)) == [(row.key, "has no effect yet")]


def test_a_port_of_the_daemons_own_domain_has_no_effect() -> None:
    """Another control domain needs it."""
    (key, text), *more = advice(Config(control_event_channel=5))

    assert (key, more) == ("domains.control-event-channel", [])
    assert text == "has no effect: the control domain is the daemon's own"
    assert advice(Config(control_event_channel=5, control_domid=1)) == []
