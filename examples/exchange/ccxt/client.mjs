// ccxt's `binance`, pointed at Harbor. What a customer's program needs; the rest of this folder shows it at work.
import { createRequire } from 'node:module';

// One pinned ccxt for the tests and for this example: `npm ci --prefix tests/client`.
const ccxt = createRequire(new URL('../../../tests/client/package.json', import.meta.url))('ccxt');

/** A `ccxt.binance` that talks to `url`; `secret` is an HMAC secret, or a private key (Ed25519, RSA) in PEM. */
export async function harbor(url, { apiKey, secret }) {
  const exchange = new ccxt.binance({
    apiKey,
    secret,
    // The longest that Binance allows.
    options: { adjustForTimeDifference: true, recvWindow: 60_000 },
  });
  for (const [api, base] of Object.entries(exchange.urls.api)) {
    if (typeof base === 'string') exchange.urls.api[api] = base.replace(/^https?:\/\/[^/]+/, url);
  }
  // ccxt chooses its table of errors by Binance's own host names: at another host, say that it is the spot exchange.
  exchange.getExceptionsByUrl = (_url, kind) => exchange.exceptions.spot[kind] ?? {};
  // Harbor's clock may be a simulated one. ccxt asks for the time with its markets, but for the currencies before that.
  await exchange.loadTimeDifference();
  return exchange;
}

/** A withdrawal in the words of ccxt, and in those of the exchange. */
export const told = (transaction) => ({
  id: transaction.id,
  status: transaction.status,
  currency: transaction.currency,
  network: transaction.network,
  amount: transaction.amount,
  fee: transaction.fee?.cost,
  state: transaction.info.status,
  info: transaction.info.info,
});

/** An error in the words of ccxt, and Binance's code and message where the exchange gave them. */
export function refused(error) {
  const [, body] = /(\{.*\})$/s.exec(error.message) ?? [];
  const { code, msg } = body ? JSON.parse(body) : { msg: error.message };
  return { error: error.constructor.name, code, message: msg };
}
