import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { reloadWhenOutdated } from "./app/outdated";
import { applyTheme } from "./app/theme";
import "./styles/tokens.css";
import "./styles/base.css";

applyTheme();
reloadWhenOutdated();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
