import type { ClientFrame, ServerFrame } from '../wire';
import { fullJitter, meaningOf } from './backoff';

/** The parts of a WebSocket the link uses; tests bring their own. */
export interface Socket {
  send(data: string): void;
  close(code?: number): void;
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
}

export interface Clock {
  now(): number;
  random(): number;
  after(ms: number, run: () => void): () => void;
}

/**
 * idle → connecting → syncing → live, and back to waiting when the socket is lost.
 * `stopped` needs the person.
 */
export type Phase = 'idle' | 'connecting' | 'syncing' | 'live' | 'waiting' | 'stopped';

export interface LinkEvents {
  phase(phase: Phase, reason?: string): void;
  hello(): { cursor?: string };
  frame(frame: ServerFrame): void;
  signedOut(reason: 'unauthenticated' | 'revoked'): void;
}

const HELLO_TIMEOUT_MS = 10_000;
const SILENT_BEATS = 2.5;

/** One connection after another, with the pauses between them. Knows no chat. */
export class Link {
  #open: () => Socket;
  #clock: Clock;
  #events: LinkEvents;
  #socket: Socket | undefined;
  #phase: Phase = 'idle';
  #attempt = 0;
  /** When to go, once the server has said that it leaves. */
  #moveAt: number | undefined;
  #beatMs = 30_000;
  #cancelRetry = () => {};
  #cancelBeat = () => {};
  #cancelSilence = () => {};

  constructor(open: () => Socket, clock: Clock, events: LinkEvents) {
    this.#open = open;
    this.#clock = clock;
    this.#events = events;
  }

  get phase(): Phase {
    return this.#phase;
  }

  start(): void {
    if (this.#phase === 'idle' || this.#phase === 'stopped') this.#connect();
  }

  /** The network is back, or somebody is looking: don't wait out the pause. */
  hurry(): void {
    if (this.#phase !== 'waiting') return;
    this.#attempt = 0;
    this.#connect();
  }

  /** Something here went wrong with what came: let the server say it again. */
  again(): void {
    if (this.#socket) this.#retry(0);
  }

  stop(): void {
    this.#leave('idle');
  }

  /** Sends when connected past hello; says whether it did. */
  send(frame: ClientFrame): boolean {
    if (!this.#socket || (this.#phase !== 'syncing' && this.#phase !== 'live')) return false;
    this.#socket.send(JSON.stringify(frame));
    this.#armBeat();
    return true;
  }

  #connect(): void {
    this.#cancelRetry();
    this.#moveAt = undefined;
    this.#set('connecting');
    let socket: Socket;
    try {
      socket = this.#open();
    } catch {
      this.#retry(0);
      return;
    }
    this.#socket = socket;
    this.#armSilence(HELLO_TIMEOUT_MS);
    socket.onopen = () => {
      socket.send(
        JSON.stringify({
          op: 'hello',
          ref: 'hello',
          client: 'natter-web',
          ...this.#events.hello(),
        }),
      );
      this.#armSilence(HELLO_TIMEOUT_MS);
    };
    socket.onmessage = ({ data }) => {
      if (this.#socket === socket && typeof data === 'string') this.#receive(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (this.#socket === socket) this.#lost(code);
    };
  }

  #receive(frame: ServerFrame): void {
    if (frame.op === 'welcome') {
      this.#beatMs = frame.heartbeat_ms || this.#beatMs;
      this.#set('syncing');
      this.#armBeat();
    }
    this.#armSilence(this.#phase === 'connecting' ? HELLO_TIMEOUT_MS : this.#beatMs * SILENT_BEATS);
    const socket = this.#socket;
    this.#events.frame(frame);
    if (this.#socket !== socket) return;
    if (frame.op === 'synced') {
      this.#attempt = 0;
      this.#set('live');
    }
    if (frame.op === 'move') this.#moveWithin(frame.within_ms);
  }

  #lost(code: number): void {
    const meaning = meaningOf(code);
    if (meaning.what === 'reconnect') return this.#moveAt ? this.#moveOn() : this.#retry(0);
    this.#leave('stopped', meaning.reason);
    if (meaning.what === 'sign-in') this.#events.signedOut(meaning.reason);
  }

  #retry(atLeast: number): void {
    this.#leave('waiting');
    const delay = fullJitter(this.#attempt++, this.#clock.random, atLeast);
    this.#cancelRetry = this.#clock.after(delay, () => this.#connect());
  }

  /** A draining node: go to another at a random moment, without a noise. */
  #moveWithin(ms: number): void {
    const wait = Math.floor(this.#clock.random() * ms);
    this.#moveAt = this.#clock.now() + wait;
    this.#cancelRetry();
    this.#cancelRetry = this.#clock.after(wait, () => {
      this.#leave('waiting');
      this.#connect();
    });
  }

  /** The old one closed before our moment: that stays the moment, or all come at once. */
  #moveOn(): void {
    const wait = Math.max(0, (this.#moveAt ?? 0) - this.#clock.now());
    this.#leave('waiting');
    this.#cancelRetry = this.#clock.after(wait, () => this.#connect());
  }

  #armBeat(): void {
    this.#cancelBeat();
    this.#cancelBeat = this.#clock.after(this.#beatMs, () => this.send({ op: 'ping' }));
  }

  #armSilence(ms: number): void {
    this.#cancelSilence();
    this.#cancelSilence = this.#clock.after(ms, () => this.#retry(0));
  }

  #leave(phase: Phase, reason?: string): void {
    this.#cancelRetry();
    this.#cancelBeat();
    this.#cancelSilence();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
    }
    this.#set(phase, reason);
  }

  #set(phase: Phase, reason?: string): void {
    if (phase === this.#phase && !reason) return;
    this.#phase = phase;
    this.#events.phase(phase, reason);
  }
}
