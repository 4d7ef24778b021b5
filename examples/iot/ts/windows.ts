// Sums the readings of a sensor up minute by minute, and raises an alert when one is too high.
import type { Context, Event } from "@evoke/sdk";

/** The data of an event on readings; its time is when it was measured. */
interface Reading {
  celsius: number;
}

/** A minute, and the data of an event on readings.minutes. */
interface Window {
  start: string;
  count: number;
  sum: number;
  min: number;
  max: number;
}

/** The state of a sensor. */
interface Sensor {
  window?: Window;
  alerted: boolean;
  late: number; // readings that came when their minute had been told
}

export default async function read(event: Event<Reading>, context: Context) {
  if (typeof event.data?.celsius !== "number") throw context.reject("a reading needs celsius");
  if (!event.time) throw context.reject("a reading needs a time");
  const sensor = await context.state.get<Sensor>("sensor") ?? { alerted: false, late: 0 };
  take(sensor, event, context);
  await context.state.set("sensor", sensor);
}

/** A setting of env: in fn.yaml. */
function setting(context: Context, name: string, otherwise: number): number {
  const value = Number(context.env[name] ?? otherwise);
  if (Number.isNaN(value)) throw new Error(`env: ${name} is "${context.env[name]}", and must be a number`);
  return value;
}

/**
 * Puts a reading into its window. The first one of a later window ends the window before: time passes by what the sensors say, so that whoever reads the topic again
 * comes to the same minutes.
 */
function take(sensor: Sensor, event: Event<Reading>, context: Context) {
  const size = setting(context, "WINDOW_SECONDS", 60) * 1000;
  const start = Math.floor(Date.parse(event.time!) / size) * size;
  const current = sensor.window ? Date.parse(sensor.window.start) : -Infinity;
  if (start < current) {
    sensor.late++;
    return;
  }
  if (start > current) {
    if (sensor.window) emit(context, "readings.minutes", "com.example.minute", event.subject!, sensor.window);
    sensor.window = undefined;
  }
  const { celsius } = event.data;
  const before = sensor.window ?? { start: new Date(start).toISOString(), count: 0, sum: 0, min: celsius, max: celsius };
  sensor.window = { ...before, count: before.count + 1, sum: before.sum + celsius, min: Math.min(before.min, celsius), max: Math.max(before.max, celsius) };
  watch(sensor, event, context);
}

/** The limit to clear is lower than the one to raise, so that a value that wavers around one limit raises one alert. */
function watch(sensor: Sensor, event: Event<Reading>, context: Context) {
  const { celsius } = event.data;
  const alert = (what: string) => {
    sensor.alerted = what === "raised";
    emit(context, "alerts", `com.example.alert.${what}`, event.subject!, { sensor: event.subject, celsius });
  };
  if (!sensor.alerted && celsius > setting(context, "RAISE_ABOVE", 80)) alert("raised");
  else if (sensor.alerted && celsius < setting(context, "CLEAR_BELOW", 75)) alert("cleared");
}

function emit(context: Context, topic: string, type: string, subject: string, data: object) {
  context.emit(topic, { type, subject, datacontenttype: "application/json", data });
}
