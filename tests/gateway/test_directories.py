"""The directory browser and the workspace roots, through the gateway."""

from pathlib import Path

import pytest

from tests.gateway.machine import PLAIN, REPOSITORY, Api, Machine


@pytest.fixture
def root(tmp_path: Path, machine: Machine) -> Path:
    """A directory on this machine's disk, which sessions may work in, with two more in it."""
    root = tmp_path.resolve()
    for name in ("one", "two"):
        (root / name).mkdir()
        machine.files.directories.add(str(root / name))
    machine.files.directories.add(str(root))
    return root


async def test_directories_are_browsed_and_made(api: Api, root: Path) -> None:
    (root / "one" / ".git").mkdir()
    answer = await api.send("GET", f"/api/directories?path={root}")
    assert answer.json == {
        "path": str(root),
        "parent": str(root.parent),
        "isGitRepo": False,
        "entries": [
            {"name": "one", "path": f"{root}/one", "isGitRepo": True},
            {"name": "two", "path": f"{root}/two", "isGitRepo": False},
        ],
        "total": 2,
        "isTruncated": False,
    }
    page = await api.send("GET", f"/api/directories?path={root}&limit=1&offset=1")
    assert [entry["name"] for entry in page.json["entries"]] == ["two"]
    assert page.headers["x-total-count"] == "2"
    made = await api.send("POST", "/api/directories", {"path": f"{root}/three"})
    assert (made.status, made.json["path"]) == (200, f"{root}/three")
    assert (root / "three").is_dir()
    (await api.send("POST", "/api/directories", {"path": f"{root}/three"})).problem(409, "directory_exists")


async def test_who_says_for_whom_a_directory_is_made_has_to_say_it_well(api: Api, root: Path) -> None:
    answer = await api.send("POST", "/api/directories", {"path": str(root / "x")}, Fleet_Session="no id")
    assert answer.problem(422, "invalid")["field"] == "Fleet-Session"
    assert not (root / "x").exists()


async def test_directory_browser_begins_at_home_or_the_first_root(
    api: Api, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.setenv("HOME", str(root / "one"))
    assert (await api.send("GET", "/api/directories")).json["path"] == f"{root}/one"
    await api.send("POST", "/api/workspace-roots", {"path": f"{root}/two"})
    assert (await api.send("GET", "/api/directories")).json["path"] == f"{root}/two"


async def test_a_client_narrows_the_roots_at_once(api: Api, root: Path) -> None:
    chosen = await api.send("POST", "/api/workspace-roots", {"path": f"{root}/one"})
    assert chosen.json == [
        {"path": "/", "source": "configuration", "allowed": False},
        {"path": f"{root}/one", "source": "client", "allowed": True},
    ]
    assert int(chosen.headers["fleet-position"]) == api.fleet.log.head()
    for path in (f"{root}/two", str(root), PLAIN):
        problem = (await api.send("POST", "/api/sessions", {"directory": path})).problem(422, "directory_outside_roots")
        assert problem["field"] == "directory"
        (await api.send("GET", f"/api/directories?path={path}")).problem(422, "directory_outside_roots")
        (await api.send("POST", "/api/directories", {"path": f"{path}/new"})).problem(422, "directory_outside_roots")
    assert await api.session(f"{root}/one")
    assert (await api.send("GET", f"/api/directories?path={root}/one")).json["parent"] is None

    withdrawn = await api.send("DELETE", f"/api/workspace-roots?path={root}/one")
    assert withdrawn.json == [{"path": "/", "source": "configuration", "allowed": True}]
    assert await api.session(f"{root}/two")


async def test_a_worktree_needs_its_repository_inside(machine: Machine, api: Api) -> None:
    below = f"{REPOSITORY}/src"
    machine.files.directories.add(below)
    await api.send("POST", "/api/workspace-roots", {"path": below})
    assert await api.session(below)
    body = {"directory": below, "isolationStrategy": "worktree"}
    (await api.send("POST", "/api/sessions", body)).problem(422, "directory_outside_roots")


async def test_fleet_s_own_copies_follow_their_source(api: Api) -> None:
    worktree = (await api.session(REPOSITORY, isolationStrategy="worktree"))["directory"]
    await api.send("POST", "/api/workspace-roots", {"path": REPOSITORY})
    assert await api.session(worktree)
    await api.send("POST", "/api/workspace-roots", {"path": PLAIN})
    await api.send("DELETE", f"/api/workspace-roots?path={REPOSITORY}")
    (await api.send("POST", "/api/sessions", {"directory": worktree})).problem(422, "directory_outside_roots")


async def test_an_existing_session_continues_outside_of_the_roots(api: Api) -> None:
    item = await api.session(PLAIN)
    await api.send("POST", "/api/workspace-roots", {"path": REPOSITORY})
    assert (await api.prompt(item["id"], "Go on"))["turns"] == 1
    assert (await api.send("DELETE", f"/api/sessions/{item['id']}")).status == 200
    assert (await api.send("POST", f"/api/sessions/{item['id']}/resume")).status == 200


async def test_choices_outlive_a_restart(machine: Machine) -> None:
    async with machine.fleet() as api:
        await api.send("POST", "/api/workspace-roots", {"path": PLAIN}, Idempotency_Key="k")
        head = api.fleet.log.head()
        await api.send("POST", "/api/workspace-roots", {"path": PLAIN}, Idempotency_Key="k")
        await api.send("POST", "/api/workspace-roots", {"path": PLAIN})
        assert api.fleet.log.head() == head
    async with machine.fleet() as api:
        roots = (await api.send("GET", "/api/workspace-roots")).json
        assert [root["path"] for root in roots if root["allowed"]] == [PLAIN]
        (await api.send("POST", "/api/sessions", {"directory": REPOSITORY})).problem(422, "directory_outside_roots")


async def test_invalid_roots_and_paths_are_refused(api: Api) -> None:
    answer = await api.send("POST", "/api/workspace-roots", {"path": "/missing"})
    assert answer.problem(422, "directory_missing")["field"] == "path"
    (await api.send("DELETE", f"/api/workspace-roots?path={PLAIN}")).problem(404, "root_not_found")
    (await api.send("DELETE", "/api/workspace-roots")).problem(422, "invalid")
    (await api.send("POST", "/api/workspace-roots", {"directory": PLAIN})).problem(422, "invalid")
    (await api.send("GET", "/api/directories?path=")).problem(422, "invalid")
    (await api.send("GET", f"/api/directories?path=/{'x' * 5000}")).problem(422, "invalid")
    assert api.fleet.log.head() == 0
