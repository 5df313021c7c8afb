import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = process.env.FLEET_URL ?? "http://localhost:3000";

export default defineConfig({
  plugins: [react()],
  resolve: { alias: [{ find: /^lodash$/, replacement: fileURLToPath(new URL("./shims/lodash.ts", import.meta.url)) }] },
  build: {
    target: "es2022",
    outDir: "../fleet/gateway/dashboard",
    emptyOutDir: true,
    manifest: true,
    cssCodeSplit: false, // a sheet that failed to load would not be loaded again with its part
    assetsInlineLimit: 0, // a data: URL is refused by the policy
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  worker: { format: "es" },
  server: {
    proxy: {
      "/api": { target: server, ws: true },
      // Without a code it is an address of the page itself.
      "/login": { target: server, bypass: ({ url }) => (url?.includes("code=") ? undefined : "/index.html") },
      "/logout": { target: server },
    },
  },
});
