// Fragments of HTML that the server made of an answer, set into the page so that they can never do more than show.
//
// Names of files and texts in them come from strangers. The server escapes them, the Content-Security-Policy forbids
// scripts in the page, and here nothing is taken over but elements and attributes that are known to be harmless.

const ELEMENTS = new Set(
  (
    "b br caption code dd div dl dt em figcaption figure h4 hr i img li mark ol p pre small span strong sub sup " +
    "table tbody td th thead tr u ul circle defs ellipse g image line path polygon polyline rect svg text title " +
    "tspan use"
  ).split(" "),
);
const ATTRIBUTES = new Set(
  (
    "alt class colspan cx cy d dir fill fill-opacity font-size height id lang lengthAdjust opacity points " +
    "preserveAspectRatio r " +
    "role rowspan rx ry scope stroke stroke-dasharray stroke-linecap stroke-opacity stroke-width style text-anchor " +
    "textLength title transform vector-effect viewBox width x x1 x2 y y1 y2"
  ).split(" "),
);
const PICTURE = /^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]*$/;
const TAG = /<[a-z](?:"[^"]*"|[^">])*>/gi;
const aside = (tag) => tag.replace(/"[^"]*"|\sstyle=/g, (found) => (found[0] === '"' ? found : " data-style="));
const FETCHES = /url\s*\(|image(-set)?\s*\(|@|\\/i; // in a style
const SHEET = `
  :host { display: block; }
  img, svg { max-width: 100%; }
  img { max-height: 26rem !important; } /* reports show many, this page one to look at */
  @media (min-width: 50rem) {
    :host(.pages) .answer { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 1.25rem; }
    :host(.pages) .answer > p { margin: 0; font-size: .85rem; line-height: 1.5; overflow-wrap: anywhere; }
  }
  :host(.text) dl { grid-template-columns: minmax(0, 1fr) !important; }
  :host(.text) dt { display: none; }
  :host(.text) dd[dir] { font-size: 1.25rem; line-height: 1.5; }
  table { border-collapse: collapse; }
  th, td { text-align: left; padding: .3rem 1rem .3rem 0; border-top: 1px solid var(--line); vertical-align: baseline; }
`;

/** Show the text `html` in the element `place`, in a tree of its own, so that its names meet no others. */
export function show(place, html) {
  const root = place.shadowRoot ?? place.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(SHEET);
  root.adoptedStyleSheets = [sheet];
  // what a parser of text makes is inert: nothing is fetched or run before it stands in the page; styles are put aside,
  // since a parser complains of those that the policy forbids
  const read = new DOMParser().parseFromString(html.replace(TAG, aside), "text/html");
  root.replaceChildren(...copies(read.body));
}

/** Whether what is shown in `place` has `text` in it, as one piece. */
export const says = (place, text) => place.shadowRoot.textContent.includes(text);

function* copies(parent) {
  for (const node of parent.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) yield document.createTextNode(node.data);
    else if (node.nodeType === Node.ELEMENT_NODE && ELEMENTS.has(node.localName)) yield copy(node);
  }
}

function copy(node) {
  const made = document.createElementNS(node.namespaceURI, node.localName);
  for (const { name, value } of node.attributes) {
    if (name === "data-style") {
      if (!FETCHES.test(value)) made.style.cssText = value; // which the policy allows, unlike an attribute
    } else if (ATTRIBUTES.has(name) || name.startsWith("aria-")) {
      made.setAttribute(name, value);
    } else if (name === "src" || name === "href") {
      const own = node.localName === "use" && value.startsWith("#");
      if (own || (["img", "image"].includes(node.localName) && PICTURE.test(value))) made.setAttribute(name, value);
    }
  }
  made.append(...copies(node));
  return made;
}
