// Answers as cards, each with the name of what was asked about.

import { says, show } from "./fragment.js";
import { inWords, sentence } from "./words.js";

const LONG = 200; // letters from which a text is not put in large letters, nor read out
const MOMENT = 1500; // milliseconds that a button says what it did

const $ = (id) => document.getElementById(id);
const cards = new Map(); // each card's answer; null while there is none

/** A card of what is asked about, that is not yet in the page. */
export function newCard(name) {
  const card = $("card").content.firstElementChild.cloneNode(true);
  part(card, "where").textContent = name;
  part(card, "remove").addEventListener("click", () => {
    const beside = card.nextElementSibling ?? card.previousElementSibling;
    remove(card);
    (beside ? part(beside, "remove") : $("answers")).focus(); // where who has no mouse goes on
  });
  cards.set(card, null);
  return card;
}

/** New cards stand before older ones. */
export function put(more) {
  $("answers").prepend(...more);
  tell("");
}

/** Whether a card has not been taken away. */
export const stands = (card) => cards.has(card);

/** What was answered, in the order of the cards. */
export const rows = () => [...$("answers").children].map((card) => cards.get(card)).filter((answer) => answer);

export function clear() {
  for (const card of [...cards.keys()]) remove(card);
  $("answers").focus();
}

/** How far a card is: in words, and as a `share` where it is known. */
export function progress(card, words, share = null) {
  const bar = card.querySelector("progress");
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
  card.querySelector(".waiting span").textContent = words;
}

/** The card shows `answer`, as the server gave it. */
export function answered(card, { html, ...plain }) {
  cards.set(card, plain);
  const { said, sure } = inWords(plain);
  part(card, "said").textContent = said;
  part(card, "said").classList.toggle("long", said.length > LONG);
  part(card, "sure").textContent = sure;
  part(card, "shown").classList.toggle("pages", Array.isArray(plain.lines)); // which have their text beside them
  if (html) show(part(card, "shown"), html);
  // a text stands in the fragment as well, with its doubtful letters marked: once is enough
  const there = Boolean(html && plain.text && !plain.lines && says(part(card, "shown"), plain.text));
  part(card, "shown").classList.toggle("text", there);
  part(card, "said").hidden = part(card, "sure").hidden = there;
  const json = part(card, "json");
  json.addEventListener("toggle", () => {
    json.querySelector("pre").textContent ||= JSON.stringify(plain, null, 2); // long ones only where somebody looks
  });
  part(card, "copy").onclick = (event) => copy(event.target, JSON.stringify(plain));
  const text = plain.text ?? plain.sentence;
  part(card, "copy-text").hidden = !text;
  part(card, "copy-text").onclick = (event) => copy(event.target, text);
  settled(card, "answer", said.length > LONG ? sure : said);
}

/** The card shows what is wrong. */
export function failed(card, error) {
  cards.set(card, { id: nameOf(card), error });
  part(card, "given").textContent = error.given ?? "";
  part(card, "expected").textContent = error.expected ? `Expected: ${error.expected}` : "";
  part(card, "do").textContent = error.do ?? "";
  settled(card, "error", sentence(error));
}

/** Sound and film can be heard and seen beside their answer. */
export function play(card, file) {
  const kind = file.type.split("/")[0];
  if (kind !== "audio" && kind !== "video") return;
  const player = document.createElement(kind);
  const address = URL.createObjectURL(file);
  card.release = () => URL.revokeObjectURL(address);
  player.onerror = () => player.remove(); // the server knows more kinds than browsers do
  Object.assign(player, { controls: true, src: address, preload: "metadata" });
  player.setAttribute("aria-label", file.name);
  part(card, "player").append(player);
}

const part = (card, name) => card.querySelector(`.${name}`);
const nameOf = (card) => part(card, "where").textContent;

function remove(card) {
  card.stop?.();
  card.release?.();
  cards.delete(card);
  card.remove();
  tell("");
}

function settled(card, name, said) {
  part(card, "waiting").hidden = true;
  part(card, name).hidden = false;
  part(card, "remove").textContent = "Remove";
  tell(`${nameOf(card)}: ${said}`);
}

/** How far all of them are, and for those who cannot see the cards what the last says. */
function tell(said) {
  const done = [...cards.values()].filter(Boolean).length;
  $("none").hidden = cards.size > 0;
  $("save").disabled = done === 0;
  $("clear").disabled = cards.size === 0;
  $("far").textContent = cards.size ? `${done} of ${cards.size}` : "";
  $("status").textContent = said;
}

async function copy(button, text) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "The browser forbids it";
  }
  $("status").textContent = button.textContent;
  setTimeout(() => (button.textContent = before), MOMENT);
}
