"""What the process of a daemon logs; how it starts and ends is in test_process."""

import errno
import io
import json
import os
import re
import resource
import signal
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes import Place, end, wait_until
from xsd.client import Client
from xsd.daemon import main
from xsd.daemon.daemonize import StartError
from xsd.daemon.main import _log_loop_error, raise_descriptor_limit
from xsd.daemon.service import Service
from xsd.daemon.settings import Config
from xsd.engine.loglimit import AT_ONCE, LogLimit
from xsd.protocol.errors import XenStoreError
from xsd.protocol.ops import Op

HOSTILE: Final = b'/a b\n{"event": "forged"}\r\x1b[2J\x7f\x9b\xff\\'


def refused(client: Client, op: Op, payload: bytes) -> str:
    """Make a request that is refused; return the errno's name."""
    with pytest.raises(XenStoreError) as caught:
        client.request(op, payload)
    return caught.value.errno.name


@pytest.mark.slow
def test_a_log_is_opened_anew_on_sighup_where_it_is(place: Place) -> None:
    """After logrotate has renamed it; after CONTROL logfile the first is left alone."""
    trace, second = place.path / "trace", place.path / "second"
    process = place.start("-T", str(trace))
    with place.client() as dom0:
        for kept in (trace, second):
            if kept == second:
                dom0.control("logfile", str(second))
                trace.unlink()
            kept.rename(f"{kept}.1")
            process.send_signal(signal.SIGHUP)
            wait_until(kept.exists, f"{kept} is not opened anew")
            dom0.write("/after", b"")
        assert end(process) == 0

    assert not trace.exists()
    assert json.loads((place.path / "trace.1").read_text().splitlines()[0])[
        "event"
    ] == ("daemon.serving")
    lines = [json.loads(line) for line in second.read_text().splitlines()]
    assert lines[0]["event"] == "log.reopened"
    assert [s["message"] for s in lines if s["event"] == "io.request"] == ["WRITE"]


@pytest.mark.slow
def test_a_log_file_that_cannot_be_opened_is_done_without(place: Place) -> None:
    """A host can do without that file, but not without a XenStore.

    One that cannot be opened anew stays in use, and the daemon says so there.
    """
    missing = place.start("-T", str(place.path / "no-such-directory" / "trace"))
    assert end(missing) == 0
    trace = place.path / "trace"
    process = place.start("-T", str(trace))
    kept = trace.rename(place.path / "trace.1")
    trace.mkdir()

    process.send_signal(signal.SIGHUP)

    wait_until(lambda: "log.not_reopened" in kept.read_text(), "it does not say so")
    assert place.answers()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "place_of_log", "traced"),
    [
        ("--log-file {file}", "file", False),
        ("--log-file {file} -T /no/such/directory/trace", "file", False),
        ("--log-file /no/such/directory/log -T {file}", "file", True),
        ("", "log", False),
        ("--trace", "log", True),
    ],
)
def test_only_a_trace_has_what_clients_send(
    place: Place, words: str, place_of_log: str, *, traced: bool
) -> None:
    """Not a log, for there are passwords among it."""
    process = place.start(*words.format(file=place.path / "file").split())

    with place.client() as dom0:
        dom0.write("/backend/password", b"s3cret")
    assert end(process) == 0

    text = (place.path / place_of_log).read_text()
    assert "daemon.serving" in text
    assert ("s3cret" in text) is traced
    assert ("setting.without_effect" in text) is words.startswith("--log-file /no")
    assert ("log.not_opened" in text) is words.endswith("-T /no/such/directory/trace")


@pytest.mark.slow
def test_a_reload_begins_a_trace_and_ends_it(place: Place) -> None:
    """Without a restart, which would cost the store."""
    settings = place.path / "xsd.toml"
    settings.write_text("")
    process = place.start("--config", str(settings))
    with place.client() as dom0:
        for number, traced in enumerate(("true", "false"), 1):
            dom0.write("/t", b"value-%d" % number)
            settings.write_text(f"[log]\ntracing = {traced}\n")
            process.send_signal(signal.SIGHUP)
            wait_until(
                partial(reloaded, place, number), "the settings are not read again"
            )
        dom0.write("/t", b"value-3")
    assert end(process) == 0

    assert re.findall(r"value-\d", place.log.read_text()) == ["value-2"]


