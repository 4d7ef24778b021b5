// One line for each package of npm: its name, and whether it did what it is for.
import { webhooks } from "./webhooks";
import Ajv from "ajv";
import { addDays, formatISO } from "date-fns";
import { Hono } from "hono";
import { groupBy } from "lodash-es";
import { nanoid } from "nanoid";
import { v4, v5, validate } from "uuid";
import * as z from "zod";
import { signatures } from "./signatures";

const order = z.object({ id: z.string(), items: z.array(z.string()).min(1) });
const positive = new Ajv().compile({ type: "object", properties: { cents: { type: "integer", minimum: 1 } }, required: ["cents"] });
const app = new Hono();
app.use(async (c, next) => {
  await next();
  c.header("x-seen", "1");
});
app.get("/orders/:id", c => c.json({ id: c.req.param("id"), page: c.req.query("page") }));

const packages: Record<string, () => unknown> = {
  zod: () => order.safeParse({ id: "o1", items: ["tea"] }).success && !order.safeParse({ id: "o1", items: [] }).success,
  ajv: () => positive({ cents: 1 }) && !positive({ cents: 0 }),
  "date-fns": () => formatISO(addDays(new Date(Date.UTC(2026, 1, 27)), 2), { representation: "date" }) === "2026-03-01",
  "lodash-es": () => Object.keys(groupBy(["tea", "cup", "toast"], "length")).join() === "3,5",
  uuid: () => validate(v4()) && v4() !== v4() && v5("evoke", v5.URL) === v5("evoke", v5.URL),
  nanoid: () => nanoid().length === 21 && nanoid() !== nanoid(),
  hono: async () => {
    const r = await app.request("/orders/7?page=2");
    return r.headers.get("x-seen") === "1" && (await r.text()) === '{"id":"7","page":"2"}' && (await app.request("/none")).status === 404;
  },
  ...signatures,
  ...webhooks,
};

export default async function handle() {
  const lines = [];
  for (const [name, works] of Object.entries(packages)) {
    try {
      lines.push(`${name}: ${await works()}`);
    } catch (e: any) {
      lines.push(`${name}: ${e.stack ?? e}`);
    }
  }
  return lines.join("\n");
}
