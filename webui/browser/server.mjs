// A real natter for a test: its own data, its own ports, started and stopped here.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { until } from './until.mjs';

export const BIN = resolve(process.env.NATTER_BIN ?? join(import.meta.dirname, '../../natter'));

export class Server {
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  #log = '';

  static async start(flags = []) {
    const server = new Server();
    server.flags = flags;
    server.port = await freePort();
    server.admin = await freePort();
    server.data = mkdtempSync(join(tmpdir(), 'natter-web-'));
    server.url = `http://127.0.0.1:${server.port}`;
    await server.run();
    return server;
  }

  /** Starts the binary on the same data and port, and waits until it serves. */
  async run() {
    const args = ['serve', '--listen', `127.0.0.1:${this.port}`];
    // Everybody in a test comes from one address; the limits are the Go tests' matter.
    args.push('--rate-limits=off', '--admin', `127.0.0.1:${this.admin}`, '--data', this.data);
    args.push(...this.flags);
    const child = spawn(BIN, args, { stdio: ['ignore', 'pipe', 'pipe'], env: plainEnvironment() });
    this.#child = child;
    let ended = '';
    child.on('error', (error) => {
      ended = String(error);
    });
    child.on('exit', (code, signal) => {
      ended ||= `exit ${code ?? signal}`;
    });
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text) => {
        this.#log = (this.#log + text).slice(-8000);
      });
    await until(`natter serves on ${this.url}`, async () => {
      if (ended) throw new Error(`natter ended (${ended}):\n${this.#log}`);
      return (await fetch(`${this.url}/readyz`).catch(() => undefined))?.ok;
    });
  }

  /** As the power cut would. */
  kill() {
    return this.#end('SIGKILL');
  }

  /** As an operator does before an update; the data stays. */
  leave() {
    return this.#end('SIGTERM');
  }

  async stop() {
    await this.#end('SIGTERM');
    rmSync(this.data, { recursive: true, force: true });
  }

  #end(signal) {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((done) => {
      child.once('exit', done);
      child.kill(signal);
    });
  }

  /** One call as a program would make it; throws on a refusal. */
  async call(method, path, body, token) {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        'Content-Type': 'application/json',
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  /** Makes an account without a browser. */
  async account(username, name) {
    const body = { username, password: 'correct horse 42', name, device_name: 'test' };
    const session = await this.call('POST', '/v1/accounts', body);
    const call = (method, path, body) => this.call(method, path, body, session.access_token);
    return { id: session.user.id, username, name, token: session.access_token, call };
  }
}

/** Without our own NATTER_…: natter refuses variables that are not settings of its. */
function plainEnvironment() {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith('NATTER_'));
  return Object.fromEntries(entries);
}

export function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer();
    probe.on('error', fail);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}
