#!/usr/bin/env python3
"""Verifies Holdfast releases from docs/release-format.md and docs/texts.md alone, and says what they permit.

    release.py --key KEY [--key KEY ...] [--operator NAME=KEY ...] [--passkeys RP_ID=ORIGIN ...] [--at TIME] RELEASE ...

KEY is an Ed25519 public key in base64url: Holdfast's release keys, and the operators'; an operator's may also be
passkey:HEX, and then --passkeys says for which relying party and on which pages passkeys sign. With --at (2026-11-22T12:00:30Z)
a release must permit something at that instant. Ends 0 if all are good, 1 if one is refused, 2 if it cannot tell.

Of a customer's assertion it checks that it is over exactly the text beside it; whose key made it, a signer knows from its
own registry (holdfast-signer assertion check verifies the signature itself). Of a mandate it checks that it permits the
withdrawal, and that the API key is the one that it names; not the request, whose dialect it does not know.
"""

import argparse
import base64
import datetime
import decimal
import hashlib
import json
import pathlib
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

AAD = b"holdfast/release/v1"


class Text(int):
    """The shape of a text of at most so many bytes."""


class Either:
    """A byte string of so many bytes, or a map of this shape."""

    def __init__(self, size, shape):
        self.size, self.shape = size, shape


PASSKEY = {
    "passkey": range(1, 1101), "client_data": range(1, 1025), "authenticator_data": range(1, 513),
    "signature": range(1, 1025),
}
SIGNATURE = {"operator": str, "signature": Either(64, PASSKEY)}
ACT = {"text": str, "signatures": [SIGNATURE, 16]}
ASSERTION = {
    "credential_id": range(1, 1024), "client_data": range(1, 4097), "authenticator_data": range(1, 4097),
    "signature": range(1, 1025),
}
REQUEST = {
    "dialect": Text(32), "method": Text(256), "path": Text(256), "query": range(8193), "body": range(65537),
    "headers": [{"name": Text(256), "value": Text(8192)}, 100],
}
MANDATE = {"text": str, "assertion": ASSERTION, "key": range(1, 2049), "request": REQUEST}
PAYMENT = {"intent": str, "approvals": [ACT, 16], "assertion": (ASSERTION, None), "mandate": (MANDATE, None)}
RELEASE = {
    "id": str, "exchange": str, "audience": str, "epoch": int, "sequence": int, "head": 32, "policy": 32,
    "simulated": bool, "not_before": int, "expires": int, "network": str, "wallet": str, "transaction": 32,
    "receipts_seen": int, "payments": [PAYMENT, 1000], "transfer": (ACT, None), "epochs": [ACT, 64],
}


class Refused(Exception):
    """The release is not one that a signer may act on."""


class Fields(dict):
    """The lines of a signed text."""

    def __missing__(self, name):
        raise Refused(f"a signed text lacks the line {name}")


def require(condition, reason):
    if not condition:
        raise Refused(reason)


def take(data, at, count):
    require(at + count <= len(data), "the bytes end early")
    return data[at : at + count], at + count


def head(data, at):
    """The major type and the number of the item at this place, and where it goes on. Only the shortest form is read."""
    (first,), at = take(data, at, 1)
    major, number = first >> 5, first & 31
    if major < 7 and number >= 24:
        require(number < 28, "CBOR of indefinite length, or with reserved bits")
        size = 1 << (number - 24)
        digits, at = take(data, at, size)
        number = int.from_bytes(digits, "big")
        require(number >= (24 if size == 1 else 1 << (4 * size)), "a number in more bytes than it needs")
    return major, number, at


