// Decides who may use the product, from what happens to their bills.
import type { Context, Event } from "@evoke/sdk";

type Status = "none" | "active" | "past-due" | "ended";

/** The state of a customer. */
interface Account {
  status: Status;
  event: string; // the last one that was heeded
  asOf: string; // when that happened
}

const statusAfter = new Map<string, Status>([
  ["com.example.billing.paid", "active"],
  ["com.example.billing.payment-failed", "past-due"],
  ["com.example.billing.cancelled", "ended"],
]);

export default async function decide(event: Event, context: Context) {
  const status = statusAfter.get(event.type);
  if (status === undefined) throw context.reject(`nobody knows what ${event.type} means for a customer`);
  const before = await context.state.get<Account>("account");
  // Events of a topic come in order, but Stripe promises none for its deliveries, and repeats them for days: what is older than what is known changes nothing.
  if (before && (event.id === before.event || Date.parse(event.time!) < Date.parse(before.asOf))) {
    console.info(`${event.id} of ${event.subject} is known or too old`);
    return;
  }
  await context.state.set("account", { status, event: event.id, asOf: event.time });
  const was = before?.status ?? "none";
  if (status === was) return;
  context.emit("access.changed", {
    type: "com.example.access.changed",
    subject: event.subject,
    datacontenttype: "application/json",
    data: { customer: event.subject, status, was },
  });
}
