import { type Clock, siteKey } from '#kernel';
import type { Alarm } from './port.ts';

const quietMs = 30_000;
const remembered = 1_000;

/** Raises an alarm, but the same one about the same subscription at most once in 30 s. */
export function createAlarms(clock: Clock, onAlarm: (alarm: Alarm) => void): (alarm: Alarm) => void {
  const raisedAtMs = new Map<string, number>();
  return (alarm) => {
    const key = `${alarm.alarm} ${alarm.site === undefined ? '' : siteKey(alarm.site)} ${alarm.subscriptionId ?? ''}`;
    const nowMs = clock.monotonicMs();
    if (nowMs - (raisedAtMs.get(key) ?? -Infinity) < quietMs) return;
    if (raisedAtMs.size >= remembered) raisedAtMs.clear();
    raisedAtMs.set(key, nowMs);
    onAlarm(alarm);
  };
}

/** The message may describe what we stand in: the name is enough for an alarm. */
export const nameOf = (error: unknown): string => (error instanceof Error ? error.name : 'unknown error');