def read(data, at, shape, where):
    """The value of this shape (as in RELEASE; a number or range means so many bytes) at this place, and where it ends."""
    most = 4096
    if isinstance(shape, Text):
        shape, most = str, int(shape)
    if isinstance(shape, tuple):
        return (None, at + 1) if data[at : at + 1] == b"\xf6" else read(data, at, shape[0], where)
    if isinstance(shape, Either):
        shape = shape.shape if data[at : at + 1] >= b"\xa0" else shape.size
    major, number, at = head(data, at)
    wanted = 5 if isinstance(shape, dict) else 4 if isinstance(shape, list) else {int: 0, str: 3, bool: 7}.get(shape, 2)
    require(major == wanted, f"{where}: another type of value belongs here")
    if isinstance(shape, dict):
        require(number == len(shape), f"{where}: there must be {len(shape)} keys, not {number}")
        value = {}
        for key, (name, inner) in enumerate(shape.items(), start=1):
            found, at = read(data, at, int, where)
            require(found == key, f"{where}: key {key} must stand here, not {found}")
            value[name], at = read(data, at, inner, name)
        return value, at
    if isinstance(shape, list):
        require(number <= shape[1], f"{where}: more than {shape[1]}")
        values = []
        for _ in range(number):
            value, at = read(data, at, shape[0], where)
            values.append(value)
        return values, at
    if shape is bool:
        require(number in (20, 21), f"{where}: neither true nor false")
        return number == 21, at
    if shape is int:
        require(number < 1 << 63, f"{where}: over 2^63 - 1")
        return number, at
    content, at = take(data, at, number)
    if shape is str:
        require(number <= most, f"{where}: longer than {most} bytes")
        try:
            return content.decode("utf-8"), at
        except UnicodeDecodeError:
            raise Refused(f"{where}: not UTF-8") from None
    if isinstance(shape, range):
        require(number in shape, f"{where}: there must be {shape.start} to {shape.stop - 1} bytes")
    else:
        require(shape is bytes or number == shape, f"{where}: there must be {shape} bytes")
    return content, at


def check_signature(key, signature, message, what):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        raise Refused(f"the signature of {what} is not over these bytes") from None


def check_passkey(digest, by, message, parties, what):
    """Refuses what is not the word of the passkey with this digest over exactly these 32 bytes, its owner verified."""
    key, data = by["passkey"], by["authenticator_data"]
    require(hashlib.sha256(key).digest() == digest, f"the passkey is not the one of {what}")
    origin = check_client_data(by["client_data"], message)
    require(len(data) >= 37, f"the passkey's data of {what} end early")
    rp_ids = [rp_id for rp_id, pages in parties.items() if origin in pages]
    known = any(hashlib.sha256(rp_id.encode()).digest() == data[:32] for rp_id in rp_ids)
    require(known, f"{what} signed on a page, or for a party, that is not given")
    require(data[32] & 0x45 == 0x05, f"the passkey of {what} did not verify its owner")
    signed = data + hashlib.sha256(by["client_data"]).digest()
    try:
        if len(key) == 77 and key[:10] + key[42:45] == bytes.fromhex("a5010203262001215820" + "225820"):
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + key[10:42] + key[45:])
            point.verify(by["signature"], signed, ec.ECDSA(hashes.SHA256()))
        elif len(key) == 42 and key[:10] == bytes.fromhex("a4010103272006215820"):
            Ed25519PublicKey.from_public_bytes(key[10:]).verify(by["signature"], signed)
        else:
            raise Refused(f"the passkey of {what} is of an algorithm that is not known here")
    except (InvalidSignature, ValueError):
        raise Refused(f"the signature of {what} is not over these bytes") from None


def byte_string(content):
    """Encodes a byte string."""
    for size, code in ((1, 0x58), (2, 0x59), (4, 0x5A)):
        if len(content) < 1 << (8 * size):
            break
    start = bytes([0x40 + len(content)]) if len(content) < 24 else bytes([code]) + len(content).to_bytes(size, "big")
    return start + content


def open_envelope(data, keys):
    """Returns the payload, if one of the keys signed it as a release."""
    require(len(data) <= (8 << 20) + 256, "larger than 8 MiB")
    require(data[:2] == b"\xd2\x84", "not a tagged COSE_Sign1 of four parts")
    protected, at = read(data, 2, bytes, "protected header")
    require(data[at : at + 1] == b"\xa0", "the unprotected header is not empty")
    payload, at = read(data, at + 1, bytes, "payload")
    signature, at = read(data, at, 64, "signature")
    require(at == len(data), "bytes follow the envelope")
    for key in keys:
        if protected == b"\xa2\x01\x27\x04\x48" + hashlib.sha256(key).digest()[:8]:
            signed = b"\x84\x6aSignature1" + b"".join(map(byte_string, (protected, AAD, payload)))
            check_signature(key, signature, signed, "the release")
            return payload
    raise Refused("the protected header is not {1: -8, 4: the id of a key given here}")


