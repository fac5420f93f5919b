"""xsd.daemon.logbook: the log, as operators send it elsewhere."""

import io
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.support.descriptors import open_descriptors
from xsd.daemon import logbook
from xsd.daemon.logbook import Log
from xsd.daemon.logsetup import FileSink, StreamSink
from xsd.engine.loglimit import AT_ONCE
from xsd.protocol.errors import Errno, XenStoreError

EVIL = b'log\n{"event": "forged"}\x1b[2J\xff'


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Log]:
    """A log that goes to the file `first`."""
    kept = Log(FileSink(tmp_path / "first"))
    yield kept
    kept.close()


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """Where it is to go from some time on."""
    return tmp_path / "second"


def lines(path: Path) -> list[dict[str, Any]]:
    """What a log file has."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(path: Path) -> list[str]:
    """Names of the events that a log file has."""
    return [line["event"] for line in lines(path)]


def say(event: str) -> None:
    """Log something."""
    structlog.get_logger().info(event)


def test_the_engine_is_told_whether_everything_is_written(kept: Log) -> None:
    """So that it need not say what nobody reads."""
    told = []
    for level in ("info", "debug", "warning"):
        kept.change("auto", level)
        told.append(kept.tells_all)

    assert told == [False, True, False]


def test_the_log_goes_to_another_file_from_then_on(
    tmp_path: Path, kept: Log, second: Path
) -> None:
    """The old one says where; the new one is private."""
    say("before")
    kept.redirect(bytes(second))
    say("after")

    assert events(tmp_path / "first") == ["before", "log.redirected"]
    assert lines(tmp_path / "first")[-1]["file"] == str(second)
    assert events(second) == ["after"]
    assert second.stat().st_mode & 0o777 == 0o600


def test_who_sends_it_back_and_forth_fills_no_log(
    tmp_path: Path, kept: Log, second: Path
) -> None:
    """It goes where it is sent all the same."""
    for _ in range(100):
        for path in (tmp_path / "first", second):
            kept.redirect(bytes(path))
    say("after")

    assert len(events(tmp_path / "first")) + len(events(second)) <= AT_ONCE + 2
    assert events(second)[-1] == "after"


def test_a_file_that_is_there_is_added_to(kept: Log, second: Path) -> None:
    """Nothing of it is lost, even if it is the one in use."""
    second.write_text('{"event": "old"}\n')
    for _ in range(2):
        kept.redirect(bytes(second))
    say("new")

    assert events(second) == ["old", "log.redirected", "new"]


def test_a_log_on_a_stream_can_become_one_in_a_file(tmp_path: Path) -> None:
    """And has a file's format then; the stream stays open, as it is not the log's."""
    stream = io.StringIO()
    kept = Log(StreamSink(stream), log_format="auto", log_level="warning")
    was_file = kept.is_file

    kept.redirect(bytes(tmp_path / "log"))
    structlog.get_logger().info("too little")
    structlog.get_logger().warning("enough")

    assert (was_file, kept.is_file) == (False, True)
    assert events(tmp_path / "log") == ["enough"]
    stream.write("still open")
    kept.close()


def test_the_new_file_is_the_one_that_is_opened_anew(
    tmp_path: Path, kept: Log, second: Path
) -> None:
    """After it was rotated; the first is left alone, and no link is followed."""
    kept.redirect(bytes(second))
    second.rename(tmp_path / "second.1")
    second.symlink_to(tmp_path / "target")
    (tmp_path / "first").unlink()

    with pytest.raises(OSError, match="symbolic links"):
        kept.reopen()
    say("late")
    second.unlink()
    kept.reopen()
    say("new")

    assert events(tmp_path / "second.1") == ["late"]
    assert events(second) == ["new"]
    assert not (tmp_path / "first").exists()
    assert not (tmp_path / "target").exists()


def test_a_relative_name_is_one_in_xens_directory(
    tmp_path: Path, kept: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of `--trace-file`, wherever the daemon was started."""
    monkeypatch.setattr(logbook, "TRACE_DIRECTORY", tmp_path)
    kept.redirect(b"second")
    kept.append(b"report", "text\n")

    found = {path.name for path in tmp_path.iterdir()}
    assert found == {"first", "report", "second"}


