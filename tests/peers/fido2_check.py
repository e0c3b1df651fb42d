"""What python-fido2 says of registrations and assertions: cases as JSON on standard input, verdicts on standard output."""

import json
import sys

from fido2.attestation import Attestation
from fido2.cose import CoseKey
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2 import cbor
from fido2.webauthn import Aaguid, AttestedCredentialData, PublicKeyCredentialRpEntity


def verify_attestation(attestation_object, client_data_hash):
    verifier = Attestation.for_type(attestation_object.fmt)()
    verifier.verify(attestation_object.att_stmt, attestation_object.auth_data, client_data_hash)


def server(case, rp_id):
    return Fido2Server(
        PublicKeyCredentialRpEntity(name="peer", id=rp_id),
        attestation="direct",
        verify_origin=lambda origin: origin == case["origin"],
        verify_attestation=verify_attestation,
    )


def judge(case):
    state = {"challenge": case["challenge"], "user_verification": None}
    response = {"clientDataJSON": case["client_data"]}
    envelope = {"id": case["id"], "rawId": case["id"], "type": "public-key", "response": response}
    if case["kind"] == "create":
        response["attestationObject"] = case["attestation_object"]
        data = server(case, case["rp_ids"][0]).register_complete(state, envelope)
        credential = data.credential_data
        return {
            "id": websafe_encode(credential.credential_id),
            "public_key": websafe_encode(cbor.encode(dict(credential.public_key))),
            "counter": data.counter,
            "user_verified": data.is_user_verified(),
        }
    response["authenticatorData"] = case["authenticator_data"]
    response["signature"] = case["signature"]
    key = CoseKey.parse(cbor.decode(websafe_decode(case["public_key"])))
    credential = AttestedCredentialData.create(Aaguid(bytes(16)), websafe_decode(case["id"]), key)
    failure = None
    for rp_id in case["rp_ids"]:
        try:
            server(case, rp_id).authenticate_complete(state, [credential], envelope)
            return {}
        except Exception as error:
            failure = failure or error
    raise failure


def verdict(case):
    try:
        return {"accepted": True, **judge(case)}
    except Exception as error:
        return {"accepted": False, "error": f"{type(error).__name__}: {error}"}


json.dump([verdict(case) for case in json.load(sys.stdin)], sys.stdout)
