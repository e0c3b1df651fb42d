// The page on which a customer's security key approves a withdrawal, a change or a mandate, or is registered.
//
// It trusts nobody to say what is signed. The exchange gives it a text; the page takes the text apart, shows every field of
// it, puts it together again from what stands on the screen, and asks the key to sign the SHA-256 of that. If the two texts
// differ in one character, nothing is signed. It loads nothing from anywhere else and is meant to be read: from here down.

// ---- What texts there are (docs/texts.md). Each field once, in this order; those with `many` up to 16 times. ----

interface Field { name: string; label: string; form: RegExp; many?: boolean }

const LETTERS = /^[A-Za-z0-9_-]{1,64}$/;
const DECIMAL = /^(?:0|[1-9][0-9]{0,38})(?:\.[0-9]{1,24})?$/;
const TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;

const EXCHANGE: Field = { name: "exchange", label: "Exchange", form: /^[a-z0-9.-]{3,253}$/ };
const ACCOUNT: Field = { name: "account", label: "Your account", form: LETTERS };
const ASSET: Field = { name: "asset", label: "Asset", form: /^[A-Z0-9]{1,16}$/ };
const NETWORK: Field = { name: "network", label: "Network", form: /^[a-z0-9-]{1,32}$/ };
const UNTIL: Field = { name: "not-after", label: "Valid until", form: TIME };
const NONCE: Field = { name: "nonce", label: "Number used once", form: /^[A-Za-z0-9_-]{43}$/ };

const GRAMMARS = new Map<string, Field[]>([
  ["holdfast-withdrawal/v1", [
    EXCHANGE, ACCOUNT,
    { name: "withdrawal", label: "Withdrawal", form: /^wd_[0-9a-z]{26}$/ },
    ASSET, NETWORK,
    { name: "address", label: "To this address", form: /^[\x21-\x7e]{1,128}$/ },
    { name: "memo", label: "Memo or tag", form: /^[\x21-\x7e](?:[\x20-\x7e]{0,98}[\x21-\x7e])?$/ },
    { name: "amount", label: "Arrives", form: DECIMAL },
    { name: "fee-max", label: "Fee, at most", form: DECIMAL },
    UNTIL, NONCE,
  ]],
  ["holdfast-change/v1", [
    EXCHANGE, ACCOUNT,
    { name: "change", label: "Change", form: /^[a-z_]{1,40}$/ },
    { name: "target", label: "Of", form: /^[\x21-\x7e]{1,160}$/ },
    { name: "detail", label: "In particular", form: /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/ },
    UNTIL, NONCE,
  ]],
  ["holdfast-mandate/v1", [
    EXCHANGE, ACCOUNT,
    { name: "mandate", label: "Mandate", form: /^md_[0-9a-z]{26}$/ },
    { name: "api-key", label: "By your API key", form: /^[A-Za-z0-9_.-]{1,128}$/ },
    { name: "key", label: "Fingerprint of that key", form: /^[0-9a-f]{64}$/ },
    ASSET, NETWORK,
    { name: "destination", label: "Only to", form: /^[\x21-\x7e]{1,128} [\x21-\x7e]+$/, many: true },
    { name: "amount-max", label: "Each time, at most", form: DECIMAL },
    { name: "day-max", label: "In 24 hours, at most", form: DECIMAL },
    { name: "not-before", label: "From", form: TIME },
    UNTIL, NONCE,
  ]],
]);

