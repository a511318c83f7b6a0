// An app that uses the package and its types; `tsc` refuses it where they do not fit.
import { LorakeetLab } from "lorakeet";

LorakeetLab.folder = "/lorakeet/";

const lab = document.querySelector("lorakeet-lab");
const shown = document.querySelector("#loss");
if (!lab || !shown) throw new Error("the page has no lab");

lab.addEventListener("lorakeet-step", ({ detail }) => {
  const loss: number | null = detail.loss;
  shown.textContent = `${detail.step}: ${loss?.toFixed(3) ?? "no number"}`;
});
