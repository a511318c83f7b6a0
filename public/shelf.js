// Files that outlive the page: a folder of the browser's private file system (OPFS), as app/src/bin/worker/shelf.rs asks for it.
// Browsers give the handles that are used here to workers only.

const FOLDER = "lorakeet";
// The worker of a page that was just closed lets go of its files a little later.
const RETRY_MS = 2000;
const PAUSE_MS = 50;

const isMissing = (error) => error.name === "NotFoundError";
const isHeld = (error) => ["NoModificationAllowedError", "InvalidStateError"].includes(error.name);

const patiently = async (attempt) => {
  const end = performance.now() + RETRY_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isHeld(error) || performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
};

// A file that is written from `length` on. What was appended is there at once, and on disk after `finish`.
const growing = (handle, length) => {
  let isOpen = true;
  return {
    append(bytes) {
      let done = 0;
      while (done < bytes.length) {
        const written = handle.write(bytes.subarray(done), { at: length });
        // A full disk writes less than it was given, and says nothing.
        if (!written) throw new DOMException("nothing was written", "QuotaExceededError");
        done += written;
        length += written;
      }
    },
    finish() {
      handle.flush();
      this.close();
    },
    close() {
      if (isOpen) handle.close();
      isOpen = false;
    },
  };
};

// Locks by folder: whoever trains holds its run's. Where there are no locks (an opaque origin has no files, either) only this
// worker's own are known.
const own = new Set();
const lockOf = (folder) => `${FOLDER}/${folder}`;

const claim = (folder) => {
  if (own.has(folder)) return null;
  const release = (end) => () => {
    own.delete(folder);
    end?.();
  };
  const mine = (end) => {
    own.add(folder);
    return release(end);
  };
  if (!navigator.locks) return mine();
  return new Promise((resolve, reject) => {
    const held = (lock) => {
      if (!lock) return resolve(null);
      return new Promise((end) => resolve(mine(end)));
    };
    navigator.locks.request(lockOf(folder), { ifAvailable: true }, held).catch(reject);
  });
};

const claimed = async () => {
  const { held = [] } = (await navigator.locks?.query()) ?? {};
  const others = held.map(({ name }) => name).filter((name) => name.startsWith(`${FOLDER}/`));
  return [...new Set([...others.map((name) => name.slice(FOLDER.length + 1)), ...own])];
};

// Throws where the browser gives no files here: private windows, frames with an origin of their own.
export const openShelf = async () => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true });
  const folder = (name, create = false) => root.getDirectoryHandle(name, { create });
  const shelf = {
    async folders() {
      const names = [];
      for await (const [name, handle] of root.entries()) if (handle.kind === "directory") names.push(name);
      return names;
    },
    async removeFolder(name) {
      await patiently(() => root.removeEntry(name, { recursive: true })).catch((error) => {
        if (!isMissing(error)) throw error;
      });
    },
    async files(name) {
      const names = [];
      try {
        for await (const key of (await folder(name)).keys()) names.push(key);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
      return names;
    },
    async open(name, file) {
      return (await (await folder(name)).getFileHandle(file)).getFile();
    },
    async create(name, file) {
      const handle = await (await folder(name, true)).getFileHandle(file, { create: true });
      const access = await patiently(() => handle.createSyncAccessHandle());
      access.truncate(0);
      return growing(access, 0);
    },
    async goOn(name, file, from) {
      const handle = await (await folder(name)).getFileHandle(file);
      const access = await patiently(() => handle.createSyncAccessHandle());
      if (access.getSize() < from) {
        access.close();
        throw new DOMException("the file became shorter", "InvalidStateError");
      }
      access.truncate(from);
      return growing(access, from);
    },
    async remove(name, file) {
      const from = await folder(name);
      await patiently(() => from.removeEntry(file));
    },
    async written(name) {
      let last = 0;
      for await (const handle of (await folder(name)).values()) {
        last = Math.max(last, (await handle.getFile()).lastModified);
      }
      return last;
    },
    async available() {
      const { quota, usage } = await navigator.storage.estimate();
      return quota - usage;
    },
    claim,
    claimed,
  };
  // Some browsers give the folder, and refuse to write into it.
  const trial = await shelf.create("trial", crypto.randomUUID());
  trial.append(new Uint8Array(1));
  trial.finish();
  await shelf.removeFolder("trial");
  return shelf;
};
