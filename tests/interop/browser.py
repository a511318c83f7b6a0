"""Models in the format of llama.cpp by wllama, which is llama.cpp in a browser, in a Chromium without a window.

A server on a loopback port has wllama, the model and a page that continues texts and posts what it wrote.
"""

import json
import shutil
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PATIENCE_S = 600
# Without a sandbox, for accounts that may not make one; what is loaded is the page below.
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]

PAGE = """<!doctype html><title>wllama</title><script type="module">
const told = (what) => fetch("told", { method: "POST", body: JSON.stringify(what) });
try {
  const { Wllama } = await import("./wllama/index.js");
  const { prompts, tokens } = await (await fetch("wish")).json();
  const wllama = new Wllama({ default: new URL("wllama/wasm/wllama.wasm", location).href }, { suppressNativeLog: true });
  wllama.setCompat(null);
  const model = await (await fetch("model.gguf")).blob();
  // As the engine has it: keys and values in 32 bits, and attention as it is written.
  await wllama.loadModel([model], {
    n_ctx: 256, n_threads: 2, n_gpu_layers: 0, cache_type_k: "f32", cache_type_v: "f32", flash_attn: false,
  });
  const texts = [];
  for (const prompt of prompts) {
    const answer = await wllama.createCompletion({ prompt, max_tokens: tokens, temperature: 0, top_k: 1 });
    texts.push(answer.choices[0].text);
  }
  await told({ texts });
} catch (error) {
  await told({ error: `${error?.stack ?? error}` });
}
</script>"""

TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html"}


def wllama(chromium, package, model, prompts, tokens):
    """Greedy continuations of the prompts, `tokens` long."""
    files = {
        "/": (PAGE.encode(), ".html"),
        "/wish": (json.dumps({"prompts": prompts, "tokens": tokens}).encode(), ".json"),
        "/model.gguf": (Path(model), ".gguf"),
    }
    told, answers = threading.Event(), []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def headed(self, status, kind="application/octet-stream", length=0):
            self.send_response(status)
            # Threads need memory that is shared, which browsers give to pages that are isolated.
            for name, value in [("Content-Type", kind), ("Content-Length", str(length)),
                                ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Embedder-Policy", "require-corp")]:
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self):
            found, ending = files.get(self.path, (None, ""))
            if self.path.startswith("/wllama/"):
                found = Path(package, "esm", self.path.removeprefix("/wllama/"))
                ending = found.suffix
            if found is None or (isinstance(found, Path) and not found.is_file()):
                return self.headed(404)
            content = found.read_bytes() if isinstance(found, Path) else found
            self.headed(200, TYPES.get(ending, "application/octet-stream"), len(content))
            self.wfile.write(content)

        def do_POST(self):
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.headed(204)
            told.set()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    profile = tempfile.mkdtemp(prefix="lorakeet-wllama-")
    words = [chromium, *FLAGS, f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/"]
    browser = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if not told.wait(PATIENCE_S):
            raise TimeoutError(f"wllama has said nothing for {PATIENCE_S} s")
    finally:
        browser.terminate()
        browser.wait()
        server.shutdown()
        shutil.rmtree(profile, ignore_errors=True)
    if "error" in answers[0]:
        raise RuntimeError(answers[0]["error"])
    return answers[0]["texts"]
