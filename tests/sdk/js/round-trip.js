// Sends events in every mode with the SDK of JavaScript, and reads them back with it: `node round-trip.js PACKAGE HOOK API`.
// Prints how many there were.
"use strict";
const assert = require("node:assert");
const [, , folder, hook, api] = process.argv;
const { CloudEvent, HTTP } = require(folder);

const common = { source: "/sdk/js", type: "com.example.js", time: "2026-01-02T03:04:05.678Z" };
const bytes = new Uint8Array([0, 1, 127, 128, 254, 255]);
const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
// `sent`: data as given; the SDK gives bytes as numbers.
const kinds = {
  json: { data: { text: "grüße ☃ 🦀", list: [1, 2.5, null, true], deep: { a: {} } }, subject: "order/7" },
  text: { data: "plain ☃ text", datacontenttype: "text/plain; charset=utf-8" },
  bytes: { data: bytes, datacontenttype: "application/octet-stream" },
  none: {},
  extensions: { data: { a: 1 }, traceparent: trace, tracestate: "", partitionkey: "p 1", sequence: "0001" },
};
// Headers are Latin-1 in Node, and the SDK does not encode: only an envelope can hold these.
const envelopes = {
  unicode: { subject: "grüße/☃/🦀", data: "x", datacontenttype: "text/plain" },
  types: { data: [1], number: -7, yes: true, no: false },
};

const sent = new Map();
function make(mode, name, fields) {
  const event = new CloudEvent({ ...common, id: `${mode}-${name}`, datacontenttype: "application/json", ...fields });
  sent.set(event.id, event);
  return event;
}

async function post(message) {
  const answer = await fetch(hook, { method: "POST", headers: message.headers, body: message.body });
  assert.strictEqual(answer.status, 204, `${await answer.text()} ${message.body}`);
}

async function get(url, accept) {
  const answer = await fetch(url, { headers: { accept } });
  assert.strictEqual(answer.status, 200);
  const headers = { "content-type": answer.headers.get("content-type") };
  assert.strictEqual(headers["content-type"], accept);
  return HTTP.toEvent({ headers, body: await answer.text() });
}

function check(found) {
  const want = sent.get(found.id);
  assert(want, found.id);
  const plain = (event) => {
    const { data, data_base64, ...attributes } = event.toJSON();
    return attributes;
  };
  const binary = found.id.startsWith("binary-");
  assert.deepStrictEqual(plain(found), plain(want), found.id);
  const isBytes = want.data instanceof Uint8Array;
  assert.deepStrictEqual(isBytes ? Array.from(found.data) : found.data, isBytes ? Array.from(want.data) : want.data, found.id);
  return binary;
}

async function main() {
  for (const [name, fields] of Object.entries(kinds)) {
    await post(HTTP.binary(make("binary", name, fields)));
  }
  for (const [name, fields] of Object.entries({ ...kinds, ...envelopes })) {
    await post(HTTP.structured(make("structured", name, fields)));
  }
  // The SDK reads batches; it makes none.
  const batch = Object.entries({ ...kinds, ...envelopes }).map(([name, fields]) => make("batch", name, fields));
  const parts = batch.map((event) => HTTP.structured(event).body);
  await post({ headers: { "content-type": "application/cloudevents-batch+json" }, body: `[${parts.join(",")}]` });

  const all = await get(`${api}?limit=1000`, "application/cloudevents-batch+json");
  assert.strictEqual(all.length, sent.size);
  all.forEach(check);
  const rows = (await (await fetch(`${api}?limit=1000`)).json()).data;
  for (const row of rows) {
    check(await get(`${api}/${row.id}`, "application/cloudevents+json"));
  }
  console.log(sent.size);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
