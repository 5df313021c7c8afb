"""The histories: one session each, by what becomes of it."""

from collections.abc import Awaitable, Callable

import trio

from tests.histories.recorder import Json, Recorder

Scene = Callable[[Recorder], Awaitable[None]]


def is_tool(signal: Json) -> bool:
    """Say whether a tool runs."""
    return bool(signal["type"] == "part" and signal["part"]["type"] == "tool")


async def finished(recorder: Recorder) -> None:
    """Two turns, the first one with a tool and a file; a prompt that waits in the queue meanwhile."""
    async with recorder.fleet() as api, recorder.page(api) as page:
        session_id = await page.session(title="Two turns")
        await page.prompt(session_id, "turn:2 write", "first")
        await page.prompt(session_id, "hello", "second")
        await page.end(session_id)


async def aborted(recorder: Recorder) -> None:
    """A turn that a person aborts while its tool runs, and the next one."""
    async with recorder.fleet() as api, recorder.page(api) as page:
        session_id = await page.session(title="Aborted")
        await page.prompt(session_id, "bash:60", "first")
        await page.signal(is_tool)
        await page.command("abort", "POST", f"/api/sessions/{session_id}/abort")
        await page.prompt(session_id, "hello", "second")
        await page.end(session_id)


async def error(recorder: Recorder) -> None:
    """A turn that the model fails, after it was tried again."""
    async with recorder.fleet() as api, recorder.page(api) as page:
        session_id = await page.session(title="Failed")
        await page.prompt(session_id, "retry:2 fail")
        await page.end(session_id)


async def request(recorder: Recorder) -> None:
    """A permission that is given, a question that is answered, and one that is left open."""
    async with recorder.fleet() as api, recorder.page(api) as page:
        session_id = await page.session(title="Asks")
        for number, (text, answer) in enumerate((("ask", {"reply": "once"}), ("question", {"answers": [["Blue"]]}))):
            await page.prompt(session_id, text, f"prompt-{number}")
            opened = await page.waits(session_id)
            await page.command(f"answer-{number}", "POST", f"/api/sessions/{session_id}/requests/{opened}", answer)
            await page.api.settled(session_id)
        await page.prompt(session_id, "ask", "prompt-open")
        await page.waits(session_id)
        await page.end(session_id)


async def subagent(recorder: Recorder) -> None:
    """A sub-agent that works and reports back."""
    async with recorder.fleet() as api, recorder.page(api) as page:
        session_id = await page.session(title="Delegates")
        await page.prompt(session_id, "task turn:2 look around")
        await page.end(session_id)


async def restart(recorder: Recorder) -> None:
    """The server is killed in the middle of a turn and comes back; the page continues from where it was."""
    async with recorder.fleet(killed=True) as api, recorder.page(api, lost=True) as page:
        session_id = await page.session(title="Outlives its server")
        await page.prompt(session_id, "bash:20")
        await page.signal(is_tool)
    async with recorder.fleet() as api, recorder.page(api) as page:
        await page.follow(session_id)
        await page.end(session_id)


async def reconnect(recorder: Recorder) -> None:
    """The connection is lost while the answer is being written; the page is back before it is finished."""
    async with recorder.fleet() as api:
        async with recorder.page(api, lost=True) as page:
            session_id = await page.session(title="Outlives its connection")
            await page.prompt(session_id, " ".join(f"word {number}" for number in range(20)))
            await page.signal(lambda signal: signal["type"] == "delta" and "3" in signal["delta"])
        await trio.sleep(0.05)
        async with recorder.page(api) as page:
            await page.follow(session_id)
            await page.end(session_id)


async def erased(recorder: Recorder) -> None:
    """A session that is erased for good, and another that stays."""
    async with recorder.fleet() as api, recorder.page(api) as page:
        await page.api.session(title="Stays")
        session_id = await page.session(title="Erased")
        await page.prompt(session_id, "hello")
        await page.api.settled(session_id)
        await page.command("erase", "DELETE", f"/api/sessions/{session_id}?permanent=true")
        await page.end(session_id)


SCENES: dict[str, Scene] = {
    "finished": finished,
    "aborted": aborted,
    "error": error,
    "request": request,
    "sub-agent": subagent,
    "restart": restart,
    "reconnect": reconnect,
    "erased": erased,
}
