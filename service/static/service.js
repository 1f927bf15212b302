// What the page asks of the server, and how it waits for it.

import { askForKey, keyHeaders } from "./key.js";

export const PREDICT = new URL("predict", document.baseURI);

const TRIES = 8;
const FIRST_WAIT = 1; // seconds, where the server does not say
const LONGEST_WAIT = 60;
const BUSY = new Set([429, 503]);

/** An answer that is no result; status 0 where there was none at all. */
export class Problem extends Error {
  constructor(status, document = {}) {
    super(document.title || `status ${status}`);
    this.status = status;
    this.detail = document.detail || "";
    this.requestId = document.request_id || "";
  }
}

/**
 * Have a photo rated. `source` is {blob, name} or {url}; `task` is {model, signal, onWait}, where
 * onWait(seconds) is told of every pause. Of an address, the rated picture comes too, for the page
 * may not load the photo itself. Gives {result, picture}; throws Problem.
 */
export async function predict(source, task) {
  if (source.blob) return { result: await (await send(source, "json", task)).json(), picture: null };
  const answer = await send(source, "jpeg", task);
  const picture = await answer.blob();
  const figures = answer.headers.get("X-Attrai-Result");
  // A crowd's figures are too long for a header.
  const result = figures ? JSON.parse(figures) : await (await send(source, "json", task)).json();
  return { result, picture };
}

/** The photo with boxes and scores on it, as a blob of `format`. */
export async function render(source, format, task) {
  return (await send(source, format, task)).blob();
}

/** What is served, as {default, models}, or null where that cannot be had. */
export async function scorers() {
  try {
    const answer = await fetch(new URL("models", document.baseURI), { headers: keyHeaders() });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

async function send(source, format, { model, signal, onWait }) {
  const address = new URL(PREDICT);
  address.searchParams.set("format", format);
  if (model) address.searchParams.set("model", model);
  let body;
  if (source.blob) {
    body = new FormData();
    body.append("image", source.blob, source.name);
  } else {
    address.searchParams.set("url", source.url);
  }
  for (let attempt = 1; ; attempt += 1) {
    const headers = keyHeaders();
    const answer = await reach(address, { method: body ? "POST" : "GET", body, signal, headers });
    if (answer.ok) return answer;
    if (answer.status === 401 && (await askForKey(headers))) continue;
    if (!BUSY.has(answer.status) || attempt === TRIES) throw await problemOf(answer);
    const seconds = waitOf(answer, attempt);
    onWait?.(seconds);
    await pause(seconds, signal);
  }
}

async function reach(address, request) {
  try {
    return await fetch(address, { ...request, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0);
  }
}

async function problemOf(answer) {
  const document = await answer.json().catch(() => ({}));
  return new Problem(answer.status, document ?? {});
}

/** Seconds until the next try: what Retry-After says, in seconds or as a date, within reason. */
function waitOf(answer, attempt) {
  const said = answer.headers.get("Retry-After");
  let seconds = Number(said ?? NaN);
  if (said && Number.isNaN(seconds)) seconds = (Date.parse(said) - Date.now()) / 1000;
  if (Number.isNaN(seconds)) seconds = FIRST_WAIT * attempt;
  return Math.ceil(Math.min(Math.max(seconds, FIRST_WAIT), LONGEST_WAIT));
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    }, { once: true });
  });
}
