"""The configuration file: what is read, and what is said of mistakes."""

from pathlib import Path

import pytest

from xsd.daemon.configfile import ConfigFileError, read_file

SECTIONS = "the sections are daemon, domains, log, quota, quota.soft, timeout, journal"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "xsd.toml"


def problems(file: Path, text: str | bytes) -> list[str]:
    """Return what is wrong with a text, without the path that each line begins with."""
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigFileError) as refused:
        read_file(file)
    lines = list(refused.value.problems)
    assert str(refused.value) == "\n".join(lines)
    assert all(line.startswith(f"{file}:") for line in lines)
    return [line.removeprefix(f"{file}:").removeprefix(" ") for line in lines]


def test_values_are_read_by_their_keys(file: Path) -> None:
    """Each as the daemon uses it; what is not in the file is not among them."""
    file.write_text(
        """
        # A comment.
        [daemon]
        pid-file = "/run/x.pid"
        [domains]
        keep-orphans = true
        [log]
        trace = ["io"]
        level = "debug"
        [quota]
        nodes = 2_000
        soft.memory = 0x10
        """
    )

    assert read_file(file) == {
        "daemon.pid-file": Path("/run/x.pid"),
        "domains.keep-orphans": True,
        "log.trace": frozenset({"io"}),
        "log.level": "debug",
        "quota.nodes": 2000,
        "quota.soft.memory": 16,
    }


def test_an_empty_file_sets_nothing_and_a_missing_one_may_be_none(file: Path) -> None:
    """/dev/null is a way to have none; what cannot be read is a mistake."""
    assert read_file(Path("/dev/null")) == {}
    assert read_file(file, optional=True) is None
    with pytest.raises(ConfigFileError, match="No such file or directory"):
        read_file(file)
    file.mkdir()
    with pytest.raises(ConfigFileError, match="Is a directory"):
        read_file(file, optional=True)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[quota]\nnodes 5\n", "2:7: no TOML: Expected '='"),
        ("[quota]\nnodes = ", "2:9: no TOML: Invalid value"),
        ('[log]\nlevel = "a\n', "2:11: no TOML: Illegal character"),
        ("[quota]\nnodes = 1\nnodes = 2\n", "3:10: no TOML: Cannot overwrite"),
        (b"[quota]\n# \xc3\xa4\nnodes = \xff", "3:9: the byte 0xff is no UTF-8"),
    ],
)
def test_what_is_no_toml_is_told_with_line_and_column(
    file: Path, text: str | bytes, where: str
) -> None:
    """In the form that editors follow: path:line:column."""
    (problem,) = problems(file, text)

    assert problem.startswith(where)


def test_what_is_nested_too_deeply_is_no_toml(file: Path) -> None:
    """A mistake like others, not a defect."""
    assert problems(file, "a = " + "[" * 100_000) == ["no TOML: nested too deeply"]


WRONG = """
socket = "/s"
rhubarb = 1
timeout = 5
[daemon]
pidfile = "/x"
[log]
keep-orphans = true
level = "loud"
fiel = "/x"
[domains]
rhubarb = 1
[qouta]
nodes = 1
[radish]
nodes = 1
[quota]
node = 1
watches = 5
outstanding = -1
soft = 5
[quota.nodes]
x = 1
[quota.sotf]
memory = 1
"""
SAID = f"""
socket: no such key; did you mean daemon.socket?
rhubarb: no such key; {SECTIONS}
timeout: is a section, to be written as [timeout]
daemon.pidfile: no such key; did you mean daemon.pid-file?
log.keep-orphans: no such key; did you mean domains.keep-orphans?
log.level: "loud" is not one of "debug", "info", "warning", "error"
log.fiel: no such key; did you mean log.file?
domains.rhubarb: no such key; [domains] has hypervisor, control,\
 control-event-channel, own, keep-orphans
qouta: no such section; did you mean [quota]?
radish: no such section; {SECTIONS}
quota.node: no such key; did you mean quota.nodes?
quota.outstanding: -1 is not a whole number from 0 to 2147483647
quota.soft: is a section, to be written as [quota.soft]
quota.nodes: a section is not a whole number from 0 to 2147483647
quota.sotf: no such section; did you mean [quota.soft]?
"""


def test_all_mistakes_are_told_at_once_with_what_would_be_right(file: Path) -> None:
    """In the order of the file, each with its key; near misses first, else all."""
    assert problems(file, WRONG) == SAID.strip().splitlines()
