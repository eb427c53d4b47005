import type { Clock } from '#kernel';
import { type ProcessBoard, reportStandsMs } from './port.ts';
import { readReport, writeReport } from './report-text.ts';

/** A board for what is all in one process. Promises what every board does, and never is unreachable. */
export function createProcessBoard(clock: Clock): ProcessBoard {
  const said = new Map<string, { readonly text: string; readonly saidMs: number }>();
  return {
    exchange: (own) => {
      const nowMs = clock.monotonicMs();
      said.set(own.id, { text: writeReport(own), saidMs: nowMs });
      for (const [id, { saidMs }] of said) if (nowMs - saidMs >= reportStandsMs) said.delete(id);
      return Promise.resolve([...said.values()].flatMap(({ text, saidMs }) => readReport(text, nowMs - saidMs) ?? []));
    },
    leave: (id) => {
      said.delete(id);
      return Promise.resolve();
    },
  };
}
