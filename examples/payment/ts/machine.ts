/**
 * Where a payment is; none before it is created.
 *
 *          authorize             capture              refund of all
 * created ───────────► authorized ───────► captured ───────────────► refunded
 *    │                     │                  └─┘ refund of a part
 *    └─────────► cancelled ◄┘ cancel
 */
export type Status = "none" | "created" | "authorized" | "captured" | "refunded" | "cancelled";

export interface Payment {
  status: Status;
  currency: string;
  cents: number; // what was asked for; once captured, what was captured
  refunded: number;
  version: number; // counts the changes
}

/** The data of a command. Which fields it has its kind says. */
export interface Command {
  currency?: string;
  cents?: number; // of capture and refund, none is all that is left
}

interface Rule {
  from: Status[];
  apply(payment: Payment, command: Command): Partial<Payment>;
}

/** The whole machine. */
const rules: Record<string, Rule> = {
  create: { from: ["none"], apply: (_, command) => create(command) },
  authorize: { from: ["created"], apply: () => ({ status: "authorized" }) },
  capture: { from: ["authorized"], apply: (p, { cents }) => ({ status: "captured", cents: part(cents, p.cents, "authorized") }) },
  refund: { from: ["captured"], apply: (p, { cents }) => refund(p, part(cents, p.cents - p.refunded, "left")) },
  cancel: { from: ["created", "authorized"], apply: () => ({ status: "cancelled" }) },
};

export const nothing: Payment = { status: "none", currency: "", cents: 0, refunded: 0, version: 0 };

/** The payment as a command of a kind asks for it; throws why that cannot be. */
export function obey(payment: Payment, kind: string, command: Command): Payment {
  const rule = Object.hasOwn(rules, kind) ? rules[kind] : undefined;
  if (!rule) throw new Error(`nobody can ${kind} a payment`);
  if (!rule.from.includes(payment.status)) {
    throw new Error(`cannot ${kind} a payment that ${payment.status === "none" ? "does not exist" : `is ${payment.status}`}`);
  }
  return { ...payment, ...rule.apply(payment, command), version: payment.version + 1 };
}

function create({ cents = 0, currency = "" }: Command): Partial<Payment> {
  if (!(cents > 0) || currency.length !== 3) throw new Error("a payment needs cents above 0 and a currency like EUR");
  return { status: "created", cents, currency };
}

function refund(payment: Payment, cents: number): Partial<Payment> {
  const refunded = payment.refunded + cents;
  return { refunded, status: refunded === payment.cents ? "refunded" : "captured" };
}

/** A part of an amount; none stands for all of it. */
function part(cents: number | undefined, of: number, what: string): number {
  if (!cents) return of;
  if (cents < 0 || cents > of) throw new Error(`${cents} cents are not within the ${of} that are ${what}`);
  return cents;
}
