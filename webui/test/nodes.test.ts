import { IDBFactory } from 'fake-indexeddb';
import 'fake-indexeddb/auto';
import { expect, test, vi } from 'vitest';
import { elsewhere } from '../src/engine/nodes';
import { Bench } from './bench';
import { me } from './things';

const node = (id: string, url: string) => ({ id, url, region: '', load: 0 });
const n1 = node('n1', 'https://chat.example');
const n2 = node('n2', 'https://two.example');

test('only what is another place, and as safe, best first', () => {
  const nodes = [
    n2,
    n1,
    node('n3', 'https://chat.example/'),
    node('n4', 'http://plain.example'),
    node('n5', 'javascript:alert(1)'),
    node('n6', ''),
    node('n7', 'https://seven.example:8443'),
    node('n8', 'https://two.example/'),
  ];
  const found = ['https://two.example', 'https://seven.example:8443'];
  expect(elsewhere(nodes, 'n1', 'https://chat.example')).toEqual(found);
  expect(elsewhere([node('n1', 'http://127.0.0.1:8080')], 'n1', 'http://localhost:8080')).toEqual(
    [],
  );
  expect(elsewhere([node('n2', 'http://b:1')], 'n1', 'http://a:1')).toEqual(['http://b:1']);
});

test('the list comes with the session, is refreshed when connected, told when a node leaves, and kept', async () => {
  vi.stubGlobal('indexedDB', new IDBFactory());
  let bench = new Bench();
  bench.answers['/v1/server'] = { limits: {} };
  bench.answers['/v1/nodes'] = { nodes: [n1, n2] };
  await bench.start();
  await bench.engine.beginSession({ user: me, device_id: 'd1', nodes: [n1] });
  expect(bench.engine.elsewhere).toEqual([]);
  await bench.live();
  await vi.waitFor(() => expect(bench.engine.elsewhere).toEqual(['https://two.example']));

  const three = node('n3', 'https://three.example');
  bench.socket.tell({ op: 'move', nodes: [three], within_ms: 1000 });
  expect(bench.engine.conn).toMatchObject({ phase: 'live', moving: true });
  await vi.waitFor(() => expect(bench.engine.elsewhere).toEqual(['https://three.example']));
  bench.clock.pass(500);
  expect(bench.engine.conn).toMatchObject({ phase: 'connecting', moving: true });
  await bench.live();
  expect(bench.engine.conn).not.toHaveProperty('moving');

  await vi.waitFor(() => expect(bench.engine.elsewhere).toEqual(['https://two.example']));
  await bench.close();
  bench = new Bench();
  await bench.start();
  expect(bench.news[0]?.elsewhere).toEqual(['https://two.example']);
  await bench.close();
});