def read_text(text, header):
    """The fields of a signed text."""
    lines = text.split("\n")
    require(lines[0] == header and lines[-1] == "", f"not a {header} text")
    require(all(" " <= letter <= "~" for line in lines for letter in line), f"a {header} text is not plain ASCII")
    fields = [line.partition(": ") for line in lines[1:-1]]
    require(all(name and value for name, _, value in fields), f"a line of the {header} text is no field")
    require(len({name for name, _, _ in fields}) == len(fields), f"a field of the {header} text stands twice")
    return Fields((name, value) for name, _, value in fields)


def read_act(act, header, known):
    """The fields of an act's text and the operators who signed it, each name and each key once."""
    operators, parties = known
    signers = {}
    for signature in act["signatures"]:
        name = signature["operator"]
        require(name in operators, f"no key is given for operator {name}")
        digest = hashlib.sha256(act["text"].encode()).digest()
        (kind, key), proof = operators[name], signature["signature"]
        require(isinstance(proof, dict) == (kind == "passkey"), f"operator {name} has a key of the other kind")
        if kind == "passkey":
            check_passkey(key, proof, digest, parties, f"operator {name}")
        else:
            check_signature(key, proof, digest, f"operator {name}")
        signers.setdefault(operators[name], name)
    return read_text(act["text"], header), sorted(signers.values())


def check_asserted(assertion, text):
    """Refuses an assertion that is not one over exactly this text; says whose."""
    origin = check_client_data(assertion["client_data"], hashlib.sha256(text.encode()).digest())
    key = base64.urlsafe_b64encode(assertion["credential_id"]).rstrip(b"=").decode()
    return f"{key} on {origin}"


