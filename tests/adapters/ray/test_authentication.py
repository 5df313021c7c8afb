"""The question whether a cluster serves callers without a token, asked of an HTTP/2 server of the test."""

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager

import h2.config
import h2.connection
import h2.events
import pytest

from fleet.adapters.ray.authentication import AuthenticationError, require_closed, require_token


@contextmanager
def head(status: str | None) -> Generator[str]:
    """Serve one connection: answer its request with this status of gRPC, or close it; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener, status))
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def answer(listener: socket.socket, status: str | None) -> None:
    connection, _ = listener.accept()
    with connection:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        connection.sendall(http.data_to_send())
        while data := connection.recv(65536):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    if status is None:
                        return
                    http.send_headers(1, [(":status", "200"), ("grpc-status", status)], end_stream=True)
            connection.sendall(http.data_to_send())


def test_a_cluster_that_refuses_a_caller_without_a_token_is_used() -> None:
    with head("16") as address:
        require_closed(address)


def test_a_cluster_that_serves_a_caller_without_a_token_is_not_used() -> None:
    with head("0") as address, pytest.raises(AuthenticationError, match="accepts callers without a token"):
        require_closed(address)


def test_a_cluster_that_does_not_answer_is_tried_again() -> None:
    with head(None) as address, pytest.raises(OSError, match=r"."):
        require_closed(address)
    with pytest.raises(OSError, match="refused"):
        require_closed(address)


@pytest.mark.parametrize("environment", [{}, {"RAY_AUTH_MODE": "disabled"}])
def test_clients_without_a_token_are_refused(environment: dict[str, str]) -> None:
    require_token({"RAY_AUTH_MODE": "token"})
    with pytest.raises(AuthenticationError, match="RAY_AUTH_MODE is not `token`"):
        require_token(environment)
