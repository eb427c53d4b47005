/** What an operator calls something by, apart from its id. */
export type Labels = Readonly<Record<string, string>>;

export const maxLabels = 20;

/** 1 to 63 characters of a-z, 0-9, `_`, `.` and `-`, beginning with a letter or digit. */
export const isLabelName = (text: string): boolean => /^[a-z0-9][a-z0-9_.-]{0,62}$/.test(text);

/** 1 to 255 visible ASCII characters. */
export const isLabelValue = (text: string): boolean => /^[\x21-\x7e]{1,255}$/.test(text);

/** Name and value of `name=value`; undefined when it is malformed. The value may have more of `=`. */
export function parseLabel(text: string): readonly [name: string, value: string] | undefined {
  const [name = '', ...rest] = text.split('=');
  const value = rest.join('=');
  return isLabelName(name) && isLabelValue(value) ? [name, value] : undefined;
}
