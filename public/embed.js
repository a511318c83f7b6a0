// The lab in a frame: options from the address, then from the page around it, if that speaks (public/lab.js does).
import { mountLab } from "./lab_page.js";

const PROTOCOL = { protocol: "lorakeet-lab", version: 1 };
const FLAGS = ["locked", "start"];

const options = Object.fromEntries(new URLSearchParams(location.search));
for (const name of FLAGS) {
  if (name in options) options[name] = options[name] !== "false" && options[name] !== "0";
}
// As it stands in the address: the lab decodes it.
options.state = location.hash.slice(1) || null;

// The lab speaks into a channel of its own; what it says is passed on once the page around it has answered. Steps of a run are
// news only while they are new, and a lab that stands alone tells nobody.
const { port1, port2 } = new MessageChannel();
const waiting = [];
let shell = null;
port2.onmessage = ({ data }) => {
  if (shell) shell.postMessage(data);
  else if (parent !== window && data.type !== "step") waiting.push(data);
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

const { capabilities } = await mountLab(document.getElementById("lab"), port1, options);
if (parent !== window) parent.postMessage({ ...PROTOCOL, type: "ready", capabilities }, "*");
