"""What the log records about a server itself: its version, its configuration as a digest, and its tokens' names."""

import hashlib

import msgspec

from fleet import __version__
from fleet.actors.upkeep.server_records import ServerFacts
from fleet.adapters.clock import SystemClock
from fleet.adapters.ids import SystemIds
from fleet.config import Config
from fleet.gateway.server.tokens import TokenFile, known_tokens


def facts_of(config: Config, tokens: TokenFile) -> ServerFacts:
    """Return the facts of a server that starts with this configuration."""
    run_id = SystemIds(SystemClock()).uuid7()
    return ServerFacts(run_id, __version__, digest_of(config), lambda: known_tokens(tokens.read()))


def digest_of(config: Config) -> str:
    """Return a digest by which two configurations can be compared, without their values."""
    return hashlib.sha256(msgspec.json.encode(config, enc_hook=str)).hexdigest()
