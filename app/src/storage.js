// What this site takes in the browser's storage, what it may take, and whether the browser leaves it alone when the disk gets full:
// [bytes, bytes, true or false], each null where the browser does not tell. With `asks` it is asked to leave it alone first.
export const storageRoom = async (asks) => {
  const { storage } = navigator;
  const told = async (ask) => {
    try {
      return (await ask?.call(storage)) ?? null;
    } catch {
      return null;
    }
  };
  if (asks) await told(storage?.persist);
  const estimate = await told(storage?.estimate);
  return [estimate?.usage ?? null, estimate?.quota ?? null, await told(storage?.persisted)];
};
