/** Small settings in localStorage. A browser that refuses storage loses the setting, and nothing else. */

export function readSetting(name: string): string | null {
  try {
    return localStorage.getItem(`fleet.${name}`);
  } catch {
    return null;
  }
}

export function writeSetting(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`fleet.${name}`);
    else localStorage.setItem(`fleet.${name}`, value);
  } catch {
    // private windows of some browsers: the setting holds until the page is left
  }
}
