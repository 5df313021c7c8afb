"""The benchmark of many hosts measures what it says, on a few."""

from bench.hosts import Side


def test_sessions_are_spread_over_all_hosts_and_adopted_by_the_next_fleet() -> None:
    measured = Side(sessions=12, hosts=3).run()
    assert measured.hosts_used == 3
    assert measured.events > 12
    assert min(measured.created_s[0], measured.turns_s, measured.adopted_s, measured.memory_bytes) > 0
