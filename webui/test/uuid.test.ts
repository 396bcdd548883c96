import { expect, test } from 'vitest';
import { timeOf, uuidv7 } from '../src/engine/uuid';

test('the layout of RFC 9562, with the time in front', () => {
  // The example of the RFC's appendix: 2022-02-22 19:22:22 UTC.
  const bytes = Uint8Array.from([
    0, 0, 0, 0, 0, 0, 0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f,
  ]);
  expect(uuidv7(0x017f22e279b0, bytes)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
});

test('sorts by time and is different each time', () => {
  const ids = Array.from({ length: 50 }, (_, i) => uuidv7(1_800_000_000_000 + i));
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(Array.from({ length: 50 }, () => uuidv7(1))).size).toBe(50);
  expect(timeOf(ids[7] ?? '')).toBe(1_800_000_000_007);
});
