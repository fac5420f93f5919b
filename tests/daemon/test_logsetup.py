"""One event is one line, whatever guests send."""

import fcntl
import io
import json
import os
import re
import socket
import syslog
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis.strategies import binary, text

from tests.support.descriptors import files_of
from xsd.daemon.logsetup import (
    FileSink,
    StreamSink,
    SyslogSink,
    configure,
    open_sink,
    printable,
)
from xsd.daemon.settings import Config

EVIL = b"/a\nlevel=info event=forged\x1b[2J\xff\\"
EVIL_PRINTED = r"/a\nlevel=info event=forged\x1b[2J\xff\\"
LEVELS = ["debug", "info", "warning", "error", "critical"]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    """What was logged in JSON."""
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_line_of_json_has_event_level_time_and_fields(log: io.StringIO) -> None:
    """`auto` means JSON where there is no terminal; the time is ISO 8601 in UTC."""
    structlog.get_logger().info("connection.opened", domid=5, ring=True, path=None)

    (line,) = lines(log)
    timestamp = line.pop("timestamp")
    assert datetime.fromisoformat(timestamp).tzinfo is UTC
    # So that nobody has to guess.
    assert timestamp.endswith("Z")
    fields = {"domid": 5, "ring": True, "path": None}
    assert line == {"event": "connection.opened", "level": "info", **fields}


def test_what_a_full_pipe_does_not_take_is_lost() -> None:
    """A reader that sleeps would stop the daemon; a line cut short ends there."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as end, os.fdopen(writer, "w") as stream:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 8192)
        sink = StreamSink(stream)
        for line in ("first", "x" * 20_000, "lost"):
            sink.write("info", line)
        taken = os.read(reader, 8192)
        sink.write("info", "last")
        stream.close()

        assert taken == b"first\n" + b"x" * (len(taken) - 6)
        assert end.read() == b"\nlast\n"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_guest_cannot_inject_a_line(log_format: str) -> None:
    """Neither in a field, nor in the event, nor inside a list or a key.

    Nor by the text of an exception: on a terminal it is indented.
    """
    stream = io.StringIO()
    configure(StreamSink(stream), log_format=log_format)
    log = structlog.get_logger()

    log.info(
        EVIL.decode("latin-1"), path=EVIL, names=[EVIL, (EVIL,)], by={EVIL: {EVIL}}
    )
    try:
        raise ValueError("first\nforged\x1b[2J")  # noqa: TRY301
    except ValueError:
        log.exception("request.failed")

    _, failed, *more = stream.getvalue().splitlines()
    assert "request.failed" in failed
    assert all(line.startswith("    ") for line in more)
    assert bool(more) == (log_format == "console")
    assert stream.getvalue().isascii()
    assert "\x1b" not in stream.getvalue()
    assert "forged" in "\n".join([failed, *more])


def test_a_value_in_json_reads_back_as_its_escaped_form(log: io.StringIO) -> None:
    """Bytes of a path appear as `printable` writes them."""
    structlog.get_logger().info("x", path=EVIL, error=ValueError("a\nb"))

    (line,) = lines(log)
    assert (line["path"], line["error"]) == (EVIL_PRINTED, r"a\nb")


@given(binary() | text())
def test_printable_text_is_one_line_of_ascii(value: bytes | str) -> None:
    """Nothing that moves a cursor or ends a line is left."""
    shown = printable(value)

    assert shown.isascii()
    assert shown.isprintable()


@given(binary(), binary())
def test_printable_tells_different_values_apart(one: bytes, other: bytes) -> None:
    """A guest cannot make one path look like another."""
    assert (printable(one) == printable(other)) == (one == other)


@pytest.mark.parametrize(("log_format", "is_json"), [("auto", False), ("json", True)])
def test_a_terminal_gets_the_console_format(log_format: str, *, is_json: bool) -> None:
    """`auto` asks the stream; the setting wins over the guess."""
    stream = Terminal()
    configure(StreamSink(stream), log_format=log_format)

    structlog.get_logger().info("daemon.serving")

    assert stream.getvalue().startswith("{") == is_json
    assert "daemon.serving" in stream.getvalue()


def on_a_terminal(event: str, **fields: object) -> str:
    """What a person is shown of one line."""
    stream = Terminal()
    configure(StreamSink(stream))
    structlog.get_logger().info(event, **fields)
    return stream.getvalue()


def test_a_person_reads_fields_in_the_order_of_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who and what come before why, whatever the alphabet has."""
    monkeypatch.setenv("NO_COLOR", "1")

    line = on_a_terminal("request.refused", domid=1, errno="EACCES", about=None)

    assert line.endswith(" domid=1 errno=EACCES about=None\n")


def test_a_person_reads_values_that_are_escaped_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between quotes only where their end would not be seen."""
    monkeypatch.setenv("NO_COLOR", "1")

    line = on_a_terminal(
        "x", path=b"/a\n", reason="it's \x1b", none="", names=["a", "b c"], by={"k": 1}
    )

    assert line.endswith(
        r" path=/a\n reason='it\'s \x1b' none='' names=[a, 'b c'] by={k: 1}" + "\n"
    )


@pytest.mark.parametrize(
    ("value", "coloured"), [(None, True), ("", True), ("1", False), ("0", False)]
)
def test_no_color_turns_colours_off(
    monkeypatch: pytest.MonkeyPatch, value: str | None, *, coloured: bool
) -> None:
    """Whatever it is set to, unless that is nothing."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    if value is not None:
        monkeypatch.setenv("NO_COLOR", value)

    assert ("\x1b[" in on_a_terminal("daemon.serving", pid=1)) is coloured


