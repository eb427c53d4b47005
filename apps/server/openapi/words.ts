import { problems, type ProblemSlug } from '#contracts';
import type { Access } from '../access/routes.ts';

/** What a route demands, in words. */
export const needsText = (access: Access | undefined): string | undefined => {
  switch (access?.to) {
    case 'everybody':
      return 'Open: needs no key.';
    case 'administrators':
      return 'Needs the scope `admin`.';
    case 'whole-log':
      return 'Needs the scopes `admin` and `site:*:audit`.';
    case 'site':
      return `Needs ${access.needs.map((need) => (need === 'admin' ? '`admin`' : `\`site:<siteId>:${need}\``)).join(' or ')}.`;
    case 'keys':
    case undefined:
      return undefined;
  }
};

/** The problems of a route, by the status they have. */
export const problemsByStatus = (slugs: readonly ProblemSlug[]): ReadonlyMap<number, readonly ProblemSlug[]> =>
  new Map([...Map.groupBy(new Set(slugs), (slug) => problems[slug].status)].sort(([a], [b]) => a - b));

export const describeProblems = (slugs: readonly ProblemSlug[]): string => slugs.map((slug) => `\`${slug}\`: ${problems[slug].title}.`).join(' ');
