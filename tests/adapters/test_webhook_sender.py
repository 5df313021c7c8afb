"""Messages go where they may, to the very address that was checked, and of the answer only the status comes back."""

import socket
import ssl
from collections.abc import Generator
from contextlib import ExitStack
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import trio
import trustme

from fleet.adapters import webhook_sender as module
from fleet.adapters.clock import SystemClock
from fleet.adapters.webhook_sender import HttpSender
from fleet.errors import Rejected
from fleet.ports import DeliveryAttempt
from tests.adapters.receiver import PATH, Receiver
from tests.contracts.webhooks_contract import HEADERS, SenderContract

LOOPBACK = ip_network("127.0.0.0/8")


class RealWorld:
    def __init__(self, stack: ExitStack) -> None:
        self.sender = HttpSender(SystemClock(), [LOOPBACK])
        self._stack = stack
        self._receiver = Receiver()

    def receiver(self, *meets: int | tuple[int, float] | str) -> str:
        if meets == ("absent",):
            with socket.create_server(("127.0.0.1", 0)) as taken:
                return f"http://127.0.0.1:{taken.getsockname()[1]}{PATH}"
        self._receiver = self._stack.enter_context(Receiver(*meets).listening())
        return self._receiver.url

    def got(self) -> list[tuple[dict[str, str], bytes]]:
        return self._receiver.got


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Generator[RealWorld]:
    monkeypatch.setattr(module, "WEBHOOK_TIMEOUT_S", 1.0)
    with ExitStack() as stack:
        yield RealWorld(stack)


class TestHttpSender(SenderContract):
    pass


class Names:
    """A name server of a test's own; each name answers with its lists of addresses in turn, the last without end."""

    def __init__(self, **names: list[list[str]]) -> None:
        self.names = {name.replace("_", "."): answers for name, answers in names.items()}
        self.asked: list[str] = []

    async def getaddrinfo(self, host: Any, port: Any, family: Any = 0, *more: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.asked.append(name)
        answers = self.names[name]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        kinds = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [(kind, socket.SOCK_STREAM, 6, "", (a, port)) for kind, a in zip(kinds, addresses, strict=True)]

    async def getnameinfo(self, *_: Any) -> Any:
        raise AssertionError


def know(**names: list[list[str]]) -> Names:
    """Answer look-ups in this run from these names."""
    found = Names(**names)
    trio.socket.set_custom_hostname_resolver(found)  # type: ignore[arg-type]  # a resolver by its methods
    return found


async def refusal(sender: HttpSender, url: str) -> Rejected:
    with pytest.raises(Rejected) as refused:
        await sender.check(url)
    return refused.value


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "192.0.0.1", "198.18.0.1", "240.0.0.1"),
        *("::", "::1", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
        *("2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    ],
)
async def test_no_private_address_is_reached_however_it_is_written(address: str) -> None:
    know(hooks_test=[[address]], mixed_test=[["93.184.215.14", address]])
    sender = HttpSender(SystemClock())
    literal = f"[{address}]" if ":" in address else address
    for url in ("https://hooks.test/x", "https://mixed.test/x", f"https://{literal}/x"):
        refused = await refusal(sender, url)
        assert "not a public address" in refused.detail
        assert "webhook_networks" in str(refused.hint)
    receipt = await sender.send("https://hooks.test/x", HEADERS, b"{}")
    assert receipt.status is None
    assert "not a public address" in receipt.detail


@pytest.mark.parametrize("written", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "127.0.0.1."])
async def test_this_machine_is_not_reached_by_another_spelling(written: str) -> None:
    await refusal(HttpSender(SystemClock()), f"https://{written}/x")


