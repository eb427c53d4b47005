import type { DomainEvent, Principal } from '#kernel';

export type ApiKeyEvent =
  | DomainEvent<
      'ApiKeyCreated',
      {
        readonly name: string;
        readonly scopes: readonly string[];
        /** Bound to one actor, or speaks for any (`anyActor`). */
        readonly actor: Principal | null;
        readonly anyActor: boolean;
        readonly defaultActor: Principal | null;
        readonly owner: Principal | null;
        /** Who made it; null when that was the root key. Keys of before this member have none. */
        readonly createdBy?: Principal | null;
        readonly expiresOn: string | null;
        /** SHA-256 of the key's text (256 random bits, so a plain hash hides it). */
        readonly keySha256: string;
      }
    >
  | DomainEvent<'ApiKeyRevoked', object>;
