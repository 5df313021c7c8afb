from hypothesis import given
from hypothesis import strategies as st

from fleet.actors.runtime.restart import permit_restart


@given(
    st.lists(st.floats(0, 50), max_size=40),
    st.integers(0, 5),
    st.floats(0.5, 100),
)
def test_never_more_than_intensity_within_any_window(gaps_s: list[float], intensity: int, window_s: float) -> None:
    allowed: list[float] = []
    counted: tuple[float, ...] = ()
    now_s = 0.0
    for gap_s in gaps_s:
        now_s += gap_s
        within = [at_s for at_s in allowed if now_s - at_s < window_s]
        permitted = permit_restart(counted, now_s, intensity, window_s)
        assert (permitted is not None) == (len(within) < intensity)
        if permitted is not None:
            allowed.append(now_s)
            counted = permitted
            assert len(counted) <= intensity
            assert counted[-1] == now_s


def test_intensity_zero_permits_none() -> None:
    assert permit_restart((), 1.0, 0, 60.0) is None


def test_a_restart_as_old_as_the_window_is_forgotten() -> None:
    assert permit_restart((0.0,), 60.0, 1, 60.0) == (60.0,)
    assert permit_restart((0.0,), 59.0, 1, 60.0) is None
