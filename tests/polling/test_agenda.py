"""The agenda: entries and their due times."""

from __future__ import annotations

import math

from videostat.polling.agenda import Agenda


def test_due_entries_are_taken_in_order_of_time() -> None:
    agenda = Agenda[str]()
    for entry, due in [("b", 2), ("a", 1), ("c", 3)]:
        agenda.put(entry, due)
    assert agenda.get_next_due() == 1
    assert [*agenda.take_due(2)] == ["a", "b"]
    assert (agenda.get_next_due(), "c" in agenda, "a" in agenda) == (3, True, False)


def test_an_empty_agenda_has_nothing_due() -> None:
    agenda = Agenda[str]()
    assert (agenda.get_next_due(), agenda.get_due("a"), [*agenda.take_due(math.inf)]) == (math.inf, math.inf, [])


def test_a_new_time_replaces_the_old_one() -> None:
    agenda = Agenda[str]()
    agenda.put("a", 1)
    agenda.put("a", 5)
    assert (agenda.get_next_due(), [*agenda.take_due(4)], [*agenda.take_due(5)]) == (5, [], ["a"])


def test_bring_forward_only_moves_known_entries_earlier() -> None:
    agenda = Agenda[str]()
    agenda.put("a", 10)
    agenda.bring_forward("a", 4)
    agenda.bring_forward("a", 7)
    agenda.bring_forward("b", 1)
    assert (agenda.get_due("a"), "b" in agenda) == (4, False)


def test_removed_entry_is_not_due() -> None:
    agenda = Agenda[str]()
    agenda.put("a", 1)
    agenda.remove("a")
    agenda.remove("b")
    assert (agenda.get_next_due(), [*agenda.take_due(1)]) == (math.inf, [])
