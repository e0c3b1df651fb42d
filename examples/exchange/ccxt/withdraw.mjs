// Withdraws from Harbor with ccxt, as a customer's program would.
//
//   node withdraw.mjs URL KEY SECRET-OR-PEM-FILE COIN AMOUNT ADDRESS [NETWORK]
//   node withdraw.mjs URL KEY SECRET-OR-PEM-FILE                            what became of all of them
//
// Prints lines of JSON: what ccxt says of the withdrawal, or the error that it throws.
import { existsSync, readFileSync } from 'node:fs';

import { harbor, refused, told } from './client.mjs';

const [url, apiKey, given, coin, amount, address, network] = process.argv.slice(2);
if (!given || (coin && !address)) {
  console.error('usage: node withdraw.mjs URL KEY SECRET-OR-PEM-FILE [COIN AMOUNT ADDRESS [NETWORK]]');
  process.exit(2);
}
const secret = existsSync(given) ? readFileSync(given, 'utf8') : given;
try {
  const exchange = await harbor(url, { apiKey, secret });
  if (coin) {
    const params = network ? { network } : {};
    console.log(JSON.stringify(told(await exchange.withdraw(coin, amount, address, undefined, params))));
  } else {
    for (const one of await exchange.fetchWithdrawals()) console.log(JSON.stringify(told(one)));
  }
} catch (error) {
  console.log(JSON.stringify(refused(error)));
  process.exitCode = 1;
}
