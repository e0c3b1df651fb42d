// ccxt in every dialect but Binance's (`client.mjs`), pointed at Harbor or at the gate before it; and a client of our own
// for HTTP Message Signatures, which ccxt does not speak.
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { createRequire } from 'node:module';

// One pinned ccxt for the tests and for this example: `npm ci --prefix tests/client`.
const ccxt = createRequire(new URL('../../../tests/client/package.json', import.meta.url))('ccxt');

/** What each exchange's class needs to be told where nothing but withdrawals and balances is served. */
const OPTIONS = {
  // No question about the kind of the account before each withdrawal.
  bybit: { enableUnifiedAccount: false, enableUnifiedMargin: false },
  kucoin: { uta: false },
  // The interface that tells what is on hold, too.
  coinbase: { fetchBalance: 'v3PrivateGetBrokerageAccounts' },
};

/** What `withdraw()` takes beside coin, amount, address and tag. `network` is ccxt's name of it. */
export const params = (dialect, network) =>
  ({
    // The name under which the address is saved. With the address beside it, the address is signed too.
    kraken: { key: 'my wallet' },
    okx: { network, fee: '0' },
    bybit: { network },
    kucoin: { network },
    // Which of one's wallets it comes from: Harbor goes by the currency. Coinbase has names of its own for networks.
    coinbase: { account_id: 'wallet', network: { BTC: 'bitcoin', ERC20: 'ethereum' }[network] },
  })[dialect] ?? {};

/** A client that talks to `url`: `secret` as it was given out, `password` what goes with it where the exchange has one. */
export function open(dialect, url, { apiKey, secret, password }) {
  if (dialect === 'rfc9421') return new Signed(url, apiKey, secret);
  const exchange = new ccxt[dialect]({ apiKey, secret, password, options: OPTIONS[dialect] ?? {} });
  const rewrite = (value) =>
    typeof value === 'string'
      ? value.replace(/^https?:\/\/[^/]+/, url)
      : Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, rewrite(inner)]));
  exchange.urls.api = rewrite(exchange.urls.api);
  // Harbor lists no markets in these dialects: ccxt is told of its currencies instead of loading them.
  const currency = (code, network, id = code) => [
    code,
    { id, code, precision: 1e-8, networks: { [network]: { id: network, network, precision: 1e-8, limits: {} } } },
  ];
  exchange.setMarkets(
    [],
    Object.fromEntries([currency('BTC', 'BTC', dialect === 'kraken' ? 'XXBT' : 'BTC'), currency('USDT', 'ERC20')]),
  );
  return exchange;
}

/** Harbor's own interface: RFC 9421 with an Ed25519 key, over method, path, query, host and body. */
export class Signed {
  constructor(url, apiKey, pem) {
    Object.assign(this, { url, apiKey, key: createPrivateKey(pem) });
  }

  milliseconds() {
    return Date.now();
  }

  /** Overridden by who wants to see what is sent. */
  async fetch(url, method, headers, body) {
    const response = await fetch(url, { method, headers, body });
    const answer = await response.json();
    if (!response.ok) throw new Refused(answer);
    return answer;
  }

  async request(method, path, body) {
    const created = Math.floor(this.milliseconds() / 1000);
    const covered = [
      ['@method', method],
      ['@path', path],
      ['@authority', new URL(this.url).host],
    ];
    const headers = {};
    if (body !== undefined) {
      headers['content-type'] = 'application/json';
      headers['content-digest'] = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
      covered.push(['content-digest', headers['content-digest']]);
    }
    const names = covered.map(([name]) => `"${name}"`).join(' ');
    const input = `(${names});created=${created};keyid="${this.apiKey}";alg="ed25519"`;
    const base = [...covered.map(([name, value]) => `"${name}": ${value}`), `"@signature-params": ${input}`].join('\n');
    headers['signature-input'] = `sig=${input}`;
    headers.signature = `sig=:${sign(null, Buffer.from(base), this.key).toString('base64')}:`;
    return this.fetch(this.url + path, method, headers, body);
  }

  async withdraw(asset, amount, address, memo, more = {}) {
    const asked = JSON.stringify({ asset, amount: `${amount}`, address, memo, ...more });
    const info = await this.request('POST', '/v1/withdrawals', asked);
    return { id: info.id, info };
  }

  async fetchBalance() {
    const rows = Object.entries(await this.request('GET', '/v1/balances'));
    const of = (what) => Object.fromEntries(rows.map(([asset, row]) => [asset, Number(row[what])]));
    return { free: of('free'), used: of('locked') };
  }
}

/** Problem details. */
export class Refused extends Error {
  constructor(problem) {
    super(JSON.stringify(problem));
    this.problem = problem;
  }
}
