"""Contents of diffs of running turns have a bound in memory."""

from fleet.actors.effects.live_contents import LiveContents
from fleet.limits import DIFF_LIVE_ENTRY_BYTES


def test_live_contents_are_limited_and_the_oldest_are_discarded_first() -> None:
    live = LiveContents(3 * (DIFF_LIVE_ENTRY_BYTES + 10))
    live.keep("one", {"a": b"a" * 10, "b": b"b" * 10})
    live.keep("two", {"a": b"A" * 10})
    live.keep("one", {"a": b"a" * 10})
    assert [live.get("one", "a"), live.get("one", "b"), live.get("two", "a")] == [b"a" * 10, b"b" * 10, b"A" * 10]
    live.keep("one", {"c": b"c"})
    assert [live.get("one", "b"), live.get("two", "a"), live.get("one", "c")] == [None, b"A" * 10, b"c"]
    live.forget("one")
    assert [live.get("one", "a"), live.get("one", "c"), live.get("two", "a")] == [None, None, b"A" * 10]
    live.keep("two", {"large": b"x" * 10_000})
    assert [live.get("two", "a"), live.get("two", "large")] == [None, None]
