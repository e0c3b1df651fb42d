// Drives Chromium for the tests: one JSON object a line on standard input, one answer a line on standard output.
//
// A security key is a name; it is plugged into a window as a virtual authenticator, and taken out with all that it learned.
// BROWSER is {client, chromium, port, spki, folder}: where the npm packages are, the browser, Harbor's port, the digest of its
// certificate's key, and an empty folder.

import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const { client, chromium, port, spki, folder } = JSON.parse(process.env.BROWSER);
const playwright = createRequire(`${client}/`)('playwright-core');
const APP = 'app.harbor.example';
const APPROVE = 'approve.harbor.example';
const OPERATE = 'operate.harbor.example';
const PHISH = 'app.harb0r.test';
const PATIENCE = 30_000;

const context = await playwright.chromium.launchPersistentContext(folder, {
  executablePath: chromium,
  headless: false, // `--headless` below: the browser's own, not another binary.
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', `--ignore-certificate-errors-spki-list=${spki}`,
    // Pages that a test makes up count as public; what they frame is here.
    '--disable-features=LocalNetworkAccessChecks', `--host-resolver-rules=MAP * 127.0.0.1:${port}`,
  ],
});
context.setDefaultTimeout(PATIENCE);

/** Keys by name: how they speak, and what they know. */
const keys = new Map();
/** Customers' windows by name, and their cookies. */
const windows = new Map();

const OPTIONS = {
  u2f: { protocol: 'u2f', transport: 'usb', automaticPresenceSimulation: true },
  ctap2: {
    protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'usb', hasUserVerification: true, isUserVerified: true,
    automaticPresenceSimulation: true,
  },
};

OPTIONS.passkey = { ...OPTIONS.ctap2, hasResidentKey: true };

/** A customer's window, with that customer's session: as if each had a browser. */
async function windowOf(name) {
  const { page, cookies } = windows.get(name);
  await context.clearCookies();
  await context.addCookies(cookies);
  return page;
}

/** Runs something with a key in a window; what the key learned is kept. */
async function withKey(page, name, work, change = (credential) => credential) {
  const key = keys.get(name);
  const session = await context.newCDPSession(page);
  await session.send('WebAuthn.enable');
  const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', { options: OPTIONS[key.protocol] });
  for (const credential of key.credentials) {
    await session.send('WebAuthn.addCredential', { authenticatorId, credential: change(credential) });
  }
  try {
    return await work();
  } finally {
    const { credentials } = await session.send('WebAuthn.getCredentials', { authenticatorId });
    // A U2F key knows hosts by their digests alone: which one it was is remembered here.
    const known = (id) => key.credentials.find((credential) => credential.credentialId === id)?.rpId ?? APPROVE;
    if (change({}).rpId === undefined) {
      key.credentials = credentials.map((credential) => ({ ...credential, rpId: credential.rpId ?? known(credential.credentialId) }));
    }
    await session.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
    await session.detach();
  }
}

/** What stands on the approval page. */
async function stands(page) {
  const text = (id) => page.locator(`#${id}`).innerText();
  return {
    host: await text('host'), title: await text('title'), what: await page.locator('#what').textContent(),
    status: await text('status'), trouble: await text('trouble'),
  };
}

/** Clicks in the app's page what opens the approval page, in a window of its own. */
async function opened(page, click) {
  const [popup] = await Promise.all([context.waitForEvent('page'), click()]);
  await popup.waitForFunction(() => document.querySelector('#act button, #trouble:not(:empty)') !== null);
  return popup;
}

/** Presses the button for yes, and waits for what comes of it. */
async function press(popup) {
  const before = await stands(popup);
  await popup.click('button.yes');
  await popup.waitForFunction(([title]) => document.querySelector('#trouble').textContent !== ''
    || document.querySelector('#title').textContent !== title, [before.title]);
  return { before, after: await stands(popup) };
}

/** A request as any program sends it, past every rule of browsers. */
function raw(host, method, path, headers, body) {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, servername: host, method, path, headers: { ...headers, host },
      rejectUnauthorized: false }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

