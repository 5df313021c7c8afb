"""`GET /api/info`: what this server is."""

import trio

from fleet import __version__
from fleet.limits import BODY_BYTES_MAX, PROMPT_TEXT_BYTES_MAX, TAGS_MAX, TITLE_CHARS_MAX
from tests.gateway.door import PLAIN, Door, Machine


async def test_server_info_has_version_roots_and_limits(door: Door, machine: Machine) -> None:
    answer = await door.knock("GET", "/api/info")
    info = answer.json
    assert info.pop("startedAt").endswith("Z")
    assert info == {
        "version": __version__,
        "opencodeVersion": machine.world.version,
        "rehearsal": False,
        "ready": True,
        "readOnly": False,
        "roots": ["/"],
        "limits": {
            "bodyBytes": BODY_BYTES_MAX,
            "promptBytes": PROMPT_TEXT_BYTES_MAX,
            "titleChars": TITLE_CHARS_MAX,
            "tags": TAGS_MAX,
        },
        "position": 0,
    }
    assert answer.headers["fleet-position"] == "0"


async def test_the_time_of_the_start_does_not_change(door: Door) -> None:
    before = (await door.knock("GET", "/api/info")).json["startedAt"]
    await trio.sleep(3600)
    assert (await door.knock("GET", "/api/info")).json["startedAt"] == before


async def test_the_version_is_that_of_the_newest_process(door: Door, machine: Machine) -> None:
    first = machine.world.version
    item = await door.session(PLAIN)
    await door.settled(item["id"])
    machine.world.version = "9.9.9"  # an update of the executable, which processes that run know nothing of
    assert (await door.knock("GET", "/api/info")).json["opencodeVersion"] == first


async def test_server_info_says_that_the_scripted_model_answers(door: Door) -> None:
    door.fleet.rehearse("rehearsal")
    assert (await door.knock("GET", "/api/info")).json["rehearsal"] is True


async def test_without_a_process_the_version_is_that_of_the_executable(door: Door, machine: Machine) -> None:
    machine.world.version = "9.9.9"
    assert (await door.knock("GET", "/api/info")).json["opencodeVersion"] == "9.9.9"


async def test_server_info_lists_the_roots_in_force(door: Door) -> None:
    await door.knock("POST", "/api/workspace-roots", {"path": PLAIN})
    assert (await door.knock("GET", "/api/info")).json["roots"] == [PLAIN]
