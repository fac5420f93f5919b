"""Settings: defaults < file < environment < command line."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from xsd.daemon.config import ConfigError, Origin, gather, load
from xsd.daemon.configfile import DEFAULT_FILE, ConfigFileError
from xsd.daemon.setting import INT_MAX, Value
from xsd.daemon.settings import Config

LONGEST = "/" + "x" * 106
RUNDIR = "/var/run/xenstored"
IN_RUNDIR = "/var/run/xenstored/socket"
NO_NUMBER = "is no decimal number from 0 to 2147483647"
TOO_LONG = "has 108 bytes, a socket's path at most 107"
QUOTAS = (
    "nodes, watches, outstanding, memory, transactions, transaction-nodes,"
    " node-permissions, path-max, node-size, path-length"
)


def test_without_any_setting_the_paths_are_those_of_the_c_daemon() -> None:
    """Clients look there: libxenstore has the same default."""
    config = load({}, [])

    assert config == Config()
    assert config.socket == Path("/var/run/xenstored/socket")
    assert config.trace_switches == {"obj", "io"}
    # What clients send may be secret.
    assert config.record_file is None


PATH = {"XENSTORED_PATH": "/e/s"}
DIRECTORY = {"XENSTORED_RUNDIR": "/e"}
IN_FILE = {"daemon.socket": Path("/f/s")}
BOTH_IN_FILE = {"daemon.socket": Path("/f/s"), "daemon.rundir": Path("/f")}


@pytest.mark.parametrize(
    ("in_file", "environ", "option", "rundir", "socket", "source"),
    [
        ({}, DIRECTORY, "", "/e", "/e/socket", "XENSTORED_RUNDIR"),
        ({}, PATH | DIRECTORY, "", "/e", "/e/s", "XENSTORED_PATH"),
        ({}, PATH, "/o/s", RUNDIR, "/o/s", "--socket"),
        # `XENSTORED_PATH= xenstored` means the default.
        ({}, dict.fromkeys(PATH | DIRECTORY, ""), "", RUNDIR, IN_RUNDIR, "default"),
        # Whichever stands first in the file.
        (BOTH_IN_FILE, {}, "", "/f", "/f/s", "/f.toml"),
        (dict(reversed(BOTH_IN_FILE.items())), {}, "", "/f", "/f/s", "/f.toml"),
        (BOTH_IN_FILE, PATH, "", "/f", "/e/s", "XENSTORED_PATH"),
        (BOTH_IN_FILE, PATH, "/o/s", "/f", "/o/s", "--socket"),
        # Clients look there.
        (IN_FILE, DIRECTORY, "", "/e", "/e/socket", "XENSTORED_RUNDIR"),
        # Only the path in use is checked.
        ({}, {"XENSTORED_RUNDIR": 2 * LONGEST}, "/s", 2 * LONGEST, "/s", "--socket"),
        ({"daemon.socket": Path(2 * LONGEST)}, {}, "/s", RUNDIR, "/s", "--socket"),
        ({}, {}, LONGEST, RUNDIR, LONGEST, "--socket"),
    ],
)
def test_the_nearer_to_the_user_the_stronger(
    in_file: Mapping[str, Value],
    environ: Mapping[str, str],
    option: str,
    rundir: str,
    socket: str,
    source: str,
) -> None:
    """Who names a directory moves the socket, unless that is named there, too."""
    options = [("socket", option)] if option else []

    settings = gather(Path("/f.toml"), in_file, environ, options)

    assert settings.config().rundir == Path(rundir)
    assert settings.config().socket == Path(socket)
    assert settings.sources["daemon.socket"] == source


FIELDS: list[tuple[str, Config]] = [
    ("no-fork", Config(foreground=True)),
    ("keep-orphans", Config(keep_orphans=True)),
    ("live-update", Config(live_update=True)),
    ("quota-soft memory=1", Config(soft_memory=1)),
    ("timeout watch-event=2", Config(watch_event_timeout_s=2)),
    ("event 2147483647", Config(control_event_channel=INT_MAX)),
    ("master-domid 4", Config(own_domid=4)),
    ("priv-domid 32751", Config(control_domid=32751)),
    ("log-format json", Config(log_format="json")),
    ("log-level debug", Config(log_level="debug")),
    ("record /var/r", Config(record_file=Path("/var/r"))),
    ("trace", Config(tracing=True)),
    ("log-file /var/t", Config(log_file=Path("/var/t"))),
    # As in the C daemon: relative ones below /var/lib/xen/xenstore.
    ("trace-file t", Config(trace_file=Path("/var/lib/xen/xenstore/t"))),
    ("trace-file /var/t", Config(trace_file=Path("/var/t"))),
    # One by one, in the order given.
    (
        "trace-control +tdb, trace-control -io",
        Config(trace_switches=frozenset({"obj", "tdb"})),
    ),
    # Quotas with an option of their own are those of `--quota`.
    ("entry-nb 7 | quota nodes=7", Config(quota_nodes=7)),
    ("entry-size 7 | quota node-size=7", Config(quota_node_size=7)),
    ("watch-nb 7 | quota watches=7", Config(quota_watches=7)),
    ("transaction 7 | quota transactions=7", Config(quota_transactions=7)),
    ("perm-nb 7 | quota node-permissions=7", Config(quota_node_permissions=7)),
    ("path-max 7 | quota path-max=7", Config(quota_path_max=7)),
    # C's help says path-length; `-M` never allows more than REL_PATH_MAX.
    ("quota path-length=9", Config(quota_path_max=9)),
    ("path-max 3000", Config(quota_path_max=2048)),
    ("quota path-max=3000", Config(quota_path_max=3000)),
    # Of two values the later counts.
    (
        "quota nodes=5, quota watches=0, entry-nb 6",
        Config(quota_nodes=6, quota_watches=0),
    ),
]


@pytest.mark.parametrize(("options", "expected"), FIELDS, ids=[f[0] for f in FIELDS])
def test_an_option_reaches_its_field(options: str, expected: Config) -> None:
    """Flags become true, numbers numbers; all others stay as they are."""
    for one in options.split(" | "):
        words = [option.partition(" ") for option in one.split(", ")]

        assert load({}, [(name, value) for name, _, value in words]) == expected


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        *(
            ("entry-nb", number, f"{number!r} {NO_NUMBER}")
            for number in ("", "-1", "+1", " 1", "1x", "0x1", "2147483648")
        ),
        (
            "quota",
            "nodes",
            f"'nodes' is not of the form name=number; names are {QUOTAS}",
        ),
        ("quota", "cows=1", f"'cows' is not one of {QUOTAS}"),
        ("quota", "nodes=many", f"'many' {NO_NUMBER}"),
        ("quota-soft", "nodes=1", "'nodes' is not one of memory"),
        ("timeout", "5", "'5' is not of the form name=number; names are watch-event"),
        ("timeout", "tea=5", "'tea' is not one of watch-event"),
        ("trace-control", "io", "'o' is not one of obj, io, wrl, acc, tdb"),
        ("trace-control", "=io", "'=io' begins neither with + nor with -"),
        ("trace-control", "", "'' is not one of obj, io, wrl, acc, tdb"),
        ("hypervisor", "kvm", "'kvm' is not one of auto, xen, emulated"),
        ("log-level", "loud", "'loud' is not one of debug, info, warning, error"),
        ("log-format", "xml", "'xml' is not one of auto, console, json"),
        ("pid-file", "", "'' is no path"),
        ("trace-file", "a\0b", r"'a\x00b' is no path"),
        ("master-domid", "32752", "32752 is no domain id: they end before 32752"),
        ("priv-domid", "dom1", f"'dom1' {NO_NUMBER}"),
        ("cows", "1", "no such setting"),
        ("socket", f"{LONGEST}x", f"{LONGEST}x {TOO_LONG}"),
        # Bytes count and not letters.
        ("socket", "/" + 53 * "ä" + "x", f"/{53 * 'ä'}x {TOO_LONG}"),
        ("XENSTORED_PATH", "a\0", r"'a\x00' is no path"),
    ],
)
def test_an_impossible_value_is_refused(key: str, value: str, reason: str) -> None:
    """The message begins with the option, or with the variable."""
    variable = {key: value} if key.isupper() else {}
    with pytest.raises(ConfigError) as refused:
        load(variable, [] if variable else [(key, value)])

    assert refused.value.key == key
    assert str(refused.value) == f"{key}: {reason}"


def test_trace_switches_of_the_command_line_change_those_of_the_file() -> None:
    """They are turned on and off one by one."""
    in_file = {"log.trace": frozenset({"acc", "wrl"})}
    options = [("trace-control", "-wrl"), ("trace-control", "+tdb")]

    config = gather(Path("/f"), in_file, {}, options).config()

    assert config.trace_switches == {"acc", "tdb"}


def test_relative_paths_begin_in_the_directory_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon changes it when it goes to the background.

    The file is named by an option, by a variable or not at all.
    """
    monkeypatch.chdir(tmp_path)
    variable = {"XSD_CONFIG": "v.toml"}
    config = load({}, [("pid-file", "x.pid"), ("socket", "s")])

    assert (config.pid_file, config.socket) == (tmp_path / "x.pid", tmp_path / "s")
    assert Origin.of(variable, [("config", "o.toml")]).path == tmp_path / "o.toml"
    assert Origin.of(variable, []).path == tmp_path / "v.toml"
    assert Origin.of({"XSD_CONFIG": ""}, []).path == DEFAULT_FILE