// What a change means. One that is not listed is not approved here. Of keys, only the one made on this page a moment ago.
const CHANGES = new Map<string, [title: string, meaning: string]>([
  ["add_credential", ["Add another security key", "It will approve payments and changes as your present key does."]],
  ["add_master_credential", ["Add a master key", "It will open the Settings Lock, and nothing else."]],
  ["add_login_credential", ["Add a key for signing in", "It will sign in to your account, and approve nothing."]],
  ["remove_credential", ["Remove a security key", "It will never approve anything again."]],
  ["enrol_codes", ["Set up one-time codes anew", "Codes of the app that you used so far stop working."]],
  ["remove_codes", ["Turn one-time codes off", "Nobody will be asked for a code any more."]],
  ["put_recovery_codes", ["Make new recovery codes", "The ones that you wrote down before stop working."]],
  ["put_api_key", ["Allow a program to act for you", "Whoever holds this API key can do what stands here, without asking you."]],
  ["unlock_settings", ["Open the Settings Lock", "Security settings can be changed again, by anyone in your account."]],
  ["unfreeze", ["End the freeze of your account", "Money can leave the account again."]],
  ["stop_recovery", ["Stop the recovery of your account", "Somebody says that you lost your keys. You say that you did not."]],
]);
// What the parts of a change's line “detail” are called.
const PARTS = new Map([
  ["scopes", "It may"], ["from", "Used from"], ["to", "Withdraws to"], ["usd-24h", "In 24 hours, at most (US dollars)"],
  ["until", "Until"], ["key", "Fingerprint of the key"], ["count", "How many"], ["days", "Days"], ["api-key", "API key"],
  ["credential", "Fingerprint of the security key"],
]);
const ADDS_KEY = new Set(["add_credential", "add_master_credential", "add_login_credential"]);

// What stands first on the screen; from the empty name on, what is folded away.
const WEIGHTS = ["address", "memo", "destination", "network", "amount-max", "day-max", "fee-max", "api-key", "account",
  "not-before", "not-after", "", "key", "target", "detail", "exchange", "change", "withdrawal", "mandate", "nonce"];

// ---- What the exchange may answer. All of it is looked at before it is used. ----

interface Key { id: string; transports: string[] }
interface Ask { text: string; app_id: string | null; allow: Key[] }
interface Registration {
  account: string; used_for: string; challenge: string; user_handle: string; algorithms: number[]; credentials: Key[];
  app_id: string | null;
}

class Refusal extends Error {}

function refuse(why: string): never {
  throw new Refusal(why);
}

function element<K extends keyof HTMLElementTagNameMap>(
  name: K, style = "", ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.className = style;
  made.append(...children);
  return made;
}

function place(id: string): HTMLElement {
  return document.getElementById(id) ?? refuse("This page is damaged.");
}

// ---- Texts: apart, on the screen, and together again. ----

type Parsed = { kind: string; fields: [Field, string][] };

function parse(text: string): Parsed {
  if (text.length > 4096 || !/^(?:[\x20-\x7e]+\n)+$/.test(text)) refuse("The text holds something that cannot be shown.");
  const [kind = "", ...lines] = text.slice(0, -1).split("\n");
  const grammar = GRAMMARS.get(kind) ?? refuse("This page does not know what kind of text this is.");
  const fields: [Field, string][] = [];
  let at = 0;
  for (const field of grammar) {
    const start = `${field.name}: `;
    const first = at;
    while (at < lines.length && at - first < (field.many ? 16 : 1) && lines[at]!.startsWith(start)) {
      const value = lines[at]!.slice(start.length);
      if (!field.form.test(value)) refuse(`The text's line “${field.name}” is not as it should be.`);
      fields.push([field, value]);
      at += 1;
    }
    if (at === first) refuse(`The text's line “${field.name}” is missing.`);
  }
  if (at !== lines.length) refuse("The text says more than it should.");
  return { kind, fields };
}

function value(parsed: Parsed, name: string): string {
  return parsed.fields.find(([field]) => field.name === name)?.[1] ?? refuse(`The text's line “${name}” is missing.`);
}

/** Where each field stands on the screen, in the text's order. */
type Shown = { kind: string; places: [name: string, place: HTMLElement][] };

/** The text, from what stands on the screen. */
function together(shown: Shown): string {
  const line = ([name, at]: [string, HTMLElement]) => `${name}: ${at.textContent ?? ""}\n`;
  return `${shown.kind}\n${shown.places.map(line).join("")}`;
}

