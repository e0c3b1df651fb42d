// One command: starts Holdfast and Harbor in a new temporary directory, makes four customers, and withdraws with ccxt.
//
//   node examples/exchange/ccxt/run.mjs [--exit]
//
// Needs ccxt (`npm ci --prefix tests/client`), and builds `holdfast` and `harbor` unless HOLDFAST_BIN names the folder in
// which they lie. Leaves the servers running until Ctrl-C, unless told to `--exit`. Holdfast's clock is a simulated one:
// a week passes in a second while the customers' keys and addresses come of age, and then time runs 10 times as fast.
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { harbor, refused, told } from './client.mjs';

const EXIT = process.argv.includes('--exit');
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const ADDRESS = { own: 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', new: '1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2' };
const KEYS_AGE = 8 * 24 * 3600 * 1000;

const dir = mkdtempSync(join(tmpdir(), 'harbor-'));
const children = [];
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const say = (text) => console.log(text);

let ending = false;

/** Ends both servers, and removes the directory once they no longer write into it. */
async function end(code) {
  if (ending) return;
  ending = true;
  await Promise.all(children.map(stop));
  rmSync(dir, { recursive: true, force: true });
  process.exit(code);
}
process.on('SIGINT', () => end(0));
process.on('SIGTERM', () => end(0));

/** Where the binaries are; built, unless they were named. */
function binaries() {
  if (process.env.HOLDFAST_BIN) return process.env.HOLDFAST_BIN;
  const packages = ['-p', 'holdfast-server', '-p', 'holdfast-example-exchange', '--bin', 'holdfast', '--bin', 'harbor'];
  execFileSync('cargo', ['build', ...packages], { cwd: ROOT, stdio: 'inherit' });
  return join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug');
}

const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

const [port, customersPort, staffPort] = [await freePort(), await freePort(), await freePort()];
const [URL_HOLDFAST, URL_HARBOR] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${customersPort}`];
const BIN = binaries();
const [HOLDFAST, HARBOR] = [join(BIN, 'holdfast'), join(BIN, 'harbor')];
const at = (name) => join(dir, name);
const holdfast = (args, token) =>
  execFileSync(HOLDFAST, args, { env: { ...process.env, HOLDFAST_TOKEN: token ?? '' }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

async function call(method, url, token, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return JSON.parse(text);
}

const time = async () => Date.parse((await call('GET', `${URL_HOLDFAST}/health`, '')).time);

async function until(ready) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await ready().catch(() => false)) return;
    await sleep(50);
  }
  throw new Error(`nothing answers; see ${dir}`);
}

/** Starts Holdfast over its data directory, from a time on and at a rate. */
async function serve(start, rate) {
  const child = spawn(HOLDFAST, ['serve', '--data', at('data'), '--listen', `127.0.0.1:${port}`,
    '--clock-start', new Date(start).toISOString(), '--clock-rate', `${rate}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.on('data', (text) => writeFileSync(at('holdfast.log'), text, { flag: 'a' }));
  children.push(child);
  await until(time);
  return child;
}

const stop = (child) =>
  new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done();
    child.on('exit', done);
    child.kill('SIGTERM');
  });

/** A token for a client, put into use by two operators. */
function issue(client, scopes, token) {
  const text = at(`${client}.text`);
  const made = JSON.parse(
    holdfast(['token', 'new', '--client', client, '--scopes', scopes, '--out', text, '--url', URL_HOLDFAST, '--json']),
  );
  const signatures = ['alice', 'bob'].flatMap((name) =>
    ['--signature', `${name}=${holdfast(['operator', 'sign', '--key', at(`${name}.key`), text]).trim()}`]);
  holdfast(['operator', 'send', text, ...signatures, '--url', URL_HOLDFAST], token);
  return made.token;
}

