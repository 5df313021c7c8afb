"""The script language: what a person writes, what comes out, and what is said when it is wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.limits import REHEARSAL_SCRIPT_STEPS_MAX
from fleet.rehearsal.parse import ScriptError, find_script, parse_script
from fleet.rehearsal.script import (
    Bash,
    Call,
    Cut,
    Edit,
    Fail,
    FinishAs,
    Question,
    Read,
    Script,
    Speak,
    Stall,
    Statement,
    TaskStep,
    TodoEntry,
    TodoStep,
    UsageIs,
    Write,
    fenced,
    print_script,
)

texts = st.text(max_size=40)
rates = st.none() | st.floats(min_value=0.01, max_value=1000)
names = st.text(min_size=1, max_size=20)
counts = st.integers(0, 10_000)
tool_uses: st.SearchStrategy[Statement] = st.one_of(
    st.builds(Write, names, texts),
    st.builds(Edit, names, texts, texts),
    st.builds(Read, names),
    st.builds(Bash, texts),
    st.builds(TodoStep, st.lists(st.builds(TodoEntry, texts), min_size=1, max_size=3).map(tuple)),
    st.builds(Question, texts, st.lists(texts, min_size=1, max_size=3).map(tuple)),
    st.builds(TaskStep, texts, texts, names),
    st.builds(Call, names, st.dictionaries(texts, counts, max_size=2).map(json.dumps)),
)
openings = st.one_of(
    st.builds(Stall, st.floats(min_value=0, max_value=3600)),
    st.builds(Fail, st.integers(400, 599), st.integers(1, 9), st.none() | counts, st.none() | names, st.none() | texts),
)
speeches = st.builds(Speak, st.sampled_from(["say", "think"]), texts | st.integers(1, 5000), rates)
usages = st.builds(UsageIs, st.integers(10_000, 20_000), st.integers(10_000, 20_000), counts, counts)
endings: st.SearchStrategy[Statement] = st.one_of(
    usages, st.builds(FinishAs, st.sampled_from(["stop", "length", "content_filter", "tool_calls"])), st.builds(Cut)
)
working_steps = st.tuples(
    st.lists(openings, max_size=2), st.lists(speeches, max_size=3), st.lists(tool_uses, min_size=1, max_size=3)
).map(lambda parts: (*parts[0], *parts[1], *parts[2]))
last_steps = st.tuples(st.lists(openings, max_size=2), speeches, endings).map(lambda p: (*p[0], p[1], p[2]))
scripts = st.tuples(st.lists(working_steps, max_size=3), last_steps).map(lambda parts: (*parts[0], parts[1]))


@given(scripts)
def test_what_is_printed_is_read_back(script: Script) -> None:
    assert parse_script(print_script(script)) == script


@given(scripts, st.text(alphabet="ab \n.", max_size=20))
def test_a_fenced_script_is_found_in_a_prompt(script: Script, before: str) -> None:
    found = find_script(f"{before}\n{fenced(print_script(script))}after")
    assert found is not None
    assert parse_script(found.script) == script
    assert before in found.around
    assert "after" in found.around


@given(st.text())
def test_any_text_is_either_a_script_or_a_complaint(text: str) -> None:
    complaints: list[tuple[int, str]] = []
    try:
        parse_script(text)
    except ScriptError as error:
        complaints = error.complaints
    assert all(1 <= line <= text.count("\n") + 1 and sentence for line, sentence in complaints)


def test_a_script_as_a_person_writes_it() -> None:
    script = parse_script(
        "# look first\n"
        "say 200 tokens at 50/s\n"
        'write src/app.py: "x"\n'
        "edit src/app.py: <<OLD -> <<NEW\nx\nOLD\ny\nz\nNEW\n"
        'todo done "a", doing "b", "c"\n'
        "\n---\n"
        "error 429 retry-after 2 times 1\n"
        "stall 500ms\n"
        'call webfetch: "{\\"url\\": \\"http://localhost\\"}"\n'
        "---\n"
        "finish length\n"
    )
    items = (TodoEntry("a", "completed"), TodoEntry("b", "in_progress"), TodoEntry("c"))
    assert script == (
        (Speak("say", 200, 50.0), Write("src/app.py", "x"), Edit("src/app.py", "x\n", "y\nz\n"), TodoStep(items)),
        (Fail(429, 1, 2), Stall(0.5), Call("webfetch", '{"url": "http://localhost"}')),
        (FinishAs("length"),),
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("sing 3", 1, "no statement"),
        ('say "a"\nsay "b', 2, "not closed"),
        ("say 5", 1, "tokens"),
        ("say 999999999 tokens", 1, "from 1 to"),
        ('say "a" at 0/s', 1, "above 0"),
        ('say "a" at often', 1, "50/s"),
        ('say "a" "b"', 1, "too much"),
        (r'say "\q"', 1, "JSON string"),
        ("write a.txt", 1, "`:`"),
        ('edit a: "b"', 1, "`->`"),
        ("write a: <<END\ntext", 1, "never closed"),
        ('call x: "[]"', 1, "JSON object"),
        ("error 200", 1, "from 400 to 599"),
        ("error 500 often", 1, "retry-after"),
        ("stall 2h", 1, "30s"),
        ("stall 61m", 1, "at most 3600s"),
        ("finish early", 1, "content_filter"),
        ("usage input 1 cached 2", 1, "part of"),
        ('say "a"\n---\nsay "b"', 1, "never reached"),
        ('cut\nsay "b"', 1, "never reached"),
        ('say "a"\nerror 500', 1, "after its answer began"),
        ('bash "a"\n---\n', 2, "is empty"),
        ("say 150000 tokens\nsay 150000 tokens", 1, "too much"),
    ],
)
def test_a_complaint_names_the_line_and_what_is_expected(text: str, line: int, words: str) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script(text)
    assert caught.value.complaints[0][0] == line
    assert words in caught.value.complaints[0][1]


def test_all_wrong_lines_are_reported_at_once() -> None:
    with pytest.raises(ScriptError, match=r"line 1: .*; line 3: "):
        parse_script('a\nsay "fine"\nb')


def test_a_script_has_a_bounded_number_of_steps() -> None:
    with pytest.raises(ScriptError, match="at most"):
        parse_script("---\n".join(['bash "x"\n'] * (REHEARSAL_SCRIPT_STEPS_MAX + 1)))


def test_the_fence_that_closes_is_of_the_same_kind_and_length() -> None:
    found = find_script("a\n````rehearsal\nx\n```\n~~~~\n````\nb")
    assert found is not None
    assert found.script == "x\n```\n~~~~\n"
    assert found.around == "a\n\nb"


def test_an_open_fence_reaches_to_the_end_and_other_fences_are_no_scripts() -> None:
    found = find_script("~~~rehearsal\nsay 1 tokens")
    assert found is not None
    assert found.script == "say 1 tokens"
    assert find_script("```python\nrehearsal\n```") is None
