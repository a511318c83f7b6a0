// The element <lorakeet-lab>: a poster with a Start button in the author's page, and the lab in a frame once Start is
// pressed. Nothing is requested before that. docs/widget.md tells authors how to use it, lab.d.ts has its types.
//
// The lab itself is embed.html (in a frame) or lab_page.js (inside the page, `mode="inline"`), beside this file. Shell
// and lab talk in messages: one `ready` of the frame, one `hello` of the shell with a MessagePort, and everything else
// over that port. What the lab shows, trains and says is not known here.

const PROTOCOL = { protocol: "lorakeet-lab", version: 1 };
// By way of a name: bundlers take `new URL("…", import.meta.url)` for a file to copy, and this file is what they would copy.
const SELF = import.meta.url;
const BESIDE = new URL("./", SELF).href;

const READY_MS = 20_000; // After this a frame that has not said `ready` is taken for blocked.
const MOVE_MS = 1000; // An element that is back in the page within this time was moved, not removed.
const STEP_MS = 125; // Between two step events; eight a second leave room for the last one before `done`.
const HASH_MS = 400; // Between two writes of the address; Safari refuses more than 100 in 30 s.
const STATE_BYTES = 2048;
const HEIGHTS = [120, 4000]; // Least and largest height that a frame may ask for, in CSS pixels.

const PHASES = ["idle", "loading", "ready", "predicting", "training", "paused", "done", "error"];

// The custom properties that a frame is told; the shell uses some of them itself.
const STYLES = ["accent", "ink", "surface", "line", "radius", "font", "space", "chart-height"]
  .concat(["series-1", "series-2", "series-3", "series-4"])
  .map((name) => `--lorakeet-${name}`);

