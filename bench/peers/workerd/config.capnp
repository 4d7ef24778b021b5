# An echo in WebAssembly, as a yardstick for `bench http`, which starts workerd with this. It prints on its control descriptor which port it got.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "echo", worker = .echo)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "echo")],
);

const echo :Workerd.Worker = (
  modules = [
    (name = "worker", esModule = embed "worker.js"),
    (name = "echo.wasm", wasm = embed "../../testdata/c/workerd.wasm"),
  ],
  compatibilityDate = "2026-11-01",
);
