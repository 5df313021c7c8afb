"""Sends webhook messages over HTTP, to public addresses and to the networks that the configuration allows.

The name is resolved once, all of its addresses are checked, and the connection goes to one of these, with the name in
`Host` and in TLS; a name that resolves to another address later has no effect. No redirect is followed, no proxy of the
environment is used, and only the status of the response is shown: otherwise a webhook could read from the server's own
network. http goes only to allowed networks, because every machine on the way could read it.
"""

import ssl
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

import trio

from fleet import __version__
from fleet.errors import Rejected
from fleet.limits import (
    WEBHOOK_ADDRESSES_MAX,
    WEBHOOK_CONNECT_TIMEOUT_S,
    WEBHOOK_RESPONSE_BYTES_MAX,
    WEBHOOK_TIMEOUT_S,
    WEBHOOK_URL_CHARS_MAX,
)
from fleet.ports import Clock, DeliveryAttempt

if TYPE_CHECKING:
    import httpx  # with what it imports itself, a thirtieth of a start: imported for the first webhook

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = IPv6Network("64:ff9b::/96")
_RELAYS: Final = IPv4Network("192.88.99.0/24")
"""Addresses of 6to4 (RFC 7526): a nearby relay receives such packets. Python treats them as public."""
_HINT: Final = "Allow the network with webhook_networks (FLEET_WEBHOOK_NETWORKS), or use a public https address."


class _Place(NamedTuple):
    """Where to connect: one of the checked addresses, and the name of the receiver."""

    url: SplitResult
    name: str
    port: int
    addresses: tuple[str, ...]


class HttpSender:
    """`WebhookSender` over httpx. `networks` are not public, but messages may be sent there."""

    def __init__(self, clock: Clock, networks: Iterable[Network] = ()) -> None:
        self._clock = clock
        self._networks = tuple(networks)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        import httpx

        return httpx.create_ssl_context()  # once, because reading the certificates takes 20 ms

    async def check(self, url: str) -> None:
        """See `WebhookSender`."""
        with trio.move_on_after(WEBHOOK_TIMEOUT_S):
            await self._locate(url)
            return
        raise _refused("its name could not be resolved in time")

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> DeliveryAttempt:
        """See `WebhookSender`."""
        began_s = trio.current_time()
        attempt = DeliveryAttempt(None, f"no response within {WEBHOOK_TIMEOUT_S:.0f} s", 0)
        with trio.move_on_after(WEBHOOK_TIMEOUT_S):
            try:
                attempt = await self._post(await self._locate(url), headers, body)
            except Rejected as rejected:
                attempt = DeliveryAttempt(None, rejected.detail, 0)
        took_ms = round((trio.current_time() - began_s) * 1000)
        return DeliveryAttempt(attempt.status, attempt.detail, took_ms, attempt.retry_after_s)

    # ------------------------------------------------------------------------------------------------------ addresses

    async def _locate(self, url: str) -> _Place:
        """Resolve the name and check every address. Raises `Rejected`."""
        parts, name, port = _parsed(url)
        addresses = await _look_up(name, port)
        for address in addresses:
            allowed = any(address in network for network in self._networks)
            if not (allowed or _is_public(address)):
                raise _refused(f"{name} is at {address}, which is not a public address", hint=_HINT)
            if parts.scheme == "http" and not allowed:
                raise _refused(f"{name} is at {address}: on the internet, messages are sent only by https", hint=_HINT)
        return _Place(parts, name, port, tuple(str(address) for address in addresses[:WEBHOOK_ADDRESSES_MAX]))

    # ------------------------------------------------------------------------------------------------------- sending

    async def _post(self, place: _Place, headers: Mapping[str, str], body: bytes) -> DeliveryAttempt:
        """Send the request to the first address that accepts a connection."""
        import httpx

        attempt = DeliveryAttempt(None, "no address", 0)
        timeout = httpx.Timeout(WEBHOOK_TIMEOUT_S, connect=WEBHOOK_CONNECT_TIMEOUT_S)
        for address in place.addresses:
            async with httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=timeout) as client:
                try:
                    return await self._exchange(client, _request(client, place, address, headers, body))
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    attempt = DeliveryAttempt(None, f"no connection: {_why(error)}", 0)
                except (httpx.HTTPError, httpx.StreamError) as error:
                    return DeliveryAttempt(None, f"no response: {_why(error)}", 0)
        return attempt

    async def _exchange(self, client: "httpx.AsyncClient", request: "httpx.Request") -> DeliveryAttempt:
        response = await client.send(request, stream=True, follow_redirects=False)
        try:
            await _drain(response)
        finally:
            with trio.CancelScope(shield=True):
                await response.aclose()
        detail = f"the receiver responded with {response.status_code}"
        return DeliveryAttempt(response.status_code, detail, 0, self._pause_s(response.headers.get("retry-after", "")))

    def _pause_s(self, retry_after: str) -> float:
        """Return the pause that the header requests: seconds, or a date (RFC 9110, 10.2.3); 0 for anything else."""
        if retry_after.isascii() and retry_after.isdecimal():
            return float(retry_after[:9])
        try:
            return max(0.0, parsedate_to_datetime(retry_after).timestamp() - self._clock.now_ms() / 1000)
        except (ValueError, OverflowError):
            return 0.0


