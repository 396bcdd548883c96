/**
 * UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random. The server trusts
 * the time in it to decide where to look for an earlier copy, so `now` must be the
 * server's time as best we know it, not this machine's.
 */
export function uuidv7(now: number, bytes: Uint8Array = random16()): string {
  const b = Uint8Array.from(bytes);
  let ms = Math.max(0, Math.floor(now));
  for (let i = 5; i >= 0; i--) {
    b[i] = ms % 256;
    ms = Math.floor(ms / 256);
  }
  b[6] = ((b[6] ?? 0) & 0x0f) | 0x70;
  b[8] = ((b[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(b, (v) => v.toString(16).padStart(2, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The time a UUIDv7 was made, in Unix milliseconds. */
export function timeOf(uuid: string): number {
  return Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16);
}

function random16(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16));
}
