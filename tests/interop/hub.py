"""The hub of the tests, and the cache that the command keeps, held against huggingface_hub.

The command and huggingface_hub's `snapshot_download` each fetch a model from the hub into a cache of their own: both must hold the
same blobs, refs and snapshots, and each program must find the model in the other's cache without a network. A gated model is
refused without its token, and given with it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

OPEN, GATED = "lorakeet/tiny", "lorakeet/gated"
TOKEN = "hf_of_the_tests"
MODEL = Path("public/model")

# In a process of its own: huggingface_hub reads its variables when it is imported.
DOWNLOAD = """
import json, sys
from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError
try:
    print(json.dumps({"path": snapshot_download(sys.argv[1], allow_patterns=sys.argv[2:])}))
except GatedRepoError as error:
    print(json.dumps({"refused": error.response.status_code}))
"""


class Hub:
    """The hub as a program; what it says is JSON, a line each."""

    def __init__(self, program, folder):
        self.process = subprocess.Popen([program, folder, TOKEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.place = json.loads(self.process.stdout.readline())

    def asked(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def surroundings(work, endpoint, cache, **more):
    """This process's variables, without those of huggingface_hub that somebody set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    return {**kept, "HF_HOME": str(work / "home"), "HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(work / cache),
            "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **more}


def layout(cache, model):
    """Blobs with their contents, refs with theirs, and where each file of a snapshot leads."""
    root = cache / f"models--{model.replace('/', '--')}"
    blobs = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (root / "blobs").iterdir()}
    refs = {str(path.relative_to(root)): path.read_text() for path in (root / "refs").rglob("*") if path.is_file()}
    found = [path for path in (root / "snapshots").rglob("*") if not path.is_dir()]
    snapshots = {str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else None for path in found}
    return {"blobs": blobs, "refs": refs, "snapshots": snapshots}


def check_hub(program, hub_program, work, report):
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    # No folder here is taken for the first part of a model's name.
    program, work = Path(program).resolve(), work.resolve()
    hub = Hub(hub_program, MODEL.resolve())
    endpoint, commit = hub.place["endpoint"], hub.place["commit"]

    def ours(model, cache, **more):
        words = [program, "--device", "cpu", "generate", "The parrot", "--model", model, "--max-new-tokens", "2"]
        return subprocess.run(words, cwd=work, env=surroundings(work, endpoint, cache, **more), capture_output=True, text=True)

    def theirs(model, cache, patterns, **more):
        done = subprocess.run([sys.executable, "-c", DOWNLOAD, model, *patterns], cwd=work,
                              env=surroundings(work, endpoint, cache, **more), capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr[-1000:]}

    try:
        first = ours(OPEN, "ours")
        report("hub, the command fetches a model", first.returncode == 0, first.stderr[-500:].strip() or "it is there")
        if first.returncode != 0:
            return
        by_us = layout(work / "ours", OPEN)
        names = [path.split("/", 2)[2] for path in by_us["snapshots"]]
        fetched = theirs(OPEN, "theirs", names)
        report("hub, huggingface_hub fetches it", "path" in fetched, repr(fetched))
        if "path" not in fetched:
            return
        by_them = layout(work / "theirs", OPEN)
        for part in by_us:
            report(f"hub, {part} of both caches", by_us[part] == by_them[part], f"{by_us[part]} and {by_them[part]}"
                   if by_us[part] != by_them[part] else f"{len(by_us[part])} alike")
        report("hub, the commit", by_us["refs"] == {"refs/main": commit}, repr(by_us["refs"]))

        asked = len(hub.asked()["requests"])
        offline = ours(OPEN, "theirs", HF_HUB_OFFLINE="1")
        same = offline.returncode == 0 and offline.stdout == first.stdout
        report("hub, the command in huggingface_hub's cache", same, offline.stderr[-500:].strip() or "the same tokens")
        found = theirs(OPEN, "ours", names, HF_HUB_OFFLINE="1")
        report("hub, huggingface_hub in the command's cache", found.get("path", "").endswith(commit), repr(found))
        report("hub, without a network", len(hub.asked()["requests"]) == asked, "nothing was asked")

        for name, token, refused in [("no token", {}, 401), ("another token", {"HF_TOKEN": "hf_another"}, 403),
                                     ("its token", {"HF_TOKEN": TOKEN}, None)]:
            cache = f"gated-{refused}"
            them = theirs(GATED, f"{cache}-theirs", names, **token)
            passed = "path" in them if refused is None else them == {"refused": refused}
            report(f"hub, huggingface_hub and a gated model with {name}", passed, repr(them))
            us = ours(GATED, f"{cache}-ours", **token)
            report(f"hub, the command and a gated model with {name}", (us.returncode == 0) == (refused is None),
                   us.stderr[-300:].strip() or "it is there")
        report("hub, the token", not hub.asked()["has_leaked"], "only the hub was given it")
    finally:
        hub.close()
