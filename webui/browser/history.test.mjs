import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stage } from './stage.mjs';
import { until } from './until.mjs';
import { clientId } from './uuid.mjs';

const MANY = 260;
const s = stage();
let maya;
let tom;

test('a long room opens at the first unread, and the end is one press away', async () => {
  tom = await s.server.account('tom', 'Tom');
  maya = await s.person('maya', 'Maya');
  const { users } = await tom.call('GET', '/v1/users?query=maya');
  const room = await tom.call('POST', '/v1/rooms', { kind: 'direct', user_id: users[0].id });
  tom.room = room.id;
  for (let i = 1; i <= MANY; i++) {
    const text = i % 7 ? `message ${i}` : `message ${i}\n${'with more lines '.repeat(i % 40)}`;
    await tom.call('POST', `/v1/rooms/${room.id}/messages`, { client_id: clientId(), text });
  }
  await until(
    'the badge is capped',
    async () =>
      (await maya.row('Tom').getByTestId('badge').locator('[aria-hidden]').textContent()) === '99+',
  );
  await maya.enter('Tom');
  await maya.page.getByTestId('unread-line').waitFor();
  assert.equal(
    await maya.page.getByTestId('text').getByText(`message ${MANY}`, { exact: true }).count(),
    0,
  );
  await maya.page.getByTestId('jump').click();
  await maya.page.getByTestId('text').getByText(`message ${MANY}`, { exact: true }).waitFor();
  await until(
    'all is read',
    async () => (await maya.row('Tom').getByTestId('badge').count()) === 0,
  );
});

test('older messages come in above without moving what is read, to the pixel', async () => {
  const { page } = maya;
  let oldest = await first(page);
  for (let page_ = 0; page_ < 3; page_++) {
    const moved = await page.evaluate(async () => {
      const scroller = document.querySelector('[data-testid="timeline"]');
      const rows = () => [...scroller.querySelectorAll('[data-seq]')];
      const before = rows().length && rows()[0].dataset.seq;
      scroller.scrollTop = 300;
      const anchor = rows().find(
        (row) => row.getBoundingClientRect().bottom > scroller.getBoundingClientRect().top,
      );
      const top = anchor.getBoundingClientRect().top;
      await new Promise((done) => {
        const watch = new MutationObserver(() => {
          if (rows()[0].dataset.seq === before) return;
          watch.disconnect();
          requestAnimationFrame(() => requestAnimationFrame(done));
        });
        watch.observe(scroller, { childList: true, subtree: true });
      });
      return anchor.getBoundingClientRect().top - top;
    });
    assert.ok(Math.abs(moved) < 1, `moved by ${moved} px`);
    const now = await first(page);
    assert.ok(now < oldest, `${now} is older than ${oldest}`);
    oldest = now;
  }
});

test('a message that arrives while the past is read does not move the page, and is counted', async () => {
  const { page } = maya;
  const place = () => page.getByTestId('timeline').evaluate((el) => el.scrollTop);
  const before = await place();
  await tom.call('POST', `/v1/rooms/${tom.room}/messages`, {
    client_id: clientId(),
    text: 'one more',
  });
  await page.getByTestId('jump').getByText('1 new message').waitFor();
  assert.equal(await place(), before);
  await page.getByTestId('jump').click();
  await maya.sees('one more');
  await page.getByTestId('jump').waitFor({ state: 'detached' });
});

test('the page holds a window, not the whole room', async () => {
  const rows = await maya.page.locator('[data-seq]').count();
  assert.ok(rows <= 300, `${rows} rows`);
});

function first(page) {
  return page.locator('[data-seq]').first().getAttribute('data-seq').then(Number);
}
