"""xsd.cli.help: test_main has it, as it shows the help of all commands."""

from tests.cli.conftest import Run


def test_a_socket_before_it_is_nothing_to_it(xsd: Run) -> None:
    """As to `--help`."""
    assert xsd("--socket", "s", "help", "read") == xsd("help", "read")
