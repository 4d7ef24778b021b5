// Delivers webhooks that the senders' own packages have signed. It is copied beside node_modules. Its last line is what was answered, as JSON.
import { createHmac } from "node:crypto";
import { sign, verify } from "@octokit/webhooks-methods";
import bolt from "@slack/bolt";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as Svix } from "svix";

const [base, secret, standardSecret, newSecret] = process.argv.slice(2);
const seconds = () => Math.floor(Date.now() / 1000);
const hour = 3600;

const post = async (name, body, headers) => {
  const res = await fetch(`${base}/webhooks/${name}`, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
  const text = await res.text();
  const answer = text === "" ? {} : JSON.parse(text);
  return { status: res.status, type: answer.type, detail: answer.detail, duplicate: answer.events?.[0]?.duplicate ?? false };
};

// Each sender: a body, and the headers that sign it with a key at a time.
const senders = {
  github: {
    body: JSON.stringify({ ref: "refs/heads/größer", repository: { full_name: "octocat/hello" } }),
    headers: async (body, key) => {
      const signature = await sign(key, body);
      if (!(await verify(key, body, signature))) throw new Error("octokit does not know its own signature");
      return { "x-github-event": "push", "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "x-hub-signature-256": signature };
    },
  },
  stripe: {
    body: JSON.stringify({ id: "evt_1", object: "event", type: "charge.failed", account: "acct_7" }, null, 2),
    timed: true,
    headers: async (payload, key, timestamp) => ({ "stripe-signature": Stripe.webhooks.generateTestHeaderString({ payload, secret: key, timestamp }) }),
  },
  slack: { // Slack publishes no signer, only what checks; that has to agree
    body: JSON.stringify({ type: "event_callback", event_id: "Ev1", event: { type: "app_mention", text: "<@U1> hi" } }),
    timed: true,
    headers: async (body, key, timestamp) => {
      const headers = { "x-slack-request-timestamp": String(timestamp), "x-slack-signature": "v0=" + createHmac("sha256", key).update(`v0:${timestamp}:${body}`).digest("hex") };
      bolt.verifySlackRequest({ signingSecret: key, body, headers, nowMilliseconds: timestamp * 1000 });
      return headers;
    },
  },
  standard: {
    body: JSON.stringify({ type: "user.created", timestamp: "2026-01-31T12:00:00Z", data: { id: 7 } }),
    timed: true,
    encode: (key) => "whsec_" + Buffer.from(key).toString("base64"),
    headers: async (body, key, timestamp) => ({
      "webhook-id": "msg_1", "webhook-timestamp": String(timestamp), "webhook-signature": new Webhook(key).sign("msg_1", new Date(timestamp * 1000), body),
    }),
  },
  svix: {
    body: JSON.stringify({ type: "invoice.paid" }),
    timed: true,
    encode: (key) => "whsec_" + Buffer.from(key).toString("base64"),
    headers: async (body, key, timestamp) => ({
      "svix-id": "msg_2", "svix-timestamp": String(timestamp), "svix-signature": new Svix(key).sign("msg_2", new Date(timestamp * 1000), body),
    }),
  },
};

const seen = {};
for (const [name, s] of Object.entries(senders)) {
  const encode = s.encode ?? ((key) => key);
  const headers = await s.headers(s.body, s.encode ? standardSecret : secret, seconds());
  seen[name] = {
    good: await post(name, s.body, headers),
    replay: await post(name, s.body, headers),
    repeated: await post(name, s.body, await s.headers(s.body, encode(newSecret), seconds())), // by a sender that has the new key already
    tampered: await post(name, s.body.replace("e", "E"), headers),
    forged: await post(name, s.body, await s.headers(s.body, encode("guessed"), seconds())),
  };
  if (s.timed) seen[name].stale = await post(name, s.body, await s.headers(s.body, s.encode ? standardSecret : secret, seconds() - hour));
}
console.log(JSON.stringify(seen));
