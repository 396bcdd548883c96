import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'];

/**
 * Nothing that axe finds wrong with what is on screen, once it has come to rest:
 * in the middle of a fade every contrast is too low.
 */
export async function check(page, where) {
  await page.waitForFunction(() =>
    document
      .getAnimations()
      .every(
        (one) => one.effect.getTiming().iterations === Infinity || one.playState !== 'running',
      ),
  );
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(
    (values) => globalThis.axe.run({ runOnly: { type: 'tag', values } }),
    RULES,
  );
  const found = violations.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${where}: ${id} at ${node.target.join(' ')}\n   ${node.failureSummary}`),
  );
  assert.deepEqual(found, []);
}
