// Requests to a hub of models, as app/src/bin/worker/hub.rs makes them: no cookies, no referrer, no cache, and an end to silence.

const ANSWER_MS = 60000;
const SILENCE_MS = 30000;

// The outcome of `work`, unless nothing comes for so long.
const within = async (ms, controller, work) => {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`nothing came for ${ms / 1000} seconds`));
      controller.abort();
    }, ms);
  });
  try {
    return await Promise.race([work, silence]);
  } finally {
    clearTimeout(timer);
  }
};

// Browsers follow redirects themselves, and take `Authorization` off where one leads to another origin.
export const ask = async (address, range, token) => {
  if (navigator.onLine === false) throw new Error("this device is offline");
  const controller = new AbortController();
  const headers = {};
  if (range) headers.Range = range;
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { headers, signal: controller.signal, credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store" };
  const response = await within(ANSWER_MS, controller, fetch(address, options));
  const reader = response.body?.getReader();
  return {
    status: response.status,
    url: response.url,
    headers: [...response.headers].flat(),
    async read() {
      const { done, value } = reader ? await within(SILENCE_MS, controller, reader.read()) : { done: true };
      return done ? undefined : value;
    },
    cancel() {
      controller.abort();
    },
  };
};
