// Adds the sales of a shop up, and sends the sum when a report is due.
import { type Context, type Event, handle, reject } from "@evoke/sdk";

/** The state of a shop: what was sold since its last report. */
interface Sums {
  sales: number;
  cents: number;
}

export default handle<any>(async (event, context) => {
  const sums = await context.state.get<Sums>("sums") ?? { sales: 0, cents: 0 };
  switch (event.type) {
    case "com.example.sale":
      return add(sums, event, context);
    case "com.example.report.due":
      return report(sums, event, context);
  }
  throw reject(`a ledger has no page for ${event.type}`);
});

async function add(sums: Sums, event: Event<{ cents: number }>, context: Context) {
  const cents = event.data?.cents;
  if (!Number.isInteger(cents)) throw reject("a sale needs cents, a whole number");
  await context.state.set("sums", { sales: sums.sales + 1, cents: sums.cents + cents });
}

/**
 * Sends the sums and begins anew. When it fails nothing has begun anew: the event comes again, the sales behind it wait, and the receiver knows by the Idempotency-Key
 * whether it has seen the report.
 */
async function report(sums: Sums, event: Event<{ until: string }>, context: Context) {
  const token = await context.secret("report_token");
  if (!token) throw new Error("the secret report_token is not set");
  const response = await fetch(`${context.env.REPORT_URL}/daily`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ shop: event.subject, until: event.data.until, ...sums }),
  });
  if (!response.ok) throw new Error(`the report was answered ${response.status}`);
  await context.state.delete("sums");
}
