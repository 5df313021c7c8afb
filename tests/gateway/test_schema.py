"""Schemathesis sends requests to the gateway with everything that openapi.json allows, and with what it does not.

Each answer has to be documented, with its status, media type, headers and body; none may be a 5xx; what is wrong has to
be refused. The gateway stands before fakes, on real time. `make fuzz` does the same for longer: FLEET_FUZZ_EXAMPLES
requests of each kind, with FLEET_FUZZ_SEED.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from fleet.actors.context import Policy
from fleet.gateway.server.page_files import read_build
from tests.gateway.builds import write_build
from tests.gateway.machine import PLAIN, Api, Machine

pytestmark = pytest.mark.long

EXAMPLES = os.environ.get("FLEET_FUZZ_EXAMPLES") or "5"
KNOWN = (True, False) if "FLEET_FUZZ_EXAMPLES" in os.environ else (True,)
"""Whether the ids are those of things that are there; the tests of the routes have enough of others."""
SEED = os.environ.get("FLEET_FUZZ_SEED") or "1"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method"
)
"""Left out: what is allowed by the schema may still be refused for the state that things are in, and an id may be any
text, so that `Allow` has the methods of more than one route."""


SETTINGS = """
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
"""
"""431 refuses, too, which schemathesis does not know of itself; `status_code_conformance` sees what is documented."""

THINGS = """
[parameters]
"path.session_id" = "{session}"
"path.instance_id" = "{instance}"
"path.workspace_id" = "{workspace}"

[[operations]]
include-path = "/api/sessions/{{session_id}}"
include-method = "DELETE"
parameters = {{ "path.session_id" = "{doomed}" }}
"""
"""Ids that exist, and another one for what ends it: the rest of the run needs its session."""


async def _send_requests(url: str, directory: Path, settings: str) -> None:
    """Run schemathesis; fail with what it found."""
    (directory / "schemathesis.toml").write_text(settings)
    options = ["--seed", SEED, "--max-examples", EXAMPLES, "--checks", CHECKS, "--continue-on-failure"]
    options += ["--phases", "examples,coverage,fuzzing", "--request-timeout", "30", "--generation-database", "none"]
    options += ["--exclude-path-regex", "(/events|/stream)$"]  # a stream has no end
    options += ["--warnings", "off", "--no-color", "--no-shrink"]
    program = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"]
    done = await trio.run_process(
        [*program, f"{url}/api/openapi.json", *options],
        cwd=directory,
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()[-20_000:]


@pytest.mark.trio(run=trio.run)
@pytest.mark.parametrize("known", KNOWN)
async def test_responses_are_as_the_document_says(machine: Machine, tmp_path: Path, known: bool) -> None:
    machine.policy = Policy(workspace_roots=(str(tmp_path.resolve()),))
    machine.files.add_repository("/home/dev/my-project")  # the one of the examples
    build = read_build(write_build(tmp_path / "dashboard"))
    async with machine.fleet() as unbuilt, (api := Api(unbuilt.fleet, build=build)).listen() as port:
        item, doomed = await api.session(PLAIN), await api.session(PLAIN)
        ids = {"session": item["id"], "instance": item["instanceId"], "workspace": item["workspaceId"]}
        settings = SETTINGS + (THINGS.format(**ids, doomed=doomed["id"]) if known else "")
        await _send_requests(f"http://127.0.0.1:{port}", tmp_path, settings)