def check_client_data(client_data, digest):
    """Refuses what a browser did not say of an assertion over this digest, on a page of its own; returns the origin."""
    try:
        said = json.loads(client_data.decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise Refused("what the browser said to the key is not JSON, or says something twice") from None
    require(isinstance(said, dict), "what the browser said to the key is no object")
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    found = (said.get("type"), said.get("challenge"))
    require(found == ("webauthn.get", challenge), "an assertion is over another text")
    framed = said.get("crossOrigin", False) is not False or "topOrigin" in said
    require(not framed, "an assertion was made inside another page")
    return said.get("origin")


def once(pairs):
    """A JSON object that says nothing twice."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("twice")
    return value


def check_mandate(used, text):
    """Refuses a mandate that does not permit this withdrawal; returns its fields, and whose assertion stands behind it."""
    lines = [line for line in used["text"].split("\n") if not line.startswith("destination: ")]
    destinations = [line.partition(": ")[2] for line in used["text"].split("\n") if line.startswith("destination: ")]
    mandate = read_text("\n".join(lines), "holdfast-mandate/v1")
    for field in ("exchange", "account", "asset", "network"):
        require(mandate[field] == text[field], f"a mandate is for another {field}")
    require(f"{text['address']} {text['memo']}" in destinations, "a mandate does not name the address")
    try:
        enough = decimal.Decimal(text["amount"]) <= decimal.Decimal(mandate["amount-max"])
    except decimal.InvalidOperation:
        raise Refused("an amount is none") from None
    require(enough, "a mandate permits less at once")
    require(hashlib.sha256(used["key"]).hexdigest() == mandate["key"], "a mandate is for another API key")
    return mandate, check_asserted(used["assertion"], used["text"])


def names(signers):
    return ", ".join(signers) or "nobody"


def time_text(micros):
    seconds, rest = divmod(micros, 1_000_000)
    try:
        text = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, ValueError, OSError):
        raise Refused("a time past the year 9999") from None
    return text + (f".{rest:06}" if rest else "") + "Z"


def verify(data, keys, operators, at):
    """Returns the lines that say what the release permits."""
    payload = open_envelope(data, keys)
    release, end = read(payload, 0, RELEASE, "release")
    require(end == len(payload), "bytes follow the payload")
    plain = all(re.fullmatch("[A-Za-z0-9_.-]+", value) for value in release.values() if isinstance(value, str))
    require(plain, "a name or an id has a letter that names do not have")
    window = f"from {time_text(release['not_before'])} until {time_text(release['expires'])}"
    require(release["not_before"] < release["expires"], f"permits nothing: {window}")
    now = at is None or release["not_before"] <= at < release["expires"]
    require(now, f"permits nothing at that time, but {window}")
    said = [
        f"release {release['id']} of {release['exchange']}: signer {release['audience']} may sign",
        f"  transaction {release['transaction'].hex()} of wallet {release['wallet']} on {release['network']}",
        f"  {window}{', in simulated time' if release['simulated'] else ''}",
        f"  decided at record {release['sequence']} of epoch {release['epoch']}, head {release['head'].hex()}",
    ]
    for payment in release["payments"]:
        text = read_text(payment["intent"], "holdfast-withdrawal/v1")
        for field in ("exchange", "network"):
            require(text[field] == release[field], f"an intent is for another {field}")
        said.append("  pays {withdrawal} of {account}: {amount} {asset} to {address}, memo {memo}".format_map(text))
        said.append(f"    text {hashlib.sha256(payment['intent'].encode()).hexdigest()}, until {text['not-after']}")
        for approval in payment["approvals"]:
            act, signers = read_act(approval, "holdfast-operator/v1", operators)
            digest = hashlib.sha256(payment["intent"].encode()).hexdigest()
            wanted = (release["exchange"], "approve_withdrawal", text["withdrawal"], f"text={digest}")
            found = tuple(act[name] for name in ("exchange", "act", "target", "detail"))
            require(found == wanted, f"an approval of {text['withdrawal']} is of something else")
            said.append(f"    approved by {names(signers)} until {act['not-after']}")
        if payment["assertion"]:
            said.append(f"    asserted by {check_asserted(payment['assertion'], payment['intent'])}")
        if payment["mandate"]:
            mandate, asserted = check_mandate(payment["mandate"], text)
            said.append("    under {mandate} of API key {api-key}, until {not-after}".format_map(mandate))
            said.append(f"      asserted by {asserted}; by a request of dialect {payment['mandate']['request']['dialect']}")
    if release["transfer"]:
        text, signers = read_act(release["transfer"], "holdfast-transfer/v1", operators)
        for field in ("exchange", "network", "wallet"):
            require(text[field] == release[field], f"the transfer is for another {field}")
        said.append("  is transfer {transfer} ({purpose}): {amount} {asset} to {address}".format_map(text))
        said.append(f"    fee {text['fee-max']} at most, until {text['not-after']}, signed by {names(signers)}")
    for epoch in release["epochs"]:
        act, signers = read_act(epoch, "holdfast-operator/v1", operators)
        wanted = (release["exchange"], "begin_epoch")
        require((act["exchange"], act["act"]) == wanted, "an act among the epochs begins none")
        said.append(f"  begins {act['target']} ({act['detail']}), signed by {names(signers)}")
    return said


def public_key(text):
    key = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    if len(key) != 32:
        raise ValueError(f"{text} is no public key of 32 bytes")
    return key


def operator_key(text):
    """An operator's key with its kind."""
    if text.startswith("passkey:"):
        key = bytes.fromhex(text.removeprefix("passkey:"))
        if len(key) != 32 or text != f"passkey:{key.hex()}":
            raise ValueError(f"{text} is no passkey")
        return "passkey", key
    return "ed25519", public_key(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", type=public_key, action="append", required=True)
    parser.add_argument("--operator", action="append", default=[])
    parser.add_argument("--passkeys", action="append", default=[])
    parser.add_argument("--at", type=lambda text: datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z"))
    parser.add_argument("release", nargs="+", type=pathlib.Path)
    given = parser.parse_args()
    at = given.at and int(given.at.timestamp()) * 1_000_000
    try:
        operators = {name: operator_key(key) for name, _, key in (text.partition("=") for text in given.operator)}
        parties = {}
        for rp_id, _, origin in (text.partition("=") for text in given.passkeys):
            parties.setdefault(rp_id, []).append(origin)
        releases = [path.read_bytes() for path in given.release]
    except (OSError, ValueError) as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return 2
    result = 0
    for path, data in zip(given.release, releases):
        try:
            print("\n".join(verify(data, given.key, (operators, parties), at)))
        except Refused as error:
            print(f"refused: {path.name}: {error}")
            result = 1
    return result


if __name__ == "__main__":
    sys.exit(main())
