"""Fixtures for the tests of the manual pages."""

from tests.cli.conftest import daemon_socket, xsd

__all__ = ["daemon_socket", "xsd"]
