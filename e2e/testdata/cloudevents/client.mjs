// Sends events with the CloudEvents SDK of npm, and reads replies with it. Its last line is what it has seen, as JSON.
import { createRequire } from "node:module";

const [sdk, topic, fn] = process.argv.slice(2);
const { CloudEvent, HTTP, Mode, emitterFor, httpTransport } = createRequire(sdk + "/")("cloudevents");

const event = (id, more) => new CloudEvent({
  id, source: "https://example.com/shop", type: "com.example.order", subject: "orders, 50% off",
  time: "2026-01-31T12:00:00.5Z", dataschema: "https://example.com/schema", datacontenttype: "application/json", data: { total: 12, name: "größer" },
  tenant: "acme", partitionkey: "k1", sequence: "41", ...more,
});

const post = async (url, { headers, body }) => {
  const res = await fetch(url, { method: "POST", headers, body });
  return { status: res.status, headers: Object.fromEntries(res.headers), body: await res.text() };
};

const seen = {};
for (const mode of [Mode.BINARY, Mode.STRUCTURED]) {
  const emit = emitterFor(httpTransport(topic), { mode });
  seen[mode] = JSON.parse((await emit(event(mode))).body).events.length;
}
const batch = await post(topic, {
  headers: { "content-type": "application/cloudevents-batch+json" },
  body: JSON.stringify([event("b1"), event("b2", { data: undefined, datacontenttype: undefined }), event("b3", { datacontenttype: "text/plain", data: "größer" })]),
});
seen.batch = batch.status;

// One that is refused; strict checks of the SDK are off.
const bad = await post(topic, HTTP.structured(new CloudEvent({ id: "bad", source: "/a b", type: "t" }, false)));
seen.bad = { status: bad.status, detail: JSON.parse(bad.body).detail };

for (const [name, accept] of [["binary", undefined], ["structured", "application/cloudevents+json"]]) {
  const request = HTTP.binary(event("call-" + name));
  if (accept) request.headers.accept = accept;
  const reply = await post(fn, request);
  const answer = HTTP.toEvent({ headers: reply.headers, body: reply.body });
  answer.validate();
  seen["reply-" + name] = { status: reply.status, media: reply.headers["content-type"], type: answer.type, tenant: answer.tenant, data: answer.data };
}
console.log(JSON.stringify(seen));
