// violates: nobody-imports-their-own-entry
import { entry } from '#audit';

export const again = entry;
