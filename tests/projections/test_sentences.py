"""Every event has a sentence for a person: words and no ids."""

import re

import msgspec

from fleet.events.catalog import NAMES
from fleet.events.envelope import Erased
from fleet.projections.names import name_of, who
from fleet.projections.sentences import SENTENCE_CHARS_MAX, SENTENCES, cut, sentence
from tests.histories.golden import DIRECTORY, REGISTRY, read

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")


def test_every_type_of_event_has_a_sentence() -> None:
    assert set(NAMES.values()) - SENTENCES.keys() == set(), "give each its row in fleet/projections/sentences.py"


def test_sentences_of_all_golden_histories_are_words() -> None:
    for file in DIRECTORY.glob("*.jsonl"):
        for line in read(file):
            told = sentence(line.type, REGISTRY.decode(line.type, line.schema, bytes(line.data)))
            assert told[:1].isupper() or told.startswith("bash"), told
            assert "\n" not in told
            assert len(told) <= SENTENCE_CHARS_MAX
            assert not UUID.search(re.sub(r"\S+/\S+", "", told)), told  # paths and refs may have ids


def test_erased_and_unknown_events_are_named() -> None:
    assert sentence("session.created", Erased()) == "The data of this event (session.created) was erased"
    assert sentence("session.reborn", None) == "session.reborn"


def test_streams_and_actors_have_names() -> None:
    read_event = REGISTRY.decode
    created = next(line for file in DIRECTORY.glob("session-turns*") for line in read(file))
    first = read_event(created.type, created.schema, bytes(created.data))
    edited = read_event("session.edited", 1, msgspec.json.encode({"title": "New", "tags": [], "at_ms": 1}))
    assert name_of(created.stream, first) == f'session "{first.settings.title}"'
    assert name_of(created.stream, first, edited) == 'session "New"'
    names = {"session-1": 'session "New"', "instance-1": "process in /d"}
    actors = ("local", "token:alice", "session:1", "instance:1", "policy:idle", "system", "odd")
    told = [who(actor, names) for actor in actors]
    assert told == ["this machine's user", "alice", 'session "New"', "OpenCode in /d", "Fleet (idle)", "Fleet", "odd"]


def test_long_text_is_cut_on_one_line() -> None:
    assert cut("a\n b\t c") == "a b c"
    assert cut("x" * 500, 10) == "x" * 9 + "…"
