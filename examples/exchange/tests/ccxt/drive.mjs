// Drives the real ccxt in every dialect for the tests: one JSON object a line on standard input, one answer a line out.
//
//   {"do": "open", "as", "dialect", "url", "apiKey", "secret", "password"?}
//   {"do": "withdraw", "as", "coin", "network", "amount", "address", "late"?, "alter"?}
//   {"do": "balance", "as", "late"?, "alter"?}
//   {"do": "again", "as", "alter"?}           the last request once more, as it went over the wire
//
// `late` puts the client's clock back by so many milliseconds. `alter` changes what was signed on its way:
// {"body": [FROM, TO], "path": [FROM, TO], "headers": {NAME: VALUE or null}}.
import { createInterface } from 'node:readline';

import { open, params } from '../../ccxt/dialects.mjs';

const clients = new Map();

function changed(request, alter = {}) {
  let { url, method, headers, body } = request;
  if (alter.path) url = url.replace(...alter.path);
  if (alter.body) body = body.replace(...alter.body);
  headers = { ...headers };
  for (const [name, value] of Object.entries(alter.headers ?? {})) {
    for (const known of Object.keys(headers)) if (known.toLowerCase() === name.toLowerCase()) delete headers[known];
    if (value !== null) headers[name] = value;
  }
  return [url, method, headers, body];
}

async function answer({ do: what, as: name, ...rest }) {
  if (what === 'open') {
    const client = open(rest.dialect, rest.url, rest);
    client.enableRateLimit = false;
    const one = { client, dialect: rest.dialect, send: client.fetch.bind(client) };
    client.fetch = (url, method, headers, body) => {
      one.sent = { url, method, headers, body };
      return one.send(...changed(one.sent, one.alter));
    };
    clients.set(name, one);
    return null;
  }
  const one = clients.get(name);
  one.alter = rest.alter;
  const late = rest.late ?? 0;
  one.client.milliseconds = () => Date.now() - late;
  switch (what) {
    case 'withdraw': {
      const more = params(one.dialect, rest.network);
      const done = await one.client.withdraw(rest.coin, rest.amount, rest.address, undefined, more);
      return { id: done.id, info: done.info };
    }
    case 'balance': {
      const { free, used } = await one.client.fetchBalance();
      return { free, used };
    }
    case 'again':
      return one.send(...changed(one.sent, rest.alter));
    default:
      throw new Error(`unknown: ${what}`);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  const asked = JSON.parse(line);
  try {
    reply = { ok: await answer(asked) };
  } catch (error) {
    reply = { error: error.constructor.name, message: error.message };
  }
  console.log(JSON.stringify(reply));
}