/** A field's value, so that people can compare it: addresses in groups, zeros at the end of amounts in grey. */
function readable(field: Field, text: string): HTMLElement {
  if (["address", "destination", "key"].includes(field.name)) {
    const groups = text.match(/ -$|[^ ]{1,4}| +/g) ?? [];
    return element("span", "exact", ...groups.map((group) => element("span", "group", group)));
  }
  if (field.form === DECIMAL) {
    const [, digits = text, zeros = ""] = /^(.*\..*?|.*?(?=\.))(\.?0*)$/.exec(text) ?? [];
    return element("span", "number", digits, element("span", "zeros", zeros));
  }
  return element("span", "exact", text);
}

function inWords(time: string): string {
  const local = new Date(time);
  return Number.isNaN(local.getTime()) ? "" : local.toLocaleString(undefined, { dateStyle: "full", timeStyle: "short" });
}

/** Shows a text: what matters most first, the rest below it, each field exactly once. */
function show(parsed: Parsed, minted: Minted | null): Shown {
  const title = place("title");
  const what = place("what");
  what.replaceChildren();
  const places = new Map<number, HTMLElement>();
  const shownAt = (index: number): HTMLElement => {
    const [field, text] = parsed.fields[index]!;
    const made = readable(field, text);
    places.set(index, made);
    return made;
  };
  const weight = (at: number) => WEIGHTS.indexOf(parsed.fields[at]![0].name);
  const index = (name: string) => parsed.fields.findIndex(([field]) => field.name === name);
  const first: Node[] = [];
  if (parsed.kind === "holdfast-withdrawal/v1") {
    title.textContent = "Send this?";
    first.push(element("p", "amount", shownAt(index("amount")), " ", shownAt(index("asset"))));
    document.title = `Send ${value(parsed, "amount")} ${value(parsed, "asset")}?`;
  } else if (parsed.kind === "holdfast-mandate/v1") {
    title.textContent = "Let a program withdraw without asking you?";
    first.push(element("p", "meaning", "Until it ends, your API key can withdraw ", shownAt(index("asset")),
      " within these limits, and you will not be asked again. You can end it at any time."));
  } else {
    const change = value(parsed, "change");
    const [words, meaning] = CHANGES.get(change) ?? refuse(`This page does not know the change “${change}”.`);
    title.textContent = `${words}?`;
    first.push(element("p", "meaning", meaning));
    if (ADDS_KEY.has(change)) {
      const detail = value(parsed, "detail");
      if (minted === null || value(parsed, "target") !== minted.target || (minted.detail ?? detail) !== detail) {
        refuse("This would add a key that you did not show on this page a moment ago. Nothing was approved.");
      }
      first.push(element("p", "meaning", "It is the key that you showed here a moment ago."));
    }
  }
  const rows = element("dl", "rows");
  const more = element("dl", "rows small");
  if (parsed.kind === "holdfast-change/v1") {
    for (const part of [value(parsed, "target"), ...value(parsed, "detail").split(" ")].filter((part) => part !== "-")) {
      const [, name = "", rest = part] = /^([a-z0-9-]+)[:=](.*)$/.exec(part) ?? [];
      rows.append(element("dt", "", PARTS.get(name) ?? name), element("dd", "exact", rest.replaceAll(",", ", ")));
    }
  }
  const order = parsed.fields.map((_, at) => at).sort((a, b) => weight(a) - weight(b));
  order.forEach((at) => {
    const [field, text] = parsed.fields[at]!;
    if (places.has(at)) return;
    const entry = element("dd", "", shownAt(at));
    if (field.name === "memo" && text === "-") entry.append(element("span", "aside", "none"));
    if (field.form === DECIMAL) entry.append(" ", element("span", "", value(parsed, "asset")));
    if (field.form === TIME) entry.append(element("span", "aside", inWords(text)));
    (weight(at) > WEIGHTS.indexOf("") ? more : rows).append(element("dt", "", field.label), entry);
  });
  what.append(...first, rows, element("details", "", element("summary", "", "Everything else that your key signs"), more));
  return { kind: parsed.kind, places: parsed.fields.map(([field], at) => [field.name, places.get(at)!]) };
}

// ---- Bytes. ----

