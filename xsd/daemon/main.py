"""The daemon's life: start, serve, stop."""

import asyncio
import faulthandler
import os
import resource
import signal
import time
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import structlog
import uvloop

from xsd import __version__, build
from xsd.daemon import collector
from xsd.daemon.activation import ActivationError, Adopted, Passed, choose
from xsd.daemon.advice import without_effect
from xsd.daemon.config import Settings
from xsd.daemon.daemonize import EXIT_FAILED, StartError, reason_of
from xsd.daemon.fdstore import DescriptorStore
from xsd.daemon.logbook import Log
from xsd.daemon.logsetup import open_sink
from xsd.daemon.notify import notify
from xsd.daemon.pidfile import PidFile, PidFileHeldError
from xsd.daemon.reload import Reloader
from xsd.daemon.service import Service, log_notice
from xsd.daemon.settings import ROWS, Config
from xsd.daemon.signals import Signals, take_up
from xsd.daemon.succession import (
    Inheritance,
    SuccessionError,
    read_state,
    state_file,
)
from xsd.daemon.watchdog import watchdog_period_s
from xsd.daemon.wayback import (
    BACK_VARIABLE,
    REASON_VARIABLE,
    STATE_VARIABLE,
    Invocation,
    go_back,
)
from xsd.engine import Notice
from xsd.engine.loglimit import LogLimit

log = structlog.get_logger(__name__)

_ENDING: Final = frozenset({signal.SIGTERM, signal.SIGINT})

_SERVICES: Final[list[Service]] = []
"""Kept until the process is over: whoever ends it does not wait for millions of objects
to be taken apart."""


def _nobody_waits() -> None:
    """Do nothing: in the foreground nobody waits for the start."""


def run(
    config: Config,
    on_ready: Callable[[], None] = _nobody_waits,
    *,
    passed: Sequence[Passed] = (),
    settings: Settings | None = None,
    started: Invocation | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT.

    Args:
        config: The settings.
        on_ready: Is called once clients are served.
        passed: Descriptors from whoever has started us.
        settings: Where `config` is from; without them SIGHUP reloads nothing.
        started: How the daemon was started, for one that follows it.

    Returns:
        The exit code: 0 after a clean end, 1 after a defect of ours, which is logged.

    Raises:
        StartError: If the daemon cannot start.
        SuccessionError: If it cannot take over, and the one before still could.
    """
    with ExitStack() as held:
        started = started or Invocation.of(())
        left = _left(os.environ, started) if config.live_update else None
        config, adopted = _adopted(config, passed, held)
        if left is not None and left.listens_at is not None:
            config = replace(config, socket=left.listens_at)
        config, kept = _started(config, held)
        start = Start(config, settings or Settings(), started, left)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(start, kept, on_ready, adopted))
        except (StartError, SuccessionError):
            raise
        except Exception as error:
            log.critical("daemon.failed", exc_info=True)
            if BACK_VARIABLE in os.environ:
                raise SuccessionError(f"{type(error).__name__}: {error}") from error
            return EXIT_FAILED
        log.info("daemon.stopped")
    return 0


def _left(environ: MutableMapping[str, str], started: Invocation) -> Inheritance:
    """What the daemon before has left, for us, or for itself as we could not."""
    left = read_state(state_file(environ, started.words))
    reason = environ.pop(REASON_VARIABLE, "")
    if reason:
        left.came_back = f"The new binary could not take over: {reason}"
        left.answer_instead(left.came_back)
    return left


def succeed(run_it: Callable[[], int]) -> int:
    """Run a daemon; if it cannot take over, have the one before go on.

    Args:
        run_it: Calls `run`.

    Raises:
        StartError: If the daemon cannot start, and there is none that could go on.
    """
    try:
        return run_it()
    except (StartError, SuccessionError) as error:
        # While what the error was about is held: to let go of it could close sockets.
        go_back(os.environ, str(error))
        if isinstance(error, StartError):
            raise
        raise StartError(f"cannot take over: {error}") from error


@final
class Start(NamedTuple):
    """How a daemon is to be started.

    Attributes:
        config: The settings.
        settings: Where they are from.
        started: How it was started itself.
        left: What the daemon has left that was here before.
    """

    config: Config
    settings: Settings
    started: Invocation
    left: Inheritance | None


def _adopted(
    config: Config, passed: Sequence[Passed], held: ExitStack
) -> tuple[Config, Adopted]:
    """Choose from what was passed; the socket's path is where it listens."""
    try:
        adopted = choose(passed, config.socket)
    except ActivationError as error:
        raise StartError(f"cannot use the socket that was passed: {error}") from error
    if adopted.listener is not None:
        held.callback(adopted.listener.close)
        config = replace(config, socket=Path(adopted.listener.getsockname()))
    return config, adopted


def _started(config: Config, held: ExitStack) -> tuple[Config, Log]:
    """Take what the process needs before its loop, to be given back by `held`.

    Returns:
        The settings without files that cannot be had, and the log.
    """
    try:
        config.socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if config.pid_file is not None:
            held.enter_context(PidFile(config.pid_file))
    except PidFileHeldError as error:
        # launch-xenstore takes 0 to mean that a xenstored is there.
        raise StartError(str(error), code=0) from error
    except OSError as error:
        raise StartError(f"cannot start: {reason_of(error)}") from error
    config, kept = _begin_log(config)
    held.callback(kept.close)
    # A client that goes away while it is written to is no reason to die.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    raise_descriptor_limit()
    return config, kept


def _begin_log(config: Config) -> tuple[Config, Log]:
    """Log to the first place that can be had.

    As in the C daemon: a host can do without such a file, but not without us. It is
    not traced into another file then, for which secrets may not be meant.
    """
    missing = []
    while True:
        try:
            sink = open_sink(config)
            break
        except OSError as error:
            missing.append(reason_of(error))
            if config.trace_file is None:
                config = replace(config, log_file=None)
            config = replace(config, trace_file=None)
    kept = Log(sink, log_format=config.log_format, log_level=config.log_level)
    for reason in missing:
        log.warning("log.not_opened", reason=reason)
    return config, kept


async def _serve(
    start: Start, kept: Log, on_ready: Callable[[], None], adopted: Adopted
) -> None:
    config, settings, started, left = start
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.set_exception_handler(partial(_log_loop_error, LogLimit()))
    held_for_us = DescriptorStore(
        os.environ, adopted.stored, has_listener=adopted.is_own
    )
    service = Service(config, loop, adopted.listener, left, held_for_us)
    _SERVICES.append(service)
    service.allow_updates(started)
    service.keep_log(kept)
    reloader = Reloader(settings, service.change, kept.change)
    calls: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGTERM: stop.set,
        signal.SIGINT: stop.set,
        signal.SIGHUP: partial(_hang_up, kept, reloader),
    }
    with ExitStack() as held:
        held.callback(Signals(loop, calls, _ENDING).close)
        take_up()
        try:
            service.start()
        except OSError as error:
            raise StartError(f"cannot start: {reason_of(error)}") from error
        held.callback(service.stop)
        if left is not None:
            _stay(left)
        _watch_over(service)
        collector.restrain()
        log.info(
            "daemon.serving",
            socket=str(config.socket),
            hypervisor=service.hypervisor,
            pid=os.getpid(),
            version=__version__,
            build=build.kind(),
            python=build.python(),
        )
        for what in adopted.others:
            log.warning("socket.not_used", what=what)
        _warn_of_idle_settings(config)
        _tell_manager("READY=1")
        on_ready()
        await stop.wait()
        _tell_manager("STOPPING=1")


