/**
 * The district's console: joins the browser's parts and draws it.
 *
 * @module
 */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Api } from "./api/mod.ts";
import { LanguageProvider } from "./i18n/mod.ts";
import { App } from "./shell/app.tsx";
import "./style/base.css";
import "./style/parts.css";
import "./style/updates.css";

const root = document.getElementById("root");
if (root !== null) {
  const api = new Api((input, init) => fetch(input, init));
  createRoot(root).render(
    <StrictMode>
      <LanguageProvider>
        <App api={api} />
      </LanguageProvider>
    </StrictMode>,
  );
}
