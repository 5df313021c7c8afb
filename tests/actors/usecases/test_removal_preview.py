"""What ending a session would do: it is what then happens, and looking changes nothing."""

from typing import Any

import pytest

from tests.actors.usecases.test_removal import FLAGS, query, worked
from tests.gateway.machine import NOWHERE, REPOSITORY, Api, Machine


def traces(machine: Machine, api: Api) -> Any:
    """Return all that a look could leave behind."""
    files = machine.files
    return (
        list(machine.disk.records),
        dict(machine.disk.commands),
        repr(files),
        dict(machine.disk.blobs),
        api.fleet.log.head(),
        len(machine.world.living()),
    )


async def looked(machine: Machine, api: Api, session_id: str, flags: str = "", **headers: str) -> dict[str, Any]:
    """Return the preview, and insist that nothing has changed."""
    before = traces(machine, api)
    answer = await api.send("DELETE", f"/api/sessions/{session_id}?dryRun=true&{flags}", **headers)
    assert answer.status == 200, answer
    assert traces(machine, api) == before
    assert int(answer.headers["fleet-position"]) == api.fleet.log.head()
    preview: dict[str, Any] = answer.json
    return preview


async def agrees(api: Api, session_id: str, flags: str, preview: dict[str, Any]) -> None:
    """End the session, and insist that what was announced is what happens."""
    answer = await api.send("DELETE", f"/api/sessions/{session_id}?{flags}")
    foreseen = preview["workspace"]
    if answer.status == 409:
        assert (foreseen["removed"], preview["erased"]) == (False, False)
        assert foreseen["reason"] == answer.json["detail"]
        return
    assert answer.status == 200, answer
    ended = answer.json
    assert preview["erased"] == ended["erased"]
    assert foreseen["removed"] == ended["workspace"]["removed"]
    assert foreseen["reason"] == ended["workspace"]["reason"]
    kept: dict[str, Any] = ended["workspace"]["kept"] or {"ref": None, "ignored": [], "ignoredMore": 0}
    assert (foreseen["keptRef"], foreseen["ignored"]) == (kept["ref"], kept["ignored"])


@pytest.mark.parametrize(("cleanup", "permanent", "force"), FLAGS)
@pytest.mark.parametrize("strategy", ["existing", "worktree", "clone"])
@pytest.mark.parametrize("work", [True, False])
async def test_an_ending_does_what_its_preview_said(
    machine: Machine, api: Api, strategy: str, work: bool, cleanup: bool, permanent: bool, force: bool
) -> None:
    item = await (worked(machine, api, strategy) if work else api.session(REPOSITORY, isolationStrategy=strategy))
    flags = query(cleanup, permanent, force)
    preview = await looked(machine, api, item["id"], flags)
    assert preview["session"] == {"id": item["id"], "title": item["title"]}
    workspace = preview["workspace"]
    assert (workspace["id"], workspace["directory"]) == (item["workspaceId"], item["directory"])
    assert (workspace["isolationStrategy"], workspace["dirty"]) == (strategy, work)
    await agrees(api, item["id"], flags, preview)


async def test_a_preview_keeps_a_workspace_that_other_sessions_need(machine: Machine, api: Api) -> None:
    item = await worked(machine, api, "worktree")
    other = await api.session(item["directory"])
    preview = await looked(machine, api, item["id"], "cleanupWorkspace=true")
    assert (preview["workspace"]["removed"], preview["workspace"]["keptRef"]) == (False, None)
    await agrees(api, item["id"], "cleanupWorkspace=true", preview)
    await api.send("DELETE", f"/api/sessions/{other['id']}?permanent=true")
    preview = await looked(machine, api, item["id"], "cleanupWorkspace=true")
    assert preview["workspace"]["removed"] is True
    await agrees(api, item["id"], "cleanupWorkspace=true", preview)


@pytest.mark.parametrize("force", [True, False])
async def test_a_preview_names_a_process_that_blocks_the_removal(machine: Machine, api: Api, force: bool) -> None:
    item = await worked(machine, api, "worktree")
    machine.files.busy[item["directory"]] = [4711]
    flags = query(cleanup=True, permanent=True, force=force)
    preview = await looked(machine, api, item["id"], flags)
    assert (preview["workspace"]["removed"], preview["erased"]) == (False, force)
    assert "4711" in preview["workspace"]["reason"]


async def test_processes_of_the_session_itself_do_not_block_the_removal(machine: Machine, api: Api) -> None:
    item = await worked(machine, api, "worktree")
    instance = api.fleet.views.instances.get(item["instanceId"])
    assert instance is not None
    assert instance.identity is not None
    machine.files.busy[item["directory"]] = [instance.identity.pid]
    preview = await looked(machine, api, item["id"], "cleanupWorkspace=true")
    assert (preview["workspace"]["removed"], preview["workspace"]["reason"]) == (True, None)
    await api.session(REPOSITORY, isolationStrategy="worktree")  # the process serves this one too, and continues
    preview = await looked(machine, api, item["id"], "cleanupWorkspace=true")
    assert preview["workspace"]["removed"] is False


async def test_a_preview_of_a_removed_workspace_names_the_kept_work(machine: Machine, api: Api) -> None:
    item = await worked(machine, api, "worktree")
    await api.send("DELETE", f"/api/sessions/{item['id']}?cleanupWorkspace=true")
    preview = await looked(machine, api, item["id"], "permanent=true")
    assert preview["erased"] is True
    assert preview["workspace"]["removed"] is True
    assert preview["workspace"]["keptRef"] == f"refs/fleet/kept/{item['workspaceId']}"
    assert preview["workspace"]["dirty"] is None


async def test_a_missing_source_repository_blocks_the_removal(machine: Machine, api: Api) -> None:
    item = await worked(machine, api, "clone")
    del machine.files.repositories[REPOSITORY]
    preview = await looked(machine, api, item["id"], "cleanupWorkspace=true")
    assert preview["workspace"]["removed"] is False
    assert "gone" in preview["workspace"]["reason"]


async def test_a_preview_does_not_stop_a_running_turn(machine: Machine, api: Api) -> None:
    item = await api.session(REPOSITORY, isolationStrategy="worktree", initialPrompt="hang")
    await api.fleet.views.sessions.wait(item["id"], lambda s: s.turn is not None and s.turn.delivered)
    preview = await looked(machine, api, item["id"], "cleanupWorkspace=true")
    assert preview["workspace"]["removed"] is True
    assert (await api.send("GET", f"/api/sessions/{item['id']}")).json["status"] == "active"


async def test_a_preview_does_not_use_up_an_idempotency_key(machine: Machine, api: Api) -> None:
    item = await worked(machine, api, "worktree")
    for _ in range(2):
        await looked(machine, api, item["id"], "permanent=true", Idempotency_Key="k")
    ended = await api.send("DELETE", f"/api/sessions/{item['id']}?permanent=true", Idempotency_Key="k")
    assert ended.json["erased"] is True


@pytest.mark.parametrize("name", [NOWHERE, "nothing"])
async def test_a_preview_of_an_unknown_session_is_not_found(api: Api, name: str) -> None:
    (await api.send("DELETE", f"/api/sessions/{name}?dryRun=true")).problem(404, "session_not_found")
