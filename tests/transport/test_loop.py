"""xsd.transport.loop: what the daemon asks of an event loop, uvloop's does."""

import os

import uvloop

from xsd.transport.loop import Loop


def test_uvloop_calls_who_waits_for_a_descriptor_a_time_or_the_next_turn() -> None:
    """And nobody who has taken that back."""
    told: list[str] = []
    runner = uvloop.new_event_loop()
    loop: Loop = runner
    reader, writer = os.pipe()
    os.write(writer, b"x")

    def on_readable() -> None:
        told.append("readable")
        loop.remove_reader(reader)
        loop.remove_reader(reader)
        loop.call_later(0.001, on_time)

    def on_time() -> None:
        told.append("time")
        loop.call_soon(runner.stop)

    loop.call_later(0.0, lambda: told.append("cancelled")).cancel()
    loop.add_reader(reader, on_readable)
    try:
        runner.run_forever()
    finally:
        runner.close()
        os.close(reader)
        os.close(writer)

    assert told == ["readable", "time"]
