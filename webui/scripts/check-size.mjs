// Fails when the first load needs more JavaScript than the budget: the page's
// entry with everything it imports at once, and the engine's worker beside it.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const KB = 1024;
const LIMIT = 100 * KB; // gzip -9
const LIMIT_CSS = 15 * KB;

const manifest = JSON.parse(readFileSync('.vite-manifest.json', 'utf8'));
const js = new Set();
const css = new Set();

function walk(key) {
  const chunk = manifest[key];
  if (js.has(chunk.file)) return;
  js.add(chunk.file);
  for (const sheet of chunk.css ?? []) css.add(sheet);
  for (const next of chunk.imports ?? []) walk(next);
}

for (const key of Object.keys(manifest)) if (manifest[key].isEntry) walk(key);
for (const name of readdirSync('dist/assets'))
  if (/^worker.*\.js$/.test(name)) js.add(`assets/${name}`);

const size = (file) => gzipSync(readFileSync(`dist/${file}`), { level: 9 }).length;
const kb = (n) => `${(n / KB).toFixed(1)} KB`.padStart(9);

function report(title, files, limit) {
  let sum = 0;
  for (const file of files) {
    const n = size(file);
    sum += n;
    console.log(kb(n), ' ', file);
  }
  console.log(kb(sum), ` ${title}, limit ${kb(limit).trim()} gzipped\n`);
  if (sum > limit) {
    console.error(`${title}: over the limit by ${kb(sum - limit).trim()}`);
    process.exitCode = 1;
  }
}

report('JavaScript of the first load', js, LIMIT);
report('CSS', css, LIMIT_CSS);
