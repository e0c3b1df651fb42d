// How many assertions @simplewebauthn/server verifies in a second of CPU time: groups of cases as JSON on standard input,
// counts and nanoseconds on standard output. bench/src/peers.rs says what is counted.

import { readFileSync } from 'node:fs';
import { verifyAuthenticationResponse } from '../client/node_modules/@simplewebauthn/server/esm/index.js';

// What is not counted, so that the hot code is compiled.
const WARM_ROUNDS = 5;

function verifier(group) {
  const publicKey = new Uint8Array(Buffer.from(group.public_key, 'base64url'));
  return async (test) => {
    const { verified } = await verifyAuthenticationResponse({
      response: {
        id: group.id,
        rawId: group.id,
        type: 'public-key',
        response: {
          clientDataJSON: test.client_data,
          authenticatorData: test.authenticator_data,
          signature: test.signature,
        },
        clientExtensionResults: {},
      },
      expectedChallenge: test.challenge,
      expectedOrigin: group.origin,
      expectedRPID: group.rp_id,
      requireUserVerification: false,
      credential: { id: group.id, publicKey, counter: 0 },
    });
    return verified;
  };
}

async function measure(group, rounds) {
  const verify = verifier(group);
  if (await verify(group.forged).catch(() => false)) throw new Error('a forged assertion was accepted');
  const round = async () => {
    for (const test of group.cases) {
      if (!(await verify(test))) throw new Error('a good assertion was refused');
    }
  };
  for (let number = 0; number < WARM_ROUNDS; number += 1) await round();
  const began = process.cpuUsage();
  for (let number = 0; number < rounds; number += 1) await round();
  const { user, system } = process.cpuUsage(began);
  return { count: rounds * group.cases.length, cpu_ns: (user + system) * 1000 };
}

const { rounds, groups } = JSON.parse(readFileSync(0, 'utf8'));
const answer = {};
for (const [name, group] of Object.entries(groups)) answer[name] = await measure(group, rounds);
process.stdout.write(JSON.stringify(answer));
