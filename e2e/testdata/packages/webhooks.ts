import { sign, verify } from "@octokit/webhooks-methods";
import Stripe from "stripe";

const body = '{"id":"evt_1","object":"event"}';
const stripe = new Stripe("sk_test", { httpClient: Stripe.createFetchHttpClient() });

export const webhooks = {
  "@octokit/webhooks-methods": async () => (await verify("secret", body, await sign("secret", body))) && !(await verify("other", body, await sign("secret", body))),
  stripe: async () => {
    const header = await stripe.webhooks.generateTestHeaderStringAsync({ payload: body, secret: "whsec_1" });
    const event = await stripe.webhooks.constructEventAsync(body, header, "whsec_1");
    return event.id === "evt_1" && stripe.webhooks.constructEventAsync(body, header, "whsec_2").then(() => false, e => e.type === "StripeSignatureVerificationError");
  },
};
