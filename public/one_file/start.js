// The lab in one file: takes the files of the folder out of this page, lists the lessons, and opens one. Behind the address's #
// stands the lab's state with the language, so that a reload or a bookmark comes back to it.
// Pages of `file:` may import modules from blob URLs; their workers may not, nor fetch one (Chromium), nor read a blob (WebKit). The
// engine's worker is therefore a classic script, and all that it needs is sent to it as bytes.

const PROTOCOL = { protocol: "lorakeet-lab", version: 1 };
const TYPES = { js: "text/javascript", json: "application/json", wasm: "application/wasm" };
const WORDS = {
  en: {
    title: "Lorakeet: fine-tune a small language model",
    about:
      "Each lesson trains a small model in this browser. Model, data and engine are inside this file: nothing is " +
      "downloaded, and nothing leaves this computer.",
    minutes: (minutes) => `${minutes} minutes`,
    all: "All lessons",
    other: "中文",
    broken: "This file cannot be opened here. It needs a current Chrome, Edge, Firefox or Safari, and all of its bytes.",
  },
  zh: {
    title: "Lorakeet：微调小语言模型",
    about: "每节课都在本浏览器中训练一个小模型。模型、数据和训练引擎都在这个文件里：无需下载，数据也不会离开这台电脑。",
    minutes: (minutes) => `${minutes} 分钟`,
    all: "全部课程",
    other: "English",
    broken: "无法在此打开本文件。请使用新版 Chrome、Edge、Firefox 或 Safari，并确认文件完整。",
  },
};

const main = document.getElementById("lab");
const [back, other] = document.querySelectorAll(".file-bar > *");

const languageOf = (tag) => (/^zh\b/i.test(tag) ? "zh" : "en");
const stateOf = (entries) => new URLSearchParams(entries).toString();

const create = (name, fields, ...children) => {
  const element = Object.assign(document.createElement(name), fields);
  element.append(...children);
  return element;
};

// Files by path. #index is a list of path and bytes; the texts of .files together are the contents one after the other, as gzip in
// base64.
const unpack = async () => {
  const packed = [...document.querySelectorAll(".files")];
  const letters = atob(packed.map((part) => part.textContent).join(""));
  for (const part of packed) part.remove();
  const bytes = new Uint8Array(letters.length);
  for (let place = 0; place < bytes.length; place += 1) bytes[place] = letters.charCodeAt(place);
  const whole = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).blob();
  const files = {};
  let start = 0;
  for (const [path, length] of JSON.parse(document.getElementById("index").textContent)) {
    files[path] = whole.slice(start, start + length, TYPES[path.split(".").pop()] ?? "application/octet-stream");
    start += length;
  }
  if (start !== whole.size) throw new Error(`${whole.size} bytes in place of ${start}`);
  return files;
};

// A worker with the engine, whose messages have bytes in place of files.
const openWorker = async (files) => {
  const program = await files["worker_bg.wasm"].arrayBuffer();
  const worker = new Worker(lorakeetFiles["engine.js"]);
  const post = worker.postMessage.bind(worker);
  const held = async (file) => ({ name: file.name, bytes: await file.arrayBuffer().catch(() => new ArrayBuffer()) });
  let last = Promise.resolve();
  worker.postMessage = (message) => {
    last = last.then(async () => post({ ...message, files: await Promise.all((message.files ?? []).map(held)) }));
  };
  post({ program }, [program]);
  return worker;
};

const openLab = async (state, language) => {
  const { port1, port2 } = new MessageChannel();
  let newest = state;
  port2.onmessage = ({ data }) => {
    if (data.type !== "state" || !data.state) return;
    newest = data.state;
    history.replaceState(null, "", `#${newest}`);
  };
  const lab = await mountLab(main, port1, { state, lang: language });
  return {
    speak: (lang) => {
      const entries = new URLSearchParams(newest);
      entries.set("lang", lang);
      newest = entries.toString();
      history.replaceState(null, "", `#${newest}`);
      port2.postMessage({ ...PROTOCOL, type: "hello", state: newest, lang });
    },
    destroy: () => {
      port2.close();
      lab.destroy();
    },
  };
};

const showLessons = (language) => {
  const words = WORDS[language];
  const items = lessons.map(({ id, title, minutes }) => {
    const href = `#${stateOf({ lab: 1, lesson: id, lang: language })}`;
    const link = create("a", { className: "button lesson", href }, create("b", {}, title[language]), " ");
    link.append(create("span", { className: "hint" }, words.minutes(minutes)));
    return create("li", {}, link);
  });
  const list = create("ol", { className: "lessons" }, ...items);
  main.append(
    create("div", { className: "lab" }, create("h1", { className: "lab-title" }, words.title), create("p", {}, words.about), list),
  );
};

// What is around the lab, in a language.
const dress = (language) => {
  const words = WORDS[language];
  document.documentElement.lang = language;
  document.title = words.title;
  back.textContent = words.all;
  back.href = `#${stateOf({ lang: language })}`;
  back.hidden = !lab;
  other.textContent = words.other;
  other.lang = language === "zh" ? "en" : "zh";
  other.hidden = false;
};

let lab = null;
const route = async () => {
  const state = location.hash.slice(1);
  const entries = new URLSearchParams(state);
  const language = languageOf(entries.get("lang") ?? navigator.language);
  lab?.destroy();
  lab = null;
  main.replaceChildren();
  if (entries.has("lesson")) lab = await openLab(state, language);
  else showLessons(language);
  dress(language);
};

// One after the other: a lab that is being opened is there before the next one.
let turn = Promise.resolve();
const next = (step) => {
  turn = turn.then(step).catch((error) => {
    const language = languageOf(navigator.language);
    main.replaceChildren(
      create("div", { className: "lab" }, create("p", { role: "alert" }, WORDS[language].broken), create("p", {}, error.message)),
    );
  });
};

let mountLab;
let lessons;
next(async () => {
  const files = await unpack();
  const addresses = Object.entries(files).map(([path, file]) => [path, URL.createObjectURL(file)]);
  globalThis.lorakeetFiles = { ...Object.fromEntries(addresses), "embed.html": location.href.replace(/#.*/, "") };
  globalThis.lorakeetWorker = () => openWorker(files);
  ({ mountLab } = await import(lorakeetFiles["lab_page.js"]));
  lessons = JSON.parse(await files["lessons/index.json"].text());
  await route();
});

addEventListener("hashchange", () =>
  next(async () => {
    await route();
    main.focus();
  }),
);
other.addEventListener("click", () => {
  const { lang } = other;
  if (!lab) {
    location.hash = stateOf({ lang });
    return;
  }
  lab.speak(lang);
  dress(lang);
});
