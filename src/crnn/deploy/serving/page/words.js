// Answers in words. What an answer holds says how it is put; a task that nobody thought of here is put as its numbers.

const DOES = {
  transcribe: "Reads lines of text",
  classify: "Says which label fits",
  regress: "Estimates numbers",
  tag: "Finds what happens when",
  forecast: "Foretells a series",
  nowcast: "Foretells the next frames",
  caption: "Says a sentence of what it sees",
  match: "Matches pictures with words",
  segment: "Names each part of a picture",
  detect: "Finds and counts things in a picture",
  restore: "Makes spoilt pictures clean",
  page: "Finds and reads the lines of a page",
};
const SHOWN = 6; // things that are named one by one

/** What the network does, in a line. */
export const does = (about) => {
  const hears = about.task === "transcribe" && about.inputs[0].kind === "sound";
  const what = hears ? "Writes down what is said" : (DOES[about.task] ?? about.task);
  return `${what} · ${about.model}, ${size(about.parameters)} parameters`;
};

/** Which files it reads, and how large they may be, in a line. */
export function reads(about) {
  const kinds = about.inputs.map((input) => {
    const files = endings(input.suffixes);
    const name = about.inputs.length > 1 ? `${input.name}: ` : "";
    return name + (input.text ? `texts${files ? ` or ${files}` : ""}` : files);
  });
  const most = Object.entries(LIMITS)
    .filter(([name, { of }]) => about.limits?.[name] && about.inputs.some(({ kind }) => !of || of.includes(kind)))
    .map(([name, { unit }]) => `${size(about.limits[name])} ${unit}`);
  return [`It reads ${kinds.join("; ")}`, most.length ? `at most ${most.join(", ")}` : ""].filter(Boolean).join(" · ");
}

const LIMITS = {
  max_mb: { unit: "MB" },
  max_pixels: { unit: "pixels", of: ["line", "picture", "scene"] },
  max_seconds: { unit: "seconds", of: ["sound", "film"] },
};
const USUAL = (
  ".png .jpg .jpeg .webp .tif .gif .bmp .wav .flac .mp3 .ogg .mp4 .mkv .avi .mov .webm .csv .tsv .txt .npy"
).split(" ");

function usualFirst(suffixes) {
  const place = (suffix) => (USUAL.includes(suffix) ? USUAL.indexOf(suffix) : USUAL.length);
  return [...suffixes].sort((a, b) => place(a) - place(b) || a.localeCompare(b));
}

/** Endings that people know by name, and whether there are others. */
function endings(suffixes) {
  const usual = usualFirst(suffixes).filter((suffix) => USUAL.includes(suffix));
  const named = usual.length ? usual : suffixes;
  return named.map((suffix) => suffix.slice(1)).join(" ") + (named.length < suffixes.length ? " and others" : "");
}

/** How a program asks the same. */
export function command(about, address) {
  const fields = about.inputs.map((input) => {
    const name = about.inputs.length > 1 ? input.name : "file";
    return input.text ? `-F ${name}=TEXT` : `-F ${name}=@FILE${usualFirst(input.suffixes)[0] ?? ""}`;
  });
  const text = about.inputs.length === 1 && about.inputs[0].text;
  const sent = text ? `--json '{"text": "TEXT"}'` : fields.join(" ");
  return `curl ${sent} ${address}`;
}

/** `{said, sure}`: the answer, and how sure the network is of it. */
export function inWords(answer) {
  const score = typeof answer.score === "number" ? `${percent(answer.score)} sure` : "";
  const put = (said, more = "") => ({ said, sure: [score, more].filter(Boolean).join(" · ") });
  if (Array.isArray(answer.lines)) {
    const scores = answer.lines.map((line) => line.score).filter((value) => typeof value === "number");
    return put(count(answer.lines.length, "line"), scores.length ? `${percent(mean(scores))} sure` : "");
  }
  for (const key of ["text", "sentence", "label"]) {
    if (key in answer) return put(answer[key] === null || answer[key] === "" ? `(no ${key})` : String(answer[key]));
  }
  if (Array.isArray(answer.events)) return put(events(answer.events));
  if (answer.counts) {
    const there = Object.entries(answer.counts).filter(([, n]) => n);
    return put(there.map(([name, n]) => `${n} ${name}`).join(", ") || "nothing found");
  }
  if (answer.areas) {
    const things = Object.entries(answer).filter(([key]) => key.endsWith("_count"));
    const shares = Object.entries(answer.areas).slice(0, SHOWN).map(([name, share]) => `${name} ${percent(share)}`);
    const counted = things.map(([key, n]) => `${n} ${key.slice(0, -"_count".length)}`);
    return counted.length ? put(counted.join(", "), shares.join(", ")) : put(shares.join(", "));
  }
  if (answer.columns) {
    const names = Object.keys(answer.columns);
    const last = (name) => answer.columns[name].forecast.at(-1);
    const said = names.slice(0, SHOWN).map((name) => `${name} ${number(last(name))}`).join(", ");
    const dates = answer.date ?? [];
    const when = dates.length ? `at the end of ${count(dates.length, "step")}, ${dates.at(-1)}` : "";
    return put(said, when);
  }
  if (Array.isArray(answer.mean)) return put(`${count(answer.mean.length, "frame")} foretold`);
  if (answer.width && answer.height) return put(`a picture, ${answer.width} × ${answer.height}`);
  const numbers = Object.entries(answer).filter(([key, value]) => key !== "score" && typeof value === "number");
  const named = numbers.length > 1;
  return put(numbers.map(([key, value]) => (named ? `${key} ${number(value)}` : number(value))).join(", "));
}

function events(found) {
  if (!found.length) return "nothing found";
  if (found.length <= SHOWN) {
    return found.map((e) => `${e.label} ${number(e.onset)} to ${number(e.offset)}`).join(", ");
  }
  const times = new Map();
  for (const event of found) times.set(event.label, (times.get(event.label) ?? 0) + 1);
  return [...times].map(([label, n]) => `${label} × ${n}`).join(", ");
}

export const count = (n, thing) => `${n} ${thing}${n === 1 ? "" : "s"}`;
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const percent = (share) => `${share > 0.999 ? 100 : +(100 * share).toPrecision(share < 0.1 ? 1 : 2)} %`;
const number = (value) => {
  if (typeof value !== "number") return String(value ?? "–");
  return String(Math.abs(value) < 1000 ? +value.toPrecision(4) : Math.round(value));
};
const COMPACT = { notation: "compact", compactDisplay: "long", maximumSignificantDigits: 2 };
const size = (value) => new Intl.NumberFormat("en", COMPACT).format(value);

/** `{given, expected, do}` of a reply that is no answer. */
export function trouble(reply) {
  const error = reply.body?.error ?? reply.body?.answers?.[0]?.error;
  if (error) return typeof error === "string" ? { given: error } : error;
  if (reply.status) return { given: `The server said ${reply.status}` };
  return { given: "The server does not answer", expected: "one that runs", do: "Start it, or try a smaller file." };
}

/** An error as one sentence. */
export const sentence = (error) =>
  [error.given, error.expected ? `expected ${error.expected}` : "", error.do].filter(Boolean).join("; ");
