// The lab in a frame: options from the address, then from the page around it, if that speaks (public/lab.js does).

const PROTOCOL = { protocol: "lorakeet-lab", version: 1 };
const FLAGS = ["locked", "start"];
// For a lab that cannot be shown: its own words are in the program that is missing.
const WORDS = {
  en: {
    message: "The lab's program did not start.",
    advice:
      "Check the connection, and that lab_page.js and the files beside it lie in the folder of this page. " +
      "The browser has to allow WebAssembly. Then try again.",
    retry: "Try again",
  },
  zh: {
    message: "实验的程序未能启动。",
    advice:
      "请检查网络连接，确认本页所在文件夹中有 lab_page.js 及其他文件，" +
      "并确认浏览器允许使用 WebAssembly，然后重试。",
    retry: "重试",
  },
};

const options = Object.fromEntries(new URLSearchParams(location.search));
for (const name of FLAGS) {
  if (name in options) options[name] = options[name] !== "false" && options[name] !== "0";
}
// As it stands in the address: the lab decodes it.
options.state = location.hash.slice(1) || null;

// The lab speaks into a channel of its own; what it says is passed on once the page around it has answered. Steps of a run, and what
// is to be kept of it, are news only while they are new, and a lab that stands alone tells nobody.
const { port1, port2 } = new MessageChannel();
const waiting = [];
let shell = null;
port2.onmessage = ({ data }) => {
  if (shell) shell.postMessage(data);
  else if (parent !== window && !["step", "keep"].includes(data.type)) waiting.push(data);
};

addEventListener("message", ({ data, source, ports }) => {
  const isHello = data?.protocol === PROTOCOL.protocol && data.version === PROTOCOL.version && data.type === "hello";
  // The first who answers is the one who is spoken with.
  if (source !== parent || !isHello || !ports[0] || shell) return;
  [shell] = ports;
  shell.onmessage = (message) => port2.postMessage(message.data);
  port2.postMessage(data);
  for (const message of waiting.splice(0)) shell.postMessage(message);
});

const create = (name, fields, ...children) => {
  const element = Object.assign(document.createElement(name), fields);
  element.append(...children);
  return element;
};

// Says that there is no lab, here and to the page around it, once that has pressed Start.
const fail = (root, error) => {
  console.error(error);
  const language = /^zh\b/i.test(options.lang ?? navigator.language) ? "zh" : "en";
  const { message, advice, retry } = WORDS[language];
  const button = create("button", { type: "button", onclick: () => location.reload() }, retry);
  const notice = create(
    "div",
    { className: "notice notice-error", role: "alert" },
    create("h1", { className: "notice-title" }, message),
    create("p", { className: "notice-what" }, advice),
    create("p", {}, button),
  );
  document.documentElement.lang = language;
  root.replaceChildren(create("div", { className: "lab" }, notice));
  port1.onmessage = ({ data }) => {
    if (data.type !== "hello" || !data.start) return;
    port1.postMessage({ ...PROTOCOL, type: "error", kind: "network", message, fatal: true, advice });
  };
  return [];
};

// Not imported above: a file that is missing there would leave nobody to say so.
const mount = async (root) => {
  try {
    const { mountLab } = await import("./lab_page.js");
    const { capabilities } = await mountLab(root, port1, options);
    return capabilities;
  } catch (error) {
    return fail(root, error);
  }
};

const capabilities = await mount(document.getElementById("lab"));
if (parent !== window) parent.postMessage({ ...PROTOCOL, type: "ready", capabilities }, "*");
