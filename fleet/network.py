"""Hosts, ports and URLs of servers, with one meaning of "loopback" for server, guard and commands."""

import socket
from functools import lru_cache
from ipaddress import ip_address

from fleet.limits import LOOPBACK_ANSWERS_CACHED


@lru_cache(LOOPBACK_ANSWERS_CACHED)
def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def family_of(host: str) -> socket.AddressFamily:
    """Return the address family to listen in; a name is resolved to IPv4."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def base_url(host: str, port: int) -> str:
    """Return the URL of a server; an IPv6 address is in brackets (RFC 3986)."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listens(pid: int, port: int) -> bool | None:
    """Return whether the process listens on the port, None if the system does not show it."""
    import psutil

    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except (psutil.Error, OSError):
        return None
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections)
