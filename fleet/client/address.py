"""The address of a server, as a user writes it, and the targets of its requests."""

import ssl
from functools import cached_property
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import trio

from fleet.http1 import TcpStream
from fleet.wire.bodies import Query

_Value = str | int | bool | list[str] | None
_PATH_SAFE = "/?%:@!$&'()*+,;=~"


class Address:
    """The server at a URL, such as http://localhost:3000. Raises ValueError for an invalid one."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        wrong = f"{url!r} is not the address of a server"
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port
        except ValueError as error:
            raise ValueError(f"{wrong}: {error}") from error
        if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
            raise ValueError(f"{wrong}; an example is http://localhost:3000")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f"{wrong}: it has more than host, port and path")
        self._secure = parts.scheme == "https"
        self._host = host
        self._port = port or (443 if self._secure else 80)
        self._path = parts.path.rstrip("/")
        name = f"[{host}]" if ":" in host else host
        self.authority = name if port is None else f"{name}:{port}"
        """What the header `Host` holds."""

    def target(self, path: str, query: Query | None = None) -> str:
        """Return the target of a request to a path of the API."""
        given: dict[str, _Value] = {} if query is None else msgspec.to_builtins(query)
        values = {name: _texts(value) for name, value in given.items() if value is not None}
        target = quote(f"{self._path}/api{path}", safe=_PATH_SAFE)
        return f"{target}?{urlencode(values, doseq=True)}" if values else target

    async def connect(self) -> TcpStream:
        """Open a connection. Raises OSError, with the reason where the server's certificate is not accepted."""
        connection = await trio.open_tcp_stream(self._host, self._port)
        if not self._secure:
            return connection
        secure = trio.SSLStream(connection, self._certificates, server_hostname=self._host, https_compatible=True)
        try:
            await secure.do_handshake()
        except BaseException as error:
            await trio.aclose_forcefully(connection)
            if isinstance(error, trio.BrokenResourceError) and isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise
        return secure

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return ssl.create_default_context()  # once, because reading the certificates takes 20 ms


def _texts(value: _Value) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]
