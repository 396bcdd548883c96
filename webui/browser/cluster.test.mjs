import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { front, startCluster } from './cluster.mjs';
import { Device, launch } from './device.mjs';
import { until } from './until.mjs';

const BOUND_MS = 60_000;
let cluster, browser, atA, atB;

before(async () => {
  cluster = await startCluster();
  const [a, b, c] = cluster.nodes;
  atA = await front([a, c, b]);
  atB = await front([b, c, a]);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await atA?.close();
  await atB?.close();
  await cluster?.stop();
});

test('two people on two nodes; the node of one is killed: she goes on at another, nothing is missing or twice', async () => {
  const ann = await Device.open(browser, atA.url);
  const ben = await Device.open(browser, atB.url);
  for (const { page } of [ann, ben]) page.setDefaultTimeout(BOUND_MS);
  await ann.signUp('ann', 'Ann');
  await ben.signUp('ben', 'Ben');
  assert.equal(atA.last, cluster.nodes[0]);
  assert.equal(atB.last, cluster.nodes[1]);

  await ann.talkTo('ben');
  await ann.say('from a');
  await ben.enter('Ann');
  await ben.sees('from a');
  await ben.say('from b');
  await ann.sees('from b');
  for (const { page } of [ann, ben])
    await page.getByTestId('presence').getByText('Online').waitFor();

  // Dark until the banner was seen: she could be back before it is due.
  atA.dark = true;
  await cluster.nodes[0].kill();
  await ann.page.getByTestId('banner').getByText('Reconnecting').waitFor();
  await ann.say('while away');
  await ann.state('while away', 'sending');
  await ben.say('meanwhile');
  await ben.state('meanwhile', 'sent');
  atA.dark = false;
  const wanted = ['from a', 'from b', 'while away', 'meanwhile'].sort();
  for (const device of [ann, ben]) {
    let now;
    await until(
      () => `each message once, there was ${JSON.stringify(now)}`,
      async () => {
        now = await device.texts();
        return [...now].sort().join('|') === wanted.join('|');
      },
      BOUND_MS,
    );
  }
  await ann.state('while away', 'read');
  assert.notEqual(atA.last, cluster.nodes[0]);
  assert.deepEqual(await ann.texts(), await ben.texts(), 'the same order on both screens');
  await ann.page.reload();
  await ann.shows(...(await ben.texts()));
  for (const device of [ann, ben]) assert.deepEqual(device.errors, [], 'errors in the page');
});
