// What the platform's lists of names and values have in common. It makes no globals.
(web => {
  "use strict";

  // pairsOf is what a list is made of: pairs, or an object's own properties.
  const pairsOf = (init, who) => {
    const iterate = init[Symbol.iterator];
    if (iterate === undefined || iterate === null) {
      return Reflect.ownKeys(init).filter(key => Object.getOwnPropertyDescriptor(init, key)?.enumerable).map(key => {
        if (typeof key === "symbol") throw new TypeError(`${who}: a name is text, ${String(key)} is a symbol`);
        return [key, init[key]];
      });
    }
    if (typeof iterate !== "function") throw new TypeError(`${who}: it must be made of pairs or of an object`);
    return Array.from(init, pair => {
      if (pair === null || typeof pair !== "object" || typeof pair[Symbol.iterator] !== "function") throw new TypeError(`${who}: each entry must be a pair of name and value`);
      const both = [...pair];
      if (both.length !== 2) throw new TypeError(`${who}: each entry must be a pair of name and value, one has ${both.length} parts`);
      return both;
    });
  };

  // rows goes over what a list has when it is asked, and not when it began.
  function* rows(list, of) {
    for (let n = 0; ; n++) {
      const all = list();
      if (n >= all.length) return;
      yield of(all[n]);
    }
  }

  return { pairsOf, rows };
})
