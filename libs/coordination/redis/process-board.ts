import { type ProcessBoard, reportStandsMs } from '../processes/port.ts';
import { readReport, writeReport } from '../processes/report-text.ts';
import type { RedisLink } from './link.ts';
import { script } from './script.ts';

/** What processes say of themselves in one hash, by the server's clock; it is gone when none of them says anything any more. */
export function redisProcessBoard(link: RedisLink, prefix: string): ProcessBoard {
  const key = `${prefix}:processes`;
  const lua = script('process-exchange');
  return {
    exchange: async (own) => {
      const heard = (await link.ask((client) => client.eval(lua, 1, key, own.id, writeReport(own), reportStandsMs))) as readonly string[];
      return heard.flatMap((said, index) => (index % 2 === 0 ? [] : (readReport(said, Number(heard[index - 1])) ?? [])));
    },
    leave: async (id) => {
      await link.ask((client) => client.hdel(key, `process:${id}`));
    },
  };
}
