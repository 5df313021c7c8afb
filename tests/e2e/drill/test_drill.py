"""Nothing is lost, doubled or left behind when servers and agents are killed: a short drill here, `make drill` is long.

`FLEET_DRILL_KILLS` and `FLEET_DRILL_SEED` say how many servers die and with which decisions.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.drill.checker import look_alive, look_back
from tests.e2e.drill.drill import Victim, run
from tests.e2e.drill.ledger import Ledger
from tests.e2e.server import repository

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("FLEET_DRILL_KILLS") or 5)
SEED = int(os.environ.get("FLEET_DRILL_SEED") or 1)


@pytest.fixture
def victim(opencode_binary: Path, tmp_path: Path) -> Iterator[Victim]:
    server = Victim(tmp_path.resolve(), opencode_binary)
    try:
        yield server
    finally:
        server.close()


async def test_killed_again_and_again(victim: Victim) -> None:
    project = repository(victim.root / "project")
    ledger = Ledger()
    try:
        await run(victim, project, ledger, seed=SEED, kills=KILLS)
        wrong = [*ledger.wrong, *look_alive(victim, ledger)]
        if victim.end() != 0:
            wrong.append("the server did not end in order")
        wrong.extend(look_back(victim, project, ledger))
    except BaseException as error:
        error.add_note(_story(victim, ledger))
        raise
    assert not wrong, "\n".join([f"{len(wrong)} things are wrong:", *wrong, _story(victim, ledger)])
    assert len(ledger.asked) >= KILLS, "the clients did next to nothing"
    print(_story(victim, ledger))
    shutil.rmtree(victim.root)  # what failed is left to be looked at; pytest removes it in a later run


def _story(victim: Victim, ledger: Ledger) -> str:
    done = ", ".join(f"{what} {times}" for what, times in sorted(ledger.done.items()))
    return "\n".join(
        (
            f"Again: make drill SEED={SEED} KILLS={KILLS}",
            f"Sessions: {ledger.sessions}",
            f"Done: {done}; {ledger.unanswered} requests went unanswered and were repeated",
            *ledger.moments,
            f"What the servers said: {victim.log}; the log: {victim.data}",
        )
    )
