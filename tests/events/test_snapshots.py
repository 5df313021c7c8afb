"""Every state can be stored and is read back equal."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fleet.events.snapshots import pack


class Deep(msgspec.Struct, frozen=True):
    number: int
    name: str = ""
    raw: bytes = b""
    several: tuple[int, ...] = ()
    by_key: dict[int, float] = msgspec.field(default_factory=dict[int, float])
    inner: "Deep | None" = None


numbers = st.integers(-(2**70), 2**70)
states = st.recursive(
    st.builds(Deep, numbers, st.text(), st.binary(), st.lists(numbers).map(tuple)),
    lambda inner: st.builds(
        Deep, numbers, by_key=st.dictionaries(st.integers(0, 99), st.floats(allow_nan=False)), inner=inner
    ),
    max_leaves=3,
)


def cut(state: Deep) -> Deep:
    def bounded(number: int) -> int:
        return min(max(number, -(2**63)), 2**64 - 1)

    inner = None if state.inner is None else cut(state.inner)
    several = tuple(bounded(number) for number in state.several)
    return msgspec.structs.replace(state, number=bounded(state.number), several=several, inner=inner)


@given(states)
def test_numbers_beyond_the_range_are_clamped_in_a_snapshot(state: Deep) -> None:
    assert msgspec.msgpack.decode(pack(state), type=Deep) == cut(state)
