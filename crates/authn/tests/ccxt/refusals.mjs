// What the real ccxt throws at a refusal: {"id", "status", "body"} a line on standard input, the exception's name out.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const ccxt = createRequire(new URL('../../../../tests/client/package.json', import.meta.url))('ccxt');
const exchanges = {};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, status, body } = JSON.parse(line);
  exchanges[id] ??= new ccxt[id]();
  try {
    exchanges[id].handleErrors(status, '', 'http://127.0.0.1/x', 'POST', {}, body, JSON.parse(body), {}, '');
    console.log('nothing');
  } catch (error) {
    console.log(error.constructor.name);
  }
}
