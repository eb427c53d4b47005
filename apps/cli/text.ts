import { parseInstant } from '#kernel';

/**
 * Text from elsewhere, made safe to show: control characters could rewrite what stands on a terminal, and
 * bidirectional marks could make an approver read another id than the one being approved.
 */
export const visible = (text: string): string =>
  Array.from(text, (character) => (isHidden(character.codePointAt(0) ?? 0) ? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}` : character)).join('');

/** First and last code point of what is not shown as itself: controls, zero-width and direction marks, line separators, tags. */
const hidden: readonly (readonly [number, number])[] = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0xad, 0xad],
  [0x61c, 0x61c],
  [0x180e, 0x180e],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xfeff, 0xfeff],
  [0xfff9, 0xfffb],
  [0xe0000, 0xe007f],
];

const isHidden = (code: number): boolean => hidden.some(([first, last]) => code >= first && code <= last);

/** `webhookSubscriptionId` as "Webhook subscription id". */
export function label(member: string): string {
  const words = member.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A word as a POSIX shell reads it back. */
export const shellWord = (word: string): string => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** A command line, ready to be pasted. */
export const shellLine = (words: readonly string[]): string => words.map(shellWord).join(' ');

/** A time of an answer in local time with its zone, to the second; text that is no time stays as it is. */
export function localTime(instant: string, timeZone: string | undefined): string {
  const instantMs = parseInstant(instant);
  if (instantMs === undefined) return instant;
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'longOffset',
  }).formatToParts(instantMs);
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.find((candidate) => candidate.type === type)?.value ?? '';
  const offset = part('timeZoneName').replace('GMT', '') || '+00:00';
  return `${part('year')}-${part('month')}-${part('day')} ${part('hour')}:${part('minute')}:${part('second')} ${offset}`;
}

/** A sentence with the times in it as `localTime` has them, but those that are the value of a flag: that stays to be typed. */
export const localTimesIn = (sentence: string, timeZone: string | undefined): string => sentence.replace(/(?<!--[a-z-]+ )\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (instant) => localTime(instant, timeZone));

const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
] as const;

/** How far away a time is: `in 2 h`, `3 d ago`, `now`. */
export function fromNow(instant: string, nowMs: number): string {
  const instantMs = parseInstant(instant);
  if (instantMs === undefined) return '';
  const away = Math.abs(instantMs - nowMs) / 1_000;
  const unit = units.find(([, seconds]) => away >= seconds);
  if (unit === undefined) return instantMs > nowMs ? 'in less than a minute' : 'just now';
  const length = `${Math.floor(away / unit[1])} ${unit[0]}`;
  return instantMs > nowMs ? `in ${length}` : `${length} ago`;
}
