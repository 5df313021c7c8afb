"""Asks a Ray cluster whether it serves callers without a token, by one gRPC request that has none.

A client that has a token works with an open cluster, too, so Ray itself does not say so. The request is
`CheckAlive`, which changes nothing. gRPC is HTTP/2; h2 comes with Hypercorn.
"""

import os
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Final

import h2.connection
import h2.events

from fleet.limits import ENGINE_AUTHENTICATION_S

_UNAUTHENTICATED: Final = "16"
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
    """Raise `AuthenticationError` if the cluster serves a request without a token; OSError if it does not answer."""
    status = _status_without_token(address)
    if not status:
        raise ConnectionError("the head of the cluster has not answered a request")
    if status != _UNAUTHENTICATED:
        raise AuthenticationError(
            f"The Ray cluster at {address} accepts callers without a token (status {status}): everyone "
            "who reaches its ports can run code there. Set RAY_AUTH_MODE=token for `ray start` on every machine"
        )


def _status_without_token(address: str) -> str:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), ENGINE_AUTHENTICATION_S) as plain:
        connection = _encrypted(plain, host) if os.environ.get("RAY_USE_TLS") == "1" else plain
        http = h2.connection.H2Connection()
        http.initiate_connection()
        http.send_headers(1, _head(address, connection is not plain))
        http.send_data(1, _EMPTY_MESSAGE, end_stream=True)
        connection.sendall(http.data_to_send())
        while data := connection.recv(_READ_BYTES):
            if (status := _status_in(http.receive_data(data))) is not None:
                return status
            connection.sendall(http.data_to_send())
    return ""


def _head(address: str, is_encrypted: bool) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "https" if is_encrypted else "http"),
        (":path", _SERVICE),
        (":authority", address),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]


def _status_in(events: Iterable[h2.events.Event]) -> str | None:
    """Return the status of the response, "" if it ended without one, None if it goes further."""
    for event in events:
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            fields = {_text(name): _text(value) for name, value in event.headers}
            if "grpc-status" in fields:
                return fields["grpc-status"]
        if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset | h2.events.ConnectionTerminated):
            return ""
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
