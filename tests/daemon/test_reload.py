"""SIGHUP: what changed in the configuration changes in the daemon, or is named."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import pytest
import structlog

from tests.daemon.conftest import Manager
from tests.support.processes import Place, end
from xsd.client import Client
from xsd.daemon.config import Origin
from xsd.daemon.reload import Reloader
from xsd.daemon.setting import Value
from xsd.protocol.ops import Op


@final
class Running:
    """What a reloader has done to a daemon.

    Attributes:
        file: The configuration.
        changes: What the service was given, each time.
        logs: Formats and levels that the log was given.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.changes: list[dict[str, Value]] = []
        self.logs: list[tuple[str, str]] = []
        settings = Origin.of({"XSD_CONFIG": str(file)}, []).read()
        self.reloader = Reloader(settings, self._change, self._log)

    def reload(self, text: str | None = None) -> Sequence[Mapping[str, Any]]:
        """Reload the file, with another text if there is one; return what is logged."""
        if text is not None:
            self.file.write_text(text)
        with structlog.testing.capture_logs() as lines:
            self.reloader.reload()
        return lines

    def _change(self, settings: Mapping[str, Value]) -> None:
        self.changes.append(dict(settings))

    def _log(self, log_format: str, log_level: str) -> None:
        self.logs.append((log_format, log_level))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that sets one quota."""
    found = tmp_path / "xsd.toml"
    found.write_text("[quota]\nnodes = 5\n")
    return found


NODES_6 = "[quota]\nnodes = 6\n"
RESTART = '[quota]\nnodes = 5\n[daemon]\npid-file = "/p"\n'
WRONG = NODES_6 + 'watches = true\n[log]\nlevel = "x"\n'

Changes = list[dict[str, Value]]

RULES: dict[str, tuple[list[str], Changes]] = {
    "what has changed is made, what is as it was is not touched": (
        [NODES_6 + "watches = 128\n"],
        [{"quota.nodes": 6}],
    ),
    # As after a restart.
    "what is no longer set is the default again": ([""], [{"quota.nodes": 1000}]),
    # What an operator has changed meanwhile by other means stays.
    "the next reload compares with the last one": (
        [NODES_6, NODES_6 + "watches = 7\n"],
        [{"quota.nodes": 6}, {"quota.watches": 7}],
    ),
    "what takes a restart is not made": ([RESTART], [{}]),
    "a file with a mistake changes nothing, not even what is right in it": (
        [WRONG, "[quota]\nnodes = 7\n"],
        [{"quota.nodes": 7}],
    ),
}


@pytest.mark.parametrize(("texts", "changes"), RULES.values(), ids=RULES)
def test_a_reload_makes_what_has_changed(
    file: Path, texts: list[str], changes: Changes
) -> None:
    """And nothing else; the log is as it was."""
    running = Running(file)

    for text in texts:
        running.reload(text)

    assert (running.changes, running.logs) == (changes, [])


def test_a_reload_is_logged(file: Path) -> None:
    """From what to what, and what takes a restart, each time; or all mistakes."""
    running = Running(file)
    info = {"log_level": "info"}
    nodes = {"event": "config.changed", **info, "setting": "quota.nodes"}
    done = {"event": "config.reloaded", **info, "file": str(file)}
    restart = {"event": "config.needs_restart", "log_level": "warning"}
    pid_file = {"setting": "daemon.pid-file", "before": "(not set)", "after": '"/p"'}

    assert running.reload(NODES_6) == [
        {**nodes, "before": "5", "after": "6", "source": str(file)},
        {**done, "changed": 1},
    ]
    assert running.reload("")[0]["source"] == "default"
    assert running.reload(RESTART)[0] == {**restart, **pid_file}
    assert running.reload(RESTART) == [{**restart, **pid_file}, {**done, "changed": 0}]
    (line,) = running.reload(WRONG)
    assert (line["event"], line["log_level"]) == ("config.not_reloaded", "error")
    problems = [problem.split(": ")[1] for problem in line["problems"]]
    assert problems == ["quota.watches", "log.level"]
    file.unlink()
    (line,) = running.reload()
    assert line["problems"] == [f"{file}: No such file or directory"]


@pytest.mark.parametrize(
    ("before", "after", "levels"),
    [("info", "error", ["info", "error"]), ("error", "debug", ["debug", "debug"])],
)
def test_a_change_of_the_level_is_logged_at_the_lower_one(
    file: Path, before: str, after: str, levels: list[str]
) -> None:
    """So that it is seen."""
    file.write_text(f'[log]\nlevel = "{before}"\n')
    running = Running(file)

    running.reload(f'[log]\nlevel = "{after}"\nformat = "json"\n')

    assert running.logs == [("json", level) for level in levels]


# In a process.


def quota(client: Client, name: str) -> int:
    """Return a quota as the daemon has it."""
    return int(client.request(Op.GET_QUOTA, name.encode() + b"\0")[:-1])


def hang_up(process: "subprocess.Popen[bytes]", manager: Manager) -> int:
    """Have a daemon reload; return when it says that it began, in microseconds."""
    process.send_signal(signal.SIGHUP)
    begun = manager.hear_until("RELOADING=1\n")
    assert manager.hear() == "READY=1"
    return int(begun.partition("MONOTONIC_USEC=")[2])


@pytest.mark.slow
def test_a_daemon_reloads_what_it_can(
    place: Place, manager: Manager, file: Path
) -> None:
    """Quotas, time-outs, orphans, the log; what an operator has set stays."""
    file.write_text("[quota]\nnodes = 5\nwatches = 6\n")
    words = ("--config", str(file), "-t", "3")
    process = place.start(*words, NOTIFY_SOCKET=manager.address)
    with place.client() as client:
        client.request(Op.SET_QUOTA, b"watches\x0066\0")
        file.write_text(
            "[quota]\nnodes = 50\nwatches = 6\ntransactions = 9\n"
            "[quota.soft]\nmemory = 7\n[timeout]\nwatch-event = 0\n"
            '[domains]\nkeep-orphans = true\n[log]\nlevel = "debug"\n'
            '[daemon]\npid-file = "/run/elsewhere"\n'
        )
        before_us = time.monotonic_ns() // 1000

        assert before_us <= hang_up(process, manager) <= time.monotonic_ns() // 1000

        names = ("nodes", "watches", "transactions", "soft-memory")
        assert [quota(client, name) for name in names] == [50, 66, 3, 7]
        client.introduce(5, 1, 1)
        client.write("/own", b"")
        client.set_permissions("/own", [b"n5"])
        client.release(5)
        assert client.exists("/own")
    assert end(process) == 0
    changed = {line["setting"] for line in place.lines("config.changed")}
    assert changed == {
        "quota.nodes",
        "quota.soft.memory",
        "timeout.watch-event",
        "domains.keep-orphans",
        "log.level",
    }
    (restart,) = place.lines("config.needs_restart")
    assert restart["setting"] == "daemon.pid-file"
    assert place.lines("log.reopened")


@pytest.mark.slow
def test_a_daemon_goes_on_with_what_it_has_if_the_file_is_wrong(
    place: Place, manager: Manager, file: Path
) -> None:
    """And is ready again for its service manager."""
    process = place.start(XSD_CONFIG=str(file), NOTIFY_SOCKET=manager.address)
    file.write_text("[quota]\nnodes = 6\nwatches\n")

    hang_up(process, manager)

    with place.client() as client:
        assert quota(client, "nodes") == 5
    assert place.lines("config.not_reloaded")[0]["problems"] == [
        f"{file}:3:8: no TOML: Expected '=' after a key in a key/value pair"
    ]


@pytest.mark.slow
def test_a_daemon_tells_a_manager_that_wants_it_that_it_lives(
    place: Place, manager: Manager
) -> None:
    """From the start on and as long as it answers; what it has to do, too."""
    process = place.start(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="30000")
    manager.hear_until("READY=1")
    manager.hear_until("WATCHDOG=1\nSTATUS=connections: 0, guests: 0")
    with place.client():
        manager.hear_until("WATCHDOG=1\nSTATUS=connections: 1, guests: 0")
        assert end(process, signal.SIGABRT) == -signal.SIGABRT
    said = place.text().partition("Fatal Python error: Aborted")
    place.log.write_text(said[0])

    # Where it was when its manager gave it up.
    assert "xsd/daemon/main.py" in said[2]
