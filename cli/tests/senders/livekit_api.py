"""Signs and sends WebHook events by LiveKit's own SDK: `send URL`, or checks a token: `verify TOKEN`.

Prints one object of JSON.
"""

import base64
import datetime
import hashlib
import json
import sys
import time
import urllib.error
import urllib.request

from livekit import api

KEY, SECRET = "devkey", "secret"


def sign(body, secret=SECRET):
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    token = api.AccessToken(KEY, secret).with_sha256(digest)
    return token.with_ttl(datetime.timedelta(minutes=5)).to_jwt()


def post(url, body, authorization=None):
    headers = {"Content-Type": "application/webhook+json"}
    if authorization:
        headers["Authorization"] = authorization
    request = urllib.request.Request(url, body.encode(), headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def event(name, event_id, **more):
    created_at = str(int(time.time()))
    room = {"sid": "RM_hycBMAjmt6Ub", "name": "Zoë", "creationTime": created_at}
    members = {"event": name, "room": room, "id": event_id, "createdAt": created_at, **more}
    return json.dumps(members, ensure_ascii=False)


def send(url):
    started = event("room_started", "EV_1")
    joined = event("participant_joined", "EV_2", participant={"sid": "PA_1", "identity": "alice"})
    refused = event("room_finished", "EV_3")
    participant = api.AccessToken(KEY, SECRET).with_identity("alice")
    participant = participant.with_grants(api.VideoGrants(room_join=True, room="Zoë")).to_jwt()
    receiver = api.WebhookReceiver(api.TokenVerifier(KEY, SECRET))
    return {
        "signed": post(url, started, sign(started)),
        "bearer": post(url, joined, "Bearer " + sign(joined)),
        "other_secret": post(url, refused, sign(refused, "another")),
        "other_body": post(url, refused, sign(started)),
        "participant": post(url, refused, participant),
        "unsigned": post(url, refused),
        "accepted_by_sdk": receiver.receive(started, sign(started)).event == "room_started",
    }


def verify(token):
    verified = api.TokenVerifier(KEY, SECRET).verify(token)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return {"iss": claims["iss"], "roomList": verified.video.room_list}


command, argument = sys.argv[1:]
print(json.dumps(send(argument) if command == "send" else verify(argument)))
