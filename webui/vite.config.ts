import { existsSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

const root = import.meta.dirname;
const server = process.env.NATTER_URL ?? 'http://127.0.0.1:8080';

/**
 * The Go binary embeds dist/. Two things would spoil that: an emptied dist loses
 * the .gitkeep that lets a bare clone compile, and the manifest names folders of
 * the machine that built it. So only the old assets go, and the manifest moves out.
 */
function embeddable(): Plugin {
  const dist = resolve(root, 'dist');
  return {
    name: 'natter-embeddable',
    apply: 'build',
    buildStart() {
      rmSync(resolve(dist, 'assets'), { recursive: true, force: true });
    },
    closeBundle() {
      const made = resolve(dist, '.vite/manifest.json');
      if (!existsSync(made)) return;
      renameSync(made, resolve(root, '.vite-manifest.json'));
      rmdirSync(resolve(dist, '.vite'));
    },
  };
}

export default defineConfig({
  plugins: [svelte(), embeddable()],
  build: {
    target: 'es2022',
    emptyOutDir: false,
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