// Kinds of attributes. `read` gives undefined for what is no value of the kind; `values` says what is.
const text = { initial: "", read: (value) => value };
const flag = { initial: false, read: () => true };
const oneOf = (...values) => ({
  initial: values[0],
  values: values.join(", "),
  read: (value) => (values.includes(value) ? value : undefined),
});
const wholeFrom = (least) => ({
  initial: null,
  values: `whole numbers from ${least} on`,
  read: (value) => (/^\d{1,15}$/.test(value) && Number(value) >= least ? Number(value) : undefined),
});
const height = {
  initial: "420px",
  values: "pixels, or a length of CSS such as 30rem",
  read: (value) => {
    const length = /^\d+$/.test(value) ? `${value}px` : value;
    return CSS.supports("min-height", length) && /^[\d.]+[a-z]+$/.test(length) ? length : undefined;
  },
};
const state = {
  initial: "",
  values: `texts that begin with lab=1, of ${STATE_BYTES} bytes at most`,
  read: (value) => [value.replace(/^#/, "")].find(isState),
};
const language = {
  initial: "",
  values: "en, zh",
  read: (value) => (value === "" || languageOf(value) ? value : undefined),
};

const ATTRIBUTES = {
  lesson: text,
  src: text,
  controls: text,
  state,
  sync: oneOf("none", "hash"),
  loading: oneOf("lazy", "eager"),
  device: oneOf("auto", "gpu", "cpu", "replay"),
  "max-steps": wholeFrom(1),
  "max-seconds": wholeFrom(1),
  seed: wholeFrom(0),
  offscreen: oneOf("pause", "run"),
  lang: language,
  theme: oneOf("auto", "light", "dark"),
  label: text,
  height,
  locked: flag,
  mode: oneOf("frame", "inline"),
  opaque: flag,
};

// Those that only the shell needs; all others are told to the lab.
const OF_SHELL = ["state", "sync", "loading", "height", "mode", "opaque"];

// What the lab may say, with the shape of each field. A message of another type or shape is dropped.
const isText = (value) => typeof value === "string";
const isNumber = (value) => typeof value === "number";
const isAny = () => true;
const isState = (value) => isText(value) && /^lab=1(&|$)/.test(value) && new Blob([value]).size <= STATE_BYTES;
const orNone = (fits) => (value) => value == null || fits(value);

const SHAPES = {
  ready: { capabilities: (value) => Array.isArray(value) && value.every(isText) },
  size: { height: Number.isFinite },
  progress: { what: isText, loaded: isNumber, total: orNone(isNumber) },
  phase: { phase: (value) => PHASES.includes(value), device: orNone(isText) },
  step: { step: Number.isInteger, loss: orNone(isNumber), lr: orNone(isNumber), tokensPerSecond: orNone(isNumber) },
  predict: { question: isText, answer: isText },
  lesson: { part: (value) => isText(value) || isNumber(value), of: orNone(isNumber) },
  done: { report: isAny },
  error: { kind: isText, message: isText, fatal: (value) => typeof value === "boolean", advice: orNone(isText) },
  state: { state: isState },
  keep: { run: isAny },
  reply: { id: Number.isInteger, value: isAny, error: isAny },
};

// The message in `data` with the fields of its shape and no others, or null.
function read(data) {
  if (data?.protocol !== PROTOCOL.protocol || data.version !== PROTOCOL.version) return null;
  if (!Object.hasOwn(SHAPES, data.type)) return null;
  const fields = {};
  for (const [name, fits] of Object.entries(SHAPES[data.type])) {
    if (!fits(data[name])) return null;
    fields[name] = data[name] ?? null;
  }
  return { type: data.type, fields };
}

const WORDS = {
  en: {
    start: "Start",
    colon: ": ",
    retry: "Try again",
    loading: "Loading…",
    label: "Language model lab",
    open: "Open the lab in a new tab",
    ended: "The lab was closed before it answered.",
    moved: "The lab was moved on the page and loads again; then the run goes on.",
    blocked: [
      "The lab did not load.",
      "The content security policy of this page (frame-src), an extension or the network may block {folder}. " +
        "Open the lab in a new tab, or try again.",
    ],
    network: [
      "The lab's program did not load.",
      "Check the connection and that lab_page.js and the files beside it lie in {folder}, then try again.",
    ],
    inline: [
      'mode="inline" does not work here: lab.js comes from {folder}, which is another origin than this page.',
      'Put the folder of Lorakeet on the page\'s own site, or leave out mode="inline".',
    ],
    wasm: [
      'mode="inline" does not work here: WebAssembly is not allowed on this page.',
      "Add 'wasm-unsafe-eval' to script-src of the page's content security policy, or leave out mode=\"inline\".",
    ],
  },
  zh: {
    start: "开始",
    colon: "：",
    retry: "重试",
    loading: "正在加载…",
    label: "语言模型实验",
    open: "在新标签页中打开实验",
    ended: "实验在返回结果之前已关闭。",
    moved: "实验在页面中被移动，正在重新加载；加载完成后训练会继续。",
    blocked: [
      "实验未能加载。",
      "{folder} 可能被本页的内容安全策略（frame-src）、浏览器扩展或网络拦截。" +
        "请在新标签页中打开实验，或重试。",
    ],
    network: [
      "实验的程序未能加载。",
      "请检查网络连接，并确认 {folder} 中有 lab_page.js 及其他文件，然后重试。",
    ],
    inline: [
      'mode="inline" 在此处不可用：lab.js 来自 {folder}，与本页不同源。',
      '请把 Lorakeet 的文件夹放到本页所在的网站，或去掉 mode="inline"。',
    ],
    wasm: [
      'mode="inline" 在此处不可用：本页不允许使用 WebAssembly。',
      "请在本页内容安全策略的 script-src 中加入 'wasm-unsafe-eval'，或去掉 mode=\"inline\"。",
    ],
  },
};

// `en` or `zh` for a language tag, or undefined.
const languageOf = (tag) => /^(en|zh)\b/i.exec(tag)?.[1].toLowerCase();

// The views: poster (Start is to be pressed), loading (it was; the poster stays until the lab is ready), lab, error.
// With `mode="inline"` the lab lies in the same shadow root: rules are for `.shell` and `.cover` alone, and variables
// have names that no lab uses.
const SHEET = `
:host { display: block; color-scheme: light dark; container-type: inline-size }
:host([hidden]) { display: none }
:host([theme="light"]) { color-scheme: light }
:host([theme="dark"]) { color-scheme: dark }
.shell {
  --shell-accent: var(--lorakeet-accent, light-dark(#15773a, #63d287));
  --shell-surface: var(--lorakeet-surface, light-dark(#ffffff, #171d19));
  --shell-space: var(--lorakeet-space, 1rem);
  --shell-radius: var(--lorakeet-radius, 0.5rem);
  display: grid; grid-template-rows: auto 1fr; box-sizing: border-box; min-block-size: 420px;
  border: 1px solid var(--lorakeet-line, light-dark(#dbe1d8, #303a34)); border-radius: var(--shell-radius);
  background: var(--shell-surface); color: var(--lorakeet-ink, light-dark(#17211a, #e8efe9));
  font: 1rem / 1.5 var(--lorakeet-font, system-ui, sans-serif);
}
.shell > * { grid-area: 2 / 1; min-inline-size: 0 }
.shell > .moved { grid-area: 1 / 1; margin: 0; padding: 0.5rem var(--shell-space) }
.shell > .moved:empty { display: none }
.cover { display: flex; flex-direction: column; gap: var(--shell-space); padding: var(--shell-space) }
.cover[hidden], .cover [hidden] { display: none }
.cover .poster { position: relative; flex: 1; min-block-size: 4rem }
::slotted(img[slot="poster"]) {
  position: absolute; inset: 0; inline-size: 100%; block-size: 100%; object-fit: contain;
}
.cover .error {
  border-inline-start: 4px solid light-dark(#a3262a, #ff8f8a); padding-inline-start: var(--shell-space);
  overflow-wrap: anywhere;
}
.cover .error a { display: inline-block; min-block-size: 24px; color: inherit }
.cover p { margin: 0 }
.cover p:empty { display: none }
.cover .bar { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem var(--shell-space) }
.cover .bar[hidden] { display: none }
.cover .action { display: grid; align-items: center }
.cover .action > * { grid-area: 1 / 1 }
[data-view="loading"] > .cover button { visibility: hidden }
.cover button {
  min-block-size: 44px; min-inline-size: 44px; padding: 0.5rem 1.5rem;
  border: 2px solid transparent; border-radius: var(--shell-radius);
  background: var(--shell-accent); color: var(--shell-surface);
  font: inherit; font-weight: 600; cursor: pointer;
}
.cover :focus-visible, .shell > .frame:focus-visible { outline: 3px solid var(--shell-accent); outline-offset: 2px }
.shell > .frame {
  box-sizing: border-box; inline-size: 100%; min-block-size: 100%; border: 0; border-radius: var(--shell-radius);
}
/* A frame that is not shown keeps its size, so that it measures itself at the width that it will have. While it loads,
   it can already have the focus. */
[data-view="poster"] > .frame { visibility: hidden }
[data-view="loading"] > .frame { opacity: 0; pointer-events: none }
@media (forced-colors: active) { .cover button { border-color: ButtonBorder } }
@container (inline-size < 20rem) { .cover .action { flex: 1 } }
`;

// An element with attributes and children; attributes that are null or false are left out.
function create(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

// A constructed style sheet needs no `style-src` of the page's policy; a <style> element would.
function dress(root) {
  try {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(SHEET);
    root.adoptedStyleSheets = [sheet];
  } catch {
    root.append(create("style", {}, SHEET));
  }
}

// What an Error is made of where a lab answers with {kind, message, advice} or with a text.
function asError(said) {
  const error = new Error(isText(said) ? said : (said?.message ?? "unknown error"));
  return Object.assign(error, { kind: said?.kind ?? null, advice: said?.advice ?? null });
}

// The smallest WebAssembly module.
const MODULE = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]);

async function findSupport() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return { webgpu: Boolean(adapter), wasm: typeof WebAssembly === "object" && WebAssembly.validate(MODULE) };
}

