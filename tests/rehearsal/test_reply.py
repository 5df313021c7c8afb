"""What the model answers, as a pure function of the request."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.rehearsal.job import note_path, title_of
from fleet.rehearsal.reply import Pause, Piece, RehearsalReply, ReplyFailure, ToolCall, Usage, reply_to
from fleet.rehearsal.request import BadRequest, ChatRequest, read_request
from fleet.rehearsal.script import fenced
from tests.rehearsal.requests import ROUND, body, chat


def answer(request: ChatRequest, attempt: int = 0) -> RehearsalReply:
    reply = reply_to(request, attempt)
    assert isinstance(reply, RehearsalReply)
    return reply


def said(reply: RehearsalReply) -> str:
    return "".join(act.text for act in reply.acts if isinstance(act, Piece))


def called(reply: RehearsalReply) -> list[tuple[str, dict[str, Any]]]:
    return [(act.name, json.loads(act.arguments)) for act in reply.acts if isinstance(act, ToolCall)]


def test_the_conversation_tells_which_step_comes_next() -> None:
    prompt = fenced('bash "one"\n---\nbash "two"\n---\nsay "three"')
    replies = [answer(chat(prompt, rounds)) for rounds in range(4)]
    assert [called(reply) for reply in replies[:2]] == [
        [("bash", {"command": c, "timeout": 3_600_000})] for c in ("one", "two")
    ]
    assert [reply.finish for reply in replies] == ["tool_calls", "tool_calls", "stop", "stop"]
    assert said(replies[2]) == "three"
    assert said(replies[3]) == "The script is over."


def test_a_new_prompt_starts_again_at_its_first_step() -> None:
    conversation = body(fenced('bash "x"\n---\nsay "one"'))
    conversation["messages"] += [*ROUND, {"role": "user", "content": [{"type": "text", "text": fenced('say "two"')}]}]
    assert said(answer(read_request(json.dumps(conversation).encode()))) == "two"


def test_tools_get_the_arguments_that_opencode_expects() -> None:
    script = """
write a/b.txt: "text"
edit /etc/x: "old" -> "new"
read ../y
todo doing "t"
question "A very long question that has no end in sight?": "Red"
task "d" as explore: "p"
"""
    calls = called(answer(chat(fenced(script))))
    assert calls[:3] == [
        ("write", {"filePath": "/repo/tree/a/b.txt", "content": "text"}),
        ("edit", {"filePath": "/etc/x", "oldString": "old", "newString": "new"}),
        ("read", {"filePath": "/repo/y"}),
    ]
    assert calls[3] == ("todowrite", {"todos": [{"content": "t", "status": "in_progress", "priority": "medium"}]})
    question = calls[4][1]["questions"][0]
    assert len(question["header"]) == 30
    assert question["options"] == [{"label": "Red", "description": "Red"}]
    assert calls[5] == ("task", {"description": "d", "prompt": "p", "subagent_type": "explore"})


def test_call_ids_differ_within_a_step_and_between_steps() -> None:
    prompt = fenced('bash "x"\nbash "x"\n---\nbash "x"')
    acts = [act for rounds in (0, 1) for act in answer(chat(prompt, rounds)).acts if isinstance(act, ToolCall)]
    assert len({act.call_id for act in acts}) == 3


def test_a_tool_that_is_not_offered_is_reported_as_text() -> None:
    reply = answer(chat(fenced('call "launch": "{}"')))
    assert '"launch" is not offered' in said(reply)
    assert reply.finish == "stop"


def test_errors_come_as_often_as_the_script_says_and_one_after_the_other() -> None:
    request = chat(fenced('stall 2s\nerror 429 times 2 retry-after 7\nerror 503 times 1 code busy "wait"\nsay "ok"'))
    replies = [reply_to(request, attempt) for attempt in range(4)]
    assert [reply.status for reply in replies[:3] if isinstance(reply, ReplyFailure)] == [429, 429, 503]
    assert replies[0] == ReplyFailure(2.0, 429, "The script asked for an error 429", None, 7)
    assert replies[2] == ReplyFailure(2.0, 503, "wait", "busy", None)
    assert replies[3] == answer(request, 3)
    assert said(answer(request, 3)) == "ok"


@given(st.integers(0, 10_000))
def test_an_error_without_times_never_ends(attempt: int) -> None:
    assert isinstance(reply_to(chat(fenced("error 500")), attempt), ReplyFailure)


def test_pacing_stalls_cut_finish_and_usage() -> None:
    reply = answer(chat(fenced('stall 1s\nsay "a b" at 4/s\nstall 3s\nthink "c"\nusage input 9 output 3\ncut')))
    assert reply.wait_s == 1.0
    assert reply.acts == (
        *(Pause(0.25), Piece("say", "a"), Pause(0.25), Piece("say", " b")),
        *(Pause(3.0), Piece("think", "c")),
    )
    assert reply.finish is None
    assert reply.usage == Usage(9, 3, 0, 0)
    assert answer(chat(fenced("finish content_filter"))).finish == "content_filter"


@given(st.integers(1, 500))
def test_n_tokens_are_n_pieces_and_are_counted(count: int) -> None:
    reply = answer(chat(fenced(f"say {count} tokens")))
    assert len(reply.acts) == len(said(reply).split()) == reply.usage.output == count


@given(st.text())
def test_an_exact_text_is_said_exactly(text: str) -> None:
    literal = json.dumps(text)
    assert said(answer(chat(fenced(f"say {literal}")))) == text


def test_a_wrong_script_is_answered_with_what_is_wrong() -> None:
    assert "line 2: " in said(answer(chat(fenced('say "a"\nsing'))))


def test_without_a_script_it_looks_around_writes_a_note_and_reports() -> None:
    prompt = "Fix the parser!\nIt is slow.\n<system-reminder>Plan.</system-reminder>"
    replies = [answer(chat(prompt, rounds)) for rounds in range(3)]
    note = {
        "filePath": "/repo/tree/notes/fix-the-parser.md",
        "content": "# Fix the parser!\n\nFix the parser!\nIt is slow.\n",
    }
    assert [name for name, _ in called(replies[0])] == ["bash"]
    assert called(replies[1]) == [("write", note)]
    assert "notes/fix-the-parser.md" in said(replies[2])
    assert said(answer(chat("hi", tools=False))).startswith('I would begin with: "hi"')


def test_titles_and_summaries_never_play_the_script() -> None:
    prompt = "Tidy up.\n" + fenced("error 500")
    assert said(answer(chat(prompt, tools=False, system="You are a title generator."))) == "Tidy up"
    assert "## Objective" in said(answer(chat(prompt, tools=False, system="You are a context summarization agent.")))


@given(st.text())
def test_titles_are_short_lines_and_notes_stay_in_their_folder(prompt: str) -> None:
    title = title_of(prompt)
    assert 0 < len(title) <= 50
    assert "\n" not in title
    assert note_path(prompt).count("/") == 1
    assert ".." not in note_path(prompt)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "Expected `object`"),
        (b"{}", "messages"),
        (b'{"messages": []}', "role `user`"),
        (b'{"messages": [{"role": 5}]}', "Expected `str`"),
    ],
)
def test_a_bad_body_is_refused_with_a_reason(text: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        read_request(text)
