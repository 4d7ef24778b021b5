// What a handler imports. The abilities themselves come with the context of each event; this is what can be written without one.

export const handle = handler => handler;

export const reject = reason => Object.assign(new Error(reason), { reject: true });

export const retryAfter = (ms, reason = "asked to be called again later") => Object.assign(new Error(reason), { retryAfter: ms });
