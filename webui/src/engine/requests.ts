import type { ClientFrame, Problem } from '../wire';
import { ApiError } from './api';
import type { Clock } from './link';

const ANSWER_TIMEOUT_MS = 15_000;

/**
 * Frames that are answered with ok or error and wait nowhere: edits, deletions,
 * reactions. Unlike the outbox nothing is kept: who asked hears of it when the
 * connection is lost first, and every one of them may be asked again.
 */
export class Requests {
  #put: (frame: ClientFrame) => boolean;
  #clock: Clock;
  #open = new Map<string, (problem?: Problem) => void>();
  #count = 0;

  constructor(put: (frame: ClientFrame) => boolean, clock: Clock) {
    this.#put = put;
    this.#clock = clock;
  }

  ask(frame: ClientFrame): Promise<void> {
    const ref = `ask ${++this.#count}`;
    return new Promise((done, fail) => {
      const cancel = this.#clock.after(ANSWER_TIMEOUT_MS, () => this.answer(ref, lost));
      this.#open.set(ref, (problem) => {
        cancel();
        this.#open.delete(ref);
        if (problem) fail(new ApiError(problem));
        else done();
      });
      if (!this.#put({ ...frame, ref })) this.answer(ref, lost);
    });
  }

  /** An ok, or an error, to the frame with this ref if it is one of ours. */
  answer(ref: string, problem?: Problem): void {
    this.#open.get(ref)?.(problem);
  }

  lost(): void {
    for (const end of [...this.#open.values()]) end(lost);
  }
}

const lost: Problem = { code: 'network' };
