const POLL_MS = 50;

/** Waits for a condition, and says which one it was (text, or a function making it) when it never came. */
export async function until(what, condition, timeoutMs = 30_000) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) {
      throw new Error(`never happened: ${typeof what === 'function' ? what() : what}`);
    }
    await new Promise((next) => setTimeout(next, POLL_MS));
  }
}
