# A handler in JavaScript, as a yardstick for `bench authoring`, which starts workerd with this. It prints on its control descriptor which port it got.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "orders", worker = .orders)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "orders")],
);

const orders :Workerd.Worker = (
  modules = [
    (name = "worker", esModule = embed "orders.js"),
    (name = "order.js", esModule = embed "../../testdata/script/order.js"),
  ],
  compatibilityDate = "2026-11-01",
);
