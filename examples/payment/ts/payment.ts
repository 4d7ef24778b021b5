// Obeys the commands for a payment and tells what has become of it.
import type { Context, Event } from "@evoke/sdk";
import { type Command, nothing, obey, type Payment } from "./machine";

/** How many commands of a payment are known when they come again. The runtime itself knows them for ten minutes. */
const remembered = 20;

interface State extends Payment {
  last: string[]; // the ids of the newest commands that were obeyed
}

export default async function handle(event: Event<Command>, context: Context) {
  const { last, ...before } = await context.state.get<State>("payment") ?? { ...nothing, last: [] };
  if (last.includes(event.id)) {
    console.info(`command ${event.id} was obeyed before`);
    return;
  }
  let payment: Payment;
  try {
    payment = obey(before, event.type.slice("com.example.payment.".length), event.data ?? {});
  } catch (error) {
    throw context.reject((error as Error).message); // it would be as wrong the next time: a dead letter, and the key goes on
  }
  await context.state.set("payment", { ...payment, last: [...last, event.id].slice(-remembered) });
  context.emit("payments.events", { type: `com.example.payment.${payment.status}`, subject: event.subject, datacontenttype: "application/json", data: payment });
}
