"""Verifies this evidence pack with Python 3.8 or newer alone: no other package, no Fleet, no network.

    python3 verify.py            from inside the pack, or with its folder as the argument

It proves, in this order: the chain of digests over every line of events.jsonl; that the events of the session are byte
for byte what was recorded; that the last digest was signed by the public key in proof.json (Ed25519, RFC 8032); and
that prompts, decisions, commands and changed files in pack.json are those of the events, and none is left out.
VERIFY.md explains each step.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

HEADER_FIELDS = (
    "type",
    "schema",
    "position",
    "stream",
    "version",
    "recordedAtMs",
    "actor",
    "causationId",
    "correlationId",
    "commandId",
    "commandDigest",
    "payloadDigest",
    "previousDigest",
)


class Wrong(Exception):
    """What is wrong with the pack, as a sentence."""


def unpack_header(raw: bytes) -> Dict[str, Any]:
    """Return the fields of a header: a MessagePack array of texts, whole numbers, bytes and nil."""
    values: List[Any] = []
    at = 1
    count = raw[0] & 0x0F
    if raw[0] & 0xF0 != 0x90:
        if raw[0] != 0xDC:
            raise Wrong("a header is not a MessagePack array")
        count, at = int.from_bytes(raw[1:3], "big"), 3
    for _ in range(count):
        value, at = unpack_value(raw, at)
        values.append(value)
    if at != len(raw) or len(values) < len(HEADER_FIELDS):
        raise Wrong("a header does not have the fields that it should have")
    return dict(zip(HEADER_FIELDS, values))


def unpack_value(raw: bytes, at: int) -> Tuple[Any, int]:
    """Return the MessagePack value at this place, and where the next one is."""
    sign, at = raw[at], at + 1
    if sign <= 0x7F:
        return sign, at
    if sign == 0xC0:
        return None, at
    if 0xCC <= sign <= 0xCF:
        size = 1 << (sign - 0xCC)
        return int.from_bytes(raw[at : at + size], "big"), at + size
    if 0xA0 <= sign <= 0xBF:
        size = sign & 0x1F
        return raw[at : at + size].decode(), at + size
    for first, text in ((0xD9, True), (0xC4, False)):
        if first <= sign <= first + 2:
            width = 1 << (sign - first)
            size = int.from_bytes(raw[at : at + width], "big")
            at += width
            value = raw[at : at + size]
            return (value.decode() if text else value), at + size
    raise Wrong("a header has a value of an unexpected kind")


def data_of(line: str) -> bytes:
    """Return the bytes of `data` as they are in the line: what was recorded."""
    start = line.index(',"data":') + len(',"data":')  # no text before can hold these signs: its quotes are escaped
    _, end = json.JSONDecoder().raw_decode(line, start)
    return line[start:end].encode()


def verify_chain(file: Path, stream: str) -> Tuple[int, int, bytes, Dict[int, Dict[str, Any]]]:
    """Return the first and last position, the last digest, and the session's own events by position."""
    first = last = version = 0
    digest = bytes(32)
    own: Dict[int, Dict[str, Any]] = {}
    with file.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            fields = json.loads(line)
            raw = base64.b64decode(fields["header"], validate=True)
            header = unpack_header(raw)
            position = header["position"]
            if last and position != last + 1:
                raise Wrong(f"event {position} follows event {last}")
            if (last or position == 1) and header["previousDigest"] != digest:
                raise Wrong(f"the digest before event {position} does not match: one of the two was changed")
            if fields["position"] != position:
                raise Wrong(f"the line of event {position} says that it is event {fields['position']}")
            if header["stream"] == stream:
                version += 1
                if header["version"] != version or "salt" not in fields:
                    raise Wrong(f"event {position} or an earlier one of the session was taken out")
                own[position] = verify_event(line, fields, header)
            elif "salt" in fields:
                raise Wrong(f"event {position} is not of this session")
            first, last, digest = first or position, position, hashlib.sha256(raw).digest()
    verify_replaced(own)
    return first, last, digest, own


def verify_event(line: str, fields: Dict[str, Any], header: Dict[str, Any]) -> Dict[str, Any]:
    """Prove that an event is what was recorded, and return it: its header, and the data that the digest covers."""
    position = header["position"]
    for name in HEADER_FIELDS:
        if name in fields and fields[name] != header[name]:
            raise Wrong(f"{name} of event {position} was changed: the header says {header[name]!r}")
    salt = base64.b64decode(fields["salt"], validate=True)
    data = data_of(line)
    if fields.get("replaced") and not salt:  # verify_replaced proves it
        return {**header, "data": json.loads(data), "replaced": fields["replaced"]}
    if hashlib.sha256(salt + data).digest() != header["payloadDigest"]:
        raise Wrong(f"the data of event {position} was changed")
    return {**header, "data": json.loads(data)}  # a line could have a second `data`


