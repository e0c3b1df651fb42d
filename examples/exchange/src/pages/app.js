// The page of a signed-in customer: withdrawals, keys, and the way to the approve host. It never asks a key for anything.
"use strict";

const at = (id) => document.getElementById(id);

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const read = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(read.message ?? `It did not work (${answer.status}).`);
  return read;
}

function button(label, work) {
  const made = document.createElement("button");
  made.textContent = label;
  made.addEventListener("click", () => attempt(work));
  return made;
}

function row(text, ...more) {
  const made = document.createElement("li");
  made.append(text, ...more);
  return made;
}

async function attempt(work) {
  at("said").textContent = "";
  try {
    await work();
  } catch (error) {
    at("said").textContent = error.message;
  }
}

/** Opens the approve host in a window of its own, which cannot reach back. */
async function toApprove(wanted) {
  const { url } = await call("POST", "/tickets", wanted);
  window.open(url, "_blank", "noopener");
}

async function show() {
  const [withdrawals, keys] = await Promise.all([call("GET", "/withdrawals"), call("GET", "/keys")]);
  at("withdrawals").replaceChildren(...withdrawals.map((known) => {
    const text = `${known.amount} ${known.asset} to ${known.address}: ${known.info} `;
    const waits = known.stage === "awaiting_approval";
    return row(text, ...(waits ? [button("Approve", () => toApprove({ withdrawal: known.id }))] : []));
  }));
  at("keys").replaceChildren(...keys.filter((key) => !key.removed).map((key) =>
    row(`${key.label}, counts from ${key.counts_from} `, button("Remove", () => toApprove({ remove: key.fingerprint })))));
  at("sign-in").hidden = true;
  at("inside").hidden = false;
}

function onSubmit(id, work) {
  at(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const form = Object.fromEntries([...new FormData(event.target)].filter(([, value]) => value !== ""));
    attempt(() => work(form));
  });
}

onSubmit("sign-in", async (form) => {
  await call("POST", "/sign-in", form);
  await show();
});
onSubmit("withdraw", async (form) => {
  const { info } = await call("POST", "/withdraw", form);
  at("said").textContent = info;
  await show();
});
onSubmit("register", (form) => toApprove({ register: { label: form.label } }));
window.addEventListener("focus", () => at("inside").hidden || attempt(show));
show().catch(() => {});
