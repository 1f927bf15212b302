// So many at a time, in the order in which they came.

export class Queue {
  #waiting = [];
  #free;

  constructor(width) {
    this.#free = width;
  }

  /** Have `task`, a function that gives a promise, run when its turn comes. */
  add(task) {
    this.#waiting.push(task);
    this.#next();
  }

  #next() {
    while (this.#free > 0 && this.#waiting.length > 0) {
      this.#free -= 1;
      this.#waiting.shift()().finally(() => {
        this.#free += 1;
        this.#next();
      });
    }
  }
}
