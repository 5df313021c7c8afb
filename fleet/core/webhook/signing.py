"""Signs messages as Standard Webhooks does (symmetric, `v1`), so that its libraries verify them.

The signature is HMAC-SHA256 over `<id>.<timestamp>.<body>`; the key is what the secret holds in base64.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - a prefix, not a secret
KEY_BYTES_MIN: Final = 24  # the specification's bounds
KEY_BYTES_MAX: Final = 64


def secret_of(key: bytes) -> str:
    """Return the key as a secret in the standard's text form."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def key_of(secret: str) -> bytes:
    """Return the key in the secret. Raises ValueError, whose text does not contain the secret, if it is malformed."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not (secret.startswith(SECRET_PREFIX) and KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX):
        raise ValueError(f"a secret is {SECRET_PREFIX} and {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes in base64")
    return key


def signed(secret: str, message_id: str, timestamp_s: int, body: bytes) -> Mapping[str, str]:
    """Return the headers of a message: its id, the time of this attempt, the signature over both and the body."""
    text = f"{message_id}.{timestamp_s}.".encode() + body
    signature = base64.b64encode(hmac.new(key_of(secret), text, hashlib.sha256).digest()).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp_s), "webhook-signature": f"v1,{signature}"}
