// The page without a network: keeps all files of one version of it, and answers with them from then on. A newer version is stored
// beside it and waits until nothing of the older one is open, or until its page asks for it (offline.js).
//
// What is stored is what was built: each file is compared with its SHA-256. Nothing but files of this list is answered here.

// Path → SHA-256, and a name for all of them together, as `xtask/src/bundle.rs` writes them; without them nothing is kept.
const FILES = null;
const VERSION = "";

const { scope } = self.registration;
const PREFIX = `lorakeet ${scope} `;
const NAME = PREFIX + VERSION;

// Files of equal contents are one entry, whatever the version that they came with.
const key = (path) => `${new URL(path, scope).href}?${encodeURIComponent(FILES[path])}`;

// Few people have a file that is opened by these: they are fetched when one is, and kept from then on.
const isLate = (path) => path.startsWith("tables");

async function store() {
  if (!FILES) throw new Error("this page was built without a list of its files");
  const cache = await caches.open(NAME);
  for (const path of Object.keys(FILES)) {
    const entry = key(path);
    const known = await caches.match(entry);
    if (known) {
      await cache.put(entry, known);
      continue;
    }
    if (isLate(path)) continue;
    const answer = await fetched(path);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    await cache.put(entry, answer);
  }
}

const fetched = (path) => fetch(new URL(path, scope).href, { integrity: FILES[path], cache: "no-cache" });

async function forgetOthers() {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== NAME) await caches.delete(name);
  }
}

async function answer(path, request) {
  const cache = await caches.open(NAME);
  const kept = await cache.match(key(path));
  if (kept || !isLate(path)) return kept ?? fetch(request);
  const answer = await fetched(path);
  if (answer.ok) await cache.put(key(path), answer.clone());
  return answer;
}

self.addEventListener("install", (event) => event.waitUntil(store()));

self.addEventListener("activate", (event) => event.waitUntil(forgetOthers().then(() => self.clients.claim())));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (!FILES || request.method !== "GET" || request.headers.has("range")) return;
  const { href } = new URL(request.url);
  if (!href.startsWith(scope)) return;
  const asked = decodeURI(href.slice(scope.length).replace(/[?#].*$/s, ""));
  const path = asked === "" || asked === "index.html" ? "./" : asked;
  if (Object.hasOwn(FILES, path)) event.respondWith(answer(path, request));
});

// A page wants this version now. Another page that is open has the older one, and may be in the middle of a run: it stays.
self.addEventListener("message", (event) => {
  const [port] = event.ports;
  event.waitUntil(
    self.clients.matchAll({ includeUncontrolled: true, type: "window" }).then((pages) => {
      const isAlone = pages.length < 2;
      port.postMessage(isAlone);
      if (isAlone) return self.skipWaiting();
    }),
  );
});
