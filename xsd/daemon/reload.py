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
from xsd.daemon.settings import LOG_LEVELS, SETTINGS, Value, render

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
        live = {key: value for key, value in changed.items() if SETTINGS[key].live}
        self._change_service(live)
        tell = ("log.level" in live) or ("log.format" in live)
        if tell:
            # So that the lines below are seen at the old level or at the new one.
            self._set_log(wanted, min(_severity(running), _severity(wanted)))
        for key, value in changed.items():
            before, after = render(running.values[key]), render(value)
            fields = {"setting": key, "before": before, "after": after}
            if key in live:
                log.info("config.changed", **fields, source=wanted.sources[key])
                running.set(key, value, wanted.sources[key])
            else:
                log.warning("config.needs_restart", **fields)
        log.info("config.reloaded", changed=len(live), file=_file(wanted))
        if tell:
            self._set_log(wanted, _severity(wanted))

    def _set_log(self, settings: Settings, severity: int) -> None:
        self._change_log(str(settings.values["log.format"]), LOG_LEVELS[severity])


def _severity(settings: Settings) -> int:
    return LOG_LEVELS.index(str(settings.values["log.level"]))


def _file(settings: Settings) -> str:
    return "none" if settings.file is None else str(settings.file)
