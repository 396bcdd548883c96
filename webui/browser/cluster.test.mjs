import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BOUND_MS, clusterStage } from './stage.mjs';
import { until } from './until.mjs';

const at = clusterStage('acb', 'bca');

test('two people on two nodes; the node of one is killed: she goes on at another, nothing is missing or twice', async () => {
  const [a, b] = at.nodes;
  const [atA, atB] = at.fronts;
  const ann = await at.person(atA, 'ann', 'Ann');
  const ben = await at.person(atB, 'ben', 'Ben');
  assert.equal(atA.last, a);
  assert.equal(atB.last, b);

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
  await a.kill();
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
  assert.notEqual(atA.last, a);
  assert.deepEqual(await ann.texts(), await ben.texts(), 'the same order on both screens');
  await ann.page.reload();
  await ann.shows(...(await ben.texts()));
});
