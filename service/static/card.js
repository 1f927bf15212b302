// One photo on the page: its picture, its state, what came of it, and what can be done with it.

import { copyText, saveBlob } from "./clipboard.js";
import { curlFor } from "./curl.js";
import { points, showFaces } from "./faces.js";
import { facesFound, wordsFor } from "./words.js";

const MOMENT = 2000; // milliseconds that a button says what it has done

export class Card {
  /** `name` is what the photo is called; `on` has the functions remove() and again(). */
  constructor(name, on) {
    this.name = name;
    this.element = document.getElementById("card").content.firstElementChild.cloneNode(true);
    this.#part(".name").textContent = name;
    this.#part(".remove").setAttribute("aria-label", `Remove ${name}`);
    this.#part(".remove").addEventListener("click", on.remove);
    this.#part(".again").addEventListener("click", () => {
      this.element.focus(); // for the button goes
      on.again();
    });
    this.#part("img").alt = name;
    this.element.classList.add("blind"); // until there is a picture
    this.say("waiting", "Waiting");
  }

  /** Show the picture in `blob`; `rated` says that boxes and scores are already drawn on it. */
  picture(blob, rated = false) {
    const image = this.#part("img");
    this.#letGo();
    this.element.classList.toggle("rated", rated);
    image.onerror = () => this.element.classList.add("blind");
    image.src = URL.createObjectURL(blob);
    this.element.classList.remove("blind");
  }

  /** Set the state: waiting, busy, done or failed, with its words. */
  say(state, words) {
    this.element.dataset.state = state;
    this.element.setAttribute("aria-busy", String(state === "busy"));
    this.#part(".state").textContent = words;
    if (state !== "failed") this.#part(".failure").hidden = true;
  }

  note(words) {
    this.#part(".note").textContent = words;
    this.#part(".note").hidden = !words;
  }

  /** Show what came back. `doing` has source, model and render(format). Gives words to announce. */
  done(result, doing) {
    const found = facesFound(result.faces.length);
    this.say("done", `${found}, ${result.image.width} × ${result.image.height}`);
    this.#actions(result, doing);
    if (result.faces.length === 0) {
      this.#part(".note").textContent +=
        " There may be a face that is too small, turned away or covered. A closer, sharper photo helps.";
      this.#part(".note").hidden = false;
      return `${this.name}: ${found}.`;
    }
    showFaces(result, this.element);
    const scores = result.faces.slice(0, 5).map((face) => points(face.score));
    const more = result.faces.length > 5 ? ` and ${result.faces.length - 5} more` : "";
    return `${this.name}: ${found}, ${scores.length === 1 ? "score" : "scores"} ${scores.join(", ")}${more}.`;
  }

  /** Show what went wrong. Gives words to announce. */
  failed(error, source) {
    const { headline, advice, cause, again } = wordsFor(error, source);
    this.say("failed", "Not rated");
    this.#part(".headline").textContent = headline;
    this.#part(".advice").textContent = advice;
    this.#part(".cause").textContent = cause;
    this.#part(".again").hidden = !again;
    this.#part(".failure").hidden = false;
    return `${this.name}: ${headline}. ${advice}`;
  }

  remove() {
    this.#letGo();
    this.element.remove();
  }

  #actions(result, { source, model, sameFile, render }) {
    const on = (part, words, act) => {
      const button = this.#part(part);
      button.addEventListener("click", () => this.#press(button, words, act));
    };
    on(".save", "Downloaded", async () => {
      const format = (/\.(png|webp)$/i.exec(source.name ?? "")?.[1] ?? "jpeg").toLowerCase();
      const stem = this.name.replace(/\.\w{1,5}$/, "") || "photo";
      saveBlob(await render(format), `${stem}-rated.${format === "jpeg" ? "jpg" : format}`);
      return true;
    });
    on(".json", "Copied", () => copyText(`${JSON.stringify(result, null, 2)}\n`));
    on(".curl", "Copied", () => copyText(curlFor(source, model)));
    this.#part(".curl").hidden = !sameFile; // there is no file to name
    this.#part(".actions").hidden = false;
  }

  /** Do what a button is for, and say for a moment how it went. */
  async #press(button, words, act) {
    if (button.ariaDisabled === "true") return;
    const before = button.lastChild.data;
    button.ariaDisabled = "true";
    const went = await act().catch(() => false);
    button.lastChild.data = went ? words : "That failed";
    document.getElementById("news").textContent = `${before}: ${went ? words : "that failed"}.`;
    setTimeout(() => {
      button.lastChild.data = before;
      button.ariaDisabled = null;
    }, MOMENT);
  }

  #letGo() {
    const { src } = this.#part("img");
    if (src) URL.revokeObjectURL(src);
  }

  #part(selector) {
    return this.element.querySelector(selector);
  }
}
