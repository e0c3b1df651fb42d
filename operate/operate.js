"use strict";
// The page on which an operator's passkey is made, and signs an act's text.
//
// It talks to nobody: a text is put in, a signature comes out, and both are handed on by hand. It shows the text line by
// line, puts it together again from what stands on the screen, and asks the passkey to sign the SHA-256 of that. If that is
// not the text that was put in, to the letter, nothing is signed. It is meant to be read: from here down.
// ---- What texts there are (docs/texts.md): their fields, each once, in this order. ----
const TEXTS = new Map([
    ["holdfast-operator/v1", ["exchange", "act", "target", "detail", "payload", "not-before", "not-after", "nonce"]],
    ["holdfast-transfer/v1", ["exchange", "transfer", "wallet", "network", "purpose", "asset", "address", "amount", "fee-max",
            "not-after", "nonce"]],
]);
const TIMEOUT = 180_000;
class Refusal extends Error {
}
function refuse(why) {
    throw new Refusal(why);
}
function element(name, style = "", ...children) {
    const made = document.createElement(name);
    made.className = style;
    made.append(...children);
    return made;
}
function place(id) {
    return document.getElementById(id) ?? refuse("This page is damaged.");
}
function typed(id) {
    return place(id).value;
}
function show(text) {
    if (text.length > 4096 || !/^(?:[\x20-\x7e]+\n)+$/.test(text))
        refuse("This is no text that an operator signs: put it in whole.");
    const [kind = "", ...lines] = text.slice(0, -1).split("\n");
    const names = TEXTS.get(kind) ?? refuse("This page does not know what kind of text this is.");
    if (lines.length !== names.length)
        refuse("The text has a line too few or too many.");
    const rows = element("dl");
    const places = names.map((name, at) => {
        const value = lines[at].slice(name.length + 2);
        if (!lines[at].startsWith(`${name}: `) || !/^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/.test(value)) {
            refuse(`The text's line “${name}” is not as it should be.`);
        }
        const shown = element("span", "exact", value);
        const entry = element("dd", "", shown);
        const time = new Date(value);
        if (name.startsWith("not-") && !Number.isNaN(time.getTime()))
            entry.append(element("span", "aside", time.toLocaleString()));
        if (name === "payload" && value !== "-")
            entry.append(compare(value));
        rows.append(element("dt", "", name), entry);
        return [name, shown];
    });
    place("title").textContent = "Sign this?";
    place("what").replaceChildren(element("p", "exact", kind), rows);
    return { kind, places };
}
/** The text, from what stands on the screen. */
function together(shown) {
    return `${shown.kind}\n${shown.places.map(([name, at]) => `${name}: ${at.textContent ?? ""}\n`).join("")}`;
}
/** Lets the operator choose the document that belongs to the text, and says whether it is that one. */
function compare(digest) {
    const file = element("input");
    const verdict = element("strong", "", "The SHA-256 of a document. Choose the file that you have read:");
    file.type = "file";
    file.addEventListener("change", () => void attempt(async () => {
        const chosen = file.files?.[0] ?? refuse("No file was chosen.");
        const same = hex(await sha256(new Uint8Array(await chosen.arrayBuffer()))) === digest;
        verdict.textContent = same ? "It is the file that you chose." : "It is NOT the file that you chose.";
    }));
    return element("p", "", verdict, file);
}
// ---- Bytes. ----
function encode(bytes) {
    const text = String.fromCharCode(...new Uint8Array(bytes));
    return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
function decode(text) {
    if (!/^[A-Za-z0-9_-]+$/.test(text))
        refuse("This is no public key as this page gave it.");
    return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
}
async function sha256(bytes) {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
function hex(bytes) {
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
// ---- The passkey. The relying party's id is never given: so it is this host, whatever anybody says. ----
async function make() {
    const name = typed("name");
    if (!/^[A-Za-z0-9_.-]{1,128}$/.test(name))
        refuse("Write your name as an operator: letters, digits, dots and dashes.");
    const credential = await navigator.credentials.create({
        publicKey: {
            rp: { name: location.hostname },
            user: { id: crypto.getRandomValues(new Uint8Array(32)), name, displayName: name },
            challenge: crypto.getRandomValues(new Uint8Array(32)), attestation: "none", timeout: TIMEOUT,
            pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: "public-key", alg })),
            authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
        },
    });
    if (!(credential instanceof PublicKeyCredential))
        refuse("No key answered. Nothing was made.");
    const data = new Uint8Array(credential.response.getAuthenticatorData());
    // Behind 55 bytes and the id lies the public key, and nothing else unless a flag says that extensions follow.
    if ((data[32] & 0xc4) !== 0x44)
        refuse("This passkey does not know its owner, or says more than it should: use another one.");
    const key = data.slice(55 + credential.rawId.byteLength);
    localStorage.setItem(encode(credential.rawId), encode(key));
    give("Made", [
        ["The operator's key: for holdfast init --operator, an act enrol_operator, and the signer's pins",
            `passkey:${hex(await sha256(key))}`],
        ["Its public half. Keep it: on another device this page asks for it", encode(key)],
    ]);
}
async function sign(text, shown) {
    if (together(shown) !== text)
        refuse("What stands here is not the text that you put in. Nothing was signed.");
    const challenge = await sha256(new TextEncoder().encode(together(shown)));
    const credential = await navigator.credentials.get({ publicKey: { challenge, userVerification: "required", timeout: TIMEOUT } });
    if (!(credential instanceof PublicKeyCredential))
        refuse("No key answered. Nothing was signed.");
    const response = credential.response;
    const finish = async (key) => {
        const signature = {
            public_key: encode(decode(key)), client_data_json: encode(response.clientDataJSON),
            authenticator_data: encode(response.authenticatorData), signature: encode(response.signature),
        };
        give("Signed", [
            [`By passkey:${hex(await sha256(decode(key)))}. Save this as a file for --signature NAME=FILE`,
                JSON.stringify(signature, null, 2)],
            ["The SHA-256 of the text", hex(challenge)],
        ]);
    };
    const known = localStorage.getItem(encode(credential.rawId));
    if (known !== null)
        return finish(known);
    // An assertion does not carry the public key, and this browser did not see it being made.
    const field = element("input");
    field.id = "half";
    const label = element("label", "", "The public half of your passkey, as this page gave it when it was made");
    place("act").replaceChildren(label, field, button("yes", "Go on", () => finish(field.value.trim())));
}
// ---- The page. ----
function give(title, results) {
    place("title").textContent = title;
    place("status").textContent = "";
    place("act").replaceChildren();
    place("what").replaceChildren(...results.flatMap(([label, value]) => {
        const out = element("textarea", "out");
        out.readOnly = true;
        out.rows = value.includes("\n") ? 8 : 2;
        out.value = value;
        out.addEventListener("focus", () => out.select());
        return [element("label", "", label), out];
    }));
}
function explain(error) {
    if (error instanceof Refusal)
        return error.message;
    switch (error instanceof DOMException ? error.name : "") {
        case "NotAllowedError": return "No passkey answered in time, or you said no. Nothing was signed. You can try again.";
        case "SecurityError": return "Your browser will not use your passkey at this address. Nothing was signed.";
        default: return "Something went wrong in this page. Nothing was signed as far as this page knows.";
    }
}
/** Runs something, and says in words why it did not work. */
async function attempt(work) {
    place("trouble").textContent = "";
    try {
        await work();
    }
    catch (error) {
        if (!(error instanceof Refusal))
            console.error(error);
        place("status").textContent = "";
        place("trouble").textContent = explain(error);
    }
}
function button(style, label, work) {
    const made = element("button", style, label);
    made.addEventListener("click", () => {
        made.disabled = true;
        void attempt(work).finally(() => { made.disabled = false; });
    });
    return made;
}
void attempt(() => {
    if (window.top !== window.self)
        refuse("This page works in a window of its own only.");
    place("host").textContent = location.hostname;
    if (!window.isSecureContext || !("PublicKeyCredential" in window))
        refuse("This browser cannot use passkeys here.");
    place("read").addEventListener("click", () => void attempt(() => {
        // A text ends with a line feed, which copying loses.
        const text = typed("text").replace(/\n*$/, "\n");
        const shown = show(text);
        place("act").replaceChildren(button("yes", "Sign it with your passkey", () => {
            place("status").textContent = "Follow your browser.";
            return sign(text, shown);
        }), button("no", "No, I do not sign this", () => location.reload()));
    }));
    place("make").addEventListener("click", () => void attempt(make));
});