async function main() {
  const begin = Date.now() - KEYS_AGE - 48 * 3600 * 1000;
  for (const name of ['alice', 'bob']) holdfast(['operator', 'keygen', '--out', at(`${name}.key`)]);
  const made = JSON.parse(
    holdfast(['init', '--data', at('data'), '--config', join(ROOT, 'examples/harbor.toml'), '--policy',
      join(ROOT, 'policies/baseline'), '--operator', `alice=${at('alice.key.pub')}`, '--operator', `bob=${at('bob.key.pub')}`,
      '--simulated-clock', '--clock-start', new Date(begin).toISOString(), '--json']),
  );
  say(`Holdfast: a new journal, the policy pack "baseline", operators alice and bob.`);
  let server = await serve(begin, 1);
  const service = issue('harbor', 'service', made.token);
  const prices = issue('prices', 'prices', made.token);

  const admin = randomBytes(16).toString('hex');
  const config = JSON.parse(readFileSync(join(ROOT, 'examples/exchange/harbor.example.json'), 'utf8'));
  config.listen = `127.0.0.1:${customersPort}`;
  config.admin_listen = `127.0.0.1:${staffPort}`;
  config.holdfast = { ...config.holdfast, url: URL_HOLDFAST, poll_ms: 100, clock_rate: 10 };
  mkdirSync(at('harbor'));
  writeFileSync(at('harbor/harbor.json'), JSON.stringify(config));
  writeFileSync(at('harbor/admin.token'), admin, { mode: 0o600 });
  writeFileSync(at('harbor/holdfast.token'), service, { mode: 0o600 });
  const exchange = spawn(HARBOR, ['--config', at('harbor/harbor.json')], { stdio: ['ignore', 'ignore', 'pipe'] });
  exchange.stderr.on('data', (text) => writeFileSync(at('harbor.log'), text, { flag: 'a' }));
  children.push(exchange);
  await until(() => call('GET', `${URL_HARBOR}/api/v3/ping`, ''));
  say(`Harbor:   customers at ${URL_HARBOR}\n`);

  const staff = (method, path, body) => call(method, `http://127.0.0.1:${staffPort}${path}`, admin, body);
  const customers = {};
  for (const [name, tier, algorithm] of [['ada', 'full', 'HMAC'], ['ben', 'full', 'Ed25519'], ['eve', 'basic', 'HMAC']]) {
    await staff('POST', '/customers', { account: name, tier });
    await staff('POST', `/customers/${name}/deposits`, { asset: 'BTC', amount: '20' });
    const key = { withdraw: true, ips: ['127.0.0.1'] };
    let secret;
    if (algorithm === 'Ed25519') {
      const pair = generateKeyPairSync('ed25519');
      key.public_key = pair.publicKey.export({ type: 'spki', format: 'pem' });
      secret = pair.privateKey.export({ type: 'pkcs8', format: 'pem' });
      writeFileSync(at(`${name}.pem`), secret, { mode: 0o600 });
    }
    const made = await staff('POST', `/customers/${name}/api-keys`, key);
    customers[name] = { algorithm, apiKey: made.api_key, secret: secret ?? made.secret };
    const { session } = await staff('POST', `/customers/${name}/sessions`, {});
    await call('POST', `${URL_HARBOR}/addresses`, session, { network: 'bitcoin', address: ADDRESS.own });
  }

  say('8 days pass: keys and addresses come of age.\n');
  await stop(server);
  server = await serve(begin, 7 * 24 * 3600);
  await until(async () => (await time()) - begin > KEYS_AGE);
  await stop(server);
  server = await serve(Date.now(), 10);
  const feed = () => call('PUT', `${URL_HOLDFAST}/v1/prices`, prices, { prices: [{ asset: 'BTC', usd: '5900.00' }] });
  await feed();
  setInterval(() => feed().catch(() => {}), 10_000).unref();
  await staff('POST', '/customers/ben/password-change');

  const withdraw = async (name, what, amount, address) => {
    const { algorithm } = customers[name];
    say(`${name} (${algorithm}) withdraws ${amount} BTC to ${what}:`);
    const client = await harbor(URL_HARBOR, customers[name]);
    try {
      say(`  returns ${JSON.stringify(told(await client.withdraw('BTC', amount, address)))}`);
    } catch (error) {
      say(`  throws  ${JSON.stringify(refused(error))}`);
    }
  };
  const history = async (name) => {
    say(`${name}'s fetchWithdrawals():`);
    const client = await harbor(URL_HARBOR, customers[name]);
    for (const one of await client.fetchWithdrawals()) say(`  ${JSON.stringify(told(one))}`);
  };
  await withdraw('ada', 'an address in the book for 8 days', '2', ADDRESS.own);
  await withdraw('ada', 'a new address', '0.1', ADDRESS.new);
  await withdraw('ben', 'an address in the book for 8 days, just after a change of password', '2', ADDRESS.own);
  await withdraw('eve', 'an address in the book for 8 days, over her limit of 2,000 USD a day', '2', ADDRESS.own);
  say('\nA minute passes.');
  await sleep(7_000);
  await history('ada');
  await history('ben');
  await history('eve');
  if (EXIT) return;

  const secret = (name) => (customers[name].algorithm === 'HMAC' ? customers[name].secret : at(`${name}.pem`));
  say('\nNow you, from another terminal, at the top of the repository (the second line of each pair lists what became of it):\n');
  for (const name of ['ada', 'ben']) {
    const start = `node examples/exchange/ccxt/withdraw.mjs ${URL_HARBOR} ${customers[name].apiKey} ${secret(name)}`;
    say(`  ${start} BTC 0.5 ${ADDRESS.own}\n  ${start}\n`);
  }
  say('Ctrl-C ends both servers and removes everything.');
  await new Promise(() => setInterval(() => {}, 1 << 30));
}

main().then(
  () => end(0),
  (error) => {
    console.error(error.message);
    end(1);
  },
);
