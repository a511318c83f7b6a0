// Types of lab.js: the element <lorakeet-lab>. docs/widget.md says what each name means.

/** Where a lab stands. */
export type LorakeetPhase = "idle" | "loading" | "ready" | "predicting" | "training" | "paused" | "done" | "error";

/** What a lab is to run on: the best there is, a GPU, the CPU, or a recorded run. */
export type LorakeetDevice = "auto" | "gpu" | "cpu" | "replay";

/** What went wrong; later versions may name further kinds. */
export type LorakeetErrorKind =
  | "no-webgpu"
  | "lost"
  | "out-of-memory"
  | "bad-file"
  | "network"
  | "blocked"
  | "busy"
  | (string & {});

/** Numbers of one optimizer step; null where one cannot be told, such as a loss that is not finite. */
export interface LorakeetStep {
  step: number;
  /** In nats a token, or what the lesson's task measures. */
  loss: number | null;
  /** Learning rate. */
  lr: number | null;
  tokensPerSecond: number | null;
}

/** What a run came to; null where something was not measured. */
export interface LorakeetReport {
  /** The run's name in the lesson; `own` for one with the reader's settings. */
  run: string;
  /** Steps done; fewer than planned where the run was stopped. */
  steps: number | null;
  seconds: number | null;
  /** Loss on the validation rows before the first step. */
  evalLossBefore: number | null;
  /** Loss on the validation rows at the end. */
  evalLossAfter: number | null;
}

/** What the browser can do. */
export interface LorakeetSupport {
  webgpu: boolean;
  wasm: boolean;
}

/** What the promise of a method is rejected with. */
export interface LorakeetCallError extends Error {
  /** `call` where the lab refuses the call. */
  kind: LorakeetErrorKind | "call" | null;
  advice: string | null;
}

/** The events of <lorakeet-lab>; all of them bubble and are composed. */
export interface LorakeetLabEventMap {
  "lorakeet-ready": CustomEvent<{ capabilities: string[] }>;
  "lorakeet-progress": CustomEvent<{ what: string; loaded: number; total: number | null }>;
  "lorakeet-phase": CustomEvent<{ phase: LorakeetPhase; device: string | null }>;
  "lorakeet-step": CustomEvent<LorakeetStep>;
  "lorakeet-predict": CustomEvent<{ question: string; answer: string }>;
  "lorakeet-lesson": CustomEvent<{ part: number; of: number }>;
  "lorakeet-done": CustomEvent<{ report: LorakeetReport }>;
  "lorakeet-error": CustomEvent<{ kind: LorakeetErrorKind; message: string; fatal: boolean; advice: string | null }>;
}

/** The element <lorakeet-lab>. */
export declare class LorakeetLab extends HTMLElement {
  /** The folder of embed.html; to be set only where a bundler has moved lab.js away from it. */
  static folder: string;
  static readonly observedAttributes: string[];

  // Attributes
  /** Id of a bundled lesson. */
  lesson: string;
  /** Address of a lesson file, same-origin with the lab or with CORS. */
  src: string;
  /** Which of the lesson's knobs are shown: their names, `none` or `all`; empty: all. */
  controls: string;
  /** Whether the state is kept in the page's address. */
  sync: "none" | "hash";
  /** When the frame is made: with Start, or at once. */
  loading: "lazy" | "eager";
  /** Most steps of a run; the lesson's own number where that is smaller. */
  maxSteps: number | null;
  /** Seconds after which a run is stopped. */
  maxSeconds: number | null;
  /** Seed of the random numbers of all runs. */
  seed: number | null;
  /** What a run does 30 s after the lab went out of view. */
  offscreen: "pause" | "run";
  theme: "auto" | "light" | "dark";
  /** Accessible name. */
  label: string;
  /** Least height, kept free before anything is loaded. */
  height: string;
  /** Whether settings and rows cannot be changed. */
  locked: boolean;
  /** In a frame of its own, or inside the page. */
  mode: "frame" | "inline";
  /** Whether the frame gets an origin of its own that nothing else has. */
  opaque: boolean;

  // Properties
  /** The newest state, a text that begins with `lab=1`; setting it sets the attribute, and the lab follows. */
  get state(): string;
  set state(value: string);
  /** What the lab runs on; until it has told, the attribute, which setting this sets. */
  get device(): LorakeetDevice | (string & {});
  set device(value: LorakeetDevice);
  get phase(): LorakeetPhase;
  /** The newest step. */
  get metrics(): LorakeetStep | null;
  /** The report of the run that ended last. */
  get report(): LorakeetReport | null;
  /** What this browser can do. */
  get supported(): Promise<LorakeetSupport>;

  // Methods; what is called before Start waits for it.
  /**
   * Presses Start; trains the lesson's own runs of the part that is shown, or continues a paused run. Where another lab trains,
   * `lorakeet-error` of kind `busy` says so.
   */
  start(): Promise<null>;
  pause(): Promise<null>;
  /** Trains for at least so many optimizer steps, by default one, and pauses where the run tells the next one. */
  step(count?: number): Promise<null>;
  /** Begins the lesson again: answers, settings and runs are forgotten. `seed` is that of all runs from then on. */
  reset(options?: { seed?: number }): Promise<null>;
  /** A text continued by the model as it is now, by at most 48 tokens. */
  predict(text: string): Promise<string>;
  /** Sets a knob of the reader's own run ("Train with my settings"); the lesson's runs, which start() trains, keep theirs. */
  setKnob(name: string, value: string | number | boolean | null): Promise<null>;
  /** The lab as it is now, as a link. */
  toURL(): Promise<string>;
  /** The adapter that was trained last: in PEFT's format as a ZIP file, or as llama.cpp's GGUF file. */
  exportAdapter(format?: "peft" | "gguf"): Promise<Blob>;
  /** The pupil's answers as CSV. */
  exportAnswers(): Promise<Blob>;
  /** Ends the lab and shows the poster again; the state is kept. */
  destroy(): Promise<void>;

  addEventListener<K extends keyof LorakeetLabEventMap>(
    type: K,
    listener: (this: LorakeetLab, event: LorakeetLabEventMap[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof LorakeetLabEventMap>(
    type: K,
    listener: (this: LorakeetLab, event: LorakeetLabEventMap[K]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | EventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "lorakeet-lab": LorakeetLab;
  }
  interface HTMLElementEventMap extends LorakeetLabEventMap {}
  interface DocumentEventMap extends LorakeetLabEventMap {}
}
