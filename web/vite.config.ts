import react from "@vitejs/plugin-react";
import { defineConfig, type UserConfig } from "vite";

/** Builds the console into `web/dist`; the district serves it from its own origin. */
const config: UserConfig = defineConfig({
  root: import.meta.dirname!,
  plugins: [react()],
});

export default config;
