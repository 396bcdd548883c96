/** "Chrome on Linux": enough to tell one's devices apart in the list. */
export function deviceName(
  write: (browser: string, system: string) => string,
  agent = navigator.userAgent,
): string {
  const find = (table: [RegExp, string][]) => table.find(([re]) => re.test(agent))?.[1];
  const browser = find([
    [/Edg\//, 'Edge'],
    [/OPR\//, 'Opera'],
    [/SamsungBrowser/, 'Samsung Internet'],
    [/Whale\//, 'Whale'],
    [/Firefox|FxiOS/, 'Firefox'],
    [/Chrome|CriOS/, 'Chrome'],
    [/Safari/, 'Safari'],
  ]);
  const system = find([
    [/iPhone/, 'iPhone'],
    [/iPad/, 'iPad'],
    [/Android/, 'Android'],
    [/Mac OS X/, 'macOS'],
    [/Windows/, 'Windows'],
    [/Linux|X11/, 'Linux'],
  ]);
  if (browser && system) return write(browser, system);
  return browser ?? system ?? 'Web';
}