@pytest.mark.parametrize(("level", "written"), [("error", 2), ("debug", 5)])
def test_levels_below_the_wanted_one_are_not_written(level: str, written: int) -> None:
    """Debug shows everything."""
    stream = io.StringIO()
    configure(StreamSink(stream), log_level=level)

    for each in LEVELS:
        getattr(structlog.get_logger(), each)(each)

    told = [(line["event"], line["level"]) for line in lines(stream)]
    assert told == [(each, each) for each in LEVELS[-written:]]


def test_a_stream_that_is_gone_does_not_stop_the_daemon() -> None:
    """Standard error may be a pipe whose reader has died."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        sink = StreamSink(stream)

        sink.write("info", "line")

        # What could not be flushed must not come up again when the stream is closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), writer)


def test_a_file_is_appended_to_and_private(tmp_path: Path) -> None:
    """A restart keeps the log; paths in it may be secret."""
    path = tmp_path / "log"
    for line in ("one", "two"):
        sink = FileSink(path)
        sink.write("info", line)
        sink.close()

    assert path.read_text() == "one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_rotated_file_is_reopened_under_its_name(tmp_path: Path) -> None:
    """The way of logrotate: rename, then SIGHUP. No line is lost if that fails."""
    path = tmp_path / "log"
    sink = FileSink(path)
    sink.write("info", "old")
    path.rename(tmp_path / "log.1")
    path.mkdir()

    with pytest.raises(IsADirectoryError):
        sink.reopen()
    sink.write("info", "late")
    path.rmdir()
    sink.reopen()
    sink.write("info", "new")
    sink.close()

    assert (tmp_path / "log.1").read_text() == "old\nlate\n"
    assert path.read_text() == "new\n"


def test_a_full_disk_does_not_stop_the_daemon() -> None:
    """Lines are lost, clients are served."""
    sink = FileSink(Path("/dev/full"))

    sink.write("info", "line")
    sink.close()
    sink.write("info", "after the end")


def test_a_line_that_is_cut_ends_there(tmp_path: Path) -> None:
    """The disk is full in its middle; once there is room the next one is whole."""
    path = tmp_path / "log"
    sink = FileSink(path)
    with files_of(10):
        sink.write("info", "begun")
        sink.write("info", "cut off")
        sink.write("info", "lost")
    sink.write("info", "whole")
    sink.write("info", "as well")
    sink.close()

    assert path.read_text() == "begun\ncut \nwhole\nas well\n"


def syslog_at(path: Path) -> socket.socket:
    """A syslog that listens."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    found.bind(str(path))
    found.settimeout(10)
    return found


def test_a_daemon_without_standard_error_logs_to_syslog(tmp_path: Path) -> None:
    """As syslog(3) does, each level with the severity of that name."""
    path = tmp_path / "log"
    assert isinstance(open_sink(Config()), SyslogSink)
    sink = SyslogSink(str(path))
    configure(sink, log_level="debug")
    log = structlog.get_logger()
    with syslog_at(path) as listener:
        log.warning("quota.reached")
        line = listener.recv(1000).decode()
    found = re.fullmatch(
        r"<(\d+)>\w{3} [ \d]\d [\d:]{8} xenstored\[(\d+)\]: (.*)", line
    )
    assert found is not None
    assert int(found[1]) == syslog.LOG_DAEMON | syslog.LOG_WARNING
    assert int(found[2]) == os.getpid()
    assert json.loads(found[3])["event"] == "quota.reached"

    # It is gone, and then it is started anew.
    log.info("lost")
    path.unlink()
    log.info("lost")
    with syslog_at(path) as listener:
        log.info("heard")
        assert b"heard" in listener.recv(1000)
        log.info("more")
        assert b"more" in listener.recv(1000)
    sink.close()
    sink.close()


def test_a_syslog_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    """Lines are lost, clients are served."""
    path = tmp_path / "log"
    sink = SyslogSink(str(path))
    with syslog_at(path) as listener:
        for _ in range(2000):
            sink.write("info", "x" * 500)
        assert listener.recv(1000).endswith(b": " + b"x" * 500)
    sink.close()


def test_the_log_goes_to_a_file_or_to_standard_error(tmp_path: Path) -> None:
    """The latter in the foreground; the trace file has it all."""
    trace, log = tmp_path / "trace", tmp_path / "log"
    open_sink(Config(trace_file=trace, log_file=log, foreground=True)).close()
    assert trace.exists()
    assert not log.exists()
    open_sink(Config(log_file=log, foreground=True)).close()
    shown = open_sink(Config(foreground=True))
    shown.close()

    assert log.exists()
    assert isinstance(shown, StreamSink)


def test_only_a_file_can_be_reopened() -> None:
    """For the others SIGHUP means nothing."""
    stream = io.StringIO()
    sink = StreamSink(stream)

    sink.reopen()
    sink.write("info", "line")

    assert stream.getvalue() == "line\n"
