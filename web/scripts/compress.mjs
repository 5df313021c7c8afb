// Writes a .br and a .gz beside each file of the build that gets smaller: the server sends them unchanged.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const out = new URL("../../fleet/gateway/dashboard/", import.meta.url).pathname;
const compressible = /\.(?:js|css|html|svg|json|webmanifest)$/;

for (const name of readdirSync(out, { recursive: true })) {
  const path = join(out, String(name));
  if (!statSync(path).isFile() || !compressible.test(path)) continue;
  const content = readFileSync(path);
  if (content.length < 1024) continue;
  writeFileSync(`${path}.br`, brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
}
