/** Dates and times as the page writes them: one form everywhere, in the time zone of the browser. */

/** Return a day: `2026-11-29`. */
function day(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Return a time of day: `07:28:04`. */
export function clock(at: string | number): string {
  const date = new Date(at);
  return `${minute(date)}:${two(date.getSeconds())}`;
}

/** Return a moment, exact to the second: `2026-11-29 07:28:04`. */
export function moment(at: string | number): string {
  return `${day(new Date(at))} ${clock(at)}`;
}

/** Return a moment in short: `07:28` of today, `2026-11-28 07:28` of another day. */
export function shortMoment(at: string | number, nowMs: number): string {
  const date = new Date(at);
  const today = day(date) === day(new Date(nowMs));
  return today ? minute(date) : `${day(date)} ${minute(date)}`;
}

function minute(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}
