"""The engine: connections, requests, replies and events, without any I/O."""

from xsd.engine.connection import Connection
from xsd.engine.engine import HIGH_WATER, Engine
from xsd.engine.outcome import Notice

__all__ = ["HIGH_WATER", "Connection", "Engine", "Notice"]
