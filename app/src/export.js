// Files that the person chose, which what was trained is written into piece by piece (the File System Access API).
export const canPick = () => "showDirectoryPicker" in self && "showSaveFilePicker" in self;

class Chosen {
  constructor(name, open, remove) {
    this.name = name;
    this.open = open;
    this.remove = remove;
    this.file = null;
    this.last = Promise.resolve();
    this.handles = [];
  }

  // Pieces are written one after the other; after one that was refused none is.
  take(path, bytes, isLast) {
    return (this.last = this.last.then(async () => {
      if (!this.file) {
        const handle = await this.open(path);
        this.handles.push(handle);
        this.file = await handle.createWritable();
      }
      await this.file.write(bytes);
      if (!isLast) return;
      const file = this.file;
      this.file = null;
      await file.close();
    }));
  }

  // Once all that came is written, or refused.
  settled() {
    return this.last.catch(() => {});
  }

  // What was written, to be read back.
  files() {
    return Promise.all(this.handles.map((handle) => handle.getFile()));
  }

  // What is there is incomplete.
  async giveUp() {
    await this.settled();
    await this.file?.abort().catch(() => {});
    await this.remove().catch(() => {});
  }
}

// A new folder: what lies in others stays.
const fresh = async (parent, name) => {
  for (let count = 1; ; count += 1) {
    const tried = count > 1 ? `${name}-${count}` : name;
    try {
      await parent.getDirectoryHandle(tried);
    } catch (error) {
      if (error.name === "TypeMismatchError") continue;
      if (error.name !== "NotFoundError") throw error;
      return parent.getDirectoryHandle(tried, { create: true });
    }
  }
};

// Asks where to, which a browser allows while a press is handled: where a file of this name goes, or in which folder a new one
// is made.
export const pick = async (name, isFile) => {
  if (isFile) {
    const file = await self.showSaveFilePicker({ suggestedName: name });
    return new Chosen(file.name, async () => file, async () => file.remove?.());
  }
  const parent = await self.showDirectoryPicker({ mode: "readwrite" });
  const folder = await fresh(parent, name);
  const open = async (path) => {
    const names = path.split("/");
    const file = names.pop();
    let place = folder;
    for (const name of names) place = await place.getDirectoryHandle(name, { create: true });
    return place.getFileHandle(file, { create: true });
  };
  return new Chosen(folder.name, open, () => parent.removeEntry(folder.name, { recursive: true }));
};
