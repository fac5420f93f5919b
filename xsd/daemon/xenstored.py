"""The commands `xenstored` and `xsd serve`: command line in, exit code out."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from xsd import build
from xsd.daemon import collector
from xsd.daemon.activation import take_passed
from xsd.daemon.arguments import UsageError, usage
from xsd.daemon.config import ConfigError, Origin
from xsd.daemon.configfile import ConfigFileError
from xsd.daemon.daemonize import StartError, fill_standard_streams, spawn
from xsd.daemon.options import CHECK, EXIT_USAGE, OPTIONS, parse
from xsd.daemon.settings import Config
from xsd.daemon.wayback import UPDATE, Invocation, go_back, move_to

DAEMON: Final = "xenstored"
"""The program that a host starts: its store is kept unless that is not wanted."""


def main() -> int:
    """Run `xenstored`: in the background, unless `-N` is given, as the C daemon does.

    Returns:
        0 if a daemon serves (for `-N`: has served), 1 if it cannot start, 2 if the
        command line or the configuration is wrong.
    """
    return start(DAEMON, sys.argv[1:], foreground=False)


def serve(arguments: Sequence[str]) -> int:
    """Run `xsd serve` with the words after it, always in the foreground.

    Returns:
        As `main`.
    """
    return start("xsd serve", arguments, foreground=True)


def start(program: str, arguments: Sequence[str], *, foreground: bool) -> int:
    """Read a command line and do what it says.

    Args:
        program: What messages begin with.
        arguments: The words after the program's name.
        foreground: Do not fork, whatever the command line says, which is a person's:
            options that are unknown are refused.
    """
    fill_standard_streams()
    if arguments[:1] == [CHECK]:
        return _check(arguments[1:])
    started = Invocation.of(arguments)
    try:
        with collector.paused():
            return _start(program, started, foreground=foreground)
    except Exception as error:
        # Whatever it is, the daemon before can do without what we cannot.
        go_back(os.environ, f"{type(error).__name__}: {error}")
        raise


def _start(program: str, started: Invocation, *, foreground: bool) -> int:
    arguments = started.words
    try:
        # What the daemon before was started with is nobody's mistake now.
        strict = foreground and UPDATE not in arguments
        line = parse(arguments, strict=strict)
        if line.wants_help:
            sys.stdout.write(usage(program, OPTIONS))
            return 0
        if line.wants_version:
            sys.stdout.write(build.version_of(f"{program} (xsd)") + "\n")
            return 0
        settings = Origin.of(os.environ, line.settings).read()
    except (UsageError, ConfigError, ConfigFileError) as error:
        go_back(os.environ, str(error))
        for problem in str(error).splitlines():
            sys.stderr.write(f"{program}: {problem}\n")
        return EXIT_USAGE
    config = _of_program(program, settings.config())
    for sentence in line.ignored:
        sys.stderr.write(f"{program}: {sentence}\n")
    if foreground:
        config = replace(config, foreground=True)
    if config.foreground:
        # The kernel keeps signals without a handler from process 1 of a container.
        signal.signal(signal.SIGTERM, _end)
    # Only now, so that --help and mistakes do not wait for uvloop and the engine.
    with _without("rich"):
        from xsd.daemon.main import run, succeed  # noqa: PLC0415

    # Before a fork: they are meant for this process.
    passed = take_passed(os.environ, os.getpid())
    serve_clients = partial(
        run, config, passed=passed, settings=settings, started=started
    )
    # Who follows another daemon is its process.
    if not config.foreground and not config.live_update:
        return spawn(serve_clients)
    if not config.foreground:
        move_to("/")
    return _stay(program, partial(succeed, serve_clients))


def _of_program(program: str, config: Config) -> Config:
    """Settle what depends on the program if nobody has set it."""
    if config.journal is not None:
        return config
    # A recording begins with an empty store.
    keeps = program == DAEMON and config.record_file is None
    return replace(config, journal=keeps)


def _stay(program: str, serve_clients: Callable[[], int]) -> int:
    """Be the daemon, in this very process."""
    try:
        code = serve_clients()
    except StartError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return error.code
    sys.stderr.flush()
    # As in the background. To take the store apart would take seconds.
    os._exit(code)


def _check(words: Sequence[str]) -> int:
    """Tell whether a state could be taken over, with these options."""
    # So is all that a daemon needs.
    with _without("rich"):
        from xsd.daemon import main as _main  # noqa: F401, PLC0415
        from xsd.daemon.succession import check  # noqa: PLC0415

    if not words:
        print("it takes the file with the state")  # noqa: T201  whoever tries us reads
        return EXIT_USAGE
    try:
        line = parse(words[1:])
        config = Origin.of(os.environ, line.settings).read().config()
    except (UsageError, ConfigError, ConfigFileError) as error:
        print(error)  # noqa: T201  the same
        return EXIT_USAGE
    status, text = check(Path(words[0]), config.control_domid, config.own_domid)
    print(text)  # noqa: T201  the same
    return status


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Have a package not be found meanwhile.

    structlog loads rich if it is there, 0.1 s and 6 MB, to draw what we never draw.
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """Stop before the daemon serves; from then on its loop sees to the signal."""
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
