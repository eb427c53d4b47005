import { startProgram } from '../program.ts';

/** What the store does wrong for a while. */
export type StoreFault =
  | 'streams-dropped'
  | 'replies-lost'
  | 'dropped-after-writing'
  | 'dropped-before-writing'
  | 'never-answers'
  | 'not-leader'
  | 'not-ready'
  | 'busy'
  | 'delivered-again'
  | 'silent-subscriptions'
  | 'slow'
  | 'down';

/** Events that were published to a subscription, and delivered. */
export interface Filling {
  /** In all, of any kind. */
  readonly events: number;
  readonly tenant: string;
  readonly subscriptionId: string;
  readonly incarnation: string;
}

export type ToStore = { readonly order: number; readonly begin: StoreFault } | { readonly order: number; readonly end: true } | { readonly order: number; readonly fill: Filling };
export type FromStore = { readonly url: string } | { readonly obeyed: number };

/** An event store in a process of its own, so that what loads it does not load those who watch. */
export interface StoreProcess {
  /** The connection string. */
  readonly url: string;
  begin(fault: StoreFault): Promise<void>;
  /** Everything is as it should be again. */
  behave(): Promise<void>;
  /** Writes a long history into the log at once. */
  fill(filling: Filling): Promise<void>;
  close(): Promise<void>;
}

export async function startStoreProcess(): Promise<StoreProcess> {
  const program = startProgram(new URL('./store-process.ts', import.meta.url));
  const { url } = await program.message((message: FromStore): message is Extract<FromStore, { url: string }> => 'url' in message);
  let orders = 0;
  const order = async (what: { readonly begin: StoreFault } | { readonly end: true } | { readonly fill: Filling }): Promise<void> => {
    orders += 1;
    const number = orders;
    const obeyed = program.message((message: FromStore): message is Extract<FromStore, { obeyed: number }> => 'obeyed' in message && message.obeyed === number);
    program.send({ order: number, ...what });
    await obeyed;
  };
  return { url, begin: (fault) => order({ begin: fault }), behave: () => order({ end: true }), fill: (filling) => order({ fill: filling }), close: () => program.end() };
}
