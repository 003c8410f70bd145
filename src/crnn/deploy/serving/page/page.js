// The server's page: files, texts and sounds to the server, answers into cards.

import { answered, clear, failed, newCard, play, progress, put, rows, stands } from "./cards.js";
import { listen } from "./listening.js";
import { known, request, secret } from "./server.js";
import { command, count, does, reads, sentence, trouble } from "./words.js";

const AT_ONCE = 4; // requests that wait for the server side by side
const SHORT = 80; // letters of a text that name its card

const $ = (id) => document.getElementById(id);
const waiting = []; // what is to be asked
let running = 0;
let about = null; // what the server says of its network

// asking

/** Ask the server as soon as it is the turn of `card`. */
function ask(card, body, type = null) {
  let stopped = false;
  let http = null;
  card.stop = () => {
    stopped = true;
    http?.abort();
  };
  waiting.push(async () => {
    if (stopped) return;
    progress(card, "sending", 0);
    const reply = await request("POST", `${about.task}?html=true`, {
      body,
      type,
      stopped: () => stopped,
      begun: (begun) => (http = begun),
      sent: (share) => (share < 1 ? progress(card, "sending", share) : progress(card, "the network is at work")),
      busy: (turn, of) => progress(card, `the server is busy; trying again (${turn} of ${of})`),
    });
    if (stopped) return;
    const answer = reply.body?.answers?.[0];
    if (reply.status === 200 && answer && !answer.error) answered(card, answer);
    else failed(card, trouble(reply));
  });
  next();
}

async function next() {
  if (running >= AT_ONCE || !waiting.length) return;
  running++;
  try {
    await waiting.shift()();
  } finally {
    running--;
    next();
  }
}

function askFiles(files) {
  if (!about || about.inputs.length > 1) return;
  const made = [...files].map((file) => [newCard(file.name), file]);
  put(made.map(([card]) => card));
  const most = about.limits?.max_mb;
  for (const [card, file] of made) {
    const mb = Math.ceil(file.size / 1e6);
    if (most && mb > 1.1 * most) {
      // a server that ends an upload cannot say why: browsers tell of no answer that comes before its end
      const given = `The file has ${count(mb, "megabyte")}`;
      failed(card, { given, expected: `at most ${most} megabytes`, do: "Make it smaller." });
      continue;
    }
    askFile(card, file);
  }
}

async function askFile(card, file) {
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    failed(card, { given: "The browser cannot read it", expected: "a file", do: "Choose the files of a folder." });
    return;
  }
  play(card, file);
  const body = new FormData();
  body.append("file", file, file.name);
  ask(card, body);
}

function askText(text) {
  if (!text.trim()) return $("text").focus();
  const card = newCard(shortened(text));
  put([card]);
  ask(card, JSON.stringify({ text }), "application/json");
}

function askSeveral() {
  const body = new FormData();
  const names = [];
  for (const field of $("inputs").querySelectorAll("input, textarea")) {
    const given = field.type === "file" ? field.files[0] : field.value;
    if (!given) return field.focus();
    if (field.type === "file") body.append(field.name, given, given.name);
    else body.append(field.name, given);
    names.push(field.type === "file" ? given.name : shortened(given));
  }
  const card = newCard(names.join(", "));
  put([card]);
  ask(card, body);
}

const shortened = (text) => (text.length > SHORT ? `${text.slice(0, SHORT)}…` : text);

// listening

async function toggleListening() {
  const button = $("listen");
  if (button.stop) return button.stop();
  button.disabled = true; // until there is something to stop
  const address = known(new URL("listen", location.href));
  address.protocol = address.protocol.replace("http", "ws");
  const card = newCard(`heard at ${new Date().toLocaleTimeString()}`);
  put([card]);
  progress(card, "listening", 0);
  const text = document.createElement("p");
  text.className = "said";
  text.setAttribute("aria-live", "polite");
  card.querySelector(".waiting").after(text);
  const finished = () => {
    Object.assign(button, { stop: null, textContent: "Listen", disabled: false });
    button.setAttribute("aria-pressed", "false");
    text.remove();
  };
  try {
    const stop = await listen(address, {
      heard: (so) => (text.textContent = so),
      loud: (share) => progress(card, "listening", share),
      ended: ({ answer, error }) => {
        finished();
        if (!stands(card)) return;
        if (answer) answered(card, answer);
        else failed(card, error);
      },
    });
    button.stop = card.stop = () => {
      progress(card, "the network is at work");
      stop();
    };
    Object.assign(button, { textContent: "Stop", disabled: false });
    button.setAttribute("aria-pressed", "true");
  } catch (error) {
    finished();
    failed(card, error.given ? error : { given: String(error) });
  }
}

// the page

function several() {
  for (const input of about.inputs) {
    const part = document.createElement("div");
    const label = document.createElement("label");
    const field = document.createElement(input.text ? "textarea" : "input");
    Object.assign(field, { id: `input-${input.name}`, name: input.name });
    if (!input.text) Object.assign(field, { type: "file", accept: input.suffixes.join() });
    Object.assign(label, { htmlFor: field.id, textContent: input.name });
    part.append(label, field);
    $("inputs").append(part);
  }
  const button = document.createElement("button");
  Object.assign(button, { textContent: "Answer", className: "main" });
  $("inputs").append(button);
}

async function begin() {
  const reply = await request("GET", "about");
  if (!reply.body?.inputs) {
    $("does").textContent = sentence(trouble(reply));
    return;
  }
  about = reply.body;
  document.title = $("name").textContent = about.name;
  $("does").textContent = does(about);
  $("reads").textContent = reads(about);
  $("curl").textContent = command(about, new URL(about.task, location.href));
  if (about.labels?.length) {
    $("labels").hidden = false;
    $("labels").firstElementChild.textContent = count(about.labels.length, "label");
    $("labels").lastElementChild.textContent = about.labels.join(", ");
  }
  const [first, second] = about.inputs;
  if (second) several();
  $("inputs").hidden = !second;
  $("drop").hidden = Boolean(second) || !first.suffixes.length;
  $("write").hidden = Boolean(second) || !first.text;
  $("listen").hidden = !about.listens;
  $("files").accept = first.suffixes.join();
}

$("routes").addEventListener("click", async (event) => {
  if (!secret()) return; // the link leads there by itself
  event.preventDefault(); // which no link does with a token
  const reply = await request("GET", "openapi.json");
  const link = Object.assign(document.createElement("a"), { target: "_blank" });
  link.href = URL.createObjectURL(new Blob([JSON.stringify(reply.body, null, 1)], { type: "application/json" }));
  link.click();
});
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (about.inputs.length > 1) askSeveral();
  else askText($("text").value);
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit();
});
$("choose").addEventListener("click", () => $("files").click());
$("files").addEventListener("change", () => {
  askFiles($("files").files);
  $("files").value = ""; // so that the same can be chosen again
});
$("listen").addEventListener("click", toggleListening);
$("clear").addEventListener("click", clear);
$("save").addEventListener("click", () => {
  const lines = rows().map((row) => `${JSON.stringify(row)}\n`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  link.download = "answers.jsonl";
  link.click();
  URL.revokeObjectURL(link.href);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) askFiles(event.clipboardData.files);
});
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    if (event.target.type === "file") return; // a field of its own takes it
    event.preventDefault(); // a browser would leave the page and open the file
    document.body.classList.toggle("dragged", name === "dragenter" || name === "dragover");
    if (name === "drop") askFiles(event.dataTransfer.files);
  });
}
begin();