def _parsed(url: str) -> tuple[SplitResult, str, int]:
    """Parse a URL; return its parts, host name and port. Raises `Rejected` if no message can be sent to it."""
    import httpx

    if len(url) > WEBHOOK_URL_CHARS_MAX or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise _refused(f"it must be a URL in ASCII of at most {WEBHOOK_URL_CHARS_MAX} characters")
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
        httpx.URL(url)  # httpx must accept it as well
    except (ValueError, httpx.InvalidURL):
        raise _refused("it is not a URL") from None
    if parts.scheme not in _PORTS or not name:
        raise _refused("it must begin with https:// and a host")
    if "@" in parts.netloc:
        raise _refused("it contains a user or password, which Fleet does not send: the signature proves the sender")
    if parts.fragment:
        raise _refused("it has a fragment (#…), which is never sent: remove it")
    return parts, name, _PORTS[parts.scheme] if port is None else port


async def _look_up(name: str, port: int) -> list[Address]:
    try:
        found = await trio.socket.getaddrinfo(name, port, type=trio.socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _refused(f"the host {name} does not exist") from None
    texts = dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)
    return [ip_address(text.partition("%")[0]) for text in texts]


def _is_public(address: Address) -> bool:
    """Return whether this address is public; for an IPv4 address inside an IPv6 address, whether that one is."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = IPv4Address(address.packed[-4:])
        if inner is not None:
            return _is_public(inner)
    if address in _RELAYS:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _request(
    client: "httpx.AsyncClient", place: _Place, address: str, headers: Mapping[str, str], body: bytes
) -> "httpx.Request":
    where = f"[{address}]" if ":" in address else address
    called = f"[{place.name}]" if ":" in place.name else place.name
    host = called if place.port == _PORTS[place.url.scheme] else f"{called}:{place.port}"
    url = place.url._replace(netloc=f"{where}:{place.port}").geturl()
    sent = {
        **headers,
        "Host": host,
        "Content-Type": "application/json",
        "User-Agent": f"Fleet/{__version__}",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    return client.build_request("POST", url, headers=sent, content=body, extensions={"sni_hostname": place.name})


async def _drain(response: "httpx.Response") -> None:
    """Read a response of known short length to its end, undecoded: some receivers report an error otherwise."""
    import httpx

    length = response.headers.get("content-length", "")
    if not (length.isdecimal() and int(length) <= WEBHOOK_RESPONSE_BYTES_MAX):
        return
    try:
        async for _ in response.aiter_raw():
            pass
    except httpx.HTTPError:
        return  # only the status matters, and it has been received


def _why(error: Exception) -> str:
    """Return the reason without the URL, whose path may be a secret."""
    import httpx

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException | trio.TooSlowError):
        return "it did not respond in time"
    return "the connection closed before the response"


def _refused(why: str, *, hint: str | None = None) -> Rejected:
    return Rejected("webhook_url_refused", why, field="url", hint=hint)