def reloaded(place: Place, times: int) -> bool:
    """Tell whether the daemon has read its settings again so often."""
    return place.text().count("config.reloaded") == times


@pytest.mark.slow
def test_nothing_a_client_sends_forges_a_line_or_moves_a_terminal(place: Place) -> None:
    """Each line is JSON of printable ASCII with an event that the daemon has."""
    process = place.start("--log-level", "debug")
    with place.client() as client:
        for op, payload in (
            (Op.WRITE, HOSTILE + b"\0value"),
            (Op.READ, HOSTILE + b"\0"),
            (Op.WATCH, HOSTILE + b"\0token\n\0"),
            (Op.SET_PERMS, b"/\0" + HOSTILE + b"\0"),
            (Op.CONTROL, HOSTILE + b"\0"),
            (Op.CONTROL, b"quota\0set\0" + HOSTILE + b"\x001\0"),
            (Op.GET_QUOTA, HOSTILE + b"\0"),
            (Op.INTRODUCE, HOSTILE + b"\x001\x001\0"),
            (Op.TRANSACTION_END, HOSTILE),
        ):
            assert refused(client, op, payload) == "EINVAL"
        client.request(Op.CONTROL, b"print\0" + HOSTILE + b"\0")
    assert end(process) == 0

    assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in place.log.read_bytes())
    for line in place.lines("request.refused"):
        assert (line["domid"], line["errno"]) == (0, "EINVAL")
    events = [line["event"] for line in place.lines()]
    told = ["request.refused"] * 9 + ["control.print"]
    assert events == ["daemon.serving", *told, "daemon.stopped"]


@pytest.mark.slow
def test_a_log_whose_reader_is_gone_is_no_reason_to_end(place: Place) -> None:
    """The pipe at standard error is closed; clients are served, the end is clean."""
    reader, writer = os.pipe()
    process = place.start(stderr=writer)
    os.close(writer)
    os.close(reader)
    with place.client() as client:
        assert refused(client, Op.WRITE, b"/a b\0") == "EINVAL"
        client.write("/t", b"1")

    assert place.answers()
    assert end(process) == 0


def test_a_defect_in_a_callback_of_the_loop_is_logged(log: io.StringIO) -> None:
    """The daemon goes on; but not without end, and a log that fails is no matter."""
    error = KeyError("nothing")

    limit = LogLimit()
    for _ in range(AT_ONCE + 1):
        _log_loop_error(limit, error)
    written = log.getvalue().splitlines()
    assert len(written) == AT_ONCE
    log.close()
    _log_loop_error(LogLimit(), error)

    line = json.loads(written[0])
    assert (line["event"], line["reason"]) == ("loop.failed", "KeyError: 'nothing'")
    assert "KeyError: 'nothing'" in line["exception"]


def test_a_daemon_that_fails_leaves_its_traceback_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    """A defect of ours ends it with code 1, and the pid file does not stay."""

    def fail(*_: object) -> None:
        raise KeyError("nothing")

    monkeypatch.setattr(main, "Service", fail)
    config = Config(
        socket=tmp_path / "socket",
        trace_file=tmp_path / "trace",
        pid_file=tmp_path / "pid",
    )

    assert main.run(config) == 1
    assert log.getvalue() == ""
    line = json.loads((tmp_path / "trace").read_text())
    assert line["event"] == "daemon.failed"
    assert "KeyError: 'nothing'" in line["exception"]
    assert not (tmp_path / "pid").exists()


def test_what_is_no_matter_of_listening_is_not_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    """As where descriptors are used up by then."""

    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Service, "_make_rings", fail)
    config = Config(socket=tmp_path / "socket", trace_file=tmp_path / "trace")

    with pytest.raises(StartError, match=r"^cannot start: Too many open files$"):
        main.run(config)

    assert log.getvalue() == ""


def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    """Each client needs a descriptor."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))

        raise_descriptor_limit()

        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
