// Shows the lab: in a frame (embed.html) or inside another page (lab.js with `mode="inline"`). The lab's program is
// lab/src/; this file starts it, and is what the program needs of the browser: fetching, the engine's worker, the turn to
// train, messages to the shell. docs/widget.md lists the messages.

const PROTOCOL = { protocol: "lorakeet-lab", version: 1 };
// Addresses of the folder's files by path (blob URLs), where a page has them inside itself: lorakeetFiles["engine.js"].
const FILES = globalThis.lorakeetFiles;
const FOLDER = new URL("./", FILES ? location.href : import.meta.url);
// Of the page's own style sheets, in order.
const SHEETS = ["tokens.css", "parts.css", "lab.css"];
// One lab trains at a time, over all labs of this origin.
const LOCK = "lorakeet-trainer";
// A run goes on for so long while the lab is out of view.
const UNSEEN_MS = 30_000;

// The address of a file of the folder; everything that is loaded is loaded from here.
const addressOf = (path) => FILES?.[path] ?? new URL(path, FOLDER).href;

// The program is started once; later labs of the page use it, too.
let program;
const start = () =>
  (program ??= import(addressOf("lesson.js")).then(async (lesson) => {
    await lesson.default({ module_or_path: addressOf("lesson_bg.wasm") });
    return lesson;
  }));

// What a lab can do, beside what it was asked for: `ready` tells it.
const CAPABILITIES = ["lessons", "recordings", "export-peft", "export-answers"];

// The one lab of this page that trains where the browser has no locks (an opaque origin has none).
let trainer = null;

// Names of options that are no attributes: the shell's `hello` has `caps` and `start`.
const optionsOf = ({ caps = {}, style, ...hello }) => ({
  ...hello,
  "max-steps": caps.maxSteps ?? hello["max-steps"] ?? null,
  "max-seconds": caps.maxSeconds ?? hello["max-seconds"] ?? null,
  seed: caps.seed ?? hello.seed ?? null,
});

const listOf = (value) => (Array.isArray(value) ? value.join(" ") : value);

// Custom properties of the shell become those of the lab's style sheets.
const STYLES = {
  "--lorakeet-accent": "--accent",
  "--lorakeet-ink": "--ink",
  "--lorakeet-surface": "--surface",
  "--lorakeet-line": "--line",
  "--lorakeet-radius": "--radius",
  "--lorakeet-font": "--font",
  "--lorakeet-space": "--gap-m",
  "--lorakeet-chart-height": "--chart-height",
  "--lorakeet-series-1": "--series-1",
  "--lorakeet-series-2": "--series-2",
  "--lorakeet-series-3": "--series-3",
  "--lorakeet-series-4": "--series-4",
};

// A frame's document has them already.
const dress = (root) =>
  root.getRootNode() instanceof ShadowRoot &&
  Promise.all(
    SHEETS.map((name) => {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = addressOf(name);
      root.append(link);
      return new Promise((resolve) => {
        link.onload = link.onerror = resolve;
      });
    }),
  );

const fileOf = async (path) => new File([await (await fetch(addressOf(path))).blob()], path.split("/").pop());

// A worker from its own address; where the browser refuses that (an opaque origin), from a text that imports it. A page that has
// the files inside itself makes its own: lorakeetWorker().
const worker = () => {
  if (globalThis.lorakeetWorker) return lorakeetWorker();
  const address = addressOf("engine.js");
  const open = (from) => new Worker(from, { type: "module" });
  try {
    return open(address);
  } catch {
    // The text is no module: Chromium starts none from a blob of such an origin.
    const text = `import(${JSON.stringify(address)}).catch((error) => setTimeout(() => { throw error; }));`;
    return new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  }
};

const save = (name, text) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};

