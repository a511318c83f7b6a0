// One trainer at a time over all tabs and labs of an origin: two on one GPU are slower than one after the other, and a lock
// keeps browsers from freezing a tab that is out of view. `public/lab_page.js` takes the same lock.
const LOCK = "lorakeet-trainer";
let release = null;
// Settled once this page's last turn is over.
let last = Promise.resolve();

// Whether it is this page's turn now: it was already, nobody else's, or was taken from whoever had it (`steal`). `lost` is called
// once it is taken from here.
export const takeTurn = async (steal, lost) => {
  if (release || !navigator.locks) return true;
  await last;
  return new Promise((resolve) => {
    let mine = null;
    const held = (lock) => {
      const turn = lock && new Promise((end) => (mine = release = end));
      resolve(Boolean(lock));
      return turn;
    };
    last = navigator.locks.request(LOCK, steal ? { steal: true } : { ifAvailable: true }, held).catch(() => {
      // An origin that may not ask for locks has no other tab that could train, either.
      if (!mine) return resolve(true);
      if (mine === release) release = null;
      lost();
    });
  });
};

export const endTurn = () => {
  release?.();
  release = null;
};

// Keeps the screen on while that is wanted and the page is in view: a computer that goes to sleep trains nothing.
let isWanted = false;
let sentinel = null;

const ask = async () => {
  if (!isWanted || sentinel || document.visibilityState !== "visible") return;
  try {
    const lock = await navigator.wakeLock.request("screen");
    if (!isWanted) return void lock.release();
    sentinel = lock;
    lock.addEventListener("release", () => {
      if (sentinel === lock) sentinel = null;
    });
  } catch {
    // A low battery, or a policy of the page around: the screen goes off as it would.
  }
};

// One request after the other: a tab that is hidden and shown while one is pending does not hold two locks.
let asked = Promise.resolve();
const hold = () => (asked = asked.then(ask));

export const canKeepAwake = () => "wakeLock" in navigator;

export const keepAwake = (wanted) => {
  if (wanted === isWanted || !canKeepAwake()) return;
  isWanted = wanted;
  if (wanted) return hold();
  sentinel?.release();
  sentinel = null;
};

document.addEventListener("visibilitychange", hold);
