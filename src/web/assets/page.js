// Renews the page's live part every second, and sends its buttons without leaving the page. Without this script the page
// works all the same: it reloads by itself, and its buttons are forms.
"use strict";

const EVERY_MS = 1000;
const PATIENCE_MS = 4000;
const live = document.getElementById("live");
const lost = document.getElementById("lost");
const notice = document.getElementById("notice");
let heardAt = Date.now();
let acting = false;

async function ask(path, options) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE_MS);
  try {
    return await fetch(path, { ...options, signal: abort.signal, credentials: "same-origin" });
  } finally {
    clearTimeout(timer);
  }
}

function renew(html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  merge(live, fresh.content);
  const title = live.querySelector(".summary")?.dataset.title;
  document.title = title ? `${title} – landbridge` : "landbridge";
}

// What is still there stays the very same element, wherever it moves: a press that begins on a button ends on it and never on
// another table's, and what a person has opened, focused or selected stays so.
function merge(old, fresh) {
  const kept = [...old.childNodes];
  const wanted = [...fresh.childNodes].map((node, place) => {
    const at = kept[place] && isSame(kept[place], node) ? place : kept.findIndex((one) => one && isSame(one, node));
    if (at < 0) return node;
    const [one] = kept.splice(at, 1, null);
    update(one, node);
    return one;
  });
  const stays = wanted.length === old.childNodes.length && wanted.every((node, place) => node === old.childNodes[place]);
  if (!stays) old.replaceChildren(...wanted);
}

function isSame(one, other) {
  return one.nodeName === other.nodeName && one.id === other.id && nameOf(one) === nameOf(other);
}

function nameOf(node) {
  return node.nodeName === "TR" ? node.querySelector(".name")?.textContent : undefined;
}

function update(one, fresh) {
  if (one.nodeType === Node.TEXT_NODE) {
    if (one.data !== fresh.data) one.data = fresh.data;
    return;
  }
  for (const name of one.getAttributeNames()) {
    const set = name === "open" && one.nodeName === "DETAILS";
    if (!set && !fresh.hasAttribute(name)) one.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (one.getAttribute(name) !== value) one.setAttribute(name, value);
  }
  merge(one, fresh);
}

function contact(now) {
  const seconds = Math.round((now - heardAt) / 1000);
  const gone = now - heardAt > 3 * EVERY_MS;
  document.body.classList.toggle("stale", gone);
  lost.hidden = !gone;
  if (gone) lost.textContent = `No contact with landbridge for ${seconds} s: what is shown is old.`;
}

async function refresh() {
  try {
    const answer = await ask("/fragment");
    if (answer.status === 401) return location.reload();
    const html = await answer.text();
    if (!acting && (answer.ok || answer.status === 503)) {
      renew(html);
      heardAt = Date.now();
    }
  } catch {
    // No contact: told by its age.
  }
  contact(Date.now());
}

document.addEventListener("submit", async (event) => {
  const button = event.target.querySelector("button[data-action]");
  if (!button) return;
  event.preventDefault();
  acting = true;
  button.disabled = true;
  notice.hidden = true;
  try {
    const path = new URL(event.target.action).pathname.replace(/^\/tables\//, "/api/v1/tables/");
    const answer = await ask(path, { method: "POST" });
    const said = await answer.json();
    if (!answer.ok) tell(`${said.error}. ${said.remedy}`);
    else if (said.warning) tell(said.warning);
  } catch {
    tell(`landbridge did not answer: whether ${button.dataset.action} was done is shown by the table's state.`);
  }
  acting = false;
  button.disabled = false;
  refresh();
});

function tell(text) {
  notice.textContent = text;
  notice.hidden = false;
}

async function loop() {
  await refresh();
  setTimeout(loop, EVERY_MS);
}

loop();
setInterval(() => contact(Date.now()), EVERY_MS);
