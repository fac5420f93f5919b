"""What a setting is: how it is called, what it may be, and how it is given.

The settings themselves are in `settings.py`.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import Field, field
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar, final

from xsd.client.address import RUN_DIRECTORY
from xsd.daemon.arguments import Option

INT_MAX: Final = 2**31 - 1

Value = Path | str | int | frozenset[str] | None
"""What a setting can be; None if it is optional and not set."""

T = TypeVar("T", bound=Value)
T_co = TypeVar("T_co", bound=Value, covariant=True)


class Kind(ABC, Generic[T_co]):
    """What a setting may be, in the file and on the command line.

    Attributes:
        expected: What it has to be, in words.
        stand_in: What the example of a file shows if there is no default.
        unit: What is counted, `bytes`, if it is a number.
        words: Those that are allowed, if not any.
    """

    expected: str
    stand_in: str = ""
    unit: str = ""
    words: tuple[str, ...] = ()

    def check(self, value: object) -> T_co:
        """Return a value of the file as the daemon uses it.

        Raises:
            ValueError: If it cannot be that; the text says what was expected.
        """
        found = self._found(value)
        if found is None:
            raise ValueError(f"{render(value)} is not {self.expected}")
        return found

    @abstractmethod
    def _found(self, value: object) -> T_co | None:
        """Return a value of the file as the daemon uses it, None if it is wrong."""

    @abstractmethod
    def read(self, text: str, before: object) -> T_co:
        """Return what the command line or the environment says.

        Args:
            text: The option's argument.
            before: What the setting has been so far.

        Raises:
            ValueError: If it cannot be that.
        """

    def render(self, value: object) -> str:
        """Return a value as it is written in the file."""
        return render(value)


@final
class Switch(Kind[bool]):
    """On or off."""

    expected = "true or false"
    stand_in = "true"

    def _found(self, value: object) -> bool | None:
        return value if isinstance(value, bool) else None

    def read(self, text: str, before: object) -> bool:
        """Return true: the option has no argument."""
        return True


@final
class Number(Kind[int]):
    """A whole number from 0 on.

    Args:
        unit: What is counted.
        high: The greatest one.
    """

    stand_in = "5"

    def __init__(self, unit: str, high: int = INT_MAX) -> None:
        self.unit = unit
        self.high = high
        self.expected = f"a whole number from 0 to {high}"

    def _found(self, value: object) -> int | None:
        # In Python true is a number.
        if isinstance(value, int) and not isinstance(value, bool):
            return value if 0 <= value <= self.high else None
        return None

    def read(self, text: str, before: object) -> int:
        """Return the number; stricter than strtoul: no sign, no blanks."""
        if not (text.isascii() and text.isdigit() and int(text) <= INT_MAX):
            raise ValueError(f"{text!r} is no decimal number from 0 to {INT_MAX}")
        if int(text) > self.high:
            end = self.high + 1
            raise ValueError(f"{text} is no {self.unit}: they end before {end}")
        return int(text)


@final
class File(Kind[Path]):
    """A path; in the file it is absolute.

    Args:
        name: What the example calls it.
        base: Where relative ones of the command line begin; by default in the
            directory of the start.
    """

    expected = "an absolute path"

    def __init__(self, name: str, base: Path | None = None) -> None:
        self.stand_in = render(f"{RUN_DIRECTORY}/{name}")
        self.base = base

    def _found(self, value: object) -> Path | None:
        if isinstance(value, str) and "\0" not in value and Path(value).is_absolute():
            return Path(value)
        return None

    def read(self, text: str, before: object) -> Path:
        """Return the path, made absolute."""
        if not text or "\0" in text:
            raise ValueError(f"{text!r} is no path")
        return Path(text).absolute() if self.base is None else self.base / text


@final
class Choice(Kind[str]):
    """One of some words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.expected = f"one of {', '.join(map(render, words))}"

    def _found(self, value: object) -> str | None:
        return value if isinstance(value, str) and value in self.words else None

    def read(self, text: str, before: object) -> str:
        """Return the word."""
        return one_of(text, self.words)


