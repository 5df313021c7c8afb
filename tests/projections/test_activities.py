"""What is in flight, a line for each part: the same line however the words came in pieces, and bounded."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fleet.core.session.activity import Activity
from fleet.limits import ACTIVITY_PARTS_MAX, HEAD_CHARS
from fleet.ports import Part, PartDelta
from fleet.projections.activities import Activities


def part(part_id: str, text: str = "", kind: str = "text", start: int = 5) -> Part:
    body = msgspec.json.encode({"id": part_id, "type": kind, "text": text, "tool": "bash", "time": {"start": start}})
    return Part(part_id, "ses", "msg", kind, finished=False, raw=body, text=text)


def delta(part_id: str, words: str, field: str = "text") -> PartDelta:
    return PartDelta("ses", "msg", part_id, field, words)


def shown(activities: Activities) -> str | None:
    now = activities.now("s")
    return None if now is None else now.text.rstrip()


@given(st.lists(st.text(alphabet="ab \n", max_size=8), max_size=12))
def test_line_is_the_last_nonblank_one_for_any_split_into_deltas(pieces: list[str]) -> None:
    activities = Activities(lambda: 9)
    activities.part("s", part("p"))
    for piece in pieces:
        activities.delta("s", delta("p", piece))
    lines = [line.strip() for line in "".join(pieces).split("\n") if line.strip()]
    assert shown(activities) == (lines[-1][:HEAD_CHARS] if lines else None)


def test_long_line_is_cut_and_replaced_by_the_next() -> None:
    activities = Activities(lambda: 9)
    activities.part("s", part("p"))
    for _ in range(100):
        activities.delta("s", delta("p", "x" * 100))
    assert shown(activities) == "x" * HEAD_CHARS
    activities.delta("s", delta("p", "y\n\n" * 10_000))
    assert shown(activities) == "y"
    activities.delta("s", delta("p", "z", field="other"))
    assert shown(activities) == "y"


def test_each_change_is_notified_once() -> None:
    activities, told = Activities(lambda: 9), list[str]()
    activities.changed = told.append
    activities.part("s", part("p", "Hello"))
    activities.part("s", part("p", "Hello"))
    activities.delta("s", delta("p", "\n"))
    activities.delta("s", delta("unknown", "x"))
    assert told == ["s"]


def test_newest_part_with_a_line_is_shown() -> None:
    activities = Activities(lambda: 9)
    assert activities.now("s") is None
    activities.part("s", part("a", "First"))
    activities.part("s", part("b"))
    activities.part("s", part("c", kind="step-start"))
    assert activities.now("s") == Activity("text", "First", 5)
    activities.part("s", part("d", kind="tool", start=0))
    assert activities.now("s") == Activity("tool", "", 9, "bash")
    activities.finished("s", "d")
    assert activities.now("s") == Activity("text", "First", 5)
    activities.forget("s")
    assert activities.now("s") is None


def test_parts_are_bounded() -> None:
    activities = Activities(lambda: 9)
    for n in range(ACTIVITY_PARTS_MAX + 1):
        activities.part("s", part(f"p{n}", f"line {n}"))
    for n in range(ACTIVITY_PARTS_MAX, 0, -1):
        assert shown(activities) == f"line {n}"
        activities.finished("s", f"p{n}")
    assert activities.now("s") is None
