import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import ipaddr from 'ipaddr.js';
import { StandingClock, systemClock } from '../../test/support/webhook-receivers.ts';
import { addressesInHosts, createResolver } from './resolver.ts';

/** A name server on loopback that knows a few names; those it does not know it never answers. */
class NameServer {
  readonly asked: string[] = [];
  readonly #socket: Socket;
  readonly #names: Readonly<Record<string, readonly string[]>>;
  #heard: () => void = () => undefined;

  constructor(names: Readonly<Record<string, readonly string[]>>) {
    this.#names = names;
    this.#socket = createSocket('udp4', (query, from) => this.#answer(query, from));
  }

  async start(): Promise<string> {
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  close(): void {
    this.#socket.close();
  }

  async askedFor(count: number): Promise<void> {
    while (this.asked.length < count) await new Promise<void>((heard) => (this.#heard = heard));
  }

  #answer(query: Buffer, from: RemoteInfo): void {
    const labels: string[] = [];
    let at = 12;
    while ((query[at] ?? 0) !== 0) {
      const length = query[at] ?? 0;
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += length + 1;
    }
    const type = query.readUInt16BE(at + 1);
    const name = labels.join('.').toLowerCase();
    this.asked.push(`${name} ${type === 28 ? 'AAAA' : 'A'}`);
    this.#heard();
    const known = this.#names[name];
    if (known === undefined) return;
    const addresses = known.filter((address) => isIPv6(address) === (type === 28));
    const records = addresses.map((address) => {
      const bytes = Buffer.from(ipaddr.parse(address).toByteArray());
      const record = Buffer.from([0xc0, 0x0c, 0, type, 0, 1, 0, 0, 0, 60, 0, bytes.length]);
      return Buffer.concat([record, bytes]);
    });
    const header = Buffer.from(query.subarray(0, 12));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(records.length, 6);
    header.fill(0, 8, 12);
    this.#socket.send(Buffer.concat([header, query.subarray(12, at + 5), ...records]), from.port, from.address);
  }
}

let folder: string;
let server: NameServer;
let nameServers: readonly string[];
let hostsFile: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'resolver-'));
  hostsFile = join(folder, 'hosts');
  server = new NameServer({ 'both.example': ['198.51.100.7', '2001:db8::7'], 'v4.example': ['198.51.100.8'], 'listed.example': ['198.51.100.9'], 'none.example': [] });
  nameServers = [await server.start()];
});

afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

describe('a name is resolved', () => {
  it('by itself when it is localhost or below it', async () => {
    const resolve = createResolver({ clock: systemClock, nameServers, hostsFile });
    expect(await resolve('localhost')).toEqual(['127.0.0.1', '::1']);
    expect(await resolve('app.localhost')).toEqual(['127.0.0.1', '::1']);
    expect(server.asked).toEqual([]);
  });

  it('by the hosts file first, as it is at that moment', async () => {
    const resolve = createResolver({ clock: systemClock, nameServers, hostsFile });
    expect(await resolve('listed.example')).toEqual(['198.51.100.9']);
    await writeFile(hostsFile, '10.0.0.1 listed.example\n');
    expect(await resolve('listed.example')).toEqual(['10.0.0.1']);
  });

  it('by the name servers, A and AAAA, anew each time', async () => {
    const resolve = createResolver({ clock: systemClock, nameServers, hostsFile });
    expect(await resolve('both.example')).toEqual(['198.51.100.7', '2001:db8::7']);
    expect(await resolve('v4.example')).toEqual(['198.51.100.8']);
    expect(await resolve('v4.example')).toEqual(['198.51.100.8']);
    expect(server.asked.filter((question) => question.startsWith('v4.example A')).length).toBe(4);
  });

  it('to nothing when it has no address', async () => {
    const resolve = createResolver({ clock: systemClock, nameServers, hostsFile });
    await expect(resolve('none.example')).rejects.toThrow('no address');
  });
});

describe('a dead name', () => {
  it('is given up after its own time', async () => {
    const clock = new StandingClock();
    const resolve = createResolver({ clock, nameServers, hostsFile, timeoutMs: 5_000 });
    const dead = resolve('dead.example');
    await server.askedFor(2);
    clock.advance(5_000);
    await expect(dead).rejects.toThrow('no address');
    expect(clock.timers).toBe(0);
  });

  it('is asked for once, however many want it, and delays no other name', async () => {
    const clock = new StandingClock();
    const resolve = createResolver({ clock, nameServers, hostsFile });
    const waiting = [resolve('dead.example'), resolve('dead.example'), resolve('dead.example')];
    await server.askedFor(2);
    expect(await resolve('v4.example')).toEqual(['198.51.100.8']);
    expect(server.asked.filter((question) => question.startsWith('dead'))).toEqual(['dead.example A', 'dead.example AAAA']);
    clock.advance(5_000);
    for (const one of waiting) await expect(one).rejects.toThrow('no address');
  });

  it('leaves its place to the next name when only so many are looked up at once', async () => {
    const clock = new StandingClock();
    const resolve = createResolver({ clock, nameServers, hostsFile, maxInFlight: 1 });
    const dead = resolve('dead.example').catch(() => 'given up');
    const next = resolve('v4.example');
    await server.askedFor(2);
    expect(server.asked.some((question) => question.startsWith('v4'))).toBe(false);
    clock.advance(5_000);
    expect(await dead).toBe('given up');
    expect(await next).toEqual(['198.51.100.8']);
  });
});

it('a hosts file may have comments, several names in a line, tabs and any letter case', () => {
  const text = '# 10.0.0.9 a.example\n10.0.0.1\tA.example b.example # c.example\r\nfd00::1 a.example\nnonsense a.example\n\n';
  expect(addressesInHosts(text, 'a.example')).toEqual(['10.0.0.1', 'fd00::1']);
  expect(addressesInHosts(text, 'b.example')).toEqual(['10.0.0.1']);
  expect(addressesInHosts(text, 'c.example')).toEqual([]);
});