def verify_replaced(own: Dict[int, Dict[str, Any]]) -> None:
    """Prove that a later event of the session orders each text that was replaced, because a child was erased."""
    for position, event in own.items():
        order = own.get(event.get("replaced", 0))
        if "replaced" not in event:
            continue
        if order is None or order["type"] != "session.callbacks-erased" or event["replaced"] <= position:
            raise Wrong(f"the data of event {position} was replaced, and no later event orders that")
        ordered = {each["position"]: each["payload"] for each in order["data"]["replaced"]}
        if position not in ordered or json.dumps(ordered[position]) != json.dumps(event["data"]):  # True equals 1
            raise Wrong(f"the data of event {position} was replaced by other data than a later event orders")


# ------------------------------------------------------------------------------------------------------------ signature
# Ed25519 (RFC 8032) over the field of P: a point is (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z.

Point = Tuple[int, int, int, int]
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def add(one: Point, two: Point) -> Point:
    """Return the sum of two points."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a = (y1 - x1) * (y2 - x2) % P
    b = (y1 + x1) * (y2 + x2) % P
    c = 2 * t1 * t2 * D % P
    d = 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    """Return the point, so many times added to itself."""
    total = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, point)
        point = add(point, point)
        number >>= 1
    return total


def point_of(raw: bytes) -> Point:
    """Return the point that these 32 bytes name."""
    number = int.from_bytes(raw, "little")
    odd, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if y >= P or (x * x - square) % P or (x == 0 and odd):
        raise Wrong("the key or the signature is no point of the curve")
    if x & 1 != odd:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(key: bytes, text: bytes, signature: bytes) -> bool:
    """Return whether the holder of this key signed the text."""
    if len(key) != 32 or len(signature) != 64:
        return False
    number = int.from_bytes(signature[32:], "little")
    if number >= ORDER:
        return False
    hashed = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % ORDER
    x1, y1, z1, _ = times(number, BASE)
    x2, y2, z2, _ = add(point_of(signature[:32]), times(hashed, point_of(key)))
    return (x1 * z2 - x2 * z1) % P == 0 and (y1 * z2 - y2 * z1) % P == 0


def verify_signature(proof: Dict[str, Any], last: int, digest: bytes) -> Optional[str]:
    """Prove that the last digest was signed. Returns the key, None for a pack that has no signature."""
    head = proof["head"]
    if head is None:
        return None
    if (head["position"], head["digest"]) != (last, digest.hex()):
        raise Wrong(f"the signature is for event {head['position']}, the last event is {last}")
    text = f"fleet log head\nposition {last}\ndigest {digest.hex()}\nsigned at {head['signedAtMs']} ms\n"
    if not is_signed(bytes.fromhex(head["key"]), text.encode(), bytes.fromhex(head["signature"])):
        raise Wrong(f"the signature is not by the key {head['key']}")
    return str(head["key"])


# ------------------------------------------------------------------------------------------------------------- contents


def verify_decision(decision: Dict[str, Any], event: Callable[..., Any], same: Callable[..., None]) -> None:
    """Prove that a decision is that of its events."""
    found = event(decision["position"], "session.request-opened")
    same("the request is", found["position"], decision["requestId"], found["data"]["request_id"])
    body = found["data"]["body"]
    if decision["permission"] or decision["patterns"]:  # else the body could not be read
        permission = body.get("permission") or body.get("type", "")
        same("the permission is", found["position"], decision["permission"], permission)
        same("it is asked for", found["position"], decision["patterns"], body.get("patterns", []))
    if decision["by"] is not None:
        found = event(decision["by"]["position"], "session.request-answered")
        same("the request is", found["position"], decision["requestId"], found["data"]["request_id"])
        answer = found["data"]["answer"]["reply"]
        same("the decision is", found["position"], decision["decision"], answer)
        actor = found["data"].get("actor") or found["actor"]
        same("the decision is by", found["position"], decision["by"]["actor"], actor)


def verify_document(document: Dict[str, Any], own: Dict[int, Dict[str, Any]], folder: Path) -> int:
    """Prove that the facts of pack.json are those of the events. Returns how many were compared."""
    compared = 0

    def event(position: int, kind: str) -> Dict[str, Any]:
        found = own.get(position)
        if found is None or found["type"] != kind:
            raise Wrong(f"pack.json names event {position} as a {kind}, which it is not")
        return found

    def same(what: str, position: int, claimed: Any, recorded: Any) -> None:
        if claimed != recorded:
            raise Wrong(f"pack.json says {what} {claimed!r}, event {position} says {recorded!r}")

    verify_complete(document, own)
    for prompt in document["prompts"]:
        found = event(prompt["by"]["position"], "session.prompt-accepted")
        same("the prompt", found["position"], prompt["text"], found["data"]["text"])
        same("the prompt is by", found["position"], prompt["by"]["actor"], found["actor"])
        compared += 1
    for decision in document["decisions"]:
        verify_decision(decision, event, same)
        compared += 1
    for call in document["calls"]:
        found = event(call["position"], "session.part-recorded")
        body = found["data"]["body"]
        same("the tool is", found["position"], call["tool"], body.get("tool", ""))
        if call["command"] is not None:
            state = body.get("state", {})
            same("the command is", found["position"], call["command"], state.get("input", {}).get("command", ""))
            same("the exit code is", found["position"], call["exitCode"], state.get("metadata", {}).get("exit"))
        compared += 1
    changes = document["changes"]
    if changes["position"] is not None:
        found = event(changes["position"], "session.changes-recorded")
        name = found["data"]["session_manifest"]
        same("the list of changed files is", found["position"], changes["manifestSha256"], name)
        file = folder / "manifest.json"
        if not file.exists():  # a pack of an export, which has no contents
            same("the changed files are", found["position"], changes["files"], [])
            return compared
        manifest = file.read_bytes()
        if hashlib.sha256(manifest).hexdigest() != name:
            raise Wrong("manifest.json was changed")
        listed = [(each["file"], each["before"], each["after"]) for each in json.loads(manifest)["files"]]
        claimed = [(each["file"], each["beforeSha256"], each["afterSha256"]) for each in changes["files"]]
        same("the changed files are", found["position"], claimed, listed)
        compared += 1
    return compared


def is_call(body: Dict[str, Any]) -> bool:
    """Return whether a part is a tool call that can be read: pack.json has no others."""
    if body.get("type") != "tool":
        return False
    state: Any = body.get("state", {})
    return isinstance(state, dict) and all(isinstance(state.get(name, {}), dict) for name in ("input", "metadata"))


def verify_complete(document: Dict[str, Any], own: Dict[int, Dict[str, Any]]) -> None:
    """Prove that pack.json leaves out no prompt, decision, tool call or change. A later event replaces an earlier.

    What a fork has copied is in the pack of its origin.
    """
    prompts: Dict[str, int] = {}
    asked: Dict[str, int] = {}
    answered: Dict[str, Optional[int]] = {}
    calls: Dict[str, int] = {}
    changes = None
    for position, found in own.items():
        kind, data = found["type"], found["data"]
        if kind == "session.prompt-accepted":
            prompts[data["prompt_id"]] = position
        elif kind == "session.request-opened" and data["kind"] == "permission":
            asked[data["request_id"]], answered[data["request_id"]] = position, None
        elif kind == "session.request-answered" and data["request_id"] in answered:
            answered[data["request_id"]] = position
        elif kind == "session.part-recorded" and not data.get("copied") and is_call(data["body"]):
            calls[data["part_id"]] = position
        elif kind == "session.changes-recorded":
            changes = position
    decisions = document["decisions"]
    for what, claimed, recorded in (
        ("prompts", [each["by"]["position"] for each in document["prompts"]], prompts.values()),
        ("decisions", [each["position"] for each in decisions], asked.values()),
        ("answers", [each["by"]["position"] for each in decisions if each["by"]], filter(None, answered.values())),
        ("tool calls", [each["position"] for each in document["calls"]], calls.values()),
        ("changes", [document["changes"]["position"] or 0], [changes or 0]),
    ):
        if sorted(claimed) != sorted(recorded):
            raise Wrong(f"pack.json does not have the {what} of the events, each of them once")


def verify(folder: Path) -> None:
    """Print what was proved. Raises Wrong."""
    document = json.loads((folder / "pack.json").read_text("utf-8"))
    first, last, digest, own = verify_chain(folder / "events.jsonl", f"session-{document['sessionId']}")
    if not own:
        raise Wrong("events.jsonl has no event of the session")
    print(f"The chain is intact: events {first} to {last}, {len(own)} of them of this session.")
    proof = json.loads((folder / "proof.json").read_text("utf-8"))
    key = verify_signature(proof, last, digest)
    if key is None:
        print(f"There is no signature: compare the digest {digest.hex()} with one that you trust.")
    else:
        print(f"The last digest is signed by the key {key}.")
        print("Compare this key with one that you got in another way: who made the pack could have made the key.")
    compared = verify_document(document, own, folder)
    print(f"pack.json agrees with the events in {compared} places.")


def main() -> int:
    """Verify the pack; return the exit code."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    try:
        verify(folder)
    except Wrong as error:
        print(f"WRONG: {error}.")
        return 1
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        print(f"WRONG: the pack cannot be read ({type(error).__name__}: {error}).")
        return 1
    print("Everything that can be verified here is right.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
