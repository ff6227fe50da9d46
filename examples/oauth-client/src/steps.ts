import assert from 'node:assert/strict';
import { type OAuthTokens, sessions } from '@tmcp/session-store';
import type { NodeProcess } from 'test-support';
import { authUrlOf, consent, finish } from './consent.ts';
import { CALLBACK_URL } from './stored-provider.ts';
import type { World } from './world.ts';

/** Does something and checks it. @returns what happened */
export type Step = (world: World) => Promise<string>;

const PROCESSES = 8;
const ROUNDS = 5;
const ADA = { user: 'Ada' };

async function storedTokens({ key }: World): Promise<OAuthTokens> {
  const tokens = (await sessions.getCredentials(key.userId, key.sessionId))?.tokens;
  assert.ok(tokens, 'tokens are stored');
  return tokens;
}

async function startWorkers(world: World, count: number, resources: AsyncDisposableStack): Promise<NodeProcess[]> {
  const workers = await Promise.all(Array.from({ length: count }, () => world.worker()));
  for (const worker of workers) resources.use(worker);
  return workers;
}

export const firstConsent: Step = async (world) => {
  const { authorization, server, key } = world;
  await sessions.create({
    ...key,
    serverUrl: server.url,
    callbackUrl: CALLBACK_URL,
    transportType: 'streamable-http',
    createdAt: Date.now(),
  });
  const callback = await consent(await authUrlOf(sessions, key));
  assert.equal((await sessions.get(key.userId, key.sessionId))?.status, 'pending');

  const forged = new URL(callback);
  forged.searchParams.set('state', 'guessed');
  assert.equal(await finish(sessions, key, forged), false);
  assert.equal(await finish(sessions, key, callback), true);
  assert.equal(await finish(sessions, key, callback), false);

  assert.equal((await sessions.get(key.userId, key.sessionId))?.status, 'active');
  assert.deepEqual([authorization.registrations, authorization.consents], [1, 1]);
  return 'The client registered itself and sent Ada to the authorization server; she consented, and the session is active. A callback with a guessed state was refused, and so was the true one when it came again.';
};

export const secrets: Step = async (world) => {
  const { key, place } = world;
  const tokens = await storedTokens(world);
  const shown = JSON.stringify([await sessions.get(key.userId, key.sessionId), await sessions.list(key.userId)]);
  const secret = [tokens.access_token, tokens.refresh_token ?? ''];
  for (const one of secret) assert.ok(!shown.includes(one), 'get and list show no token');
  if (place.raw === undefined) return 'What get and list return holds no token.';
  const raw = await place.raw();
  assert.ok(raw.includes(key.sessionId), 'this is where sessions are');
  for (const one of secret) assert.ok(!raw.includes(one), 'no token is stored in plain text');
  return 'What get and list return holds no token, and in the file they are encrypted.';
};

export const restart: Step = async (world) => {
  const pids: number[] = [];
  for (let run = 0; run < 2; run += 1) {
    await using worker = await world.worker();
    assert.deepEqual(await world.ask(worker), ADA);
    pids.push(worker.pid);
    await worker.kill();
  }
  assert.deepEqual([world.authorization.registrations, world.authorization.consents], [1, 1]);
  return `Process ${pids[0]} called a tool as Ada and was killed; process ${pids[1]} was started, and called it as Ada. Nobody was asked again.`;
};

export const expiry: Step = async (world) => {
  const { authorization } = world;
  const before = await storedTokens(world);
  await using worker = await world.worker();
  assert.deepEqual(await world.ask(worker), ADA);
  authorization.expireAccessTokens();
  assert.deepEqual(await world.ask(worker), ADA);
  const after = await storedTokens(world);
  assert.notEqual(after.access_token, before.access_token);
  assert.notEqual(after.refresh_token, before.refresh_token);
  return 'The access token ran out between two calls: the second one refreshed it, and stored the new pair.';
};

export const everybodyAtOnce: Step = async (world) => {
  await using resources = new AsyncDisposableStack();
  const workers = await startWorkers(world, PROCESSES, resources);
  const all = (): Promise<unknown[]> => Promise.all(workers.map((worker) => world.ask(worker)));
  assert.deepEqual(
    await all(),
    workers.map(() => ADA),
  );
  const { presented } = world.authorization;
  const before = presented.size;
  for (let round = 0; round < ROUNDS; round += 1) {
    world.authorization.expireAccessTokens();
    assert.deepEqual(
      await all(),
      workers.map(() => ADA),
    );
  }
  assert.equal(presented.size - before, ROUNDS);
  assert.ok(
    [...presented.values()].every((times) => times === 1),
    'no refresh token came twice',
  );
  return `The access token of ${PROCESSES} processes ran out ${ROUNDS} times while all of them called. Each time one refreshed it and the others took what it got: ${ROUNDS} refresh tokens were presented, each once.`;
};

export const stolen: Step = async (world) => {
  const { authorization, key } = world;
  const spent = (await storedTokens(world)).refresh_token ?? '';
  await using worker = await world.worker();
  authorization.expireAccessTokens();
  assert.deepEqual(await world.ask(worker), ADA);
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: spent });
  const thief = await fetch(`${authorization.issuer}/token`, { method: 'POST', body: form });
  assert.equal(thief.status, 400);

  assert.deepEqual(await world.ask(worker), { askTheUser: true });
  const session = await sessions.get(key.userId, key.sessionId);
  assert.ok(session?.authUrl, 'the session says where to send Ada');
  assert.equal(await finish(sessions, key, await consent(session.authUrl)), true);
  assert.deepEqual(await world.ask(worker), ADA);
  assert.deepEqual([authorization.registrations, authorization.consents], [1, 2]);
  return 'Somebody presented a refresh token of old, and the server revoked them all. The next call said that Ada has to be asked; she consented, and the same process went on in the same session.';
};

export const logout: Step = async (world) => {
  const { authorization, key } = world;
  await using worker = await world.worker();
  assert.deepEqual(await world.ask(worker), ADA);
  await sessions.delete(key.userId, key.sessionId);
  assert.deepEqual(await sessions.listIds(key.userId), []);
  assert.equal(await sessions.getCredentials(key.userId, key.sessionId), null);
  assert.deepEqual(await world.ask(worker), { failed: 'The session has ended' });
  assert.equal(authorization.registrations, 1);
  return 'Ada logged out: session and tokens are gone, and a process that was connected can do nothing more in her name.';
};
