"""Why a sidecar is not connected: what a person reads, and whether it is tried again."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.adapters.ray.authentication import AuthenticationError, own_token, require_closed
from fleet.adapters.ray.refusals import NOT_INSTALLED, not_connected

HEAD = "10.0.0.1:6379"
MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.60.0
    Python: 3.11.7
This process on node 10.0.0.1 was started with:
    Ray: 2.59.0
    Python: 3.11.8
"""


def test_a_cluster_of_other_versions_refuses_the_start_and_names_them() -> None:
    said = not_connected(RuntimeError(MISMATCH), HEAD)
    assert said.is_final
    assert said.reason == (
        "The cluster at 10.0.0.1:6379 has Ray 2.60.0 and Python 3.11.7, and Fleet runs with Ray 2.59.0 and Python "
        "3.11.8. Both must be the same on all machines, the patch version of Python too"
    )


def test_a_cluster_that_is_away_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(OSError, match="refused") as raised:
        require_closed(address)
    said = not_connected(raised.value, address)
    assert (said.reason, said.is_final) == (f"{address} does not answer: Connection refused", False)


@pytest.fixture
def web_server() -> Iterator[str]:
    """Return the address of a server that answers one request in HTTP/1.1."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_an_address_of_another_program_is_named_as_such(web_server: str) -> None:
    with pytest.raises(ConnectionError) as raised:
        require_closed(web_server)
    said = not_connected(raised.value, web_server)
    assert not said.is_final
    assert "what listens there is not the head of a Ray cluster, or" in said.reason


def test_ray_that_is_not_installed_refuses_the_start() -> None:
    said = not_connected(ModuleNotFoundError("No module named 'ray'"), HEAD)
    assert (said.reason, said.is_final) == (NOT_INSTALLED, True)
    assert "pip install 'fleet[ray]'" in NOT_INSTALLED


def test_a_missing_token_says_where_it_was_looked_for(tmp_path: Path) -> None:
    file = tmp_path / "token"
    environment = {"RAY_AUTH_TOKEN_PATH": str(file)}
    with pytest.raises(AuthenticationError, match=f"cannot be read from {file}: No such file"):
        own_token(environment)
    file.write_text("\n")
    with pytest.raises(AuthenticationError, match="has no token"):
        own_token(environment)
    file.write_text("secret\n")
    assert own_token(environment) == "secret"
    assert own_token({**environment, "RAY_AUTH_TOKEN": "another"}) == "another"
