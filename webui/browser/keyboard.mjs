/** A keyboard with an input method, as Chromium itself is told by one. */
export class Keyboard {
  static async of(device) {
    const keyboard = new Keyboard();
    keyboard.cdp = await device.context.newCDPSession(device.page);
    return keyboard;
  }

  /** Each state of the composition is shown; the last is what a commit would take. */
  async compose(...states) {
    for (const text of states)
      await this.cdp.send('Input.imeSetComposition', {
        text,
        selectionStart: text.length,
        selectionEnd: text.length,
      });
  }

  commit(text) {
    return this.cdp.send('Input.insertText', { text });
  }

  /** While a composition is open the page sees it as one of its own: isComposing. */
  enter(type) {
    return this.cdp.send('Input.dispatchKeyEvent', {
      type,
      key: 'Enter',
      code: 'Enter',
      windowsVirtualKeyCode: 13,
      ...(type === 'keyDown' ? { text: '\r' } : {}),
    });
  }
}
