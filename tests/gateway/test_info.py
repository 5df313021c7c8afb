"""`GET /api/info`: what this server is."""

import trio

from fleet import __version__
from fleet.limits import BODY_BYTES_MAX, PROMPT_TEXT_BYTES_MAX, TAGS_MAX, TITLE_CHARS_MAX
from tests.gateway.machine import PLAIN, Api, Machine


async def test_server_info_has_version_roots_and_limits(api: Api, machine: Machine) -> None:
    answer = await api.send("GET", "/api/info")
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


async def test_the_time_of_the_start_does_not_change(api: Api) -> None:
    before = (await api.send("GET", "/api/info")).json["startedAt"]
    await trio.sleep(3600)
    assert (await api.send("GET", "/api/info")).json["startedAt"] == before


async def test_the_version_is_that_of_the_newest_process(api: Api, machine: Machine) -> None:
    first = machine.world.version
    item = await api.session(PLAIN)
    await api.settled(item["id"])
    machine.world.version = "9.9.9"  # an update of the executable, which processes that run know nothing of
    assert (await api.send("GET", "/api/info")).json["opencodeVersion"] == first


async def test_server_info_says_that_the_scripted_model_answers(api: Api) -> None:
    api.fleet.rehearse("rehearsal")
    assert (await api.send("GET", "/api/info")).json["rehearsal"] is True


async def test_without_a_process_the_version_is_that_of_the_executable(api: Api, machine: Machine) -> None:
    machine.world.version = "9.9.9"
    assert (await api.send("GET", "/api/info")).json["opencodeVersion"] == "9.9.9"


async def test_server_info_lists_the_roots_in_force(api: Api) -> None:
    await api.send("POST", "/api/workspace-roots", {"path": PLAIN})
    assert (await api.send("GET", "/api/info")).json["roots"] == [PLAIN]
