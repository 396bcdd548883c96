import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BOUND_MS, clusterStage } from './stage.mjs';
import { until } from './until.mjs';

const at = clusterStage('acb', 'bac');
let ann, ben;

/** Keeps what the banner and the toasts say from now on, however short it is there. */
function watch({ page }) {
  return page.evaluate(() => {
    globalThis.said = [];
    const look = () => {
      for (const it of document.querySelectorAll('[data-testid="banner"], .toast, .failed'))
        if (!globalThis.said.includes(it.textContent)) globalThis.said.push(it.textContent);
    };
    const all = { attributes: true, characterData: true, childList: true, subtree: true };
    new MutationObserver(look).observe(document, all);
  });
}

function online(device, is) {
  const line = device.page.getByTestId('presence');
  return until(
    `the other one is ${is ? '' : 'not '}online`,
    async () => ((await line.textContent()) === 'Online') === is,
    BOUND_MS,
  );
}

/** Both screens show exactly these, each once, and in the same order. */
function bothShow(...wanted) {
  let now;
  return until(
    () => `${JSON.stringify(wanted)} on both screens, there was ${JSON.stringify(now)}`,
    async () => {
      now = [await ann.texts(), await ben.texts()];
      return now.every((texts) => texts.join('|') === wanted.join('|'));
    },
    BOUND_MS,
  );
}

test('typing and presence are seen from node to node', async () => {
  const [atA, atB] = at.fronts;
  ann = await at.person(atA, 'ann', 'Ann');
  ben = await at.person(atB, 'ben', 'Ben');
  await ann.talkTo('ben');
  await ann.say('from a');
  await ben.enter('Ann');
  await ben.say('from b');
  await bothShow('from a', 'from b');
  for (const device of [ann, ben]) await online(device, true);
  await ann.composer().pressSequentially('half');
  await ben.page.getByText('Ann is typing…').first().waitFor();
  await ben.composer().pressSequentially('too');
  await ann.page.getByText('Ben is typing…').first().waitFor();
});

test('her node leaves for an update: no error is seen, what she was writing stays', async () => {
  const [a, , c] = at.nodes;
  const [atA] = at.fronts;
  assert.equal(atA.last, a);
  for (const device of [ann, ben]) await watch(device);
  await a.leave();
  await ann.composer().press('Enter');
  await ben.composer().press('Enter');
  await ann.state('half', 'read');
  await ben.state('too', 'read');
  assert.equal(atA.last, c);
  const texts = await ben.texts();
  assert.deepEqual([...texts].sort(), ['from a', 'from b', 'half', 'too']);
  await bothShow(...texts);
  for (const device of [ann, ben]) {
    const said = await device.page.evaluate(() => globalThis.said);
    const errors = said.filter((text) => !/restarted\. Moving on|Back online/.test(text));
    assert.deepEqual(errors, [], 'an orderly stop is no error');
  }
  await a.run();
});

test('her node is killed: what she was writing stays and goes once, presence follows', async () => {
  const [a, , c] = at.nodes;
  const [atA] = at.fronts;
  const before = await ben.texts();
  await ann.composer().fill('half a thought');
  // Dark until Ben has seen her go: she would be back before anybody noticed.
  atA.dark = true;
  await c.kill();
  await ann.page.getByTestId('banner').getByText('Reconnecting').waitFor();
  assert.equal(await ann.composer().inputValue(), 'half a thought');
  await ann.composer().press('Enter');
  await ann.state('half a thought', 'sending');
  await online(ben, false);
  atA.dark = false;
  await bothShow(...before, 'half a thought');
  await ann.state('half a thought', 'read');
  assert.equal(atA.last, a);
  for (const device of [ann, ben]) await online(device, true);
  await ann.page.getByTestId('banner').waitFor({ state: 'detached' });
  await ann.page.reload();
  await ann.shows(...before, 'half a thought');
});
