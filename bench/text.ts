const words = 'the parcel left the depot in the morning and reached the harbour before noon ';

/** Text of exactly so many ASCII characters. */
export const filler = (length: number): string => words.repeat(Math.ceil(length / words.length)).slice(0, length);

/** What a delivery sends, as near as it can be told before an event has its id and time. */
export const bodyBytes = 1_024;
const envelope = { id: '0'.repeat(36), type: 'bench.happened', timestamp: new Date(0).toISOString(), tenant: 'bench', environment: 'production', data: { sentAtMs: 1e8 + 0.125, filler: '' } };
const filling = filler(bodyBytes - JSON.stringify(envelope).length);

/** An event to be published whose deliveries have a body of 1 KB, and which says when it was to be sent (`machineMs`). */
export const eventText = (eventId: string, type: string, sentAtMs: number): string =>
  `{"eventId":"${eventId}","type":"${type}","data":{"sentAtMs":${sentAtMs.toFixed(3)},"filler":"${filling}"}}`;
