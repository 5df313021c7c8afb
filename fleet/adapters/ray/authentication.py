"""Asks a Ray cluster whether it serves callers without a token, and whether it accepts the token of this machine.

A client that has a token works with an open cluster, too, and one that has a wrong token never stops trying: so Ray
itself says neither. The request is `CheckAlive` of its gRPC, which changes nothing. gRPC is HTTP/2; h2 comes with
Hypercorn.
"""

import os
import socket
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import h2.connection
import h2.events
import h2.exceptions

from fleet.limits import ENGINE_AUTHENTICATION_S

_UNAUTHENTICATED: Final = "16"
_NO_HEAD: Final = "what listens there is not the head of a Ray cluster, or only one of the two has RAY_USE_TLS=1"
_READ_BYTES: Final = 64 * 1024
_EMPTY_MESSAGE: Final = bytes(5)  # not compressed, and a length of 0
_SERVICE: Final = "/ray.rpc.NodeInfoGcsService/CheckAlive"


class AuthenticationError(Exception):
    """The cluster must not be used. The text says why, and what to do."""


def require_token(environment: Mapping[str, str]) -> None:
    """Raise `AuthenticationError` unless Ray's clients send a token."""
    if environment.get("RAY_AUTH_MODE") != "token":
        raise AuthenticationError(
            "RAY_AUTH_MODE is not `token`: a Ray cluster without tokens runs the code of everyone who reaches its "
            "ports. Create a token (ray get-auth-token --generate), copy ~/.ray/auth_token to every machine, and set "
            "RAY_AUTH_MODE=token for Ray on every machine and for Fleet"
        )


def require_closed(address: str) -> None:
    """Raise `AuthenticationError` unless the cluster refuses a request without a token; OSError if it is away."""
    if _status(address) != _UNAUTHENTICATED:
        raise AuthenticationError(
            f"The Ray cluster at {address} accepts callers without a token: everyone who reaches its ports can run "
            "code there. Set RAY_AUTH_MODE=token for `ray start` on every machine"
        )


def require_accepted(address: str, environment: Mapping[str, str]) -> None:
    """Raise `AuthenticationError` unless the cluster accepts the token of this machine; OSError if it is away."""
    if _status(address, own_token(environment)) == _UNAUTHENTICATED:
        raise AuthenticationError(
            f"The Ray cluster at {address} refuses the token of this machine. Copy the file ~/.ray/auth_token of the "
            "cluster's head to this machine, or name it by RAY_AUTH_TOKEN_PATH"
        )


def token_file(environment: Mapping[str, str]) -> Path:
    """Return the file in which Ray's clients look for the token."""
    named = environment.get("RAY_AUTH_TOKEN_PATH")
    return Path(named) if named else Path.home() / ".ray" / "auth_token"


def own_token(environment: Mapping[str, str]) -> str:
    """Return the token that Ray's clients send. Raises `AuthenticationError` if there is none."""
    if given := environment.get("RAY_AUTH_TOKEN", "").strip():
        return given
    file = token_file(environment)
    try:
        token = file.read_text().strip()
    except OSError as error:
        raise AuthenticationError(
            f"Ray's token cannot be read from {file}: {error.strerror}. Create it on the head of the cluster "
            "(ray get-auth-token --generate), and copy the file to this machine, with mode 0600"
        ) from None
    if not token:
        raise AuthenticationError(f"{file} has no token. Copy it from the head of the cluster")
    return token


def _status(address: str, token: str = "") -> str:
    """Return the gRPC status of the request. Raises `ConnectionError` if there is no answer of this kind."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), ENGINE_AUTHENTICATION_S) as plain:
        connection = _encrypted(plain, host) if os.environ.get("RAY_USE_TLS") == "1" else plain
        http = h2.connection.H2Connection()
        http.initiate_connection()
        http.send_headers(1, _head(address, token, connection is not plain))
        http.send_data(1, _EMPTY_MESSAGE, end_stream=True)
        connection.sendall(http.data_to_send())
        while data := connection.recv(_READ_BYTES):
            if status := _status_in(_events(http, data)):
                return status
            connection.sendall(http.data_to_send())
    raise ConnectionError(_NO_HEAD)


def _events(http: h2.connection.H2Connection, data: bytes) -> Iterable[h2.events.Event]:
    try:
        return http.receive_data(data)
    except h2.exceptions.ProtocolError:
        raise ConnectionError(_NO_HEAD) from None


def _head(address: str, token: str, is_encrypted: bool) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "https" if is_encrypted else "http"),
        (":path", _SERVICE),
        (":authority", address),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *([("authorization", f"Bearer {token}")] if token else []),
    ]


def _status_in(events: Iterable[h2.events.Event]) -> str | None:
    """Return the status of the response, None if it has none yet. Raises `ConnectionError` if it ended without one."""
    for event in events:
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            fields = {_text(name): _text(value) for name, value in event.headers}
            if "grpc-status" in fields:
                return fields["grpc-status"]
        if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset | h2.events.ConnectionTerminated):
            raise ConnectionError(_NO_HEAD)
    return None


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("latin1")


def _encrypted(plain: socket.socket, host: str) -> ssl.SSLSocket:
    """Return the connection as Ray encrypts it: both sides show certificates of one authority."""
    context = ssl.create_default_context(cafile=os.environ.get("RAY_TLS_CA_CERT"))
    if certificate := os.environ.get("RAY_TLS_SERVER_CERT"):
        context.load_cert_chain(certificate, os.environ.get("RAY_TLS_SERVER_KEY"))
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(plain, server_hostname=host)
