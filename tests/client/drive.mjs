// Drives the real ccxt for the tests: one JSON object a line on standard input, one answer a line on standard output.
//
//   {"do": "open", "as": NAME, "url": URL, "apiKey": KEY, "secret": SECRET-OR-PEM}
//   {"do": "withdraw", "as": NAME, "coin", "amount", "address", "tag"?, "params"?}   -> what withdraw() returns or throws
//   {"do": "withdrawals", "as": NAME}                                                -> what fetchWithdrawals() returns
//   {"do": "balance", "as": NAME}                                                    -> what fetchBalance() returns
//
// Every answer carries `sent`: the last request as it went over the wire, so that a test can send it again.
import { createInterface } from 'node:readline';

import { harbor, refused, told } from '../../examples/exchange/ccxt/client.mjs';

const exchanges = new Map();
let sent;

async function answer({ do: what, as: name, ...rest }) {
  if (what === 'open') {
    const exchange = await harbor(rest.url, rest);
    const fetch = exchange.fetch.bind(exchange);
    exchange.fetch = (url, method, headers, body) => {
      sent = { url, method, headers, body };
      return fetch(url, method, headers, body);
    };
    await exchange.loadMarkets();
    exchanges.set(name, exchange);
    return { ok: Object.keys(exchange.currencies) };
  }
  const exchange = exchanges.get(name);
  // Harbor's clock is a fast one in the tests: ask again what time it is.
  await exchange.loadTimeDifference();
  switch (what) {
    case 'withdraw':
      return { ok: told(await exchange.withdraw(rest.coin, rest.amount, rest.address, rest.tag, rest.params ?? {})) };
    case 'withdrawals':
      return { ok: (await exchange.fetchWithdrawals()).map(told) };
    case 'balance': {
      const { free, used } = await exchange.fetchBalance();
      return { ok: { free, used } };
    }
    default:
      throw new Error(`unknown: ${what}`);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  let reply;
  try {
    reply = await answer(JSON.parse(line));
  } catch (error) {
    reply = refused(error);
  }
  console.log(JSON.stringify({ ...reply, sent }));
}
