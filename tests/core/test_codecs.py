"""Events survive the log's JSON and states survive a snapshot's MessagePack."""

from typing import Any, get_args

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from fleet.core import stored_responses as answers
from fleet.core import workspace_roots as roots
from fleet.core.decider import Decider
from fleet.core.instance.decide import INSTANCE
from fleet.core.instance.events import InstanceEvent, InstanceSpawned
from fleet.core.instance.state import State as InstanceState
from fleet.core.session.decide import SESSION
from fleet.core.session.events import BudgetSet, SessionCreated, SessionEvent
from fleet.core.session.state import State as SessionState
from fleet.core.session.turn_events import MessageRecorded, PartRecorded
from fleet.core.session.values import Budget, SessionSettings, digest, raw
from fleet.core.webhook.commands import WebhookCommand
from fleet.core.webhook.decide import WEBHOOK
from fleet.core.webhook.events import WebhookEvent
from fleet.core.webhook.state import State as WebhookState
from fleet.core.workspace.commands import WorkspaceCommand
from fleet.core.workspace.decide import WORKSPACE
from fleet.core.workspace.events import WorkspaceEvent
from fleet.core.workspace.state import State as WorkspaceState
from fleet.ports import ProcessIdentity, Tokens
from tests.core import test_instance, test_session_laws, test_webhook, test_workspace
from tests.core.walks import walk

EVENTS: tuple[type[Any], ...] = (
    *get_args(SessionEvent),
    *get_args(InstanceEvent),
    *get_args(WorkspaceEvent),
    *get_args(roots.WorkspaceRootEvent),
    *get_args(WebhookEvent),
    answers.ResponseStored,
)

# What OpenCode sends: any JSON, kept byte for byte.
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda v: st.lists(v, max_size=3)
)
bodies = st.dictionaries(st.text(max_size=5), values, max_size=3).map(
    lambda body: msgspec.Raw(msgspec.json.encode(body))
)
st.register_type_strategy(msgspec.Raw, bodies)
finite = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(Budget, st.builds(Budget, usd=st.none() | finite, minutes=st.none() | finite))
SAMPLES: dict[type[Any], st.SearchStrategy[Any]] = {
    BudgetSet: st.builds(BudgetSet, budget=st.none() | st.builds(Budget, usd=st.none() | finite, minutes=finite)),
    SessionCreated: st.builds(
        SessionCreated, settings=st.builds(SessionSettings, budget=st.none() | st.builds(Budget, minutes=finite))
    ),
    MessageRecorded: st.builds(MessageRecorded, cost_usd=finite, tokens=st.from_type(Tokens)),
    InstanceSpawned: st.builds(InstanceSpawned, identity=st.builds(ProcessIdentity, started_at=finite)),
}
"""JSON has no word for an infinite cost, and no clock gives an infinite time."""


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@hypothesis.settings(max_examples=15)
@hypothesis.given(st.data())
def test_every_event_type_survives_encoding_and_decoding(event: type[Any], data: st.DataObject) -> None:
    written = data.draw(SAMPLES[event] if event in SAMPLES else st.from_type(event))
    payload = msgspec.json.encode(written)
    read = msgspec.json.decode(payload, type=event)
    assert read == written
    assert msgspec.json.encode(read) == payload


def test_raw_body_in_an_event_is_stored_byte_for_byte() -> None:
    body = b'{"text" : "\\u00e4",  "n": 1.0e3}'
    event = PartRecorded(part_id="prt_1", message_id="msg_1", type="text", at_ms=1, body=raw(body))
    read = msgspec.json.decode(msgspec.json.encode(event), type=PartRecorded)
    assert bytes(read.body) == body
    assert digest(read.body) == digest(body)


def workspace_commands(_: WorkspaceState) -> st.SearchStrategy[WorkspaceCommand]:
    return test_workspace.commands


def webhook_commands(_: WebhookState) -> st.SearchStrategy[WebhookCommand]:
    return test_webhook.commands


WALKS: list[tuple[Decider[Any, Any, Any, Any], type[Any], Any, Any]] = [
    (SESSION, SessionState, test_session_laws.commands, test_session_laws.check),
    (INSTANCE, InstanceState, test_instance.commands, test_instance.check),
    (WORKSPACE, WorkspaceState, workspace_commands, test_workspace.check),
    (WEBHOOK, WebhookState, webhook_commands, test_webhook.check),
]


def _read_back(event: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(event), type=type(event))


@pytest.mark.parametrize(
    ("decider", "state_type", "commands", "check"), WALKS, ids=lambda value: getattr(value, "kind", "")
)
@hypothesis.settings(max_examples=40)
@hypothesis.given(st.data())
def test_states_and_logs_survive_encoding_and_decoding(
    decider: Decider[Any, Any, Any, Any], state_type: type[Any], commands: Any, check: Any, data: st.DataObject
) -> None:
    state, log = walk(data, decider, commands, check)
    snapshot = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=state_type)
    assert snapshot == state
    assert decider.pending(snapshot) == decider.pending(state)
    for event in log:
        assert _read_back(event) == event