def _stay(left: Inheritance) -> None:
    """Serve instead of the daemon before, from now on and whatever comes."""
    for name in (BACK_VARIABLE, STATE_VARIABLE):
        os.environ.pop(name, None)
    left.keep_descriptors()
    # It may hold what nobody else is to read.
    left.remove()
    if left.came_back:
        log.error("update.undone", reason=left.came_back)


def _watch_over(service: Service) -> None:
    """Tell the service manager again and again that clients are served."""
    period_s = watchdog_period_s(os.environ, os.getpid())
    if period_s:
        # The manager ends us by SIGABRT: then it is shown what we were at.
        faulthandler.enable()
        try:
            service.watch_over(period_s, partial(_tell_of_life, service))
        except OSError as error:
            reason = f"cannot be a client of ourselves: {reason_of(error)}"
            raise StartError(reason) from error


def _tell_of_life(service: Service) -> None:
    # Clients do not wait for a manager that has something else to do.
    _tell_manager(f"WATCHDOG=1\nSTATUS={service.status}", wait=False)


def _hang_up(kept: Log, reloader: Reloader) -> None:
    """Open the log anew, and read the configuration again."""
    now_us = time.monotonic_ns() // 1000
    _tell_manager(f"RELOADING=1\nMONOTONIC_USEC={now_us}")
    try:
        _reopen(kept)
        reloader.reload()
    finally:
        _tell_manager("READY=1")


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open files to the hard one: each client needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A service manager that has done so may forbid the call.
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _warn_of_idle_settings(config: Config) -> None:
    for key in without_effect(config):
        field = ROWS[key].field
        value = getattr(config, field)
        log.warning("setting.without_effect", setting=field, value=value)


def _reopen(kept: Log) -> None:
    try:
        kept.reopen()
    except OSError as error:
        log.error("log.not_reopened", reason=str(error))  # noqa: TRY400  no defect
    else:
        log.info("log.reopened")


def _tell_manager(state: str, *, wait: bool = True) -> None:
    try:
        notify(state, os.environ, wait=wait)
    except OSError as error:
        log.warning("systemd.not_told", state=state, reason=str(error))


def _log_loop_error(
    limit: LogLimit, _: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    # If that fails, for want of memory, the loop would tell standard error of it.
    with suppress(Exception):
        fields: dict[str, object] = {"reason": context.get("message")}
        notice = Notice("error", "loop.failed", fields, context.get("exception"))
        if limit.admits(notice, time.monotonic_ns() // 1_000_000):
            log_notice(notice)
