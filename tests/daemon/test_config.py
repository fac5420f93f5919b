"""Settings: defaults < file < environment < command line."""

import dataclasses
from pathlib import Path

import pytest

from xsd.daemon.config import FIELDS, Config, ConfigError, Origin, gather, load
from xsd.daemon.configfile import DEFAULT_FILE, ConfigFileError
from xsd.daemon.settings import INT_MAX, SETTINGS


def test_without_any_setting_the_paths_are_those_of_the_c_daemon() -> None:
    """Clients look there: libxenstore has the same default."""
    config = load({}, [])

    assert config == Config()
    assert config.socket == Path("/var/run/xenstored/socket")
    assert config.trace_switches == {"obj", "io"}


def test_rundir_moves_the_socket() -> None:
    """XENSTORED_RUNDIR names the directory."""
    config = load({"XENSTORED_RUNDIR": "/run/other"}, [])

    assert config.rundir == Path("/run/other")
    assert config.socket == Path("/run/other/socket")


def test_path_wins_over_rundir_and_the_command_line_over_both() -> None:
    """The nearer to the user, the stronger."""
    environ = {"XENSTORED_PATH": "/run/p/sock", "XENSTORED_RUNDIR": "/run/r"}

    assert load(environ, []).socket == Path("/run/p/sock")
    assert load(environ, []).rundir == Path("/run/r")
    assert load(environ, [("socket", "/run/c")]).socket == Path("/run/c")


def test_nothing_is_recorded_unless_a_file_is_named() -> None:
    """What clients send may be secret."""
    assert load({}, []).record_file is None
    assert load({}, [("record", "/var/r")]).record_file == Path("/var/r")


def test_an_empty_variable_counts_as_none() -> None:
    """`XENSTORED_PATH= xenstored` means the default."""
    assert load({"XENSTORED_PATH": "", "XENSTORED_RUNDIR": ""}, []) == Config()


def test_relative_paths_begin_in_the_directory_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon changes its directory when it goes to the background."""
    monkeypatch.chdir(tmp_path)

    config = load({}, [("pid-file", "x.pid"), ("socket", "s")])

    assert config.pid_file == tmp_path / "x.pid"
    assert config.socket == tmp_path / "s"


def test_a_relative_trace_file_lies_with_those_of_xen() -> None:
    """As in the C daemon: below /var/lib/xen/xenstore."""
    relative = load({}, [("trace-file", "t.log")])
    absolute = load({}, [("trace-file", "/var/log/t.log")])

    assert relative.trace_file == Path("/var/lib/xen/xenstore/t.log")
    assert absolute.trace_file == Path("/var/log/t.log")


def test_a_socket_path_may_have_107_bytes_and_no_more() -> None:
    """`sun_path` has 108 with its NUL."""
    longest = "/" + "x" * 106

    assert load({}, [("socket", longest)]).socket == Path(longest)
    with pytest.raises(ConfigError, match=r"^socket: .* 108 bytes, .* at most 107$"):
        load({}, [("socket", longest + "x")])


def test_bytes_of_a_socket_path_count_and_not_letters() -> None:
    """54 letters of two bytes and the slash are 109."""
    with pytest.raises(ConfigError, match="109 bytes"):
        load({"XENSTORED_PATH": "/" + "ä" * 54}, [])


def test_a_rundir_that_is_too_long_does_not_matter_if_the_socket_is_elsewhere() -> None:
    """Only the path in use is checked."""
    config = load({"XENSTORED_RUNDIR": "/" + "x" * 200}, [("socket", "/run/s")])

    assert config.socket == Path("/run/s")


@pytest.mark.parametrize(
    ("key", "quota"),
    [
        ("entry-nb", "nodes"),
        ("entry-size", "node-size"),
        ("watch-nb", "watches"),
        ("transaction", "transactions"),
        ("perm-nb", "node-permissions"),
        ("path-max", "path-max"),
    ],
)
def test_quotas_with_an_option_of_their_own(key: str, quota: str) -> None:
    """They are the same quotas as those of `--quota`."""
    assert load({}, [(key, "7")]).quotas == {quota: 7}
    assert load({}, [("quota", f"{quota}=7")]).quotas == {quota: 7}


def test_of_two_values_for_a_quota_the_later_counts() -> None:
    """Others stay as they are."""
    settings = [("quota", "nodes=5"), ("quota", "watches=0"), ("entry-nb", "6")]

    assert load({}, settings).quotas == {"nodes": 6, "watches": 0}


def test_a_path_quota_has_two_names_and_one_option_cuts_it_at_2048() -> None:
    """C's help says path-length; `-M` never allows more than REL_PATH_MAX."""
    assert load({}, [("quota", "path-length=9")]).quotas == {"path-max": 9}
    assert load({}, [("path-max", "3000")]).quotas == {"path-max": 2048}
    assert load({}, [("quota", "path-max=3000")]).quotas == {"path-max": 3000}


