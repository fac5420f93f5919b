"""What README.md says beside the others is pinned by tests."""

import re
from typing import Final

import pytest

from tests.docs.pages import ROOT

PAGE: Final = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("## Beside the others")[2]
    .partition("## ")[0]
    .splitlines()
    if line.startswith("| ")
]
"""Its table of daemons, its head left out: what it is about, ours, the others'."""

PINNED: Final = {
    "two transactions make children of one node": (
        "store/test_conflicts.py::test_what_commits_is_as_if_it_had_been_done_afterwards"
    ),
    "a transaction against others without pause": (
        "engine/test_progress.py::test_a_transaction_commits_after_so_many_conflicts"
    ),
    "order of a client's own event and the reply to its WRITE": (
        "engine/test_dispatch.py::test_replies_and_events"
    ),
    "watches with a depth": "engine/test_handlers_watches.py::test_watches",
    "quotas of single domains": (
        "xsa/test_rules_c_domains.py::test_a_limit_for_one_domain_is_not_one_for_others"
    ),
    "why a request was refused": (
        "engine/test_dispatch.py::test_refusal_is_told_with_its_particulars"
    ),
    "update without a stop": (
        "update/test_update.py::test_not_a_byte_is_lost_or_doubled_in_several_updates"
    ),
    "open transactions outlast an update": (
        "update/test_update.py::test_transactions_and_watches_go_on"
    ),
    "a client does not read": (
        "transport/test_unix.py::test_slow_reader_of_events_is_cut_off"
    ),
    "without Xen": (
        "daemon/test_service.py::test_clients_and_pretended_domains_are_served"
    ),
    "the store outlasts a crash": (
        "crash/test_kills.py::test_what_was_acknowledged_outlives_any_kill"
    ),
    "a guest can reconnect its ring": (
        "transport/test_ring.py::test_reconnection_and_introduction_again_begin_anew"
    ),
}
"""Row -> the test that fails if it is so no longer."""

MEASURED: Final = "memory of an empty daemon"


@pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row[0])
def test_a_row_is_pinned_or_says_that_there_is_nothing(row: list[str]) -> None:
    """What is not there yet is bold, so that nobody counts on it."""
    about, ours = row[0], row[1]
    if ours in {"**no**", "**not yet**"}:
        assert about not in PINNED
    elif about == MEASURED:
        found = re.findall(r"\d+ MB", ours)
        page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
        assert len(found) == 1
        assert found[0] in page
    else:
        name, _, test = PINNED[about].partition("::")
        source = (ROOT / "tests" / name).read_text(encoding="utf-8")
        assert re.search(rf"^(?:async )?def {test}\(", source, re.MULTILINE), name


def test_no_row_is_pinned_that_there_is_not() -> None:
    """Else a row could be renamed and lose its test unseen."""
    assert set(PINNED) <= {row[0] for row in ROWS}
