/** Pure functions that format ages, sizes, money and counts for the page. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Return an age in one unit: `4s`, `12m`, `3h`, `5d`. */
export function age(sinceMs: number, nowMs: number): string {
  const past = Math.max(0, nowMs - sinceMs);
  if (past < MINUTE) return `${Math.floor(past / SECOND)}s`;
  if (past < HOUR) return `${Math.floor(past / MINUTE)}m`;
  if (past < DAY) return `${Math.floor(past / HOUR)}h`;
  return `${Math.floor(past / DAY)}d`;
}

/** Return a duration in at most two units: `850 ms`, `42 s`, `3 min 10 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  if (ms < HOUR) return two(ms, MINUTE, "min", SECOND, "s");
  if (ms < DAY) return two(ms, HOUR, "h", MINUTE, "min");
  return two(ms, DAY, "d", HOUR, "h");
}

function two(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const whole = Math.floor(ms / large);
  const rest = Math.floor((ms - whole * large) / small);
  return rest === 0 ? `${whole} ${largeName}` : `${whole} ${largeName} ${rest} ${smallName}`;
}

/** Return dollars: `$0`, `<$0.01`, `$0.42`, `$12.30`, `$1,204`. */
export function money(usd: number): string {
  if (usd === 0) return "$0";
  if (usd < 0.01) return "<$0.01";
  return usd < 1000 ? `$${usd.toFixed(2)}` : `$${Math.round(usd).toLocaleString("en-US")}`;
}

/** Return a count of tokens or the like: `950`, `12.4k`, `1.2M`. */
export function compact(count: number): string {
  if (count < 1000) return String(count);
  if (count < 1_000_000) return `${trim(count / 1000)}k`;
  return `${trim(count / 1_000_000)}M`;
}

/** Return a size: `512 B`, `4.2 KiB`, `310 MiB`. */
export function bytes(size: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let index = 0;
  let value = size;
  while (value >= 1024 && index < units.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${index === 0 ? value : trim(value)} ${units[index]}`;
}

function trim(value: number): string {
  return value < 10 ? value.toFixed(1).replace(/\.0$/, "") : String(Math.round(value));
}

/** Return `1 file`, `3 files`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;
}

/** Return the last step of a path. */
export function baseName(path: string): string {
  const clean = path.replace(/\/+$/, "");
  return clean.slice(clean.lastIndexOf("/") + 1) || clean || "/";
}

/**
 * Characters that make a text look like another one, as ranges of hexadecimal code points: the second set of control
 * characters, invisible ones, those that change the direction of writing, tags, halves of characters.
 */
const DECEPTIVE_RANGES =
  "80-9f ad 34f 61c 115f-1160 17b4-17b5 180e 200b 200e-200f 2028-202e 2060-206f 3164 d800-dfff feff ffa0 e0000-e007f";
/** Joiners are needed in Persian and in emoji; beside ASCII they are hidden characters. */
const HIDDEN_JOINER = "(?<=[ -~])[\\u200c\\u200d]|[\\u200c\\u200d](?=[ -~])";
const DECEPTIVE = new RegExp(
  `[${DECEPTIVE_RANGES.split(" ")
    .map(range => range.replace(/[^-]+/g, "\\u{$&}"))
    .join("")}]|${HIDDEN_JOINER}`,
  "gu",
);
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences of terminals
const ANSI = /(?:\u001b\[|\u009b)[0-9;:?<=>]*[ -/]*[@-~]|\u001b(?:\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;

/** Return the output of a terminal without its escape sequences. In a command or a name they stay visible instead. */
export function unstyled(output: string): string {
  return output.replace(ANSI, "");
}

/** Return a text of an agent, with the characters made visible that would deceive a reader. */
export function plain(text: string): string {
  return text
    .replace(CONTROL, character =>
      String.fromCharCode(0x2400 + (character.charCodeAt(0) === 0x7f ? 0x21 : character.charCodeAt(0))),
    )
    .replace(DECEPTIVE, character => `⟨U+${codeOf(character)}⟩`);
}

/** Return a name, such as that of a file: there, line ends and tabs are made visible too. */
export function named(name: string): string {
  return plain(name).replace(/[\t\n\r]/g, character => String.fromCharCode(0x2400 + character.charCodeAt(0)));
}

function codeOf(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
}

/** Return a text of agents or people on one line, cut. */
export function oneLine(text: string, max = 200): string {
  const line = plain(text).replace(/\s+/g, " ").trim();
  return line.length <= max ? line : `${line.slice(0, max - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}

/** Return the last line that says something, a progress bar in its last state; empty if there is none. */
export function lastLine(text: string): string {
  return (
    plain(text)
      .split(/[\r\n]/)
      .findLast(line => line.trim() !== "")
      ?.trim() ?? ""
  );
}
