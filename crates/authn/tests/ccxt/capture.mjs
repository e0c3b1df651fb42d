// Records what ccxt really sends for binance.withdraw(), with throwaway keys made here, into requests.json.
// Run once per ccxt release in a directory that has it: `npm install ccxt && node capture.mjs > requests.json`.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';

import ccxt from 'ccxt';

const pem = (pair) => ({
  secret: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
  public: pair.publicKey.export({ type: 'spki', format: 'pem' }),
});
const ed25519 = pem(generateKeyPairSync('ed25519'));
const rsa2048 = pem(generateKeyPairSync('rsa', { modulusLength: 2048 }));
const rsa4096 = pem(generateKeyPairSync('rsa', { modulusLength: 4096 }));
const hmac = { secret: 'a-throwaway-secret-of-a-test-that-opens-nothing-000000000000000000' };

const captured = [];
const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const [path, query = ''] = request.url.split(/\?(.*)/s);
    const headers = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      if (/^(x-mbx|content-type)/i.test(request.rawHeaders[i])) headers.push(request.rawHeaders.slice(i, i + 2));
    }
    captured.push({ method: request.method, path, query, body: Buffer.concat(chunks).toString('utf8'), headers });
    response.setHeader('content-type', 'application/json');
    response.end('{"id":"1"}');
  });
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const port = server.address().port;

async function withdraw(name, key, withdrawal) {
  const exchange = new ccxt.binance({ apiKey: 'throwaway-key-1', secret: key.secret });
  const rewrite = (value) =>
    typeof value === 'string' ? value.replace(/^https?:\/\/[^/]+/, `http://127.0.0.1:${port}`) : value;
  for (const [api, url] of Object.entries(exchange.urls.api)) exchange.urls.api[api] = rewrite(url);
  exchange.setMarkets([], {
    BTC: { id: 'BTC', code: 'BTC', precision: 1e-8, networks: {} },
    USDT: { id: 'USDT', code: 'USDT', precision: 1e-6, networks: {} },
    XRP: { id: 'XRP', code: 'XRP', precision: 1e-6, networks: {} },
  });
  const { coin, amount, address, tag, params = {} } = withdrawal;
  await exchange.withdraw(coin, amount, address, tag, params);
  const request = captured.pop();
  return { name, key: key.public ?? key.secret, ...request };
}

const btc = { coin: 'BTC', amount: 0.75, address: 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4' };
const usdt = {
  coin: 'USDT',
  amount: 1234.5,
  address: '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed',
  params: { network: 'ERC20', withdrawOrderId: 'order-1' },
};
const xrp = { coin: 'XRP', amount: 20, address: 'rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY', tag: '12345' };
const out = [];
for (const [kind, key] of Object.entries({ hmac, ed25519, rsa2048, rsa4096 })) {
  out.push(await withdraw(`${kind} btc without network`, key, btc));
  out.push(await withdraw(`${kind} usdt on ethereum`, key, usdt));
  out.push(await withdraw(`${kind} xrp with tag`, key, { ...xrp, params: { network: 'XRP', recvWindow: 59999 } }));
}
out.push(await withdraw('name with space and umlaut', ed25519, { ...btc, params: { network: 'BTC', name: 'für später' } }));
out.push(
  await withdraw('injection through the name', hmac, {
    ...btc,
    params: { network: 'BTC', name: 'x&address=bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3' },
  }),
);
server.close();
const lines = out.map((request) => JSON.stringify(request)).join(',\n');
console.log(`{"ccxt":"${ccxt.version}","requests":[\n${lines}\n]}`);
