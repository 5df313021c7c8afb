"""`fleet serve --traces`: what a collector gets of a real server, and what there is without."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.adapters.receiver import Receiver

MAIN = "from fleet.cli import main; main()"


def program(code: str, tmp_path: Path, *options: str) -> tuple[list[str], dict[str, str]]:
    """Return the command line of a server and its environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FLEET_", "OTEL_"))}
    serve = ["serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--rehearsal", "always", *options]
    return [sys.executable, "-c", code, *serve], clean | {"XDG_CONFIG_HOME": str(tmp_path)}


def test_server_exports_traces_and_its_log_lines_have_trace_ids(tmp_path: Path) -> None:
    with Receiver(200).listening() as receiver:
        options = ("--log-format", "json", "--traces", f"http://127.0.0.1:{receiver.port}")
        command, environment = program(MAIN, tmp_path, *options)
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
            assert running.stderr is not None
            url = json.loads(running.stderr.readline())["url"]
            body = {"path": str(tmp_path)}
            assert httpx.post(f"{url}/api/workspace-roots", json=body, trust_env=False).status_code == 200
            running.send_signal(signal.SIGTERM)
            lines = [json.loads(line) for line in running.stderr.read().splitlines()]
            assert running.wait(timeout=60) == 0
        assert set(receiver.paths) == {"/v1/traces"}
        sent = [ExportTraceServiceRequest.FromString(body).resource_spans[0] for _, body in receiver.got]
    assert {each.key: each.value.string_value for each in sent[0].resource.attributes}["service.name"] == "fleet"
    all_spans = [span for resource in sent for scope in resource.scope_spans for span in scope.spans]
    spans = {span.name: span for span in all_spans}
    request, command_span = spans["POST /api/workspace-roots"], spans["roots AddWorkspaceRoot"]
    assert command_span.trace_id == request.trace_id
    assert command_span.parent_span_id == request.span_id
    commits = [[link.span_id for link in span.links] for span in all_spans if span.name == "log commit"]
    assert commits.count([command_span.span_id]) == 1
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["trace_id"] == request.trace_id.hex()


def test_server_without_the_libraries_for_traces_says_what_to_install(tmp_path: Path) -> None:
    without = "import sys; sys.modules['opentelemetry.sdk'] = None; " + MAIN
    command, environment = program(without, tmp_path, "--traces", "http://127.0.0.1:9")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "fleet: Traces should be sent to http://127.0.0.1:9/v1/traces, but OpenTelemetry is not installed. "
        "Run `make setup`, or install Fleet with its extra `traces`, or start without --traces.\n"
    )


def test_a_server_without_traces_does_not_load_the_libraries(tmp_path: Path) -> None:
    after = f"import atexit, sys; atexit.register(lambda: print(*sys.modules)); {MAIN}"
    command, environment = program(after, tmp_path, "--log-format", "json")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stderr is not None
        url = json.loads(running.stderr.readline())["url"]
        assert httpx.get(f"{url}/api/healthz", trust_env=False).status_code == 200
        running.send_signal(signal.SIGTERM)
        loaded, _ = running.communicate(timeout=60)
    assert "fleet.composition.server" in loaded
    assert "opentelemetry" not in loaded