async function rawJson(host, method, path, headers, body) {
  const answer = await raw(host, method, path, { ...headers, 'content-type': 'application/json' }, JSON.stringify(body));
  const text = answer.body.toString();
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
}

/** Runs in a page: asks the key, and says what came of it. */
function ask({ challenge, id, rpId }) {
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  return navigator.credentials.get({ publicKey: {
    challenge: bytes(challenge), allowCredentials: [{ type: 'public-key', id: bytes(id) }], timeout: 3000,
    ...(rpId === undefined ? {} : { rpId }),
  } }).then(({ rawId, response }) => ({ assertion: {
    credential_id: text(rawId), client_data_json: text(response.clientDataJSON),
    authenticator_data: text(response.authenticatorData), signature: text(response.signature),
  } }), (error) => ({ error: error.name }));
}

const url64 = (base64) => base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

const acts = {
  /** A key that nobody used yet. */
  key: ({ name, protocol }) => {
    keys.set(name, { protocol, credentials: [] });
  },

  /** A key as U2F registered it years ago, with what the exchange kept of it. */
  legacy: ({ name, appId }) => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const point = pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(-65);
    const handle = Buffer.from(Array.from({ length: 64 }, (_, at) => (at * 7 + 1) % 251));
    keys.set(name, { protocol: 'u2f', credentials: [{
      credentialId: handle.toString('base64'), isResidentCredential: false, rpId: appId, signCount: 1,
      privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    }] });
    return { key_handle: handle.toString('base64url'), public_key: point.toString('base64url') };
  },

  'sign-in': async ({ as, host = APP, account, password, code }) => {
    await context.clearCookies();
    const page = await context.newPage();
    await page.goto(`https://${host}/`);
    for (const [name, value] of Object.entries({ account, password, code })) {
      await page.fill(`#sign-in [name=${name}]`, value);
    }
    await page.click('#sign-in button');
    await page.locator('#inside').waitFor();
    windows.set(as, { page, cookies: await context.cookies() });
  },

  /** Registers a key; with `by`, another key approves it. */
  register: async ({ as, key, by }) => {
    const page = await windowOf(as);
    const popup = await opened(page, () => page.click('#register button'));
    const registered = await withKey(popup, key, () => press(popup));
    const approved = by === undefined ? null : await withKey(popup, by, () => press(popup));
    await popup.close();
    return { registered, approved };
  },

  withdraw: async ({ as, amount, address, code }) => {
    const page = await windowOf(as);
    await page.fill('#withdraw [name=amount]', amount);
    await page.fill('#withdraw [name=address]', address);
    await page.fill('#withdraw [name=code]', code ?? '');
    await page.evaluate(() => { document.querySelector('#said').textContent = ''; });
    await page.click('#withdraw button');
    await page.waitForFunction(() => document.querySelector('#said').textContent !== '');
    return page.locator('#said').innerText();
  },

  /** Approves the newest withdrawal that waits for it. */
  approve: async ({ as, key, shot }) => {
    const page = await windowOf(as);
    const popup = await opened(page, () => page.locator('#withdrawals button').first().click());
    if (shot !== undefined) await popup.screenshot({ path: shot, fullPage: true });
    const answer = await withKey(popup, key, () => press(popup));
    await popup.close();
    return answer;
  },

  /** A page on another host that passes everything on to the real one, as it comes, and keeps the session. */
  relay: async ({ as, account, password, code }) => {
    const caught = { forms: [], cookie: '' };
    await context.route(`https://${PHISH}/**`, async (route) => {
      const asked = route.request();
      const { pathname } = new URL(asked.url());
      const body = asked.postData();
      if (body !== null) caught.forms.push([pathname, JSON.parse(body)]);
      const answer = await raw(APP, asked.method(), pathname, {
        ...(body === null ? {} : { 'content-type': 'application/json' }), ...(caught.cookie === '' ? {} : { cookie: caught.cookie }),
      }, body ?? undefined);
      const set = answer.headers['set-cookie']?.[0];
      if (set !== undefined) caught.cookie = set.split(';')[0];
      await route.fulfill({ status: answer.status, body: answer.body, contentType: answer.headers['content-type'] });
    });
    await acts['sign-in']({ as, host: PHISH, account, password, code });
    return caught;
  },

  /** What whoever holds a session's cookie asks the app's host for. */
  stolen: ({ cookie, method, path, body }) => rawJson(APP, method, path, { cookie }, body),

  /** The same at the approve host, pretending to be its page. */
  pretend: ({ path, body, origin }) => rawJson(APPROVE, 'POST', path, origin === null ? {} : { origin: origin ?? `https://${APPROVE}` }, body),

  headers: async ({ host, path }) => {
    const { status, headers } = await raw(host, 'GET', path, {});
    return { status, headers };
  },

  /** A page that holds a stolen ticket, in the thief's own browser with the thief's own key. */
  'open-ticket': async ({ url, key }) => {
    const popup = await context.newPage();
    await popup.goto(url);
    await popup.waitForFunction(() => document.querySelector('#act button, #trouble:not(:empty)') !== null);
    const answer = key === undefined ? await stands(popup) : await withKey(popup, key, () => press(popup));
    await popup.close();
    return answer;
  },

  /** Another page asks the key. With `lie`, a key that answers every page, as no real one does. */
  'ask-elsewhere': async ({ as, key, challenge, rpId, lie }) => {
    const page = await windowOf(as);
    const id = url64(keys.get(key).credentials[0].credentialId);
    const change = lie ? (credential) => ({ ...credential, rpId: new URL(page.url()).hostname }) : undefined;
    return withKey(page, key, () => page.evaluate(ask, { challenge, id, rpId }), change);
  },

  /** Somebody put a page on the approve host that lets itself be framed: what does the key sign there? */
  frame: async ({ key, challenge }) => {
    const html = (body) => ({ contentType: 'text/html', body });
    await context.route(`https://${APP}/outside.html`, (route) => route.fulfill(html(
      `<iframe allow="publickey-credentials-get" src="https://${APPROVE}/inside.html"></iframe>`)));
    await context.route(`https://${APPROVE}/inside.html`, (route) => route.fulfill(html('inside')));
    const page = await context.newPage();
    await page.goto(`https://${APP}/outside.html`);
    const inside = page.frames().find((frame) => frame.url().endsWith('inside.html'));
    const id = url64(keys.get(key).credentials[0].credentialId);
    const answer = await withKey(page, key, () => inside.evaluate(ask, { challenge, id }));
    await page.close();
    return answer;
  },

  /** The real approval page in a frame: what is seen of it. With `bare`, somebody took its headers off. */
  'frame-page': async ({ bare }) => {
    await context.route(`https://${APP}/around.html`, (route) => route.fulfill({
      contentType: 'text/html', body: `<iframe src="https://${APPROVE}/#ticket=0"></iframe>`,
    }));
    const page = await context.newPage();
    if (bare) {
      await page.route(`https://${APPROVE}/**`, async (route) => {
        const answer = await raw(APPROVE, 'GET', new URL(route.request().url()).pathname, {});
        await route.fulfill({ body: answer.body, contentType: answer.headers['content-type'] });
      });
    }
    await page.goto(`https://${APP}/around.html`);
    await page.waitForTimeout(500);
    const inside = page.frames().slice(1).map((frame) => frame.evaluate(() => document.body?.innerText ?? ''));
    const seen = await Promise.all(inside);
    await page.close();
    return seen.join('\n');
  },

  /** The page by itself, from the repository, with this answer to its question: what it shows, and what it would have signed. */
  page: async ({ answer }) => {
    const page = await context.newPage();
    const approve = join(client, '../../approve');
    const lines = readFileSync(join(approve, 'headers.txt'), 'utf8').trim().split('\n');
    const headers = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s).slice(0, 2)));
    const kinds = { html: 'text/html', js: 'text/javascript', css: 'text/css' };
    await page.route(`https://${APPROVE}/**`, (route) => {
      const { pathname } = new URL(route.request().url());
      if (pathname === '/api/ask') return route.fulfill({ json: answer });
      const name = pathname === '/' ? 'index.html' : pathname.slice(1);
      const contentType = kinds[name.split('.').at(-1)];
      return route.fulfill({ headers: { ...headers, 'content-type': contentType }, body: readFileSync(join(approve, name)) });
    });
    await page.addInitScript(() => {
      navigator.credentials.get = ({ publicKey }) => {
        document.documentElement.dataset.challenge = Array.from(publicKey.challenge, (byte) => byte.toString(16).padStart(2, '0')).join('');
        return Promise.reject(new DOMException('', 'NotAllowedError'));
      };
    });
    await page.goto(`https://${APPROVE}/#ticket=1`);
    await page.waitForFunction(() => document.querySelector('#act button, #trouble:not(:empty)') !== null);
    const before = await stands(page);
    const yes = page.locator('button.yes');
    if (await yes.count() === 1) {
      await yes.click();
      await page.locator('#trouble:not(:empty)').waitFor();
    }
    const challenge = await page.evaluate(() => document.documentElement.dataset.challenge ?? null);
    const address = page.url();
    await page.close();
    return { ...before, challenge, address };
  },

  /** The operators' page by itself, from the repository: makes a passkey, or signs a text with one. */
  operate: async ({ key, name, text, half, host = OPERATE }) => {
    const page = await context.newPage();
    const folder = join(client, '../../operate');
    const lines = readFileSync(join(folder, 'headers.txt'), 'utf8').trim().split('\n');
    const headers = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s).slice(0, 2)));
    const kinds = { html: 'text/html', js: 'text/javascript', css: 'text/css' };
    const asked = [];
    await page.route('**', (route) => {
      const { pathname } = new URL(route.request().url());
      asked.push(pathname);
      const file = pathname === '/' ? 'index.html' : pathname.slice(1);
      const contentType = kinds[file.split('.').at(-1)];
      if (contentType === undefined) return route.abort();
      return route.fulfill({ headers: { ...headers, 'content-type': contentType }, body: readFileSync(join(folder, file)) });
    });
    await page.goto(`https://${host}/`);
    const settled = () => page.waitForFunction(() => document.querySelector('#trouble:not(:empty), textarea.out, #half') !== null);
    let what = '';
    await withKey(page, key, async () => {
      if (text === undefined) {
        await page.fill('#name', name);
        await page.click('#make');
        await settled();
      } else {
        await page.fill('#text', text);
        await page.click('#read');
        await page.waitForFunction(() => document.querySelector('#trouble:not(:empty), #act button') !== null);
        what = await page.locator('#what').textContent();
        if (await page.locator('#act button.yes').count() === 1) {
          await page.click('#act button.yes');
          await settled();
        }
        if (half !== undefined) {
          await page.fill('#half', half);
          await page.click('#act button.yes');
          await page.waitForFunction(() => document.querySelector('#trouble:not(:empty), textarea.out') !== null);
        }
      }
    });
    const answer = {
      title: await page.locator('#title').innerText(), trouble: await page.locator('#trouble').innerText(), what, asked,
      asks: await page.locator('#half').count() === 1,
      out: await page.locator('textarea.out').evaluateAll((all) => all.map((one) => one.value)),
    };
    await page.close();
    return answer;
  },

  /** Forgets what pages kept in this browser. */
  forget: async () => {
    const page = await context.newPage();
    await page.route('**', (route) => route.fulfill({ contentType: 'text/html', body: 'empty' }));
    await page.goto(`https://${OPERATE}/empty.html`);
    await page.evaluate(() => localStorage.clear());
    await page.close();
  },

  end: async () => {
    await context.close();
    process.exit(0);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: act, ...rest } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await acts[act](rest)) ?? null };
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await context.close();
