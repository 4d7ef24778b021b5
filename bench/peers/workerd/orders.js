// All requests of one isolate, which is warm: that is what workers are.
import order from "order.js";

export default {
  async fetch(request) {
    return Response.json(order({ data: await request.json() }));
  },
};
