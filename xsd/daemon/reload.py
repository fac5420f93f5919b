"""Reading the configuration again while the daemon runs.

A reload compares the settings as they are now with those of the last time, and makes
in the running daemon what is different. What an operator has changed meanwhile by
CONTROL or SET_QUOTA stays, unless the file has changed just that. A configuration
with a mistake changes nothing at all.
"""

from collections.abc import Callable, Mapping
from typing import final

import structlog

from xsd.daemon.config import ConfigError, Settings
from xsd.daemon.configfile import ConfigFileError
from xsd.daemon.setting import Value
from xsd.daemon.settings import LOG_LEVELS, ROWS

Change = Callable[[Mapping[str, Value]], None]

log = structlog.get_logger(__name__)


@final
class Reloader:
    """Knows which settings the daemon runs with."""

    __slots__ = ("_change_log", "_change_service", "_settings")

    def __init__(
        self,
        settings: Settings,
        change_service: Change,
        change_log: Callable[[str, str], None],
    ) -> None:
        """Make a reloader that does nothing until `reload`.

        Args:
            settings: Those of the start.
            change_service: Is given what has changed; it cannot fail.
            change_log: Is given the format and the level of the log; nor can it.
        """
        self._settings = settings
        self._change_service = change_service
        self._change_log = change_log

    def reload(self) -> None:
        """Read the configuration, and make what has changed in it."""
        try:
            wanted = self._settings.again()
        except (ConfigError, ConfigFileError) as error:
            problems = str(error).splitlines()
            log.error("config.not_reloaded", problems=problems)  # noqa: TRY400
            return
        running = self._settings
        changed = {
            key: value
            for key, value in wanted.values.items()
            if value != running.values[key]
        }
        live = {key: value for key, value in changed.items() if ROWS[key].live}
        self._change_service(live)
        before, after = running.config(), wanted.config()
        log_format = after.log_format
        tell = (before.log_level, before.log_format) != (after.log_level, log_format)
        if tell:
            # So that the lines below are seen at the old level or at the new one.
            lower = min(before.log_level, after.log_level, key=LOG_LEVELS.index)
            self._change_log(log_format, lower)
        for key, value in changed.items():
            render = ROWS[key].kind.render
            fields = {
                "setting": key,
                "before": render(running.values[key]),
                "after": render(value),
            }
            if key in live:
                log.info("config.changed", **fields, source=wanted.sources[key])
                running.set(key, value, wanted.sources[key])
            else:
                log.warning("config.needs_restart", **fields)
        log.info("config.reloaded", changed=len(live), file=_file(wanted))
        if tell:
            self._change_log(log_format, after.log_level)


def _file(settings: Settings) -> str:
    return "none" if settings.file is None else str(settings.file)
