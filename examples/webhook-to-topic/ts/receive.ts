// Turns deliveries of Stripe into events of our own. That they are Stripe's has been checked before it runs.
import type { Context, Event } from "@evoke/sdk";

/** What the events of Stripe have in common. */
interface Delivery {
  id: string;
  type: string;
  created: number; // Unix seconds
  data: { object: { id: string; customer?: string } };
}

/** The events that matter here, under the names that the rest of the system knows: it is not to depend on Stripe's. */
const ours = new Map([
  ["invoice.paid", "com.example.billing.paid"],
  ["invoice.payment_failed", "com.example.billing.payment-failed"],
  ["customer.subscription.deleted", "com.example.billing.cancelled"],
]);

export default function receive(event: Event<Delivery>, context: Context) {
  const { id, type, created, data: { object } } = event.data;
  const mine = ours.get(type);
  if (mine === undefined) {
    console.debug(`nothing to do for ${type}`);
    return;
  }
  if (!object.customer) throw context.reject(`${type} ${id} has no customer`);
  context.emit("billing.events", {
    id, // a delivery that comes again later is the same event
    type: mine,
    source: "/stripe",
    subject: object.customer, // the key: order and state are per customer
    time: new Date(created * 1000).toISOString(),
    datacontenttype: "application/json",
    data: { customer: object.customer, reference: object.id },
  });
}
