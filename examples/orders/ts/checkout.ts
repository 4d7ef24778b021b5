// Takes orders. It answers as soon as the order is kept; paying for it takes its time and comes later.
import { handle } from "@evoke/sdk";

interface Order {
  customer: string;
  items: { sku: string; quantity: number; cents: number }[]; // cents of one
}

const maxItems = 100, maxQuantity = 1_000, maxCents = 1_000_000;

const isCount = (n: unknown, least: number, most: number) => Number.isInteger(n) && (n as number) >= least && (n as number) <= most;

/** What is wrong with an order; undefined when nothing is. */
function problemOf({ customer, items }: Order): string | undefined {
  if (!customer) return "customer is missing";
  const count = items?.length ?? 0;
  if (!isCount(count, 1, maxItems)) return `an order has from 1 to ${maxItems} items, not ${count}`;
  for (const [i, item] of items.entries()) {
    if (!item.sku) return `items[${i}].sku is missing`;
    if (!isCount(item.quantity, 1, maxQuantity)) return `items[${i}].quantity must be from 1 to ${maxQuantity}`;
    if (!isCount(item.cents, 0, maxCents)) return `items[${i}].cents must be from 0 to ${maxCents}`;
  }
}

const refuse = (status: number, error: string) => Response.json({ error }, { status });

export default handle<Order>(async (event, context) => {
  let body: Order;
  try {
    body = JSON.parse(event.text()); // whatever its content type says
  } catch {
    return refuse(400, "the body is no JSON of an order");
  }
  const problem = problemOf(body);
  if (problem) return refuse(422, problem);
  const order: Order = { customer: body.customer, items: body.items.map(({ sku, quantity, cents }) => ({ sku, quantity, cents })) };
  const id = event.request!.params.id;
  const placed = { order: id, customer: order.customer, cents: order.items.reduce((sum, item) => sum + item.quantity * item.cents, 0) };

  // The same order again is answered as the first time, and is not placed twice.
  const before = await context.state.get<Order>("order");
  if (before) return JSON.stringify(before) === JSON.stringify(order) ? Response.json(placed) : refuse(409, `order ${id} is another one; choose a new id`);
  await context.state.set("order", order);
  context.emit("orders.placed", { type: "com.example.order.placed", subject: id, datacontenttype: "application/json", data: placed });
  return Response.json(placed, { status: 202 });
});