@final
class Choices(Kind[frozenset[str]]):
    """Any of some words; the command line adds and takes away single ones."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.expected = f"a list of {', '.join(map(render, words))}"

    def _found(self, value: object) -> frozenset[str] | None:
        if isinstance(value, list) and all(one in self.words for one in value):
            return frozenset(value)
        return None

    def read(self, text: str, before: object) -> frozenset[str]:
        """Return what there was with `+word` or without `-word`."""
        sign, word = text[:1], one_of(text[1:], self.words)
        if sign not in {"+", "-"}:
            raise ValueError(f"{text!r} begins neither with + nor with -")
        had = before if isinstance(before, frozenset) else frozenset()
        return had | {word} if sign == "+" else had - {word}

    def render(self, value: object) -> str:
        """Return them in one order, whatever that of the set."""
        if isinstance(value, frozenset):
            return render([word for word in self.words if word in value])
        return render(value)


@final
class Given(NamedTuple):
    """One way to give a setting on the command line.

    Attributes:
        option: The option.
        word: What stands before the value, `nodes=5`, if several settings have the
            option in common; else "".
        also: Another word that means the same, if there is one.
        most: Greater numbers mean this one, if there is such a limit.
        off: It turns a switch off.
    """

    option: Option
    word: str = ""
    also: str = ""
    most: int | None = None
    off: bool = False

    def __str__(self) -> str:
        if not self.word:
            return self.option.name
        return f"{self.option.name} {self.word}={self.option.value.partition('=')[2]}"


@final
class Setting(NamedTuple):
    """One setting.

    Attributes:
        key: Its name, sections first; without a section it cannot be in the file.
        kind: What it may be.
        default: What it is if nobody says otherwise.
        text: One sentence about it.
        live: A reload changes it in a daemon that runs.
        idle: It is read for the sake of the C daemon's scripts and has no effect.
        given: How it is given on the command line.
        variable: How it is given in the environment, "" if it is not.
        field: The attribute of `Config`.
    """

    key: str
    kind: Kind[Value]
    default: Value
    text: str
    live: bool = False
    idle: bool = False
    given: tuple[Given, ...] = ()
    variable: str = ""
    field: str = ""

    @property
    def section(self) -> str:
        """The section of the file that it stands in."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Its name inside that section."""
        return self.key.rpartition(".")[2]

    @property
    def options(self) -> tuple[str, ...]:
        """How it is given on the command line, in words: `quota nodes=n`."""
        return tuple(map(str, self.given))

    @property
    def expected(self) -> str:
        """What it has to be, in words, with what is counted."""
        unit = self.kind.unit
        return f"{self.kind.expected} ({unit})" if unit else self.kind.expected


def setting(
    key: str,
    kind: Kind[T],
    default: T,
    text: str,
    *given: Given | Option,
    live: bool = False,
    idle: bool = False,
    variable: str = "",
) -> T:
    """Return a field of a dataclass that is a setting; see `Setting`."""
    row = Setting(
        key,
        kind,
        default,
        text,
        live=live,
        idle=idle,
        given=tuple(Given(one) if isinstance(one, Option) else one for one in given),
        variable=variable,
    )
    return field(default=default, metadata={"setting": row})


def rows_of(fields: Iterable[Field[Any]]) -> list[Setting]:
    """Return the settings that the fields of a dataclass are."""
    return [each.metadata["setting"]._replace(field=each.name) for each in fields]


def one_of(text: str, allowed: tuple[str, ...]) -> str:
    """Return a word that is allowed.

    Raises:
        ValueError: If it is not.
    """
    if text not in allowed:
        raise ValueError(f"{text!r} is not one of {', '.join(allowed)}")
    return text


def render(value: object) -> str:
    """Return a value as it is written in the file; None as what cannot stand there."""
    text = str(value)
    match value:
        case None:
            text = "(not set)"
        case bool():
            text = text.lower()
        case str() | Path():
            # JSON's strings are TOML's, but for this one character.
            text = json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            text = f"[{', '.join(map(render, value))}]"
        case dict():
            text = "a section"
    return text