@pytest.mark.parametrize(
    ("file", "errno"),
    [
        ("missing/log", Errno.ENOENT),
        ("directory", Errno.EISDIR),
        *((file, Errno.EINVAL) for file in ("link", "loose", "pipe", "socket")),
        ("first/log", Errno.EINVAL),
        ("x" * 256, Errno.EINVAL),
    ],
)
def test_a_file_that_cannot_be_opened_leaves_the_log_where_it_is(
    tmp_path: Path, kept: Log, file: str, errno: Errno
) -> None:
    """The client is told why, as far as XenStore has a name for it.

    Of a report it is EINVAL, as by C; the log has why.
    """
    target, loose = tmp_path / "target", tmp_path / "nothing"
    target.touch()
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "loose").symlink_to(loose)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
    path = bytes(tmp_path / file)

    with pytest.raises(XenStoreError) as raised:
        kept.redirect(path)
    with pytest.raises(XenStoreError) as report:
        kept.append(path, "text")
    say("line")

    assert (raised.value.errno, raised.value.path) == (errno, path)
    assert report.value.errno is Errno.EINVAL
    assert report.value.reason
    assert events(tmp_path / "first") == ["line"]
    assert (target.read_text(), loose.exists()) == ("", False)


def test_no_name_is_no_file(kept: Log) -> None:
    """C would try the directory itself."""
    with pytest.raises(XenStoreError, match="EINVAL: no file is named"):
        kept.redirect(b"")
    with pytest.raises(XenStoreError, match="EINVAL: no file is named"):
        kept.append(b"", "text")


def test_a_file_of_somebody_else_is_refused(
    tmp_path: Path, kept: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who put it there could read what is traced."""
    path = tmp_path / "theirs"
    path.write_text("theirs")
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 65534)
    with pytest.raises(XenStoreError) as raised:
        kept.redirect(bytes(path))

    assert raised.value.errno is Errno.EACCES
    assert path.read_text() == "theirs"


def test_a_name_cannot_forge_a_line(tmp_path: Path, kept: Log) -> None:
    """Whatever an operator's program calls a file."""
    kept.redirect(bytes(tmp_path) + b"/" + EVIL)

    (line,) = lines(tmp_path / "first")
    assert line["event"] == "log.redirected"
    assert r"log\n{" in line["file"]
    assert "\x1b" not in (tmp_path / "first").read_text()


def test_a_pipe_that_nobody_reads_on_does_not_stop_the_daemon(
    tmp_path: Path, kept: Log
) -> None:
    """Lines that it does not take are lost."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    kept.redirect(bytes(path))
    for _ in range(3):
        structlog.get_logger().info("x" * 60_000)

    assert os.read(reader, 10).startswith(b"{")
    os.close(reader)
    structlog.get_logger().info("nobody is there")


def test_a_report_is_added_to_a_file(tmp_path: Path, kept: Log) -> None:
    """With a line that says of whom and when it is; it is private."""
    for text in ("one\n", "two\n"):
        kept.append(bytes(tmp_path / "report"), text)

    heading = rf"xenstored \S+, process {os.getpid()}, \S+T\S+\+00:00\n"
    found = (tmp_path / "report").read_text()
    assert re.fullmatch(f"{heading}one\n\n{heading}two\n\n", found)
    assert (tmp_path / "report").stat().st_mode & 0o777 == 0o600


def test_a_report_on_a_full_disk_is_an_error(kept: Log) -> None:
    """Nobody is to look for it in vain; a log loses lines, and the daemon serves on."""
    files = open_descriptors()
    with pytest.raises(XenStoreError, match="ENOSPC"):
        kept.append(b"/dev/full", "text")
    assert open_descriptors() == files

    kept.redirect(b"/dev/full")
    say("line")
    assert kept.is_file


def test_a_report_comes_whole_however_little_is_taken_at_once(
    tmp_path: Path, kept: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write may take less than it was given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    kept.append(bytes(tmp_path / "report"), "0123456789" * 3 + "\n")

    assert (tmp_path / "report").read_text().endswith("\n" + "0123456789" * 3 + "\n\n")


def test_the_process_occupies_some_memory(kept: Log) -> None:
    """More than a mebibyte, and never more than the peak."""
    figures = kept.process_bytes()

    assert list(figures) == ["resident_bytes", "peak_bytes"]
    assert 1 << 20 < figures["resident_bytes"] <= figures["peak_bytes"] + (1 << 20)