def test_trace_switches_are_turned_on_and_off() -> None:
    """In the order given."""
    settings = [("trace-control", "+tdb"), ("trace-control", "-io")]

    assert load({}, settings).trace_switches == {"obj", "tdb"}


def test_every_other_setting_reaches_its_field() -> None:
    """Flags become true, numbers numbers."""
    config = load(
        {},
        [
            ("no-fork", ""),
            ("keep-orphans", ""),
            ("live-update", ""),
            ("quota-soft", "memory=1"),
            ("timeout", "watch-event=2"),
            ("event", str(INT_MAX)),
            ("master-domid", "4"),
            ("priv-domid", "32751"),
            ("log-format", "json"),
            ("log-level", "debug"),
        ],
    )

    assert config == dataclasses.replace(
        Config(),
        foreground=True,
        keep_orphans=True,
        live_update=True,
        soft_quotas={"memory": 1},
        watch_event_timeout_s=2,
        control_event_channel=INT_MAX,
        control_domid=4,
        privileged_domid=32751,
        log_format="json",
        log_level="debug",
    )


@pytest.mark.parametrize("number", ["", "-1", "+1", " 1", "1x", "0x1", "2147483648"])
def test_numbers_are_decimal_from_0_to_int_max(number: str) -> None:
    """The message has the key and the value."""
    with pytest.raises(ConfigError) as refused:
        load({}, [("entry-nb", number)])

    assert refused.value.key == "entry-nb"
    assert str(refused.value) == (
        f"entry-nb: {number!r} is no decimal number from 0 to 2147483647"
    )


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("quota", "nodes", "'nodes' is not of the form name=number"),
        ("quota", "cows=1", "'cows' is not one of nodes, watches, "),
        ("quota", "nodes=many", "'many' is no decimal number"),
        ("quota-soft", "nodes=1", "'nodes' is not one of memory"),
        ("timeout", "5", "'5' is not of the form name=number"),
        ("timeout", "tea=5", "'tea' is not one of watch-event"),
        ("trace-control", "io", "'o' is not one of obj, io, wrl, acc, tdb"),
        ("trace-control", "=io", "'=io' begins neither with + nor with -"),
        ("trace-control", "", "'' is not one of obj"),
        ("log-level", "loud", "'loud' is not one of debug, info, warning, error"),
        ("log-format", "xml", "'xml' is not one of auto, console, json"),
        ("pid-file", "", "'' is no path"),
        ("trace-file", "a\0b", r"'a\x00b' is no path"),
        ("master-domid", "32752", "32752 is no domain id: they end before 32752"),
        ("priv-domid", "dom1", "'dom1' is no decimal number"),
        ("cows", "1", "no such setting"),
    ],
)
def test_an_impossible_value_is_refused(key: str, value: str, reason: str) -> None:
    """The message begins with the key."""
    with pytest.raises(ConfigError) as refused:
        load({}, [(key, value)])

    assert str(refused.value).startswith(f"{key}: {reason}")


def test_a_variable_is_named_in_the_message() -> None:
    """Whoever set it finds it."""
    with pytest.raises(ConfigError, match=r"^XENSTORED_PATH: "):
        load({"XENSTORED_PATH": "a\0"}, [])


