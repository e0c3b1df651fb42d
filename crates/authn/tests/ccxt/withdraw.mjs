// Lets the real ccxt withdraw in every dialect, and read something, against one address.
//
//   node withdraw.mjs URL [CLOCK_MS]
//
// Each request carries the name of its case in X-Case, and in X-Public-Key (base64 of PEM) the key, if it is not the
// shared secret. The keys are throwaways: nothing anywhere opens with them. With CLOCK_MS, the clock stands still.
import { generateKeyPairSync } from 'node:crypto';
import { createRequire } from 'node:module';

const ccxt = createRequire(new URL('../../../../tests/client/package.json', import.meta.url))('ccxt');

const [url, clock] = process.argv.slice(2);
const SECRET = 'a-throwaway-secret-of-a-test-that-opens-nothing-0000';
const BTC = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
const EVM = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const XRP = 'rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY';

function open(id, options) {
  const exchange = new ccxt[id]({ apiKey: 'throwaway-key-1', secret: SECRET, password: 'open sesame', ...options });
  const rewrite = (value) =>
    typeof value === 'string' ? value.replace(/^https?:\/\/[^/]+/, url) : Object.fromEntries(Object.entries(value).map(([k, v]) => [k, rewrite(v)]));
  exchange.urls.api = rewrite(exchange.urls.api);
  const coin = (code, network, id = code) => ({
    id, code, precision: 1e-8, networks: { [network]: { id: network, network, precision: 1e-8, limits: {} } },
  });
  exchange.setMarkets([], {
    BTC: coin('BTC', 'BTC', id === 'kraken' ? 'XXBT' : 'BTC'), USDT: coin('USDT', 'ERC20'), XRP: coin('XRP', 'XRP'),
  });
  if (clock) {
    exchange.milliseconds = () => Number(clock);
    exchange.seconds = () => Math.floor(Number(clock) / 1000);
  }
  return exchange;
}

async function run(name, exchange, what, publicKey) {
  exchange.headers = { ...exchange.headers, 'X-Case': name };
  if (publicKey) {
    const pem = publicKey.export({ type: 'spki', format: 'pem' });
    exchange.headers['X-Public-Key'] = Buffer.from(pem).toString('base64');
  }
  try {
    await what(exchange);
  } catch (error) {
    // What answers is of no interest here, and it is no exchange. A request that was never sent will be missed.
    if (process.env.VERBOSE) console.error(name, error.message);
  }
}

const withdraw = (coin, amount, address, tag, params) => (exchange) => exchange.withdraw(coin, amount, address, tag, params);

await run('binance btc', open('binance'), withdraw('BTC', 0.75, BTC, undefined, { network: 'BTC' }));
await run('binance balance', open('binance'), (exchange) => exchange.privateGetAccount());

// Kraken's secrets are base64.
const kraken = () => open('kraken', { secret: Buffer.from(SECRET).toString('base64') });
await run('kraken btc', kraken(), withdraw('BTC', 0.75, BTC, undefined, { key: 'my cold wallet' }));
await run('kraken saved', kraken(), withdraw('BTC', 0.75, undefined, undefined, { key: 'cold' }));
await run('kraken balance', kraken(), (exchange) => exchange.privatePostBalance());
await run('kraken json', kraken(), (exchange) => exchange.privatePostCancelOrderBatch({ orders: ['O1', 'O2'] }));

await run('okx btc', open('okx'), withdraw('BTC', 0.75, BTC, undefined, { network: 'BTC', fee: '0.0001' }));
await run('okx usdt', open('okx'), withdraw('USDT', 1234.5, EVM, undefined, { network: 'ERC20', fee: '1', clientId: 'order1' }));
await run('okx xrp', open('okx'), withdraw('XRP', 20, XRP, '12345', { network: 'XRP', fee: '0.1' }));
await run('okx balance', open('okx'), (exchange) => exchange.privateGetAccountBalance({ ccy: 'BTC,USDT' }));
await run('okx batch', open('okx'), (exchange) => exchange.privatePostTradeBatchOrders([{ instId: 'BTC-USDT', sz: '1' }]));

const unified = { enableUnifiedAccount: false, enableUnifiedMargin: false, recvWindow: 5000 };
const bybit = (more) => open('bybit', { options: unified, ...more });
await run('bybit btc', bybit(), withdraw('BTC', 0.75, BTC, undefined, { network: 'BTC' }));
await run('bybit usdt', bybit(), withdraw('USDT', 1234.5, EVM, undefined, { network: 'ERC20', requestId: 'order-1' }));
await run('bybit xrp', bybit(), withdraw('XRP', 20, XRP, '12345', { network: 'XRP' }));
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const rsaSecret = { secret: rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }) };
await run('bybit rsa', bybit(rsaSecret), withdraw('BTC', 0.75, BTC, undefined, { network: 'BTC' }), rsa.publicKey);
await run('bybit balance', bybit(), (exchange) => exchange.privateGetV5AccountWalletBalance({ accountType: 'UNIFIED', coin: 'BTC' }));
await run('bybit nothing', bybit(), (exchange) => exchange.privateGetV5UserQueryApi());

await run('kucoin btc', open('kucoin'), withdraw('BTC', 0.75, BTC, undefined, { network: 'BTC' }));
await run('kucoin usdt', open('kucoin'), withdraw('USDT', 1234.5, EVM, undefined, { network: 'ERC20' }));
await run('kucoin xrp', open('kucoin'), withdraw('XRP', 20, XRP, '12345', { network: 'XRP' }));
await run('kucoin exponent', open('kucoin'), withdraw('BTC', 0.0000001, BTC, undefined, { network: 'BTC' }));
await run('kucoin accounts', open('kucoin'), (exchange) => exchange.privateGetAccounts({ currency: 'BTC', type: 'trade' }));

await run('coinbase btc', open('coinbase'), withdraw('BTC', 0.75, BTC, undefined, { account_id: 'c6afbd34-4bd0-501e-8616-4862c193cd84' }));
await run('coinbase usdt', open('coinbase'), withdraw('USDT', 1234.5, EVM, undefined, { account_id: 'USDT', network: 'ethereum', idem: 'order-1' }));
await run('coinbase xrp', open('coinbase'), withdraw('XRP', 20, XRP, '12345', { account_id: 'XRP', network: 'ripple' }));
await run('coinbase v2', open('coinbase'), (exchange) => exchange.v2PrivateGetAccounts({ limit: 5 }));
await run('coinbase v3', open('coinbase'), (exchange) => exchange.v3PrivateGetBrokerageAccounts({ limit: 5 }));
// A key of the newer kind: ccxt sends a JWT.
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const cdp = { apiKey: 'organizations/o/apiKeys/k', secret: privateKey.export({ type: 'sec1', format: 'pem' }) };
await run('coinbase jwt', open('coinbase', cdp), withdraw('BTC', 0.75, BTC, undefined, { account_id: 'BTC' }));