function encode(bytes: ArrayBuffer | Uint8Array): string {
  const text = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decode(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) refuse("The exchange sent something that does not read.");
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- The exchange: the same host, and no other. ----

let ticket = "";

async function exchange(path: string, body: object): Promise<Record<string, unknown>> {
  const answer = await fetch(`/api/${path}`, {
    method: "POST", mode: "same-origin", credentials: "omit", redirect: "error", cache: "no-store",
    headers: { "content-type": "application/json" }, body: JSON.stringify({ ticket, ...body }),
  }).catch(() => refuse("The exchange does not answer. Look in your account whether this was approved."));
  const read: Record<string, unknown> = await answer.json().catch(() => ({}));
  if (!answer.ok) refuse(typeof read["message"] === "string" ? read["message"] : "The exchange refused. Nothing was approved.");
  return read;
}

function keys(list: unknown): Key[] {
  if (!Array.isArray(list) || list.length > 64) refuse("The exchange sent something that does not read.");
  const strings = (some: unknown) => (Array.isArray(some) ? some.map(String) : []);
  return list.map((key) => ({ id: String(key?.id), transports: strings(key?.transports) }));
}

function descriptors(list: Key[]): PublicKeyCredentialDescriptor[] {
  return list.map((key) => ({ type: "public-key", id: decode(key.id), transports: key.transports as AuthenticatorTransport[] }));
}

// ---- Asking the key. The relying party's id is never given: so it is this host, whatever the exchange says. ----

const TIMEOUT = 180_000;

async function approve(ask: Ask, shown: Shown): Promise<void> {
  const text = together(shown);
  if (text !== ask.text) refuse("What stands here is not what the exchange asks for. Nothing was approved.");
  const challenge = await sha256(new TextEncoder().encode(text));
  const credential = await navigator.credentials.get({
    publicKey: {
      challenge, allowCredentials: descriptors(ask.allow), userVerification: "preferred", timeout: TIMEOUT,
      extensions: ask.app_id === null ? {} : { appid: ask.app_id },
    },
  });
  if (!(credential instanceof PublicKeyCredential)) refuse("No key answered. Nothing was approved.");
  const response = credential.response as AuthenticatorAssertionResponse;
  const answer = await exchange("approve", {
    text,
    assertion: {
      credential_id: encode(credential.rawId), client_data_json: encode(response.clientDataJSON),
      authenticator_data: encode(response.authenticatorData), signature: encode(response.signature),
    },
  });
  done("Approved", String(answer["message"] ?? ""));
}

/** A key that was just made here, as a text that adds it must name it. */
interface Minted { target: string; detail: string | null }

async function minted(id: ArrayBuffer, data: Uint8Array<ArrayBuffer>): Promise<Minted> {
  const target = `credential:${hex(await sha256(new Uint8Array(id)))}`;
  // Behind 55 bytes and the id lies the public key, and nothing else unless a flag says that extensions follow.
  const extended = (data[32]! & 0x80) !== 0;
  const key = data.slice(55 + id.byteLength);
  return { target, detail: extended ? null : `key=${hex(await sha256(key))}` };
}

async function register(asked: Registration): Promise<void> {
  const credential = await navigator.credentials.create({
    publicKey: {
      rp: { name: location.hostname },
      user: { id: decode(asked.user_handle), name: asked.account, displayName: asked.account },
      challenge: decode(asked.challenge), attestation: "none", timeout: TIMEOUT,
      pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: descriptors(asked.credentials),
      authenticatorSelection: { residentKey: "discouraged", userVerification: "preferred" },
      extensions: (asked.app_id === null ? {} : { appidExclude: asked.app_id }) as AuthenticationExtensionsClientInputs,
    },
  });
  if (!(credential instanceof PublicKeyCredential)) refuse("No key answered. Nothing was registered.");
  const response = credential.response as AuthenticatorAttestationResponse;
  const made = await minted(credential.rawId, new Uint8Array(response.getAuthenticatorData()));
  const answer = await exchange("register", {
    client_data_json: encode(response.clientDataJSON), attestation_object: encode(response.attestationObject),
    transports: response.getTransports(),
  });
  if (typeof answer["text"] === "string") offer(answer, made);
  else done("Registered", String(answer["message"] ?? ""));
}

// ---- The page. ----

function done(title: string, message: string): void {
  place("title").textContent = title;
  document.title = title;
  place("act").replaceChildren();
  place("status").textContent = `${message} You can close this page.`;
}

function explain(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError": return "No key answered in time, or you said no. Nothing was approved. You can try again.";
    case "InvalidStateError": return "This key is registered already.";
    case "SecurityError": return "Your browser will not use your key at this address. Nothing was approved.";
    case "AbortError": return "It was interrupted. Nothing was approved. You can try again.";
    default: return "Something went wrong in this page. Nothing was approved as far as this page knows.";
  }
}

