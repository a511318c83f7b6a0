// The stub inside the author's page.
import { seen, serve } from "./stub.js";

export async function mountLab(root, port, hello) {
  const button = document.createElement("button");
  button.textContent = "Inside";
  root.append(button);
  serve(port, hello);
  return {
    capabilities: ["stub"],
    destroy() {
      seen.destroyed = true;
      window.stubDestroyed = (window.stubDestroyed ?? 0) + 1;
      port.close();
    },
  };
}
