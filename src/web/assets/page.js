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

// What a person has open, and where they are, survives the renewal.
function renew(html) {
  const focused = document.activeElement?.id;
  const open = new Set([...live.querySelectorAll("tr")].filter((row) => row.querySelector("details[open]")).map(nameOf));
  live.innerHTML = html;
  for (const row of live.querySelectorAll("tr")) {
    const details = row.querySelector("details");
    if (details && open.has(nameOf(row))) details.open = true;
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  const title = live.querySelector(".summary")?.dataset.title;
  document.title = title ? `${title} – landbridge` : "landbridge";
}

function nameOf(row) {
  return row.querySelector(".name")?.textContent;
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