def test_the_default_file_is_used_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a word about it; only one that was named has to be there."""
    file = tmp_path / "none.toml"
    monkeypatch.setattr("xsd.daemon.config.DEFAULT_FILE", file)

    settings = Origin.of({}, []).read()

    assert settings.file is None
    assert settings.config() == Config()
    for environ, options in (
        ({"XSD_CONFIG": str(file)}, []),
        ({}, [("config", str(file))]),
    ):
        with pytest.raises(ConfigFileError, match=r"none\.toml: No such file"):
            Origin.of(environ, options).read()
    file.write_text("[quota]\nnodes = 7\n")
    assert Origin.of({}, []).read().config() == Config(quota_nodes=7)


def test_settings_are_read_again_from_where_they_came(tmp_path: Path) -> None:
    """With the environment and the options of the start."""
    file = tmp_path / "xsd.toml"
    file.write_text("[quota]\nnodes = 1\nwatches = 1\n")
    environ = {"XSD_CONFIG": str(file)}
    settings = Origin.of(environ, [("watch-nb", "5")]).read()
    environ["XSD_CONFIG"] = "/elsewhere"
    file.write_text("[quota]\nnodes = 2\nwatches = 2\n")

    assert settings.again().config() == Config(quota_nodes=2, quota_watches=5)


def test_a_socket_path_of_the_file_that_is_too_long_is_its_mistake() -> None:
    """Not one of the command line."""
    with pytest.raises(ConfigFileError) as refused:
        gather(Path("/f.toml"), {"daemon.socket": Path(f"{LONGEST}x")}, {}, [])

    assert str(refused.value) == (
        f"/f.toml: daemon.socket: {LONGEST}x has 108 bytes, a socket's path at most 107"
    )
