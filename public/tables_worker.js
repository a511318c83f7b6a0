// Opens a spreadsheet, a Parquet file or an archive in a worker of its own, which takes its memory with it when it ends: what
// arrives is the file, what leaves is its rows as a file (tables/src/lib.rs), or what went wrong.
import init, { open_table } from "./tables.js";

self.onmessage = async ({ data: file }) => {
  try {
    await init();
    const rows = open_table(new Uint8Array(await file.arrayBuffer()));
    self.postMessage({ rows: new File([rows], file.name) });
  } catch (error) {
    self.postMessage({ error: String(error?.message ?? error) });
  }
};
