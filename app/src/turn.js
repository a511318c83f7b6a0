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

const hold = async () => {
  if (!isWanted || sentinel || document.visibilityState !== "visible") return;
  try {
    sentinel = await navigator.wakeLock.request("screen");
    sentinel.addEventListener("release", () => (sentinel = null));
    if (!isWanted) sentinel.release();
  } catch {
    // A low battery, or a policy of the page around: the screen goes off as it would.
  }
};

export const canKeepAwake = () => "wakeLock" in navigator;

export const keepAwake = (wanted) => {
  if (wanted === isWanted || !canKeepAwake()) return;
  isWanted = wanted;
  if (wanted) hold();
  else sentinel?.release();
};

document.addEventListener("visibilitychange", hold);
