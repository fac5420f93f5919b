"""`xsd config`: the daemon's configuration, without the daemon."""

import os
import sys
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from xsd.cli.common import CommandError, CommandParser
from xsd.daemon.advice import advice
from xsd.daemon.arguments import UsageError
from xsd.daemon.config import BY_DEFAULT, ConfigError, Origin, Settings, gather
from xsd.daemon.configfile import DEFAULT_FILE, ConfigFileError, read_file
from xsd.daemon.options import EXIT_USAGE, parse
from xsd.daemon.setting import Setting
from xsd.daemon.settings import SECTIONS, SETTINGS

_EXAMPLES: Final = f"""
commands:
  check [FILE]            print every mistake of a file; status 2 if there is one; warn
                          of settings without effect or that contradict each other
  show [OPTION ...]       print all settings and where each comes from; options are
                          those of the daemon
  keys                    print what can be set
  example                 print a file with every setting as a comment

examples:
  xsd config check /etc/xen/xsd.toml
  xsd config show --config ./xsd.toml -E 500
  xsd config example > xsd.toml

The file is {DEFAULT_FILE} unless --config or $XSD_CONFIG names another.
"""


def config(words: Sequence[str], _socket: str | None) -> int:
    """Run one of the commands about the configuration."""
    parser = CommandParser("config", "Look at the daemon's configuration.", _EXAMPLES)
    parser.usage = "xsd config [-h] check|show|keys|example ..."
    if not words or words[0] not in _COMMANDS:
        parser.parse_args(words)
        parser.error("what about the configuration? check, show, keys or example")
    if {"-h", "--help"}.intersection(words[1:]):
        parser.parse_args(["-h"])
    return _COMMANDS[words[0]](words[1:])


def _check(words: Sequence[str]) -> int:
    if len(words) > 1:
        raise CommandError("check takes one file")
    options = [("config", words[0])] if words else []
    origin = Origin.of(os.environ, options)
    try:
        found = read_file(origin.path, optional=not origin.named)
        # What the environment says is no mistake of the file's, nor its remedy.
        settings = gather(origin.path, found or {}, {}, [])
    except ConfigFileError as error:
        return _wrong(error.problems)
    state = "has no mistakes" if found is not None else "is not there, nor needed"
    print(f"{origin.path} {state}", flush=True)
    warnings = advice(settings.config())
    _complain(f"{origin.path}: {key}: {text}" for key, text in warnings)
    return 0


def _show(words: Sequence[str]) -> int:
    try:
        line = parse(words)
        settings = Origin.of(os.environ, line.settings).read()
    except ConfigFileError as error:
        return _wrong(error.problems)
    except (ConfigError, UsageError) as error:
        return _wrong([str(error)])
    _complain(line.ignored)
    _print(shown(settings))
    return 0


def _keys(_words: Sequence[str]) -> int:
    _print(described())
    return 0


def _example(_words: Sequence[str]) -> int:
    _print(example())
    return 0


_COMMANDS: Final = {
    "check": _check,
    "show": _show,
    "keys": _keys,
    "example": _example,
}


def shown(settings: Settings) -> Iterable[str]:
    """Yield the lines of a file with these settings, and in comments their sources."""
    yield f"# file: {settings.file or 'none'}"
    for section in SECTIONS:
        yield ""
        yield f"[{section}]"
        for setting in _of(section):
            value = settings.values[setting.key]
            if value is None:
                yield f"# {setting.name} is not set"
            else:
                source = settings.sources[setting.key]
                text = f"{setting.name} = {setting.kind.render(value)}"
                yield f"{text:<42} # {_source(source, settings.file)}"


def described() -> Iterable[str]:
    """Yield a description of every setting, a paragraph each."""
    for setting in SETTINGS.values():
        yield setting.key
        for line in textwrap.wrap(setting.text, 74):
            yield f"    {line}"
        yield f"    value:    {setting.expected}"
        yield f"    default:  {setting.kind.render(setting.default)}"
        if setting.options:
            yield f"    option:   {', '.join('--' + each for each in setting.options)}"
        if setting.variable:
            yield f"    variable: {setting.variable}"
        yield f"    reload:   {'yes' if setting.live else 'no, at the next start'}"
        yield ""


def example() -> Iterable[str]:
    """Yield the lines of a file that sets nothing and shows everything."""
    yield "# Settings of xenstored; those that are comments show the defaults."
    yield "# After a change: xsd config check && systemctl reload xenstored"
    for section in SECTIONS:
        yield ""
        yield f"[{section}]"
        for setting in _of(section):
            yield ""
            for line in textwrap.wrap(setting.text, 76):
                yield f"# {line}"
            yield f"# {setting.expected[0].upper()}{setting.expected[1:]}."
            if not setting.live:
                yield "# Takes effect at the next start."
            kind, default = setting.kind, setting.default
            value = kind.stand_in if default is None else kind.render(default)
            yield f"#{setting.name} = {value}"


def _of(section: str) -> list[Setting]:
    return [setting for setting in SETTINGS.values() if setting.section == section]


def _source(source: str, file: Path | None) -> str:
    if source == BY_DEFAULT:
        return source
    if source == str(file):
        return "file"
    kind = "option" if source.startswith("--") else "environment"
    return f"{kind}: {source}"


def _print(lines: Iterable[str]) -> None:
    # Paths may hold any byte.
    for line in lines:
        sys.stdout.buffer.write(os.fsencode(line) + b"\n")


def _wrong(problems: Iterable[str]) -> int:
    _complain(problems)
    return EXIT_USAGE


def _complain(lines: Iterable[str]) -> None:
    sys.stderr.flush()
    for line in lines:
        sys.stderr.buffer.write(os.fsencode(line) + b"\n")
    sys.stderr.buffer.flush()
