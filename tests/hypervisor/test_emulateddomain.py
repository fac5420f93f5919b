"""xsd.hypervisor.emulateddomain: what a pretended domain consists of."""

import os
from contextlib import closing

import pytest

from tests.support.descriptors import open_descriptors
from xsd.hypervisor.base import DYING
from xsd.hypervisor.emulateddomain import EmulatedDomain, Events, new_page


def test_event_channels_of_another_process_are_the_same() -> None:
    """By the descriptors that it had."""
    before = open_descriptors()
    with closing(Events(7)) as events:
        other = Events(7, events.descriptors())
        other.notify()

        assert os.read(events.to_guest, 100) == (1).to_bytes(8, "little")
        assert other.descriptors() == events.descriptors()
    assert open_descriptors() == before


def test_a_guest_that_does_not_read_is_notified_all_the_same() -> None:
    """The daemon does not wait for it: a full pipe is a notification as well."""
    with closing(Events(7)) as events:
        for _ in range(10_000):
            events.notify()


def test_a_domain_tells_what_it_is() -> None:
    """With its descriptors for who is to be the guest."""
    with closing(EmulatedDomain(5, 2, new_page(), Events(7))) as domain:
        domain.state = DYING
        fields = {"domid": 5, "state": "dying", "unique_id": 2, "port": 7}

        assert domain.report().fields == domain.handover().fields == fields
        assert domain.report().descriptors == ()
        assert domain.handover().descriptors[0] == domain.page


def test_a_page_keeps_its_size() -> None:
    """A guest that cut it would end the daemon."""
    page = new_page()
    with pytest.raises(PermissionError):
        os.ftruncate(page, 0)
    os.close(page)
