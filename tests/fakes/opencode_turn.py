"""One turn of the fake OpenCode: the loop that calls the model until it is finished, and what the model does.

Words in the prompt tell the model what to do; without one it answers with a short text:

    turn:N      N model calls, all but the last with a tool          fail        an error that is not retried
    bash:S      a shell that runs for S seconds                      retry:N     N retries, then the answer
    mcp:S       a tool of an MCP server that runs for S seconds
    hang        no answer, ever                                      overflow    an error that is not final
    ask         a permission is asked for                            unknown     steps that end `unknown`, without end
    question    a question is asked                                  quiet       no idle event at the end
    write       a file of its own, and a line for notes.txt
    task TEXT   a sub-agent with the rest as its prompt

The loop is OpenCode's: it takes the newest user message, counts the steps that are stored, and continues from there.
That is why a prompt to a busy session merges, why the same ids after a crash continue the turn, and why they do
nothing once it is finished.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fakes.opencode_store import Json, StoredMessage

if TYPE_CHECKING:
    from tests.fakes.opencode_process import FakeProcess

import trio

STEP_COST_USD = 0.001
STEP_TOKENS = {"input": 100, "output": 20, "reasoning": 0, "cache": {"read": 10, "write": 0}}


@dataclass(frozen=True)
class Written:
    """A file that an agent wrote, and that is never written again."""

    message_id: str
    directory: str
    name: str
    content: bytes


@dataclass
class Worked:
    """A time in which a process ran a session's turn; `end_s` is None while it does."""

    instance_id: str
    session_id: str
    start_s: float
    end_s: float | None = None


