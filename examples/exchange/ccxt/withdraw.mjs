// Withdraws from Harbor with ccxt, as a customer's program would.
//
//   npm install && node withdraw.mjs http://127.0.0.1:8430 KEY SECRET-OR-PEM-FILE COIN AMOUNT ADDRESS [NETWORK]
//
// Prints one line of JSON: what ccxt says of the withdrawal, or the error that it throws.
import { existsSync, readFileSync } from 'node:fs';

import ccxt from 'ccxt';

const [url, apiKey, given, coin, amount, address, network] = process.argv.slice(2);
if (!address) {
  console.error('usage: node withdraw.mjs URL KEY SECRET-OR-PEM-FILE COIN AMOUNT ADDRESS [NETWORK]');
  process.exit(2);
}
const secret = existsSync(given) ? readFileSync(given, 'utf8') : given;

export function harbor(options) {
  const exchange = new ccxt.binance({ enableRateLimit: false, ...options });
  for (const [api, base] of Object.entries(exchange.urls.api)) {
    if (typeof base === 'string') exchange.urls.api[api] = base.replace(/^https?:\/\/[^/]+/, url);
  }
  return exchange;
}

const exchange = harbor({ apiKey, secret, options: { adjustForTimeDifference: true } });
try {
  await exchange.loadMarkets();
  const done = await exchange.withdraw(coin, amount, address, undefined, network ? { network } : {});
  console.log(JSON.stringify({ id: done.id, status: done.status, info: done.info.info }));
} catch (error) {
  console.log(JSON.stringify({ error: error.constructor.name, message: error.message }));
  process.exit(1);
}