// Whether the page's policy allows WebAssembly; a browser that has none allows none either.
function allowsWasm() {
  try {
    return Boolean(new WebAssembly.Module(MODULE));
  } catch {
    return false;
  }
}

// Opens the connection to another origin when somebody is about to press Start.
const warmed = new Set([globalThis.origin]);
function warm(origin) {
  if (!warmed.has(origin)) document.head.append(create("link", { rel: "preconnect", href: origin }));
  warmed.add(origin);
}

const camel = (name) => name.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

// Importing this file where there is no document (a server that renders pages) does nothing.
export class LorakeetLab extends (globalThis.HTMLElement ?? class {}) {
  /** The folder of embed.html; to be set only where a bundler has moved lab.js away from it. */
  static folder = BESIDE;
  static observedAttributes = Object.keys(ATTRIBUTES);

  // Every attribute as a property, except `lang`, which every element has, and `state` and `device`, which do more.
  static {
    for (const [name, kind] of Object.entries(ATTRIBUTES)) {
      const property = camel(name);
      if (property in this.prototype) continue;
      Object.defineProperty(this.prototype, property, {
        configurable: true,
        enumerable: true,
        get() { return this.#attribute(name); },
        set(value) { this.#reflect(name, kind !== flag ? value : value ? "" : null); },
      });
    }
  }

  #view = "poster";
  #phase = "idle";
  #device = null; // What the lab runs on, once it has told.
  #metrics = null;
  #report = null;
  #state = ""; // The newest state: the attribute's, then what the lab said.
  #isStateNew = false; // Whether the author has set it since the lab was told.
  #wanted = false; // Whether Start was pressed.
  #session = null; // The lab that is open: {folder, frame, port, lab, ends}.
  #isReady = false;
  #isMoved = false; // Whether a move holds up a run.
  #kept = null; // What the lab has given to be kept of its runs, for a frame that is loaded anew.
  #queue = []; // Calls that wait for Start and `ready`.
  #asked = new Map(); // Calls that wait for a reply, by id.
  #lastId = 0;
  #isHelloDue = false;
  #timers = {};
  #stepToldAt = -Infinity;
  #supported = null;
  #parts = null; // The shell's own elements, once they are built.
  #internals = null;

  constructor() {
    super();
    dress(this.attachShadow({ mode: "open" }));
    this.#internals = this.attachInternals?.();
    this.#tellStates();
  }

  connectedCallback() {
    clearTimeout(this.#timers.leave);
    // What a framework has set before the element was defined lies on the object and hides the accessors.
    for (const property of LorakeetLab.observedAttributes.map(camel)) {
      if (!Object.hasOwn(this, property)) continue;
      const value = this[property];
      delete this[property];
      this[property] = value;
    }
    if (this.#parts) {
      this.#paint();
      this.#tellChange(); // Language and colours are those of the new place.
      if (this.#session?.frame) this.#reload();
      return this.#load();
    }
    // Also far from the view: a keyboard has to find the button, and the space has to be kept.
    this.#build();
  }

  // `moveBefore` leaves the frame as it is; without this method the two callbacks around it would be called.
  connectedMoveCallback() {}

  disconnectedCallback() {
    // A frame loses its page with a move; the next one goes on with what is kept.
    if (this.#session?.frame) this.#cut();
    this.#timers.leave = setTimeout(() => this.#close(), MOVE_MS);
  }

  attributeChangedCallback(name, _, value) {
    const kind = ATTRIBUTES[name];
    const isWrong = value !== null && kind.read(value) === undefined;
    if (isWrong) {
      const used = kind.initial === null || kind.initial === "" ? "none" : kind.initial;
      console.warn(`<lorakeet-lab ${name}="${value}">: ${name} takes ${kind.values}; used is ${used}`);
    }
    if (name === "state" && value !== null && !isWrong) {
      this.#state = kind.read(value);
      this.#isStateNew = true;
    }
    if (this.#parts) this.#paint();
    if (name === "state" || !OF_SHELL.includes(name)) this.#tellChange();
  }

  // Properties

  /** The newest state as a text that begins with `lab=1`; setting it sets the attribute, and the lab follows. */
  get state() { return this.#state; }
  set state(value) { this.#reflect("state", value); }

  /** What the lab runs on (`gpu`, `cpu`, `replay`); until it has told, the attribute, which setting this sets. */
  get device() { return this.#device ?? this.#attribute("device"); }
  set device(value) { this.#reflect("device", value); }

  get phase() { return this.#phase; }

  /** The newest step: {step, loss, lr, tokensPerSecond}, or null. */
  get metrics() { return this.#metrics; }

  /** The report of the last finished run, or null. */
  get report() { return this.#report; }

  /** What this browser can do, as a promise of {webgpu, wasm}. */
  get supported() { return (this.#supported ??= findSupport()); }

  // Methods. Each returns a promise; what is called before Start waits for it, but start() presses it.

  start() {
    const reply = this.#call("start");
    this.#press();
    return reply;
  }
  pause() { return this.#call("pause"); }
  step(count = 1) { return this.#call("step", count); }
  reset(options = {}) { return this.#call("reset", options); }
  predict(question) { return this.#call("predict", String(question)); }
  setKnob(name, value) { return this.#call("setKnob", String(name), value); }
  toURL() { return this.#call("toURL"); }
  exportAdapter(format = "peft") { return this.#call("exportAdapter", format); }
  exportAnswers() { return this.#call("exportAnswers"); }

  /** Ends the lab and shows the poster again; the state is kept. */
  async destroy() {
    if (this.#session && this.#isReady && this.#wanted) {
      // A lab that does not answer is ended all the same.
      const waited = new Promise((resolve) => setTimeout(resolve, MOVE_MS));
      await Promise.race([this.#call("destroy"), waited]).catch(() => {});
    }
    this.#close();
  }

  // The shell's own elements

  #attribute(name) {
    const value = this.getAttribute(name);
    return (value === null ? undefined : ATTRIBUTES[name].read(value)) ?? ATTRIBUTES[name].initial;
  }

  #reflect(name, value) {
    if (value == null) this.removeAttribute(name);
    else this.setAttribute(name, value);
  }

  // The language of the nearest `lang` attribute that is one of the two, across shadow roots; else the browser's.
  #language() {
    for (let node = this; node; node = node.parentElement ?? node.getRootNode().host) {
      const tag = node.getAttribute("lang");
      if (tag) return languageOf(tag) ?? languageOf(navigator.language) ?? "en";
    }
    return languageOf(navigator.language) ?? "en";
  }

  #words() { return WORDS[this.#language()]; }
  #label() { return this.#attribute("label") || this.#words().label; }

  #build() {
    const name = create("span", {});
    const poster = create("div", { part: "poster", class: "poster" }, create("slot", { name: "poster" }));
    // Both live regions are there, empty, before there is something to say in them.
    const error = create("div", { part: "error", class: "error", role: "alert" });
    const fallback = create("div", {}, create("slot", {}));
    const start = create("button", { part: "start", type: "button" });
    const status = create("p", { part: "status", role: "status", "aria-live": "polite" });
    const bar = create("div", { class: "bar" }, create("div", { class: "action" }, start, status), name);
    const cover = create("div", { class: "cover" }, poster, error, fallback, bar);
    const moved = create("p", { part: "status", class: "moved", role: "status", "aria-live": "polite" });
    const shell = create("div", { part: "shell", class: "shell", role: "group" }, moved, cover);
    this.#parts = { poster, error, fallback, start, status, name, bar, cover, moved, shell };
    this.shadowRoot.append(create("slot", { name: "before" }), shell, create("slot", { name: "after" }));
    start.addEventListener("click", () => this.#press(true));
    for (const type of ["pointerover", "focusin"]) start.addEventListener(type, () => warm(this.#folder().origin));
    this.#paint();
    if (this.#isRefused()) this.#fail("blocked", "inline");
    else if (this.#wanted) this.#load();
    else if (this.#attribute("loading") === "eager") this.#open();
  }

  // Puts words and visibility right, for the view and the attributes as they are now.
  #paint() {
    const { poster, error, fallback, start, status, name, bar, cover, moved, shell } = this.#parts;
    const words = this.#words();
    const label = this.#label();
    const view = this.#view;
    shell.dataset.view = view;
    shell.lang = this.#language() === "zh" ? "zh-Hans" : "en";
    shell.setAttribute("aria-label", label);
    shell.style.minBlockSize = this.#attribute("height");
    name.textContent = label;
    const action = view === "error" ? words.retry : words.start;
    start.textContent = action;
    start.setAttribute("aria-label", `${action}${words.colon}${label}`);
    status.textContent = view === "loading" ? words.loading : "";
    moved.textContent = this.#isMoved ? words.moved : "";
    cover.hidden = view === "lab";
    poster.hidden = view === "error";
    error.hidden = fallback.hidden = view !== "error";
    bar.hidden = view === "error" && this.#isRefused();
    if (this.#session?.frame) this.#session.frame.title = label;
  }

  // Inline mode from another origin can never start.
  #isRefused() { return this.#attribute("mode") === "inline" && this.#folder().origin !== self.origin; }

  #show(view) {
    this.#view = view;
    if (this.#parts) this.#paint();
  }

  // Start was pressed, or start() called.
  #press(byHand = false) {
    if (this.#wanted) return;
    this.#wanted = true;
    if (this.#parts) this.#load(byHand); // Else once it is in a page.
  }

  // Shows that the lab is coming, and has it come, unless it is here.
  #load(byHand = false) {
    if (!this.#wanted || !this.isConnected || this.#view === "loading" || this.#view === "lab") return;
    if (this.#isRefused()) return this.#fail("blocked", "inline");
    this.#show("loading");
    this.#enter("loading");
    if (!this.#wanted) return; // Somebody who heard of it has closed the lab.
    if (this.#isReady) {
      this.#tellChange();
      this.#reveal();
    } else this.#open();
    // The button that had the focus is gone; the lab takes it over.
    if (byHand) this.#session?.shown.focus({ preventScroll: true });
  }

  // The lab

  #folder() { return new URL(LorakeetLab.folder.replace(/\/?$/, "/"), document.baseURI); }

  #open() {
    if (this.#session) return;
    if (this.#attribute("sync") === "hash" && location.hash.startsWith("#lab=")) {
      const found = ATTRIBUTES.state.read(location.hash);
      if (found) this.#state = found;
      else console.warn(`<lorakeet-lab sync="hash">: the address has a state that is none: ${location.hash}`);
    }
    const ends = new AbortController();
    this.#session = { folder: this.#folder(), ends };
    // A frame is told the colours again when the page changes between light and dark.
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener?.("change", () => this.#tellChange(), { signal: ends.signal });
    if (this.#attribute("mode") === "inline") this.#openInline(this.#session);
    else this.#openFrame(this.#session);
  }

  #openFrame(session) {
    const { origin, href } = session.folder;
    const isOpaque = this.#attribute("opaque");
    const isForeign = origin !== self.origin;
    // A sandbox with both scripts and its page's own origin holds nothing back from a page of that origin.
    const sandbox = isOpaque
      ? "allow-scripts allow-downloads"
      : isForeign && "allow-scripts allow-same-origin allow-downloads";
    const frame = create("iframe", {
      part: "frame",
      class: "frame",
      title: this.#label(),
      referrerpolicy: "no-referrer",
      allow: "fullscreen; clipboard-write; screen-wake-lock",
      sandbox,
      src: `${href}embed.html?${this.#query("host=shell")}`,
    });
    session.frame = session.shown = frame;
    const { signal } = session.ends;
    // The only message that is taken from the window; all others come over the port that the answer to it hands over.
    const heard = (event) => {
      if (!frame.contentWindow || event.source !== frame.contentWindow) return;
      if (event.origin !== (isOpaque ? "null" : origin)) return;
      const message = read(event.data);
      if (message?.type !== "ready") return;
      const { port1, port2 } = new MessageChannel();
      this.#cut();
      this.#listen(port1);
      frame.contentWindow.postMessage(this.#hello(true), isOpaque ? "*" : origin, [port2]);
      if (this.#kept) port1.postMessage({ ...PROTOCOL, type: "run", run: this.#kept });
      this.#greet(message.fields);
    };
    addEventListener("message", heard, { signal });
    // A policy that forbids the frame says so at once; everything else that stops it shows only by its silence.
    const forbidden = (event) => {
      const { effectiveDirective: directive, blockedURI: blocked } = event;
      const isFrame = /^(frame|child|default)-src/.test(directive) && blocked.startsWith(origin);
      if (isFrame && event.disposition === "enforce" && !this.#isReady) this.#fail("blocked", "blocked");
    };
    document.addEventListener("securitypolicyviolation", forbidden, { signal });
    this.#awaitReady();
    this.#parts.shell.append(frame);
  }

  // A frame that says nothing for so long is taken for blocked.
  #awaitReady() {
    clearTimeout(this.#timers.ready);
    this.#timers.ready = setTimeout(() => this.#fail("blocked", "blocked"), READY_MS);
  }

  // A frame loads its page anew after a move: it says `ready` once more, gets the state in the next `hello`, and its run.
  #reload() {
    this.#awaitReady();
    if (!["training", "paused"].includes(this.#phase)) return;
    this.#isMoved = true;
    this.#paint();
    this.#enter("loading", null);
  }

  async #openInline(session) {
    const root = create("div", { part: "frame", class: "frame", tabindex: "-1" });
    session.shown = root;
    this.#parts.shell.append(root);
    if (!allowsWasm()) return this.#fail("blocked", "wasm");
    let mountLab;
    try {
      // Written so that bundlers leave it alone: the lab's page is no part of the author's program.
      ({ mountLab } = await import(/* webpackIgnore: true */ /* @vite-ignore */ `${session.folder.href}lab_page.js`));
    } catch {
      if (session === this.#session) this.#fail("network", "network");
      return;
    }
    if (session !== this.#session) return;
    const { port1, port2 } = new MessageChannel();
    this.#listen(port1);
    try {
      session.lab = await mountLab(root, port2, this.#hello(true));
    } catch (error) {
      console.warn("<lorakeet-lab>:", error);
      if (session === this.#session) this.#fail("network", "network");
      return;
    }
    if (session !== this.#session) return session.lab?.destroy?.();
    this.#greet({ capabilities: session.lab?.capabilities ?? [] });
  }

  #listen(port) {
    this.#session.port = port;
    port.onmessage = (event) => this.#hear(event.data);
  }

  // The lab is there and knows the host.
  #greet(detail) {
    clearTimeout(this.#timers.ready);
    this.#isReady = true;
    this.#emit("ready", detail);
    if (this.#wanted) this.#reveal();
  }

  #reveal() {
    const { activeElement } = this.shadowRoot;
    this.#show("lab");
    // Whoever pressed Start and went nowhere else meanwhile goes on inside.
    if (activeElement && activeElement === this.#session.shown) activeElement.focus({ preventScroll: true });
    for (const { message } of this.#queue.splice(0)) this.#post(message);
  }

  // The attributes that a frame needs in its address, so that it can draw itself before `hello` comes.
  #query(...more) {
    const query = new URLSearchParams();
    for (const name of Object.keys(ATTRIBUTES)) {
      if (OF_SHELL.includes(name) || name === "lang" || !this.hasAttribute(name)) continue;
      const value = name === "src" ? this.#source() : this.#attribute(name);
      if (value !== null && value !== false && value !== "") query.set(name, value === true ? "1" : value);
    }
    query.set("lang", this.#language());
    if (this.#wanted) query.set("start", "1");
    const hash = this.#state && `#${this.#state}`;
    return [query, ...more].join("&") + hash;
  }

  // `src` as the author's page means it.
  #source() {
    const source = this.#attribute("src");
    try {
      return source && new URL(source, document.baseURI).href;
    } catch {
      console.warn(`<lorakeet-lab src="${source}">: src takes the address of a file`);
      return "";
    }
  }

  // `state` is empty where the lab's own is newer than the author's.
  #hello(isFirst = false) {
    const state = isFirst || this.#isStateNew ? this.#state : "";
    this.#isStateNew = false;
    const style = {};
    const computed = getComputedStyle(this);
    for (const name of STYLES) {
      const value = computed.getPropertyValue(name).trim();
      if (value) style[name] = value;
    }
    return {
      ...PROTOCOL,
      type: "hello",
      state,
      theme: this.#attribute("theme"),
      lang: this.#language(),
      label: this.#label(),
      lesson: this.#attribute("lesson"),
      src: this.#source(),
      controls: this.#attribute("controls"),
      device: this.#attribute("device"),
      caps: {
        maxSteps: this.#attribute("max-steps"),
        maxSeconds: this.#attribute("max-seconds"),
        seed: this.#attribute("seed"),
      },
      locked: this.#attribute("locked"),
      offscreen: this.#attribute("offscreen"),
      style,
      keeps: Boolean(this.#session.frame),
      start: this.#wanted,
    };
  }

  // Says `hello` again, once for all that changes in one go.
  #tellChange() {
    if (!this.#isReady || this.#isHelloDue) return;
    this.#isHelloDue = true;
    queueMicrotask(() => this.#tellDue());
  }

  #tellDue() {
    if (this.#isHelloDue && this.#isReady) this.#session.port.postMessage(this.#hello());
    this.#isHelloDue = false;
  }

  // What the lab says over its port
  #hear(data) {
    const message = read(data);
    if (!message) return;
    const { type, fields } = message;
    if (type === "reply") return this.#answer(fields);
    if (type === "size") return this.#resize(fields.height);
    if (type === "state") return this.#keep(fields.state);
    if (type === "keep") {
      this.#kept = fields.run;
      return;
    }
    if (type === "phase") return this.#enter(fields.phase, fields.device || this.#device);
    if (type === "step") return this.#count(fields);
    if (type === "done") {
      this.#report = fields.report;
      this.#tellStep();
    }
    if (type === "error" && fields.fatal) {
      // A lab that never came to run has nothing to show but this; one that did shows its error itself.
      if (this.#phase === "loading") return this.#fail(fields.kind, fields);
      this.#enter("error");
    }
    if (type !== "ready") this.#emit(type, fields);
  }

  #resize(height) {
    const { frame } = this.#session;
    if (!frame) return; // Inside the page the lab has its own height.
    const asked = Math.round(Math.min(Math.max(height, HEIGHTS[0]), HEIGHTS[1]));
    if (Math.abs(asked - (Number.parseInt(frame.style.blockSize) || 0)) >= 2) frame.style.blockSize = `${asked}px`;
  }

  #keep(state) {
    this.#state = state;
    if (this.#attribute("sync") !== "hash") return;
    this.#timers.hash ??= setTimeout(() => {
      this.#timers.hash = null;
      try {
        const address = new URL(location.href); // Not `#…` alone, which would count from a <base>.
        address.hash = this.#state;
        history.replaceState(history.state, "", address);
      } catch {
        // A page without an address of its own keeps none.
      }
    }, HASH_MS);
  }

  #enter(phase, device = this.#device) {
    if (phase === this.#phase && device === this.#device) return;
    this.#tellStep();
    if (phase !== "loading" && this.#isMoved) {
      this.#isMoved = false;
      this.#paint();
    }
    this.#phase = phase;
    this.#device = device;
    this.#tellStates();
    this.#emit("phase", { phase, device });
  }

  // Each step is kept, but told at most every STEP_MS, the newest of those in between.
  #count(metrics) {
    this.#metrics = metrics;
    const wait = this.#stepToldAt + STEP_MS - performance.now();
    this.#timers.step ??= setTimeout(() => this.#tellStep(), Math.max(0, wait));
  }

  #tellStep() {
    if (!this.#timers.step) return;
    clearTimeout(this.#timers.step);
    this.#timers.step = null;
    this.#stepToldAt = performance.now();
    this.#emit("step", this.#metrics);
  }

  #tellStates() {
    const states = this.#internals?.states;
    if (!states) return;
    try {
      states.clear();
      states.add(this.#phase);
      if (this.#device === "cpu" || this.#device === "replay") states.add(this.#device);
    } catch {
      // Older browsers take only names that begin with two dashes.
    }
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(`lorakeet-${type}`, { detail, bubbles: true, composed: true }));
  }

  // What the lab is asked

  #call(method, ...args) {
    return new Promise((resolve, reject) => {
      const message = { ...PROTOCOL, type: "call", id: ++this.#lastId, method, args };
      const call = { message, resolve, reject };
      if (!this.#isReady || !this.#wanted) this.#queue.push(call);
      this.#asked.set(message.id, call);
      if (this.#isReady && this.#wanted) this.#post(message);
    });
  }

  #post(message) {
    this.#tellDue(); // What was changed before the call counts for it.
    try {
      this.#session.port.postMessage(message);
    } catch (error) {
      // An argument that cannot be sent, such as a function.
      this.#asked.get(message.id)?.reject(error);
      this.#asked.delete(message.id);
    }
  }

  #answer({ id, value, error }) {
    const call = this.#asked.get(id);
    this.#asked.delete(id);
    if (error === null) call?.resolve(value);
    else call?.reject(asError(error));
  }

  // The ends

  // The lab's page is gone: what it was asked is answered by nobody any more.
  #cut(error = { kind: "lost", message: this.#words().ended }) {
    this.#isReady = false;
    if (this.#session) {
      this.#session.port?.close();
      this.#session.port = null;
    }
    for (const [id, call] of this.#asked) {
      if (this.#queue.includes(call)) continue;
      this.#asked.delete(id);
      call.reject(asError(error));
    }
  }

  // Ends the lab, and with it every call, and shows the poster.
  #close(error, view = "poster") {
    const session = this.#session;
    this.#queue = [];
    this.#wanted = this.#isMoved = false;
    this.#kept = null;
    clearTimeout(this.#timers.ready);
    clearTimeout(this.#timers.step);
    this.#timers.step = null;
    this.#cut(error);
    this.#session = null;
    if (session) {
      const hadFocus = session.shown.contains(this.shadowRoot.activeElement);
      session.ends.abort();
      session.lab?.destroy?.();
      session.shown.remove();
      this.#show(view);
      if (hadFocus) this.#parts.start.focus({ preventScroll: true });
    } else this.#show(view);
    if (view === "poster") this.#enter("idle", null);
  }

  // The lab cannot run. `said` is an error that it has told itself, or the name of the shell's own words.
  #fail(kind, said) {
    const folder = this.#folder().href;
    const words = this.#words();
    const sentences = isText(said) ? words[said] : [said.message, said.advice ?? ""];
    const [message, advice] = sentences.map((sentence) => sentence.replace("{folder}", folder));
    const told = { kind, message, fatal: true, advice };
    this.#close(told, "error");
    const link = { href: `${folder}embed.html?${this.#query()}`, target: "_blank", rel: "noopener noreferrer" };
    const lines = [create("p", {}, message), create("p", {}, advice)];
    if (said !== "inline") lines.push(create("p", {}, create("a", link, words.open)));
    this.#parts.error.replaceChildren(...lines);
    this.#enter("error", null);
    this.#emit("error", told);
  }
}

if (globalThis.customElements && !customElements.get("lorakeet-lab")) {
  customElements.define("lorakeet-lab", LorakeetLab);
}
