// Signs and sends WebHook events with LiveKit's own SDK (`send URL`), or checks a token
// (`verify TOKEN`). Prints one JSON object.
import { createHash } from 'node:crypto';
import { AccessToken, TokenVerifier, WebhookReceiver } from 'livekit-server-sdk';

const [key, secret] = ['devkey', 'secret'];

async function sign(body, withSecret = secret) {
  const token = new AccessToken(key, withSecret, { ttl: '5m' });
  token.sha256 = createHash('sha256').update(body).digest('base64');
  return token.toJwt();
}

async function post(url, body, authorization) {
  const headers = { 'Content-Type': 'application/webhook+json' };
  if (authorization) {
    headers.Authorization = authorization;
  }
  const response = await fetch(url, { method: 'POST', headers, body });
  await response.arrayBuffer();
  return response.status;
}

function event(name, id, more = {}) {
  const createdAt = String(Math.floor(Date.now() / 1000));
  const room = { sid: 'RM_hycBMAjmt6Ub', name: 'Zoë', creationTime: createdAt };
  return JSON.stringify({ event: name, room, id, createdAt, ...more });
}

async function participantToken() {
  const token = new AccessToken(key, secret, { identity: 'alice' });
  token.addGrant({ roomJoin: true, room: 'Zoë' });
  return token.toJwt();
}

async function send(url) {
  const started = event('room_started', 'EV_1');
  const joined = event('participant_joined', 'EV_2', { participant: { sid: 'PA_1', identity: 'alice' } });
  const refused = event('room_finished', 'EV_3');
  const received = await new WebhookReceiver(key, secret).receive(started, await sign(started));
  return {
    signed: await post(url, started, await sign(started)),
    bearer: await post(url, joined, `Bearer ${await sign(joined)}`),
    other_secret: await post(url, refused, await sign(refused, 'another')),
    other_body: await post(url, refused, await sign(started)),
    participant: await post(url, refused, await participantToken()),
    unsigned: await post(url, refused),
    accepted_by_sdk: received.event === 'room_started',
  };
}

async function verify(token) {
  const claims = await new TokenVerifier(key, secret).verify(token);
  return { iss: claims.iss, roomList: claims.video.roomList };
}

const [command, argument] = process.argv.slice(2);
console.log(JSON.stringify(await (command === 'send' ? send(argument) : verify(argument))));
