// Makes one event for each shop of the one that the clock makes.
import { handle } from "@evoke/sdk";

/** What the event of a cron trigger says. */
interface Firing {
  due?: string; // absent in a run by hand: fnctl trigger run
}

export default handle<Firing>((event, context) => {
  const until = event.data.due ?? event.time;
  for (const shop of context.env.SHOPS!.split(",")) {
    context.emit("shop.reports", { type: "com.example.report.due", subject: shop, datacontenttype: "application/json", data: { until } });
  }
});
