"""The signing key of a data directory: it signs heads of the log, and its seal key binds disposable data to the log.

A head is where the log ends: position and digest of the last record, and the time. The digests are chained, so one
signed head vouches for every event up to it. Who has `signing.key` can sign another history; a head that was stored
elsewhere before reveals that.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from fleet.errors import StartupError
from fleet.events.disk import remedy
from fleet.events.seals import Sealer
from fleet.private_files import write_private
from fleet.wire.audit import SignedHead

KEY_FILE: Final = "signing.key"
PUBLIC_FILE: Final = "signing.pub"


class SigningKey:
    """An Ed25519 key, made from 32 random bytes.

    `public` is the public key in hex, as heads name it. `sealer` has a key that is derived from the private one. A key
    that `is_new` can have signed nothing before.
    """

    def __init__(self, seed: bytes, *, is_new: bool = False) -> None:
        self.is_new = is_new
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: str = self._private.public_key().public_bytes_raw().hex()
        self.sealer = Sealer(hashlib.blake2b(seed, digest_size=32, person=b"fleet seals").digest())

    def sign(self, position: int, digest: bytes, at_ms: int) -> SignedHead:
        """Return the signed head. May be called in any thread; takes 20 µs."""
        signature = self._private.sign(_text(position, digest.hex(), at_ms))
        return SignedHead(
            position=position, digest=digest.hex(), signed_at_ms=at_ms, key=self.public, signature=signature.hex()
        )


def is_signed(head: SignedHead) -> bool:
    """Return whether the head was signed by the key that it names."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(head.key))
        key.verify(bytes.fromhex(head.signature), _text(head.position, head.digest, head.signed_at_ms))
    except (InvalidSignature, ValueError):
        return False
    return True


def _text(position: int, digest: str, at_ms: int) -> bytes:
    """Return the signed text. A change of it makes all earlier signatures invalid."""
    return f"fleet log head\nposition {position}\ndigest {digest}\nsigned at {at_ms} ms\n".encode()


def open_key(directory: Path) -> SigningKey:
    """Return the key of a data directory, which is locked; make it at the first start. Raises `StartupError`."""
    file = directory / KEY_FILE
    try:
        private = load_pem_private_key(file.read_bytes(), None)
    except FileNotFoundError:
        key = SigningKey(os.urandom(32), is_new=True)
        _write(file, key._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(file, error) from error
    else:
        if not isinstance(private, Ed25519PrivateKey):
            raise _unreadable(file, "it is not an Ed25519 key")
        key = SigningKey(private.private_bytes_raw())
    if read_public_key(directory) != key.public:
        pem = key._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _write(directory / PUBLIC_FILE, pem)
    return key


def _write(file: Path, pem: bytes) -> None:
    try:
        write_private(file, pem, durable=True)
    except OSError as error:
        advice = remedy(error, "make the directory writable for this user.")
        raise StartupError(f"{file} cannot be written ({error.strerror}): {advice}") from error


def read_key(directory: Path) -> SigningKey | None:
    """Return the key of a data directory, None where it cannot be read. Needs no lock, and writes nothing."""
    try:
        private = load_pem_private_key((directory / KEY_FILE).read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None
    return SigningKey(private.private_bytes_raw()) if isinstance(private, Ed25519PrivateKey) else None


def read_public_key(directory: Path) -> str | None:
    """Return the public key of a data directory in hex, None where it cannot be read. Needs no lock."""
    try:
        public = load_pem_public_key((directory / PUBLIC_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return public.public_bytes_raw().hex() if isinstance(public, Ed25519PublicKey) else None


def _unreadable(file: Path, why: object) -> StartupError:
    return StartupError(
        f"The log's signing key {file} cannot be read ({why}): restore it from a backup. Without it, move it away: the "
        "next start makes a new one, and verification then reports that the log was signed by another key."
    )
