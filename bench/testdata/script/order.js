// The handler that `bench authoring` measures, in our runtime and in workerd.
export default function order(event) {
  const o = event.data;
  const total = o.items.reduce((sum, i) => sum + i.quantity * i.price, 0);
  return { id: o.id, customer: o.customer.name, total, discount: o.customer.tier === "gold" ? Math.floor(total / 10) : 0, lines: o.items.length };
}
