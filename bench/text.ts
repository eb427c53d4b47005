const words = 'the parcel left the depot in the morning and reached the harbour before noon ';

/** Text of exactly so many ASCII characters. */
export const filler = (length: number): string => words.repeat(Math.ceil(length / words.length)).slice(0, length);
