/**
 * When Enter sends, while a syllable may still be in the making.
 *
 * Korean: 안녕 + Enter arrives as keydown(isComposing) → compositionend("녕") and, in
 * some browsers, a second clean keydown. "Ignore Enter while composing" alone makes
 * people press it twice; sending on every Enter sends twice (안녕 and 녕). So an Enter
 * in a composition is remembered, and the end of the composition sends if what it
 * committed is Hangul. For kana and Han the same Enter only picked a candidate.
 *
 *   keydown Enter (composing) ─▶ pending ─ compositionend, Hangul ─▶ armed
 *                                        └ compositionend, other ──▶ rest
 *   armed ─ tick (0 ms) or clean Enter ─▶ send, then deaf to Enter until keyup
 *
 * The machine is pure; the composer feeds it events and reads the text from the DOM
 * when told to send.
 */
export interface Ime {
  composing: boolean;
  /** An Enter came during the composition. */
  pending: boolean;
  /** The composition ended as Hangul with an Enter pending: the next tick sends. */
  armed: boolean;
  /** Enter sent; the same key press may repeat or report again. */
  held: boolean;
}

export type ImeEvent =
  | { type: 'start' }
  | { type: 'end'; text: string }
  | { type: 'enter'; isComposing: boolean; keyCode: number; shift: boolean }
  | { type: 'keyup' }
  | { type: 'tick' };

/** `prevent`: keep the key from the text. `tick`: feed a tick after 0 ms. */
export type Effect = 'none' | 'prevent' | 'tick' | 'send';

export const rest: Ime = { composing: false, pending: false, armed: false, held: false };

const HANGUL_END = /[\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7a3\ud7b0-\ud7ff]$/u;

export function next(ime: Ime, event: ImeEvent): [Ime, Effect] {
  switch (event.type) {
    case 'start':
      return [{ ...rest, composing: true }, 'none'];
    case 'end': {
      const armed = ime.pending && HANGUL_END.test(event.text);
      return [{ ...ime, composing: false, pending: false, armed }, armed ? 'tick' : 'none'];
    }
    case 'tick':
      return ime.armed ? [{ ...rest, held: true }, 'send'] : [ime, 'none'];
    case 'keyup':
      return [{ ...ime, held: false }, 'none'];
    case 'enter': {
      if (event.shift) return [{ ...ime, pending: false, armed: false }, 'none'];
      if (ime.composing || event.isComposing || event.keyCode === 229)
        return [ime.held ? ime : { ...ime, pending: true }, 'none'];
      if (ime.held) return [ime, 'prevent'];
      return [{ ...rest, held: true }, 'send'];
    }
  }
}
