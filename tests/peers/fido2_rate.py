"""How many assertions python-fido2 verifies in a second of CPU time: groups of cases as JSON on standard input, counts and
nanoseconds on standard output. bench/src/peers.rs says what is counted."""

import json
import sys
import time

from fido2 import cbor
from fido2.cose import CoseKey
from fido2.server import Fido2Server
from fido2.utils import websafe_decode
from fido2.webauthn import Aaguid, AttestedCredentialData, PublicKeyCredentialRpEntity


def verifier(group):
    """Server and key are ready, as a service would have them; the browser's answer is read each time."""
    origin = group["origin"]
    rp = PublicKeyCredentialRpEntity(name="peer", id=group["rp_id"])
    server = Fido2Server(rp, verify_origin=lambda found: found == origin)
    key = CoseKey.parse(cbor.decode(websafe_decode(group["public_key"])))
    credentials = [AttestedCredentialData.create(Aaguid(bytes(16)), websafe_decode(group["id"]), key)]

    def verify(case):
        state = {"challenge": case["challenge"], "user_verification": None}
        response = {
            "clientDataJSON": case["client_data"],
            "authenticatorData": case["authenticator_data"],
            "signature": case["signature"],
        }
        envelope = {"id": group["id"], "rawId": group["id"], "type": "public-key", "response": response}
        server.authenticate_complete(state, credentials, envelope)

    return verify


def measure(group, rounds):
    verify, cases = verifier(group), group["cases"]
    try:
        verify(group["forged"])
    except Exception:
        pass
    else:
        sys.exit("a forged assertion was accepted")
    for case in cases:
        verify(case)
    began = time.process_time_ns()
    for _ in range(rounds):
        for case in cases:
            verify(case)
    return {"count": rounds * len(cases), "cpu_ns": time.process_time_ns() - began}


question = json.load(sys.stdin)
json.dump({name: measure(group, question["rounds"]) for name, group in question["groups"].items()}, sys.stdout)