def test_a_configuration_cannot_be_changed() -> None:
    """It is made once, before the start."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().foreground = True  # type: ignore[misc]


def test_the_table_and_the_configuration_have_the_same_defaults() -> None:
    """And each setting has its field."""
    defaults = Config()
    plain = {key for key in SETTINGS if not key.startswith("quota.")}

    assert set(FIELDS) == plain
    for key, name in FIELDS.items():
        assert getattr(defaults, name) == SETTINGS[key].default


def test_the_file_is_weaker_than_the_environment_and_that_than_an_option(
    tmp_path: Path,
) -> None:
    """Each wins over those before it; who has won is known."""
    file = tmp_path / "xsd.toml"
    file.write_text(
        '[daemon]\nsocket = "/f/s"\nrundir = "/f"\n[quota]\nnodes = 1\nwatches = 2\n'
    )
    options = [("config", str(file)), ("entry-nb", "3")]

    from_file = Origin.of({}, options).read()
    from_variable = Origin.of({"XENSTORED_PATH": "/e/s"}, options).read()
    from_option = Origin.of(
        {"XENSTORED_PATH": "/e/s"}, [*options, ("socket", "/o/s")]
    ).read()

    assert from_file.config().quotas == {"nodes": 3, "watches": 2}
    assert from_file.file == file
    assert from_file.sources["quota.watches"] == str(file)
    assert from_file.sources["quota.nodes"] == "--entry-nb"
    assert from_file.sources["quota.memory"] == "default"
    for settings, socket, source in (
        (from_file, "/f/s", str(file)),
        (from_variable, "/e/s", "XENSTORED_PATH"),
        (from_option, "/o/s", "--socket"),
    ):
        assert settings.config().socket == Path(socket)
        assert settings.config().rundir == Path("/f")
        assert settings.sources["daemon.socket"] == source


@pytest.mark.parametrize("order", ["rundir socket", "socket rundir"])
def test_in_a_file_the_socket_wins_over_the_rundir(order: str) -> None:
    """Whichever stands first."""
    values = {"rundir": Path("/r"), "socket": Path("/s")}
    in_file = {f"daemon.{name}": values[name] for name in order.split()}

    assert gather(Path("/f"), in_file, {}, []).config().socket == Path("/s")


def test_the_rundir_of_the_environment_wins_over_the_socket_of_the_file() -> None:
    """Clients look there."""
    settings = gather(
        Path("/f"), {"daemon.socket": Path("/s")}, {"XENSTORED_RUNDIR": "/r"}, []
    )

    assert settings.config().socket == Path("/r/socket")
    assert settings.sources["daemon.socket"] == "XENSTORED_RUNDIR"


def test_trace_switches_of_the_command_line_change_those_of_the_file() -> None:
    """They are turned on and off one by one."""
    in_file = {"log.trace": frozenset({"acc", "wrl"})}
    options = [("trace-control", "-wrl"), ("trace-control", "+tdb")]

    config = gather(Path("/f"), in_file, {}, options).config()

    assert config.trace_switches == {"acc", "tdb"}


def test_the_file_is_named_by_an_option_a_variable_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon changes its directory when it goes to the background."""
    monkeypatch.chdir(tmp_path)
    variable = {"XSD_CONFIG": "v.toml"}

    assert Origin.of(variable, [("config", "o.toml")]).path == tmp_path / "o.toml"
    assert Origin.of(variable, []).path == tmp_path / "v.toml"
    assert Origin.of({"XSD_CONFIG": ""}, []).path == DEFAULT_FILE


def test_only_a_file_that_was_named_has_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody needs one."""
    missing = tmp_path / "none.toml"
    monkeypatch.setattr("xsd.daemon.config.DEFAULT_FILE", missing)

    settings = Origin.of({}, []).read()

    assert settings.file is None
    assert settings.config() == Config()
    for environ, options in (
        ({"XSD_CONFIG": str(missing)}, []),
        ({}, [("config", str(missing))]),
    ):
        with pytest.raises(ConfigFileError, match=r"none\.toml: No such file"):
            Origin.of(environ, options).read()


def test_the_default_file_is_used_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a word about it."""
    file = tmp_path / "xsd.toml"
    file.write_text("[quota]\nnodes = 7\n")
    monkeypatch.setattr("xsd.daemon.config.DEFAULT_FILE", file)

    assert Origin.of({}, []).read().config().quotas == {"nodes": 7}


def test_settings_are_read_again_from_where_they_came(tmp_path: Path) -> None:
    """With the environment and the options of the start."""
    file = tmp_path / "xsd.toml"
    file.write_text("[quota]\nnodes = 1\nwatches = 1\n")
    environ = {"XSD_CONFIG": str(file)}
    settings = Origin.of(environ, [("watch-nb", "5")]).read()
    environ["XSD_CONFIG"] = "/elsewhere"
    file.write_text("[quota]\nnodes = 2\nwatches = 2\n")

    assert settings.again().config().quotas == {"nodes": 2, "watches": 5}


def test_a_socket_path_of_the_file_that_is_too_long_is_its_mistake() -> None:
    """Not one of the command line; and none if another socket is used."""
    in_file = {"daemon.socket": Path("/" + "x" * 107)}

    with pytest.raises(ConfigFileError) as refused:
        gather(Path("/f.toml"), in_file, {}, [])

    assert str(refused.value) == (
        f"/f.toml: daemon.socket: {in_file['daemon.socket']} has 108 bytes,"
        " a socket's path at most 107"
    )
    other = gather(Path("/f.toml"), in_file, {}, [("socket", "/s")])
    assert other.config().socket == Path("/s")


def test_a_live_update_is_no_setting() -> None:
    """A daemon says it to its successor, and no file does."""
    assert gather(None, {}, {}, [("live-update", "")]).config().live_update
    assert not any("live-update" in key for key in SETTINGS)
