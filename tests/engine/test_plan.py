"""xsd.engine.plan: what an update is to be, and that there need not be any."""

from xsd.engine.plan import NoUpdater, Plan


def test_a_plan_is_with_our_own_arguments_and_at_once_unless_it_says_otherwise() -> (
    None
):
    """As in `xenstore-control live-update FILE`."""
    plan = Plan(7, b"/sbin/xenstored")

    assert (plan.connection, plan.file) == (7, b"/sbin/xenstored")
    assert (plan.arguments, plan.force, plan.begun) == (None, False, False)
    # All releases of C xenstored read this one.
    assert (plan.timeout_s, plan.version) == (0, 1)


def test_what_is_no_process_cannot_be_updated() -> None:
    """It says so, whatever the file is."""
    updater = NoUpdater()

    assert updater.fault(b"/bin/true") == "This is no process that could be updated."
    updater.begin(Plan(1, b""))
    updater.cancel()
