// Three real natters as one cluster, and an address in front of them as a load
// balancer is: a new connection goes to the first node in its order that answers.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BIN, freePort, Server } from './server.mjs';

const NAMES = ['a', 'b', 'c'];

export async function startCluster() {
  const dir = mkdtempSync(join(tmpdir(), 'natter-cluster-'));
  const run = (...args) => execFileSync(BIN, ['cluster', ...args], { stdio: 'pipe' });
  run('init', join(dir, 'ca'));
  const routes = [];
  for (const name of NAMES) {
    run('cert', name, '--ca', join(dir, 'ca'), '--out', join(dir, name), '--host', '127.0.0.1');
    routes.push(`127.0.0.1:${await freePort()}`);
  }
  // Together: a node is ready only once there are enough of them.
  const started = await Promise.allSettled(
    NAMES.map((name, i) =>
      Server.start([
        ...['--name', name, '--cluster', routes.join(','), '--cluster-listen', routes[i]],
        ...['--cluster-certs', join(dir, name)],
      ]),
    ),
  );
  const nodes = started.flatMap(({ value }) => value ?? []);
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    rmSync(dir, { recursive: true, force: true });
  };
  const failed = started.find(({ reason }) => reason);
  if (failed) {
    await stop();
    throw failed.reason;
  }
  return { nodes, stop };
}

/** One address for several nodes. `last` is the one a connection got last; none gets any while `dark`. */
export function front(nodes) {
  const it = { dark: false, last: undefined, url: '', close: undefined };
  const open = new Set();
  const reach = (socket, [node, ...others]) => {
    if (!node) return socket.destroy();
    const inner = connect(node.port, '127.0.0.1');
    inner.once('error', () => reach(socket, others));
    inner.once('connect', () => {
      it.last = node;
      inner.removeAllListeners('error');
      inner.on('error', () => socket.destroy());
      inner.on('close', () => socket.destroy());
      socket.on('close', () => inner.destroy());
      socket.pipe(inner).pipe(socket);
    });
  };
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => {});
    reach(socket, it.dark ? [] : nodes);
  });
  it.close = () => {
    for (const socket of open) socket.destroy();
    return new Promise((done) => server.close(done));
  };
  return new Promise((done) => {
    server.listen(0, '127.0.0.1', () => {
      it.url = `http://127.0.0.1:${server.address().port}`;
      done(it);
    });
  });
}