class Turn:
    """The running loop of one session in one process."""

    def __init__(self, process: "FakeProcess", session_id: str) -> None:
        self.process = process
        self.session_id = session_id
        self.scope = trio.CancelScope()
        self._world = process.world
        self._called: set[str] = set()
        self._answer: StoredMessage | None = None

    async def run(self) -> None:
        """Run to the end; `abort` cancels."""
        with self.scope:
            self.process.set_status(self.session_id, {"type": "busy"})
            await self._wait_for_mcp()
            while not self._is_answered(prompt := self._world.store.newest_user_message(self.session_id)):
                await self._step(prompt)
            await self._end(prompt)

    async def _wait_for_mcp(self) -> None:
        """OpenCode asks the MCP servers of a directory before it calls the model, and waits for each."""
        if self._world.mcp_start_s > 0:
            self.process.waits_for_mcp = True
            await self.process.pause(self._world.mcp_start_s)
            self.process.waits_for_mcp = False

    def _is_answered(self, prompt: StoredMessage) -> bool:
        answers = self._world.store.answers(prompt)
        return any("error" in answer.info or answer.info.get("finish") == "stop" for answer in answers)

    async def _end(self, prompt: StoredMessage) -> None:
        if prompt.id in self._called:
            self._world.finished_turns[prompt.id] += 1
        quiet = "quiet" in _words(prompt) or self._world.by_chance(self._world.lost_idle_chance)
        self.process.end_turn(self.session_id, announced=not quiet)
        await self.process.pause(0.02)
        self.process.show_message(prompt)  # its diff comes after the idle events

    # ------------------------------------------------------------------------------------------------------ one step

    async def _step(self, prompt: StoredMessage) -> None:
        words = _words(prompt)
        if "retry" in words:
            await self._retries(int(words["retry"] or 1))
        step = sum(answer.is_completed for answer in self._world.store.answers(prompt)) + 1
        self._count_call(prompt)
        self._answer = answer = self._open_answer(prompt)
        await self.process.pause(self._world.random.uniform(0.01, 0.05))
        if "fail" in words:
            return await self._fail(answer)
        if "overflow" in words and step == 1:
            self.process.show_error(self.session_id, "ContextOverflowError", "The conversation is too long")
        self._put(answer, {"type": "step-start"})
        await self._act(answer, words, step)
        last = step >= int(words.get("turn") or (2 if _TOOL_WORDS & words.keys() else 1))
        if last:
            await self._speak(answer, f"You said: {prompt.text}")
        finish = "unknown" if "unknown" in words else "stop" if last else "tool-calls"
        self._put(answer, {"type": "step-finish", "reason": finish, "cost": STEP_COST_USD, "tokens": STEP_TOKENS})
        self._complete(answer, finish=finish, cost=STEP_COST_USD, tokens=STEP_TOKENS)
        return None

    def _count_call(self, prompt: StoredMessage) -> None:
        self._world.model_calls[prompt.id] += 1
        if prompt.id not in self._called:
            self._called.add(prompt.id)
            self._world.runs[self.session_id, prompt.id] += 1

    def _open_answer(self, prompt: StoredMessage) -> StoredMessage:
        info: Json = {
            "id": self._world.new_id("msg"),
            "sessionID": self.session_id,
            "role": "assistant",
            "parentID": prompt.id,
            "providerID": "scripted",
            "modelID": "one",
            "time": {"created": self._world.now_ms()},
            "cost": 0,
        }
        answer = self._world.store.add(StoredMessage(info))
        self.process.show_message(answer)
        return answer

    async def _act(self, answer: StoredMessage, words: dict[str, str], step: int) -> None:
        if "hang" in words:
            await trio.sleep_forever()
        if step > 1 and "turn" not in words:
            return
        if "bash" in words:
            await self._shell(answer, float(words["bash"] or 30))
        elif "mcp" in words:
            await self._mcp(answer, float(words["mcp"] or 30))
        elif "ask" in words:
            await self._ask(answer, "permission")
        elif "question" in words:
            await self._ask(answer, "question")
        elif "write" in words:
            await self._write(answer)
        elif "task" in words:
            await self._task(answer, words["task"])
        elif step < int(words.get("turn") or 1):
            await self._shell(answer, 0.1)

    async def _speak(self, answer: StoredMessage, text: str) -> None:
        started = self._world.now_ms()
        part = self._put(answer, {"type": "text", "text": "", "time": {"start": started}})
        for word in re.findall(r"\S+\s*", text):
            self.process.show_delta(part, word)
            await self.process.pause(0.005)
        self._put(answer, {**part, "text": text, "time": {"start": started, "end": self._world.now_ms()}})

    async def _shell(self, answer: StoredMessage, seconds: float) -> None:
        part = self._tool(answer, "bash", {"command": "npm run dev"})
        with self.process.tool_process():
            await self.process.pause(seconds / 2)
            self._put(answer, {**part, "state": {**part["state"], "metadata": {"output": "half"}}})
            await self.process.pause(seconds / 2)
        self._put(answer, {**part, "state": {"status": "completed", "output": "half done"}})

    async def _mcp(self, answer: StoredMessage, seconds: float) -> None:
        part = self._tool(answer, "my_tracker_find_issue")
        await self.process.pause(seconds)
        self._put(answer, {**part, "state": {"status": "completed", "output": "found"}})

    async def _write(self, answer: StoredMessage) -> None:
        part = self._tool(answer, "write")
        await self.process.pause(self._world.random.uniform(0.01, 0.5))
        message_id, directory = answer.info["parentID"], str(self._world.store.sessions[self.session_id]["directory"])
        if directory not in self._world.disk.directories:
            self._put(answer, {**part, "state": {"status": "error", "error": "No such directory"}})
            return
        written = Written(message_id, directory, f"{message_id}.txt", f"{message_id}\n".encode())
        files = self._world.disk.contents.setdefault(directory, {})
        files[written.name] = written.content
        files["notes.txt"] = files.get("notes.txt", b"") + written.content
        self._world.written.append(written)
        await self.process.pause(self._world.random.uniform(0.01, 0.5))
        self._put(answer, {**part, "state": {"status": "completed", "output": "written"}})

    async def _task(self, answer: StoredMessage, text: str) -> None:
        part = self._tool(answer, "task")
        child_id = self.process.open_subagent(self.session_id)
        asked = {"description": text, "prompt": text, "subagent_type": "general"}
        state = {"input": asked, "metadata": {"sessionId": child_id}}
        self._put(answer, {**part, "state": {"status": "running", **state}})
        await self.process.run_subagent(child_id, text)
        self._put(answer, {**part, "state": {"status": "completed", "output": "the sub-agent is done", **state}})

    async def _ask(self, answer: StoredMessage, kind: str) -> None:
        part = self._tool(answer, "question" if kind == "question" else "bash")
        await self.process.ask(self.session_id, kind)
        self._put(answer, {**part, "state": {"status": "completed", "output": "answered"}})

    def _tool(self, answer: StoredMessage, tool: str, given: Json | None = None) -> Json:
        part = self._put(answer, {"type": "tool", "tool": tool, "state": {"status": "pending"}})
        state = {"status": "running", "input": given or {}, "time": {"start": self._world.now_ms()}}
        return self._put(answer, {**part, "state": state})

    async def _retries(self, count: int) -> None:
        if self._answer is not None:
            return
        for attempt in range(1, count + 1):
            next_ms = self._world.now_ms() + int(1000 * 2.0**attempt)
            status = {"type": "retry", "attempt": attempt, "message": "Too many requests", "next": next_ms}
            self.process.set_status(self.session_id, status)
            await self.process.pause(2.0**attempt)
        self.process.set_status(self.session_id, {"type": "busy"})

    async def _fail(self, answer: StoredMessage) -> None:
        """The error and a first idle event come before the message says so; the loop's end sends idle again."""
        self.process.show_error(self.session_id, "APIError", "Invalid API key")
        self.process.show_idle(self.session_id)
        await self.process.pause(0.02)
        self._complete(answer, error={"name": "APIError", "data": {"message": "Invalid API key"}})

    async def abort(self) -> None:
        """Stop the loop; the final parts come after the first idle events."""
        self.scope.cancel()
        self.process.show_error(self.session_id, "MessageAbortedError", "Aborted")
        self.process.end_turn(self.session_id, announced=True)
        await self.process.pause(0.03)
        if self._answer is not None and not self._answer.is_completed:
            for part in [part for part in self._answer.parts.values() if part["type"] == "tool"]:
                self._put(self._answer, {**part, "state": {"status": "error", "error": "Tool execution aborted"}})
            aborted = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}
            self._complete(self._answer, error=aborted)
        self.process.show_idle(self.session_id)

    # ------------------------------------------------------------------------------------- what is stored and shown

    def _put(self, answer: StoredMessage, content: Json) -> Json:
        """Store a part and show it. The words that stream into a text are stored with its end alone."""
        new = {"id": self._world.new_id("prt"), "sessionID": self.session_id, "messageID": answer.id}
        part = {**new, **content}
        answer.parts[part["id"]] = part
        self.process.show_part(part)
        return part

    def _complete(self, answer: StoredMessage, **final: object) -> None:
        answer.info.update(final)
        answer.info["time"]["completed"] = self._world.now_ms()
        self.process.show_message(answer)


_WORD = re.compile(r"\b(turn|bash|retry|fail|hang|ask|question|overflow|unknown|quiet|write|mcp)(?::(\d+))?\b")
_TOOL_WORDS = {"bash", "mcp", "ask", "question", "write", "task"}


def _words(prompt: StoredMessage) -> dict[str, str]:
    own, task, rest = prompt.text.partition("task ")
    return dict(_WORD.findall(own)) | ({"task": rest} if task else {})