async def test_public_addresses_are_reached_only_by_https() -> None:
    know(hooks_test=[["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]])
    sender = HttpSender(SystemClock())
    await sender.check("https://hooks.test/x")
    assert "only by https" in (await refusal(sender, "http://hooks.test/x")).detail


async def test_an_unknown_name_is_refused() -> None:
    assert "does not exist" in (await refusal(HttpSender(SystemClock()), "https://nowhere.invalid/x")).detail


@pytest.mark.parametrize("url", ["https://a b/", "https://hooks.test:99999/", "https://[::1/", "https://ü.test/", "x"])
async def test_invalid_url_is_refused(url: str) -> None:
    await refusal(HttpSender(SystemClock()), url)


async def test_only_configured_networks_are_allowed() -> None:
    know(near_test=[["10.1.2.3"]], far_test=[["10.2.0.1"]])
    sender = HttpSender(SystemClock(), [ip_network("10.1.0.0/16")])
    await sender.check("http://near.test/x")
    await refusal(sender, "http://far.test/x")


async def test_name_is_resolved_once_and_the_checked_address_is_used() -> None:
    """A name that changes its mind between check and connection (DNS rebinding) gains nothing."""
    with Receiver().listening() as receiver:
        names = know(hooks_test=[["127.0.0.1"], ["10.0.0.1"]])
        sender = HttpSender(SystemClock(), [LOOPBACK])
        url = f"http://hooks.test:{receiver.port}{PATH}"
        assert (await sender.send(url, HEADERS, b"{}")).status == 200
        assert names.asked == ["hooks.test"]
        assert receiver.got[0][0]["host"] == f"hooks.test:{receiver.port}"
        assert receiver.paths == [PATH]
        second = await sender.send(url, HEADERS, b"{}")
        assert (second.status, len(receiver.got)) == (None, 1)


async def test_next_address_is_tried_when_one_does_not_respond() -> None:
    with Receiver().listening() as receiver:
        know(hooks_test=[["127.0.0.2", "127.0.0.1"]])  # the receiver listens on the second
        sender = HttpSender(SystemClock(), [LOOPBACK])
        assert (await sender.send(f"http://hooks.test:{receiver.port}/", HEADERS, b"{}")).status == 200


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """An authority that the sender trusts."""
    authority = trustme.CA()

    def trusting() -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        return context

    monkeypatch.setattr("httpx.create_ssl_context", trusting)
    return authority


async def secure(authority: trustme.CA, named: str) -> tuple[DeliveryAttempt, int]:
    """Send to https://hooks.test, whose receiver has a certificate for `named`."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(named).configure_cert(trust)
    asked: list[str | None] = []
    trust.sni_callback = lambda _socket, name, _context: asked.append(name)
    with Receiver().listening(trust) as receiver:
        know(hooks_test=[["127.0.0.1"]])
        sender = HttpSender(SystemClock(), [LOOPBACK])
        receipt = await sender.send(f"https://hooks.test:{receiver.port}/", HEADERS, b"{}")
        assert asked == ["hooks.test"]
        return receipt, len(receiver.got)


async def test_the_certificate_has_to_be_for_the_name(authority: trustme.CA) -> None:
    receipt, arrived = await secure(authority, "hooks.test")
    assert (receipt.status, arrived) == (200, 1)


async def test_a_certificate_for_another_name_is_refused(authority: trustme.CA) -> None:
    receipt, arrived = await secure(authority, "other.test")
    assert (receipt.status, arrived) == (None, 0)
    assert "certificate" in receipt.detail


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with Receiver().listening() as receiver:
        sender = HttpSender(SystemClock(), [LOOPBACK])
        assert (await sender.send(receiver.url, HEADERS, b"{}")).status == 200


async def test_huge_response_is_not_read() -> None:
    receiver = Receiver()
    receiver.answer = b"x" * 50_000_000
    with receiver.listening():
        receipt = await HttpSender(SystemClock(), [LOOPBACK]).send(receiver.url, HEADERS, b"{}")
        assert receipt.status == 200
    assert await trio.to_thread.run_sync(receiver.cut_off.wait, 60)


def test_addresses_inside_addresses_are_checked() -> None:
    public = module._is_public  # pyright: ignore[reportPrivateUsage] - a table of addresses needs no sockets
    assert public(ip_address("::ffff:93.184.215.14"))
    assert public(ip_address("64:ff9b::5db8:d70e"))
    assert not public(ip_address("64:ff9b::a00:1"))


def test_a_relay_into_other_networks_is_not_public() -> None:
    public = module._is_public  # pyright: ignore[reportPrivateUsage] - the same
    assert not any(public(ip_address(text)) for text in ("192.88.99.0", "192.88.99.1", "::ffff:192.88.99.255"))
    assert public(ip_address("192.88.98.255"))
    assert public(ip_address("192.88.100.0"))
