"""A new setting of a session costs the five edits that CONTRIBUTING.md lists, each in another file, and no other one.

They are made in a copy of the source, which then creates a session with the setting.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.repository import ROOT, modules, text
from tests.test_house import LINES_MAX

EDITS = {
    "fleet/core/session/values.py": ("    strategy: Strategy\n", "    color: str | None = None\n"),
    "fleet/wire/bodies.py": ('    isolation_strategy: Strategy = "existing"\n', "    color: str | None = None\n"),
    "fleet/gateway/routes/sessions.py": (
        "            strategy=body.isolation_strategy,\n",
        "            color=body.color,\n",
    ),
    "fleet/wire/items.py": ("    need: NeedItem | None\n", "    color: str | None\n"),
    "fleet/gateway/items/states.py": (
        '        "isolation_strategy": state.settings.strategy,\n',
        '        "color": state.settings.color,\n',
    ),
}
"""The line of each file that the new line follows, and the new line."""

CREATION = """\
import trio

from tests.fakes.opencode import FakeOpenCodeWorld
from tests.gateway.machine import Machine


async def main() -> None:
    async with trio.open_nursery() as nursery:
        machine = Machine(FakeOpenCodeWorld(nursery))
        async with machine.fleet() as api:
            item = await api.session(color="blue")
        async with machine.fleet() as api:  # from the log
            print((await api.settled(item["id"]))["color"])
        nursery.cancel_scope.cancel()


trio.run(main)
"""


def test_contributing_lists_the_five_edits() -> None:
    section = text("CONTRIBUTING.md").split("## Add a setting of a session")[1].split("\n## ")[0]
    assert re.findall(r"^\d\. .*?`(fleet/[\w/]+\.py)`", section, re.MULTILINE) == list(EDITS)


def test_five_edits_bring_a_new_setting_from_the_request_through_the_log_to_the_response(tmp_path: Path) -> None:
    for name in modules("fleet", "tests"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    for name, (before, line) in EDITS.items():
        parts = text(name).split(before)
        assert len(parts) == 2, f"{before!r} is not once in {name}"
        edited = f"{before}{line}".join(parts)
        assert len(edited.splitlines()) <= LINES_MAX, f"{name} has no room for another line"
        (tmp_path / name).write_text(edited)
    done = subprocess.run(
        [sys.executable, "-c", CREATION],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["blue"], done.stdout + done.stderr
