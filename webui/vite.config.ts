import { existsSync, mkdirSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

const root = import.meta.dirname;
const server = process.env.NATTER_URL ?? 'http://127.0.0.1:8080';

/**
 * The Go binary embeds dist/. Two things would spoil that: an emptied dist loses
 * the .gitkeep that lets a bare clone compile, and the manifest names folders of
 * the machine that built it. So the one is put back and the other moved out.
 */
function embeddable(): Plugin {
  return {
    name: 'natter-embeddable',
    apply: 'build',
    closeBundle() {
      writeFileSync(resolve(root, 'dist/.gitkeep'), '');
      const made = resolve(root, 'dist/.vite/manifest.json');
      if (!existsSync(made)) return;
      mkdirSync(resolve(root, 'test-results'), { recursive: true });
      renameSync(made, resolve(root, '.vite-manifest.json'));
      rmdirSync(resolve(root, 'dist/.vite'));
    },
  };
}

export default defineConfig({
  plugins: [svelte(), embeddable()],
  build: {
    target: 'es2022',
    manifest: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  worker: { format: 'es' },
  server: {
    proxy: { '/v1': { target: server, ws: true, changeOrigin: false } },
  },
  resolve: process.env.VITEST ? { conditions: ['browser'] } : undefined,
  test: { environment: 'happy-dom', include: ['test/**/*.test.ts'] },
} as Parameters<typeof defineConfig>[0]);