// Shows a lab in `root`, which tells `port` what happens and does what it is told there.
export const mountLab = async (root, port, hello) => {
  const say = (type, fields) => port.postMessage({ ...PROTOCOL, type, ...fields });
  let handle = null;
  let release = null;

  const host = {
    post: say,
    reply: (id, value) => say("reply", { id, value }),
    refuse: (id, message) => say("reply", { id, error: { kind: "call", message } }),
    foreign: (address) => {
      if (!URL.canParse(address, FOLDER)) return undefined; // Fetching it fails, and says so.
      const { origin } = new URL(address, FOLDER);
      return [FOLDER.origin, location.origin].includes(origin) ? undefined : origin;
    },
    text: async (path) => {
      const response = await fetch(addressOf(path));
      if (!response.ok) throw new Error(`${response.status}`);
      return response.text();
    },
    // The engine fetches what a command names, where it can.
    files: async (paths) => FILES && Promise.all(paths.map(fileOf)),
    worker: async () => worker(),
    lock: async (take) => Boolean(release) || trainer === handle || requestTurn(take),
    unlock: () => {
      release?.();
      release = null;
      if (trainer === handle) trainer = null;
    },
    save,
    address: (state) => {
      const address = new URL(addressOf("embed.html"));
      address.hash = state;
      return address.href;
    },
  };

  const requestTurn = (take) => {
    if (!navigator.locks) return turnOfPage(take);
    return new Promise((resolve) => {
      let mine = null;
      const held = (lock) => {
        const turn = lock && new Promise((done) => (mine = release = done));
        resolve(Boolean(lock));
        return turn;
      };
      const options = take ? { steal: true } : { ifAvailable: true };
      navigator.locks.request(LOCK, options, held).catch((error) => {
        // Another lab has stolen it; an opaque origin may not ask at all.
        if (mine) {
          if (mine === release) release = null;
          handle.lose_turn();
        } else if (error.name === "SecurityError") {
          resolve(turnOfPage(take));
        } else {
          resolve(false);
        }
      });
    });
  };

  const turnOfPage = (take) => {
    const other = trainer;
    if (other && !take) return false;
    trainer = handle;
    other?.lose_turn();
    return true;
  };

  const framed = !(root.getRootNode() instanceof ShadowRoot);
  const tell = ({ state, controls, ...options }) =>
    JSON.stringify({ ...optionsOf(options), controls: listOf(controls) ?? null, state: state ?? null, framed });

  const paint = (style = {}) => {
    for (const [name, own] of Object.entries(STYLES)) {
      if (style[name]) stage.style.setProperty(own, style[name]);
      else stage.style.removeProperty(own);
      // Colours that follow from this one are in lab.css.
      stage.toggleAttribute(`data-own${own.slice(1)}`, Boolean(style[name]));
    }
  };

  const stage = document.createElement("div");
  stage.className = "lab";
  const [lesson] = await Promise.all([start(), dress(root)]);
  root.append(stage);
  paint(hello.style);
  handle = lesson.mount_lab(stage, host, tell(hello));

  port.onmessage = ({ data }) => {
    if (data?.protocol !== PROTOCOL.protocol || data.version !== PROTOCOL.version) return;
    if (data.type === "hello") {
      paint(data.style);
      handle.set_options(tell(data));
    } else if (data.type === "run") {
      handle.go_on(data.run);
    } else if (data.type === "call") {
      handle.call(data.id, String(data.method), JSON.stringify(data.args ?? []));
    } else if (data.type === "get") {
      handle.get(data.id, String(data.what));
    }
  };

  let told = 0;
  const sizes = new ResizeObserver(() => {
    const height = Math.ceil(stage.getBoundingClientRect().height);
    if (Math.abs(height - told) < 2) return;
    told = height;
    say("size", { height });
  });
  sizes.observe(stage);

  let unseen;
  const views = new IntersectionObserver(([entry]) => {
    clearTimeout(unseen);
    if (entry.isIntersecting) handle.set_seen(true);
    else unseen = setTimeout(() => handle.set_seen(false), UNSEEN_MS);
  });
  views.observe(stage);

  return {
    capabilities: CAPABILITIES,
    destroy: () => {
      sizes.disconnect();
      views.disconnect();
      clearTimeout(unseen);
      handle.destroy();
      stage.remove();
    },
  };
};
