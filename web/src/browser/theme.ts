/** The theme: kept in localStorage, set on <html>. `public/theme.js` sets it before the first paint; this changes it. */
import { readSetting, writeSetting } from "./storage.ts";

/** `system` follows the device. */
export type Theme = "system" | "light" | "dark" | "contrast-light" | "contrast-dark";

export const THEMES: readonly { readonly value: Theme; readonly label: string }[] = [
  { value: "system", label: "As the device" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
  { value: "contrast-light", label: "High contrast, light" },
  { value: "contrast-dark", label: "High contrast, dark" },
];

export type Density = "comfortable" | "compact";

export function readTheme(): Theme {
  const kept = readSetting("theme");
  return THEMES.find(each => each.value === kept)?.value ?? "system";
}

export function setTheme(theme: Theme): void {
  writeSetting("theme", theme === "system" ? null : theme);
  document.documentElement.dataset.theme = theme;
}

export function readDensity(): Density {
  return readSetting("density") === "compact" ? "compact" : "comfortable";
}

export function setDensity(density: Density): void {
  writeSetting("density", density === "comfortable" ? null : density);
  document.documentElement.dataset.density = density;
}
