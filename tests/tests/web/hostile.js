// One worker is given broken files, one kind after the other; whatever it is given, it refuses or reads, and afterwards the
// same worker still loads the bundled model and continues a text. What became of each case lies in `window.hostile`.
const MODEL = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
const CASES = {
  "a sum of 8000 terms in a template": async (engine) =>
    engine.chat({ "chat_template.jinja": () => "{{ 1" + "+1".repeat(8000) + " }}" }),
  "text filters in a row": async (engine) =>
    engine.chat({ "chat_template.jinja": () => "{{ 'a'" + "|trim".repeat(8000) + " }}" }),
  "values within each other": async (engine) =>
    engine.chat({
      "chat_template.jinja": () =>
        "{% set ns = namespace(x={}) %}{% for i in range(12000) %}{% set ns.x = {'a': ns.x} %}{% endfor %}{{ ns.x }}",
    }),
  "a hundred gigabytes of text": async (engine) =>
    engine.chat({ "chat_template.jinja": () => "{% set s = 'a' * 1000000 %}{{ ([s] * 100000) | join }}" }),
  "2^30 layers": async (engine) =>
    engine.load({ "config.json": (text) => text.replace(/("num_hidden_layers": *)\d+/, "$11073741824") }),
  "heads whose product wraps around": async (engine) =>
    engine.load({
      "model.safetensors": () => null,
      "config.json": (text) =>
        text.replace(/("(?:num_attention_heads|num_key_value_heads|head_dim)": *)\d+/g, "$165536"),
    }),
  "a normalizer without its table": async (engine) =>
    engine.load({
      "tokenizer.json": (text) => text.replace(/"normalizer": *null/, '"normalizer": {"type": "Precompiled"}'),
    }),
  "rows longer than the positions": async (engine) => engine.train("king.txt", "In the beginning. ".repeat(900), 1024),
  "ten million short rows": async (engine) => engine.data("rows.csv", ["text\n", ...Array(10).fill("a\n".repeat(1e6))]),
  "a file of another host": async (engine) => engine.fetch("\t//127.0.0.1/elsewhere.txt"),
  "a file above the page's folder": async (engine) => engine.fetch("model/%2e%2e/%2e%2e/king-james.txt"),
};

const start = () => {
  const worker = new Worker("./engine.js", { type: "module" });
  const waiting = [];
  let wake = () => {};
  worker.onmessage = ({ data }) => {
    waiting.push({ ...JSON.parse(data.message), fatal: data.fatal });
    wake();
  };
  worker.onerror = (event) => {
    waiting.push({ type: "failed", what: String(event.message), fatal: true });
    wake();
  };
  // The first message of a type, or a failure.
  const next = async (type) => {
    for (;;) {
      const message = waiting.shift();
      if (!message) {
        await new Promise((resolve) => (wake = resolve));
      } else if (message.fatal) {
        throw new Error(`the engine is gone: ${message.what}`);
      } else if (message.type === "failed" || message.type === type) {
        return message;
      }
    }
  };
  const ask = async (command, files, answer) => {
    worker.postMessage({ message: JSON.stringify(command), files });
    return next(answer);
  };
  const bytes = async (path) => new Uint8Array(await (await fetch(path)).arrayBuffer());
  const engine = {
    next,
    open: () => ask({ type: "open", device: "cpu" }, [], "device"),
    end: () => worker.terminate(),
    // The bundled model with some of its files made anew.
    load: async (changed) => {
      const files = [];
      for (const name of new Set([...MODEL, ...Object.keys(changed)])) {
        const original = MODEL.includes(name) ? await bytes(`./model/${name}`) : null;
        const text = original && name.endsWith(".json") ? new TextDecoder().decode(original) : "";
        const content = changed[name] ? changed[name](text) : original;
        if (content !== null) files.push(new File([content], name));
      }
      const names = files.map((file) => file.name);
      return ask({ type: "load_model", files: names, name: "model", config: null }, files, "model");
    },
    generate: (prompt) =>
      ask({ type: "generate", id: 1, prompt, options: { max_new_tokens: 2 }, adapter: false }, [], "generated"),
    chat: async (changed) => {
      const loaded = await engine.load(changed);
      if (loaded.type === "failed") return loaded;
      return engine.generate({ messages: [{ role: "user", content: "Hello" }] });
    },
    data: (name, parts) => ask({ type: "load_data", file: name }, [new File(parts, name)], "data"),
    fetch: (name) => ask({ type: "load_data", file: name }, [], "data"),
    train: async (name, text, cutoff_len) => {
      await engine.load({});
      await engine.data(name, [text]);
      const config = { cutoff_len, max_steps: 1, eval_steps: 0, save_steps: 0, val_size: 0 };
      return ask({ type: "train", config, sample_prompt: null }, [], "done");
    },
  };
  return engine;
};

window.hostile = {};
(async () => {
  const engine = start();
  await engine.next("ready");
  await engine.open();
  for (const [name, use] of Object.entries(CASES)) {
    window.hostileCase = name;
    const outcome = await use(engine);
    await engine.load({});
    const after = await engine.generate({ text: "It is" });
    window.hostile[name] = { outcome, after: after.type };
  }
  engine.end();
  window.hostileDone = "well";
})().catch((error) => (window.hostileDone = `${window.hostileCase}: ${error.message}`));
