// The page: photos come in, wait their turn, are rated, and show what came of it.

import { Card } from "./card.js";
import { takeIn } from "./intake.js";
import { prepare, smaller } from "./photo.js";
import { Queue } from "./queue.js";
import { predict, render, scorers } from "./service.js";

const byId = (id) => document.getElementById(id);
const queue = new Queue(2);
const jobs = new Set();

/** One photo on its way. */
class Job {
  #stop = new AbortController();

  constructor({ file, url, nameless = false }) {
    this.file = file;
    this.url = url;
    this.fileName = nameless ? "" : file?.name;
    this.model = byId("model").value;
    this.finished = false;
    const name = url ? nameOf(url) : this.fileName || "pasted photo";
    this.card = new Card(name, { remove: () => this.remove(true), again: () => this.start() });
    if (file) this.card.picture(file);
  }

  start() {
    this.finished = false;
    this.card.say("waiting", "Waiting");
    showProgress();
    queue.add(() => this.#run());
  }

  async #run() {
    if (this.#stop.signal.aborted) return;
    this.card.say("busy", this.url ? "Fetching the photo" : "Looking for faces");
    let words;
    try {
      words = this.url ? await this.#rateAddress() : await this.#rateFile();
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      words = this.card.failed(error, this);
    }
    this.finished = true;
    announce(words);
    showProgress();
  }

  async #rateFile() {
    let photo = await prepare(this.file);
    this.card.note(photo.note);
    let answer;
    try {
      answer = await predict(photo, this.#task);
    } catch (error) {
      if (error.status !== 413 || photo.note) throw error;
      photo = await smaller(this.file); // the server takes less than most do
      this.card.note(photo.note);
      answer = await predict(photo, this.#task);
    }
    if (photo.note) this.card.picture(photo.blob);
    if (photo.askew) this.card.picture(await render(photo, "jpeg", this.#task), true);
    return this.card.done(answer.result, {
      source: photo,
      model: this.model,
      sameFile: photo.blob === this.file && Boolean(this.fileName),
      render: (format) => render(photo, format, this.#task),
    });
  }

  async #rateAddress() {
    const { result, picture } = await predict({ url: this.url }, this.#task);
    this.card.picture(picture, true);
    return this.card.done(result, {
      source: { url: this.url },
      model: this.model,
      sameFile: true,
      render: async () => picture,
    });
  }

  get #task() {
    const onWait = (seconds) =>
      this.card.say("busy", `The server is busy; next try in ${seconds} s`);
    return { model: this.model, signal: this.#stop.signal, onWait };
  }

  remove(byHand = false) {
    const next = this.card.element.nextElementSibling ?? this.card.element.previousElementSibling;
    this.#stop.abort();
    this.card.remove();
    jobs.delete(this);
    showProgress();
    if (byHand) (next?.querySelector(".remove") ?? byId("choose")).focus();
  }
}

function add(sources) {
  if (sources.length === 0) return;
  const batch = sources.map((source) => new Job(source));
  for (const job of batch) jobs.add(job);
  byId("cards").prepend(...batch.map((job) => job.card.element));
  for (const job of batch) job.start();
  const { top } = byId("results").getBoundingClientRect();
  if (top < 0 || top > innerHeight / 2) byId("results").scrollIntoView();
}

function showProgress() {
  const done = [...jobs].filter((job) => job.finished).length;
  document.documentElement.classList.toggle("working", jobs.size > 0);
  byId("results").hidden = jobs.size === 0;
  byId("overall").hidden = jobs.size < 2;
  byId("count").textContent = `${done} of ${jobs.size} photos done`;
  byId("progress").max = Math.max(jobs.size, 1);
  byId("progress").value = done;
}

function announce(words) {
  byId("news").textContent = words;
}

function nameOf(url) {
  const { hostname, pathname } = new URL(url);
  const last = pathname.split("/").filter(Boolean).at(-1);
  try {
    return last ? decodeURIComponent(last) : hostname;
  } catch {
    return last;
  }
}

async function showScorers() {
  const answer = await scorers();
  if (!answer) return;
  const choice = byId("model");
  const served = answer.models.filter(({ kind }) => kind === "scorer");
  // The default goes without saying.
  for (const { name } of served) choice.add(new Option(name, name === answer.default ? "" : name));
  choice.value = "";
  byId("scorer").hidden = served.length < 2;
  const tellLimits = () => {
    const chosen = choice.value || answer.default;
    const { name, limits } = served.find((card) => card.name === chosen) ?? {};
    byId("limits").textContent = limits ? `The scorer ${name}: ${limits}.` : "";
    byId("limits").hidden = !limits;
  };
  choice.addEventListener("change", tellLimits);
  tellLimits();
}

byId("clear").addEventListener("click", () => {
  for (const job of [...jobs]) job.remove();
  byId("choose").focus();
  announce("All photos are removed.");
});
byId("zone").hidden = false;
takeIn(add);
showScorers();
