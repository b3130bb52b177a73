// What a browser loads of the console, all pages together.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { test } from 'node:test';

const dist = fileURLToPath(new URL('../../controlplane/console/dist', import.meta.url));

test('scripts and styles of all pages are under 400 KB compressed', () => {
  const files = readdirSync(join(dist, 'assets')).filter((name) => /\.(js|css)$/.test(name));
  assert.ok(files.length > 10, `only ${files.length} files in ${dist}/assets`);
  const bytes = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(dist, 'assets', name)), { level: 9 }).length, 0);
  assert.ok(bytes < 400_000, `${bytes} bytes`);
});
