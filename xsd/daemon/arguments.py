"""Reading a command line as getopt_long does, but nothing unknown need be fatal.

`xenstored` is started by scripts written for other versions of it, whose options it
may not know. The C daemon prints a line and goes on, so argparse, which ends the
process, cannot be used. `xsd serve` is typed by people, and refuses them.
"""

from collections.abc import Sequence
from textwrap import wrap
from typing import Final, NamedTuple, final

HELP_COLUMNS: Final = 80
"""Columns of the text for `--help`."""


class UsageError(Exception):
    """The command line cannot be understood; the text says why."""


@final
class Option(NamedTuple):
    """One option of the command line.

    Attributes:
        name: The long name without dashes, `pid-file`.
        letters: The short names, `F`, the usual one first; "" if there is none.
        value: What its argument is called in the usage text, `file`; "" if it takes
            none.
        text: One line for the usage text.
        place: Where it stands in that text.
        gone: The option belongs to older versions: it is warned about and ignored.
    """

    name: str
    letters: str = ""
    value: str = ""
    text: str = ""
    place: int = 0
    gone: bool = False

    def __str__(self) -> str:
        return f"-{self.letters[0]}/--{self.name}" if self.letters else f"--{self.name}"


@final
class Scan:
    """What a command line says.

    Attributes:
        given: Names and arguments of the options, in order; "" where none is taken.
        ignored: One sentence for each word that has no effect.
    """

    __slots__ = ("given", "ignored")

    def __init__(self) -> None:
        self.given: list[tuple[str, str]] = []
        self.ignored: list[str] = []


def scan(
    arguments: Sequence[str], options: Sequence[Option], *, strict: bool = False
) -> Scan:
    """Read a command line.

    As in getopt_long, letters may be joined (`-NF file`), an argument may be attached
    (`-Ffile`, `--pid-file=file`) and a long name may be cut short if that leaves no
    doubt. A word that follows an ignored option is ignored too, as it may be that
    option's argument.

    Args:
        arguments: The words after the program's name.
        options: What is known.
        strict: Refuse what is unknown.

    Raises:
        UsageError: For a missing argument, one too many, or a word that is no option;
            for an option that is unknown if that is wanted.
    """
    return _Scanner(arguments, options, strict=strict).run()


@final
class _Scanner:
    __slots__ = (
        "_after_ignored",
        "_by_letter",
        "_by_name",
        "_found",
        "_strict",
        "_words",
    )

    def __init__(
        self, arguments: Sequence[str], options: Sequence[Option], *, strict: bool
    ) -> None:
        self._words = list(reversed(arguments))
        self._by_name = {option.name: option for option in options}
        self._by_letter = {
            letter: option for option in options for letter in option.letters
        }
        self._found = Scan()
        self._after_ignored = False
        self._strict = strict

    def run(self) -> Scan:
        while self._words:
            word = self._words.pop()
            if word == "--":
                break
            if word.startswith("--"):
                self._long(word)
            elif word.startswith("-") and word != "-":
                self._letters(word)
            else:
                self._operand(word)
        for word in reversed(self._words):
            self._operand(word)
        return self._found

    def _long(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        option = self._named(name)
        if option is None:
            self._unknown(f"unknown option {word!r}", name)
        elif option.gone:
            self._ignore(f"{option} has no effect any more")
        elif option.value:
            self._give(option, value if equals else self._next_word(option))
        elif equals:
            raise UsageError(f"{option} takes no argument, got {value!r}")
        else:
            self._give(option, "")

    def _letters(self, word: str) -> None:
        for index, letter in enumerate(word[1:], start=2):
            option = self._by_letter.get(letter)
            if option is None:
                # What follows may be letters or this one's argument: stop here.
                self._unknown(f"unknown option '-{letter}' in {word!r}", "")
                return
            if option.gone:
                self._ignore(f"{option} has no effect any more")
            elif option.value:
                self._give(option, word[index:] or self._next_word(option))
                return
            else:
                self._give(option, "")

    def _operand(self, word: str) -> None:
        if not self._after_ignored:
            raise UsageError(f"no arguments expected, got {word!r}")
        self._ignore(f"{word!r} after an ignored option")
        self._after_ignored = False

    def _named(self, name: str) -> Option | None:
        exact = self._by_name.get(name)
        if exact is not None or not name:
            return exact
        longer = [known for known in self._by_name if known.startswith(name)]
        return self._by_name[longer[0]] if len(longer) == 1 else None

    def _next_word(self, option: Option) -> str:
        if not self._words:
            raise UsageError(f"{option} needs an argument: <{option.value}>")
        return self._words.pop()

    def _give(self, option: Option, value: str) -> None:
        self._found.given.append((option.name, value))
        self._after_ignored = False

    def _unknown(self, why: str, name: str) -> None:
        if not self._strict:
            self._ignore(why)
            return
        import difflib  # noqa: PLC0415  for typing mistakes alone

        known = [each for each, option in self._by_name.items() if not option.gone]
        like = difflib.get_close_matches(name, known, 1)
        raise UsageError(why + (f" (did you mean --{like[0]}?)" if like else ""))

    def _ignore(self, why: str) -> None:
        self._found.ignored.append(f"ignored: {why}")
        self._after_ignored = True


def usage(program: str, options: Sequence[Option]) -> str:
    """Return the text for `--help`: a line or more for each option with a meaning."""
    lines = [f"Usage: {program} [option]...", ""]
    for option in options:
        if not option.gone:
            letter = f"-{option.letters[0]}," if option.letters else "   "
            value = f" <{option.value}>" if option.value else ""
            head = f"  {letter} --{option.name + value:<23} "
            # Words of options may have dashes in them.
            text = wrap(option.text, HELP_COLUMNS - len(head), break_on_hyphens=False)
            lines.append(head + f"\n{' ' * len(head)}".join(text))
    return "\n".join(lines) + "\n"
