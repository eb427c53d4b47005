import { SetMetadata } from '@nestjs/common';
import type { Dto, JsonSchema, ProblemSlug } from '#contracts';

/** What the OpenAPI document says about a route, beside what its parameters and its access say. */
export interface RouteDoc {
  readonly summary: string;
  readonly description?: string;
  readonly tag: 'Webhooks' | 'Deliveries' | 'Recoveries' | 'Events' | 'Commands' | 'Approvals' | 'Audit' | 'Keys' | 'Operations';
  readonly operationId: string;
  readonly body?: JsonSchema;
  /** The body may be left out. */
  readonly bodyOptional?: true;
  /** Of the body. */
  readonly example?: unknown;
  /** Of a success; 200 when left out. */
  readonly status?: 201;
  /** Of a success: a class, a schema, or media types of its own. */
  readonly answer: Dto | { readonly schema: JsonSchema } | { readonly mediaType: string | readonly string[] };
  /** The route can also answer `text/event-stream`: what its messages are, in words. */
  readonly stream?: string;
  /** Beside those that every route of its kind has. */
  readonly problems?: readonly ProblemSlug[];
  /** Request headers that mean something here. */
  readonly headers?: readonly ('Idempotency-Key' | 'If-Match' | 'Kf-Actor' | 'Kf-On-Behalf-Of' | 'Last-Event-ID')[];
  /** Headers that a success has. */
  readonly answerHeaders?: readonly ('ETag' | 'Location' | 'Idempotency-Key' | 'Idempotency-Replayed')[];
}

export const describedBy = 'countersign:description';

/** Kept as metadata: the document is made of it when somebody asks for it, so a start does not load what makes it. */
export const Describe = (doc: RouteDoc): MethodDecorator => SetMetadata(describedBy, doc);
