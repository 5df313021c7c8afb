"""A Fleet without other hosts."""

from types import SimpleNamespace
from typing import cast

import pytest

from fleet.adapters.local_hosts import LocalHosts
from fleet.ports import LOCAL, Host
from tests.contracts.hosts_contract import HostsContract, World


class TestLocalHosts(HostsContract):
    @pytest.fixture
    def world(self) -> World:
        local = cast("Host", SimpleNamespace(name=LOCAL))
        return cast("World", SimpleNamespace(hosts=LocalHosts(local)))