/** Runs something, and says in words why it did not work. */
async function attempt(work: () => void | Promise<void>): Promise<void> {
  place("trouble").textContent = "";
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error);
    place("status").textContent = "";
    place("trouble").textContent = explain(error);
    if (place("act").childElementCount === 0) place("title").textContent = "This cannot be approved";
  }
}

function buttons(label: string, work: () => Promise<void>): void {
  const yes = element("button", "yes", label);
  const no = element("button", "no", "No, I do not want this");
  yes.addEventListener("click", () => {
    yes.disabled = true;
    place("status").textContent = "Touch your security key, or follow your browser.";
    void attempt(work).finally(() => { yes.disabled = false; });
  });
  no.addEventListener("click", () => {
    ticket = "";
    place("what").replaceChildren();
    done("Nothing was approved",
      "If you did not begin this yourself, somebody else may be using your account: freeze it, and tell the exchange.");
  });
  place("act").replaceChildren(yes, no);
}

function offer(answer: Record<string, unknown>, made: Minted | null): void {
  const ask: Ask = {
    text: String(answer["text"]), allow: keys(answer["allow"]),
    app_id: typeof answer["app_id"] === "string" ? answer["app_id"] : null,
  };
  if (ask.allow.length === 0) refuse("No security key is registered for this account, so nothing can be approved.");
  place("status").textContent = "";
  const shown = show(parse(ask.text), made);
  buttons("Approve with your key", () => approve(ask, shown));
}

function offerRegistration(answer: Record<string, unknown>): void {
  const asked: Registration = {
    account: String(answer["account"]), used_for: String(answer["used_for"]), challenge: String(answer["challenge"]),
    user_handle: String(answer["user_handle"]), credentials: keys(answer["credentials"]),
    algorithms: Array.isArray(answer["algorithms"]) ? answer["algorithms"].map(Number) : [],
    app_id: typeof answer["app_id"] === "string" ? answer["app_id"] : null,
  };
  const meaning = asked.used_for === "master"
    ? "As a master key it opens the Settings Lock, and nothing else. Keep it apart from your other keys."
    : "It will approve withdrawals and changes, on this page alone. A first key counts after three days; you are told at once.";
  place("title").textContent = "Register a security key?";
  place("status").textContent = "";
  place("what").replaceChildren(element("p", "meaning", meaning),
    element("dl", "rows", element("dt", "", ACCOUNT.label), element("dd", "", element("span", "exact", asked.account))));
  buttons("Register your security key", () => register(asked));
}

void attempt(async () => {
  if (window.top !== window.self) refuse("This page works in a window of its own only. Nothing was approved.");
  place("host").textContent = location.hostname;
  if (!window.isSecureContext || !("credentials" in navigator) || !("PublicKeyCredential" in window)) {
    refuse("This browser cannot use security keys here.");
  }
  ticket = new URLSearchParams(location.hash.slice(1)).get("ticket") ?? "";
  history.replaceState(null, "", location.pathname);
  if (ticket === "") refuse("Begin in your account at the exchange: it opens this page when there is something to approve.");
  const answer = await exchange("ask", {});
  if (typeof answer["text"] === "string") offer(answer, null);
  else if (typeof answer["challenge"] === "string") offerRegistration(answer);
  else done("Done", String(answer["message"] ?? ""));
});
