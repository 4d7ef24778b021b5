// Has an order paid by a payment provider, which may be slow, down, or say no.
import { type Context, handle, reject } from "@evoke/sdk";

/** The data of an event on orders.placed. */
interface Order {
  order: string;
  customer: string;
  cents: number;
}

/**
 * Decides by the answer what becomes of the order. No answer, and "not now", are errors: the event is tried again, later each time, and after the last attempt
 * it is a dead letter. The provider does not charge twice for that: every attempt has the same Idempotency-Key.
 */
export default handle<Order>(async (event, context) => {
  const order = event.data;
  const { status, body } = await ask(order, context);
  const tell = (what: string, data: object) =>
    context.emit(`orders.${what}`, { type: `com.example.order.${what}`, subject: order.order, datacontenttype: "application/json", data: { order: order.order, ...data } });
  if (status === 200 || status === 201) tell("paid", { charge: body.id });
  else if (status === 402) tell("declined", { reason: body.reason }); // an answer, if not the one that was hoped for
  else if (status === 429 || status >= 500) throw new Error(`the payment provider answered ${status}`); // a Retry-After of the provider is heeded
  else throw reject(`the payment provider refused the request with ${status}`); // it will not like it the next time, either
});

async function ask(order: Order, context: Context): Promise<{ status: number; body: { id?: string; reason?: string } }> {
  const key = await context.secret("payments_key");
  if (!key) throw new Error("the secret payments_key is not set");
  const response = await fetch(`${context.env.PAYMENTS_URL}/charges`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ reference: order.order, cents: order.cents, currency: "EUR" }),
  });
  if (!response.ok && response.status !== 402) return { status: response.status, body: {} };
  try {
    return { status: response.status, body: await response.json() };
  } catch {
    throw new Error(`the payment provider answered ${response.status} with a body that is no JSON`);
  }
}
