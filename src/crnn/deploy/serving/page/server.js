// Requests to the server: with a token where it wants one, again where it is busy.

import { sentence, trouble } from "./words.js";

const TRIES = 6; // for a server that is busy
const LONGEST = 10; // seconds between two tries

const $ = (id) => document.getElementById(id);
let token = "";
let asked = null; // the promise of a token, while it is asked for

/** Whether the server wants a token, which was given. */
export function secret() {
  return Boolean(token);
}

/** `address` with the token in it, for sockets, which have no headers. */
export function known(address) {
  if (token) address.searchParams.set("token", token);
  return address;
}

/**
 * `{status, body, after}` of a request, sent again where the server is busy, or wants a token, for which it asks.
 *
 * `begun(http)` is told of each request, so that it can be stopped, `sent(share)` how much of it has gone, `busy(turn,
 * of)` that it is to be sent again; nothing is when `stopped()`.
 */
export async function request(method, path, { stopped = () => false, busy = () => {}, ...options } = {}) {
  for (let turn = 1; ; turn++) {
    const used = token;
    const reply = await once(method, path, options);
    if (stopped()) return reply;
    if (reply.status === 401) {
      if (used === token) await askForToken(reply);
      turn = 0;
    } else if (reply.status === 503 && turn < TRIES) {
      busy(turn, TRIES - 1);
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(reply.after, LONGEST)));
      if (stopped()) return reply;
    } else {
      return reply;
    }
  }
}

function once(method, path, { body = null, type = null, begun = () => {}, sent = () => {} }) {
  return new Promise((resolve) => {
    const http = new XMLHttpRequest();
    http.open(method, path);
    if (token) http.setRequestHeader("Authorization", `Bearer ${token}`);
    if (type) http.setRequestHeader("Content-Type", type);
    http.upload.onprogress = (event) => event.lengthComputable && sent(event.loaded / event.total);
    http.onloadend = () => {
      let said = null;
      try {
        said = JSON.parse(http.responseText);
      } catch {
        // not from this server, or nothing at all
      }
      resolve({ status: http.status, body: said, after: Number(http.getResponseHeader("Retry-After")) || 1 });
    };
    begun(http);
    http.send(body);
  });
}

function askForToken(reply) {
  asked ??= new Promise((resolve) => {
    $("token").hidden = false;
    $("refused").textContent = token ? sentence(trouble(reply)) : "";
    $("secret").focus();
    $("token").onsubmit = (event) => {
      event.preventDefault();
      token = $("secret").value.trim();
      $("secret").value = "";
      $("token").hidden = true;
      asked = null;
      resolve();
    };
  });
  return asked;
}
