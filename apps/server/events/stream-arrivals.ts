import { Inject, Injectable } from '@nestjs/common';
import { limits } from '#contracts';
import { Growth } from '#event-store';
import { parseStream, prefixOf, type RecordedEvent, type Site, siteKey } from '#kernel';
import { LOG_READER, type LogReader } from '../parts.ts';

/** Sites that are known at a time: more than can have a stream. */
export const mostSites = 2 * limits.eventStreams;

/**
 * Tells streams that an event of their site has arrived. One reader follows the log for all of them, from the first
 * stream on: each following it alone would pay for every commit of every site (a hundred idle ones took a third of the
 * rate at which events can be published).
 */
@Injectable()
export class Arrivals {
  readonly #growths = new Map<string, Growth>();
  #following: Promise<void> | undefined;

  constructor(@Inject(LOG_READER) private readonly log: Pick<LogReader, 'head' | 'subscribe'>) {}

  /** Grows with every event of the site that is appended after this resolved; perhaps without one, and then once and never again. */
  async of(site: Site): Promise<Growth> {
    await (this.#following ??= this.#follow());
    const key = siteKey(site);
    const known = this.#growths.get(key);
    if (known !== undefined) return known;
    // Who asked may have left long ago, and for a site that nobody uses; who has not asks again.
    if (this.#growths.size >= mostSites) this.#startAnew();
    const growth = new Growth();
    this.#growths.set(key, growth);
    return growth;
  }

  #startAnew(): void {
    const growths = [...this.#growths.values()];
    this.#growths.clear();
    for (const growth of growths) growth.announce();
  }

  /** Resolves when it is known from where on. */
  async #follow(): Promise<void> {
    try {
      const head = await this.log.head();
      void this.#tellFrom(head);
    } catch (error) {
      this.#following = undefined;
      throw error;
    }
  }

  async #tellFrom(head: string): Promise<void> {
    try {
      for await (const { events } of this.log.subscribe(head, { prefixes: [prefixOf('event')] }, new AbortController().signal)) {
        for (const growth of this.#grown(events)) growth.announce();
      }
    } catch {
      // The log can't be read: the streams notice when they read it, which they do now.
    }
    this.#following = undefined;
    this.#startAnew();
  }

  #grown(events: readonly RecordedEvent[]): ReadonlySet<Growth> {
    return new Set(
      events.flatMap(({ stream }) => {
        const place = parseStream(stream);
        return place === undefined ? [] : (this.#growths.get(siteKey(place.site)) ?? []);
      }),
    );
  }
}
