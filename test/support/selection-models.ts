import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { deliveryTable } from '#deliveries';
import type { RecordedEvent } from '#kernel';
import { type DeliverySelection, ReadModelsUnavailable } from '#read-models';
import type { Selections, SubscriptionVersions } from '#sagas';
import { ModelFile } from '../../libs/read-models/model-file.ts';
import { recordedWithin, selectDeliveries, selectMissed } from '../../libs/read-models/queries/recoveries.ts';
import { subscriptionVersions } from '../../libs/read-models/queries/subscriptions.ts';

/** The real read models of the log, folded as far as it goes whenever they are asked, or only when somebody waits for it. */
export class SelectionModels implements Selections {
  readonly #folder = mkdtempSync(join(tmpdir(), 'recoveries-'));
  readonly #file = new ModelFile(join(this.#folder, 'models.db'), { historyDays: 30 });
  #seen = 0;
  /** Thrown instead of the next answers. */
  troubles = 0;
  brokenFor: string | undefined;
  behind = false;
  readonly asked: DeliverySelection[] = [];

  constructor(readonly events: () => readonly RecordedEvent[]) {}

  #ask<T>(answer: (database: ModelFile['database']) => T): Promise<T> {
    if (this.troubles > 0) {
      this.troubles -= 1;
      return Promise.reject(new ReadModelsUnavailable('no disk'));
    }
    if (!this.behind) this.#fold();
    return Promise.resolve(answer(this.#file.database));
  }

  #fold(): void {
    const fresh = this.events().slice(this.#seen);
    this.#seen += fresh.length;
    if (fresh.length > 0) this.#file.apply(fresh, fresh.at(-1)?.position ?? '0');
    this.#file.show();
  }

  reached(): Promise<void> {
    return this.#ask(() => this.#fold());
  }
  within(of: Parameters<Selections['within']>[0]): ReturnType<Selections['within']> {
    return this.#ask((database) => recordedWithin(database, of));
  }
  deliveries(selection: DeliverySelection): ReturnType<Selections['deliveries']> {
    this.asked.push(selection);
    if (selection.subscriptionId === this.brokenFor) return Promise.reject(new TypeError('broken'));
    return this.#ask((database) => selectDeliveries(database, selection));
  }
  missed(selection: Parameters<Selections['missed']>[0]): ReturnType<Selections['missed']> {
    return this.#ask((database) => selectMissed(database, selection));
  }
  /** The versions as they would be had every pause been active, and been all there was. */
  get pausesAsActive(): SubscriptionVersions {
    const swapped = { PAUSED: 'ACTIVE', ACTIVE: 'PAUSED', DELETED: 'DELETED' } as const;
    return {
      reached: () => Promise.resolve(),
      overlapping: (where, after, through) => this.#ask((database) => subscriptionVersions(database, { site: where, overlapping: [after, through] }).map((version) => ({ ...version, status: swapped[version.status] }))),
    };
  }

  statusOf(id: string): string {
    this.#fold();
    return String(this.#file.database.prepare(`SELECT status FROM ${deliveryTable.name} WHERE id = ?`).pluck().get(id));
  }

  close(): void {
    this.#file.close();
    rmSync(this.#folder, { recursive: true });
  }
}

/** Makes read models that end with the test. */
export function selectionModels(): (events: () => readonly RecordedEvent[]) => SelectionModels {
  const opened: SelectionModels[] = [];
  afterEach(() => {
    for (const models of opened.splice(0)) models.close();
  });
  return (events) => {
    const models = new SelectionModels(events);
    opened.push(models);
    return models;
  };
}
