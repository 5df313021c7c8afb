"""Sends webhook messages over HTTP, to public addresses and to the networks that the configuration allows.

Keeps: the name is looked up once, all of its addresses are checked, and the connection goes to one of these, with the
name in `Host` and in TLS; a name that answers with another address a moment later gains nothing. No redirect is
followed, no proxy of the environment used, and only the status of the response is shown: otherwise a webhook would be a
way to look into the network that Fleet stands in. http goes only to allowed networks, because every machine on the way
could read it.
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
"""Of 6to4 (RFC 7526): a relay nearby gets what is sent there. Python counts them as public."""
_HINT: Final = "allow the network with webhook_networks (FLEET_WEBHOOK_NETWORKS), or use a public https address"


class _Place(NamedTuple):
    """Where to connect: one of the checked addresses, and what the receiver is called."""

    url: SplitResult
    name: str
    port: int
    addresses: tuple[str, ...]


class HttpSender:
    """`Sender` over httpx. `networks` are those that messages may go to although they are not public."""

    def __init__(self, clock: Clock, networks: Iterable[Network] = ()) -> None:
        self._clock = clock
        self._networks = tuple(networks)

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        import httpx

        return httpx.create_ssl_context()  # reading the certificates takes 20 ms: once

    async def check(self, url: str) -> None:
        """See `Sender`."""
        with trio.move_on_after(WEBHOOK_TIMEOUT_S):
            await self._locate(url)
            return
        raise _refused("its name could not be looked up in time")

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> DeliveryAttempt:
        """See `Sender`."""
        began_s = trio.current_time()
        receipt = DeliveryAttempt(None, f"no answer within {WEBHOOK_TIMEOUT_S:.0f} s", 0)
        with trio.move_on_after(WEBHOOK_TIMEOUT_S):
            try:
                receipt = await self._post(await self._locate(url), headers, body)
            except Rejected as rejected:
                receipt = DeliveryAttempt(None, rejected.detail, 0)
        took_ms = round((trio.current_time() - began_s) * 1000)
        return DeliveryAttempt(receipt.status, receipt.detail, took_ms, receipt.retry_after_s)

    # ------------------------------------------------------------------------------------------------ where it may go

    async def _locate(self, url: str) -> _Place:
        """Look the name up and check every address. Raises `Rejected`."""
        parts, name, port = _parsed(url)
        addresses = await _look_up(name, port)
        for address in addresses:
            allowed = any(address in network for network in self._networks)
            if not (allowed or _is_public(address)):
                raise _refused(f"{name} is at {address}, which is not a public address", hint=_HINT)
            if parts.scheme == "http" and not allowed:
                raise _refused(f"{name} is at {address}: messages go over the internet by https alone", hint=_HINT)
        return _Place(parts, name, port, tuple(str(address) for address in addresses[:WEBHOOK_ADDRESSES_MAX]))

    # ------------------------------------------------------------------------------------------------------- sending

    async def _post(self, place: _Place, headers: Mapping[str, str], body: bytes) -> DeliveryAttempt:
        """Send it to the first address that can be connected to."""
        import httpx

        receipt = DeliveryAttempt(None, "no address", 0)
        timeout = httpx.Timeout(WEBHOOK_TIMEOUT_S, connect=WEBHOOK_CONNECT_TIMEOUT_S)
        for address in place.addresses:
            async with httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=timeout) as client:
                try:
                    return await self._exchange(client, _request(client, place, address, headers, body))
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    receipt = DeliveryAttempt(None, f"no connection: {_why(error)}", 0)
                except (httpx.HTTPError, httpx.StreamError) as error:
                    return DeliveryAttempt(None, f"no answer: {_why(error)}", 0)
        return receipt

    async def _exchange(self, client: "httpx.AsyncClient", request: "httpx.Request") -> DeliveryAttempt:
        response = await client.send(request, stream=True, follow_redirects=False)
        try:
            await _drain(response)
        finally:
            with trio.CancelScope(shield=True):
                await response.aclose()
        detail = f"the receiver answered {response.status_code}"
        return DeliveryAttempt(response.status_code, detail, 0, self._pause_s(response.headers.get("retry-after", "")))

    def _pause_s(self, retry_after: str) -> float:
        """Return what the header asks for: seconds, or a date (RFC 9110, 10.2.3); anything else is no wish."""
        if retry_after.isascii() and retry_after.isdecimal():
            return float(retry_after[:9])
        try:
            return max(0.0, parsedate_to_datetime(retry_after).timestamp() - self._clock.now_ms() / 1000)
        except (ValueError, OverflowError):
            return 0.0


def _parsed(url: str) -> tuple[SplitResult, str, int]:
    """Return the parts of a URL that a message can go to, its host name and its port. Raises `Rejected`."""
    import httpx

    if len(url) > WEBHOOK_URL_CHARS_MAX or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise _refused(f"it has to be a URL in ASCII of at most {WEBHOOK_URL_CHARS_MAX} characters")
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
        httpx.URL(url)  # who sends it has to understand it, too
    except (ValueError, httpx.InvalidURL):
        raise _refused("it is no URL") from None
    if parts.scheme not in _PORTS or not name:
        raise _refused("it has to begin with https:// and a host")
    if "@" in parts.netloc:
        raise _refused("it has a user or password in it, which Fleet does not send: the signature proves the sender")
    if parts.fragment:
        raise _refused("it has a fragment (#…), which is never sent")
    return parts, name, _PORTS[parts.scheme] if port is None else port


async def _look_up(name: str, port: int) -> list[Address]:
    try:
        found = await trio.socket.getaddrinfo(name, port, type=trio.socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _refused(f"there is no host {name}") from None
    texts = dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)
    return [ip_address(text.partition("%")[0]) for text in texts]


def _is_public(address: Address) -> bool:
    """Say whether this address is public; one inside of an IPv6 address counts as what it is."""
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
    """Read an answer that says that it is short to its end, undecoded, for receivers that complain otherwise."""
    import httpx

    length = response.headers.get("content-length", "")
    if not (length.isdecimal() and int(length) <= WEBHOOK_RESPONSE_BYTES_MAX):
        return
    try:
        async for _ in response.aiter_raw():
            pass
    except httpx.HTTPError:
        return  # the status has been received, and it is what counts


def _why(error: Exception) -> str:
    """Return the reason, which is never the address: its path may be a secret."""
    import httpx

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not good: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException | trio.TooSlowError):
        return "it did not answer in time"
    return "the connection ended before its answer"


def _refused(why: str, *, hint: str | None = None) -> Rejected:
    return Rejected("webhook_url_refused", why, field="url", hint=hint)
