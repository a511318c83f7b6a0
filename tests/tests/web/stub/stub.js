// A lab that does nothing but speak the protocol of public/lab.js: it keeps what it is told, answers calls, and says what a
// test has it say. embed.html and lab_page.js here stand for the real ones.
const PROTOCOL = { protocol: "lorakeet-lab", version: 1 };

export const seen = { address: location.href, origin: self.origin, hellos: [], runs: [], calls: [], order: [], destroyed: false };

export function serve(port, hello) {
  seen.hellos.push(hello);
  const say = (message) => port.postMessage({ ...PROTOCOL, ...message });
  const answers = {
    start: () => "started",
    // Has the lab say something over its port, as it is given; `post` has it say that to the window.
    setKnob: (name, value) => {
      if (name === "say") for (const message of [value].flat()) say(message);
      if (name === "post") parent.postMessage(value, "*");
      return name;
    },
    step: (count) => count,
    reset: (options) => options,
    predict: (question) => `after ${question}`,
    toURL: () => JSON.stringify({ ...seen, hasFocus: document.hasFocus() }),
    exportAdapter: (format) => {
      if (format !== "peft") throw { kind: "bad-file", message: `no ${format} here`, advice: "take peft" };
      return new Blob(["adapter"], { type: "application/zip" });
    },
    exportAnswers: () => new Blob(["question,answer"], { type: "text/csv" }),
    destroy: () => {
      seen.destroyed = true;
    },
  };
  port.onmessage = ({ data }) => {
    seen.order.push(data.method ?? data.type);
    if (data.type === "hello") seen.hellos.push(data);
    if (data.type === "run") seen.runs.push(data.run);
    if (data.type !== "call") return;
    seen.calls.push([data.method, ...data.args]);
    // `pause` is the one that is never answered.
    if (!answers[data.method]) return;
    try {
      say({ type: "reply", id: data.id, value: answers[data.method](...data.args) });
    } catch (error) {
      say({ type: "reply", id: data.id, error });
    }
  };
  if (hello.lesson === "broken") {
    say({ type: "error", kind: "bad-file", message: "the lesson is broken", fatal: true, advice: "mend it" });
  }
}
