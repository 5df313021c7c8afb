"""What came back from a host that a workspace had left."""

import msgspec


class ReturnedItem(msgspec.Struct, rename="camel", kw_only=True):
    """Work that came back from a host, and the ref of the source that has it."""

    host: str
    ref: str
