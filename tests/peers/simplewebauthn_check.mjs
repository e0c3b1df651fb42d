// What @simplewebauthn/server says of registrations and assertions: cases as JSON on standard input, verdicts on
// standard output.

import { readFileSync } from 'node:fs';
import {
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '../client/node_modules/@simplewebauthn/server/esm/index.js';

const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64url'));
const text = (data) => Buffer.from(data).toString('base64url');

async function judge(test) {
  const response = { clientDataJSON: test.client_data };
  const options = {
    response: { id: test.id, rawId: test.id, type: 'public-key', response, clientExtensionResults: {} },
    expectedChallenge: test.challenge,
    expectedOrigin: test.origin,
    expectedRPID: test.rp_ids,
    requireUserVerification: false,
  };
  if (test.kind === 'create') {
    response.attestationObject = test.attestation_object;
    const { verified, registrationInfo } = await verifyRegistrationResponse(options);
    if (!verified) throw new Error('not verified');
    return {
      id: registrationInfo.credential.id,
      public_key: text(registrationInfo.credential.publicKey),
      counter: registrationInfo.credential.counter,
      user_verified: registrationInfo.userVerified,
    };
  }
  response.authenticatorData = test.authenticator_data;
  response.signature = test.signature;
  options.credential = { id: test.id, publicKey: bytes(test.public_key), counter: test.stored_counter };
  const { verified, authenticationInfo } = await verifyAuthenticationResponse(options);
  if (!verified) throw new Error('not verified');
  return { counter: authenticationInfo.newCounter, user_verified: authenticationInfo.userVerified };
}

const verdicts = [];
for (const test of JSON.parse(readFileSync(0, 'utf8'))) {
  try {
    verdicts.push({ accepted: true, ...(await judge(test)) });
  } catch (error) {
    verdicts.push({ accepted: false, error: String(error) });
  }
}
process.stdout.write(JSON.stringify(verdicts));
