import { describe, expect, test } from 'vitest';
import { type Ime, type ImeEvent, next, rest } from '../src/lib/ime';

/** Types a sequence of events and counts the sends; a tick follows when asked for. */
function type(events: ImeEvent[]): { sends: number; state: Ime; effects: string[] } {
  let state = rest;
  let sends = 0;
  const effects: string[] = [];
  const feed = (event: ImeEvent) => {
    const [after, effect] = next(state, event);
    state = after;
    effects.push(effect);
    if (effect === 'send') sends++;
    return effect;
  };
  let owed = false;
  for (const event of events) {
    // The 0 ms tick comes after the events of the same key press.
    if (owed && (event.type === 'keyup' || event.type === 'start')) {
      owed = false;
      feed({ type: 'tick' });
    }
    if (feed(event) === 'tick') owed = true;
  }
  if (owed) feed({ type: 'tick' });
  return { sends, state, effects };
}

const start: ImeEvent = { type: 'start' };
const end = (text: string): ImeEvent => ({ type: 'end', text });
const up: ImeEvent = { type: 'keyup' };
const enter: ImeEvent = { type: 'enter', isComposing: false, keyCode: 13, shift: false };
const composingEnter: ImeEvent = { type: 'enter', isComposing: true, keyCode: 229, shift: false };
const shiftEnter: ImeEvent = { type: 'enter', isComposing: false, keyCode: 13, shift: true };

describe('Hangul', () => {
  test('the Enter that ends the composition sends once', () => {
    expect(type([start, composingEnter, end('요'), up]).sends).toBe(1);
  });

  test('a second clean keydown of the same press does not send again', () => {
    expect(type([start, composingEnter, end('요'), enter, up]).sends).toBe(1);
  });

  test('a second clean keydown after the tick is kept from the text too', () => {
    let state = rest;
    for (const event of [start, composingEnter, end('요')]) [state] = next(state, event);
    let effect: string;
    [state, effect] = next(state, { type: 'tick' });
    expect(effect).toBe('send');
    [state, effect] = next(state, enter);
    expect(effect).toBe('prevent');
  });

  test('Enter during the composition never sends at once', () => {
    expect(type([start, composingEnter]).sends).toBe(0);
  });

  test('keyCode 229 counts as composing where isComposing is not set', () => {
    const enter229: ImeEvent = { type: 'enter', isComposing: false, keyCode: 229, shift: false };
    expect(type([start, enter229, end('글'), up]).sends).toBe(1);
  });

  test('the composition ends before its Enter (Safari): one send', () => {
    expect(type([start, end('요'), enter, up]).sends).toBe(1);
  });

  test('a lone consonant is Hangul too: ㅋㅋ', () => {
    expect(type([start, composingEnter, end('ㅋ'), up]).sends).toBe(1);
  });

  test('a space ends the composition without sending', () => {
    expect(type([start, end('요'), up]).sends).toBe(0);
  });

  test('two messages, one after the other', () => {
    const message = [start, composingEnter, end('요'), up];
    expect(type([...message, ...message]).sends).toBe(2);
  });

  test('a missed keyup does not swallow the next message', () => {
    expect(type([start, composingEnter, end('요'), start, composingEnter, end('네')]).sends).toBe(
      2,
    );
  });
});

describe('kana and Han', () => {
  test('Enter picks a candidate and sends nothing', () => {
    expect(type([start, composingEnter, end('日本'), up]).sends).toBe(0);
    expect(type([start, composingEnter, end('かな'), up]).sends).toBe(0);
  });

  test('the next Enter sends', () => {
    expect(type([start, composingEnter, end('日本'), up, enter, up]).sends).toBe(1);
  });
});

describe('Latin', () => {
  test('Enter sends once, and a held key does not repeat it', () => {
    expect(type([enter, enter, enter, up]).sends).toBe(1);
    expect(type([enter, up, enter, up]).sends).toBe(2);
  });

  test('Shift+Enter is a new line, composing or not', () => {
    expect(type([shiftEnter, up]).effects).toEqual(['none', 'none']);
    expect(type([start, { ...shiftEnter, isComposing: true }, end('요'), up]).sends).toBe(0);
  });
});
