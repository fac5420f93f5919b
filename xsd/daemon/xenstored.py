"""The commands `xenstored` and `xsd serve`: command line in, exit code out."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import NoReturn

from xsd import __version__
from xsd.daemon.activation import take_passed
from xsd.daemon.arguments import UsageError, usage
from xsd.daemon.config import ConfigError, Origin
from xsd.daemon.configfile import ConfigFileError
from xsd.daemon.daemonize import StartError, fill_standard_streams, spawn
from xsd.daemon.options import EXIT_USAGE, OPTIONS, parse


def main() -> int:
    """Run `xenstored`: in the background, unless `-N` is given, as the C daemon does.

    Returns:
        0 if a daemon serves (for `-N`: has served), 1 if it cannot start, 2 if the
        command line or the configuration is wrong.
    """
    return start("xenstored", sys.argv[1:], foreground=False)


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
    try:
        line = parse(arguments, strict=foreground)
        if line.wants_help:
            sys.stdout.write(usage(program, OPTIONS))
            return 0
        if line.wants_version:
            sys.stdout.write(f"{program} (xsd) {__version__}\n")
            return 0
        settings = Origin.of(os.environ, line.settings).read()
    except (UsageError, ConfigError, ConfigFileError) as error:
        for problem in str(error).splitlines():
            sys.stderr.write(f"{program}: {problem}\n")
        return EXIT_USAGE
    config = settings.config()
    for sentence in line.ignored:
        sys.stderr.write(f"{program}: {sentence}\n")
    if foreground:
        config = replace(config, foreground=True)
    if config.foreground:
        # The kernel keeps signals without a handler from process 1 of a container.
        signal.signal(signal.SIGTERM, _end)
    # Only now, so that --help and mistakes do not wait for uvloop and the engine.
    from xsd.daemon.main import run  # noqa: PLC0415

    # Before a fork: they are meant for this process.
    passed = take_passed(os.environ, os.getpid())
    serve_clients = partial(run, config, passed=passed, settings=settings)
    if not config.foreground:
        return spawn(serve_clients)
    try:
        code = serve_clients()
    except StartError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return error.code
    sys.stderr.flush()
    # As in the background. To take the store apart would take seconds.
    os._exit(code)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """Stop before the daemon serves; from then on its loop sees to the signal."""
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
