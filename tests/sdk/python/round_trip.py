"""Sends events in every mode with the SDK of Python, and reads them back with it: `round_trip.py HOOK API`.

Prints how many there were. The package has two interfaces since its version 2; both send.
"""

import json
import sys
import urllib.request
from datetime import datetime, timezone

from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.http import CloudEvent as OldEvent
from cloudevents.v1.http import to_binary, to_structured

HOOK, API = sys.argv[1:]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
COMMON = {
    "source": "/sdk/py",
    "type": "com.example.py",
    "specversion": "1.0",
    "time": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc),
    "datacontenttype": "application/json",
}
TEXT = {"datacontenttype": "text/plain; charset=utf-8"}
BYTES = {"datacontenttype": "application/octet-stream"}
# Attributes and data by name. Headers hold any text: the SDK percent-encodes.
KINDS = {
    "json": ({"subject": "order/7"}, {"text": "grüße ☃ 🦀", "list": [1, 2.5, None, True]}),
    "text": (TEXT, "plain ☃ text"),
    "bytes": (BYTES, bytes([0, 1, 127, 128, 254, 255])),
    "unicode": ({"subject": 'grüße/☃/🦀 100% "x"'} | TEXT, "x"),
    "extensions": ({"traceparent": TRACE, "partitionkey": "p 1", "sequence": "0001"}, {"a": 1}),
}
# Headers hold texts alone; an envelope keeps the types.
ENVELOPES = {"types": ({"number": -7, "yes": True, "no": False}, [1])}
sent = {}


def make(mode, name, attributes, data):
    event = CloudEvent(COMMON | attributes | {"id": f"{mode}-{name}"}, data)
    sent[event.get_id()] = event
    return event


def post(headers, body):
    request = urllib.request.Request(HOOK, data=body, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 204, answer.status


def get(url, accept):
    request = urllib.request.Request(url, headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        body = answer.read()
        if accept.startswith("application/cloudevents"):
            assert answer.headers["content-type"] == accept, answer.headers["content-type"]
    return body


def check(found):
    want = sent[found.get_id()]
    assert found.get_attributes() == want.get_attributes(), (found.get_attributes(), want.get_attributes())
    assert found.get_data() == want.get_data(), (found.get_id(), found.get_data(), want.get_data())


def read(body):
    message = http.HTTPMessage({"content-type": "application/cloudevents+json"}, body)
    return http.from_structured(message, JSONFormat())


def main():
    for name, (attributes, data) in KINDS.items():
        message = http.to_binary(make("binary", name, attributes, data), JSONFormat())
        post(message.headers, message.body)
    for name, (attributes, data) in (KINDS | ENVELOPES).items():
        message = http.to_structured(make("structured", name, attributes, data), JSONFormat())
        post(message.headers, message.body)
    # The SDK has no batches: its envelopes, one after the other.
    parts = [
        http.to_structured(make("batch", name, attributes, data), JSONFormat()).body
        for name, (attributes, data) in (KINDS | ENVELOPES).items()
    ]
    post({"content-type": "application/cloudevents-batch+json"}, b"[" + b",".join(parts) + b"]")
    # The interface of version 1 does not encode headers, so its texts are plain.
    for mode, convert in {"old-binary": to_binary, "old-structured": to_structured}.items():
        for name in ("json", "extensions"):
            attributes, data = KINDS[name]
            event = make(mode, name, attributes, data)
            texts = event.get_attributes() | {"time": "2026-01-02T03:04:05.678Z"}
            post(*convert(OldEvent(texts, data)))

    rows = json.loads(get(API + "?limit=1000", "application/json"))["data"]
    assert len(rows) == len(sent), (len(rows), len(sent))
    batch = json.loads(get(API + "?limit=1000", "application/cloudevents-batch+json"))
    assert len(batch) == len(sent)
    for event in batch:
        check(read(json.dumps(event).encode()))
    for row in rows:
        check(read(get(f"{API}/{row['id']}", "application/cloudevents+json")))
    print(len(sent))


main()
