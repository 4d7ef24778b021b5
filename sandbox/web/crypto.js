// Web Cryptography: https://w3c.github.io/webcrypto/. What is computed is computed in Go; keys are here, since nothing else outlives a call.
(web => {
  "use strict";
  const { call, bytesOf, interfaces } = web;

  const made = Symbol("made here");
  let materialOf; // what Go makes of a key: bytes of a secret, text of another
  class CryptoKey {
    #material; #type; #extractable; #algorithm; #usages;
    constructor(by, material, type, extractable, algorithm, usages) {
      if (by !== made) throw new TypeError("CryptoKey: there is no constructor; use crypto.subtle.importKey or generateKey");
      this.#material = material;
      this.#type = type;
      this.#extractable = extractable;
      this.#algorithm = algorithm;
      this.#usages = usages;
    }
    get type() { return this.#type; }
    get extractable() { return this.#extractable; }
    get algorithm() { return this.#algorithm; }
    get usages() { return this.#usages; }
    static { materialOf = k => k.#material; }
  }

  const problem = (name, message) => { throw new DOMException(message, name); };
  const Hashes = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"], Curves = ["P-256", "P-384", "P-521"];
  const signs = ["sign", "verify"], encrypts = ["encrypt", "decrypt", "wrapKey", "unwrapKey"], derives = ["deriveBits", "deriveKey"];
  // What there is of each algorithm: kinds of keys with their usages, and formats.
  const Algorithms = {
    "HMAC": { secret: signs, hash: true, formats: ["raw", "jwk"] },
    "RSASSA-PKCS1-v1_5": { public: ["verify"], private: ["sign"], hash: true, formats: ["spki", "pkcs8", "jwk"] },
    "RSA-PSS": { public: ["verify"], private: ["sign"], hash: true, formats: ["spki", "pkcs8", "jwk"] },
    "ECDSA": { public: ["verify"], private: ["sign"], curve: true, formats: ["raw", "spki", "pkcs8", "jwk"] },
    "Ed25519": { public: ["verify"], private: ["sign"], formats: ["raw", "spki", "pkcs8", "jwk"] },
    "AES-GCM": { secret: encrypts, formats: ["raw", "jwk"] },
    "PBKDF2": { secret: derives, formats: ["raw"] },
    "HKDF": { secret: derives, formats: ["raw"] },
  };
  const list = all => all.join(", ");
  const named = (names, name, what, who = "crypto.subtle") => {
    const found = names.find(n => n.toLowerCase() === String(name).toLowerCase());
    return found ?? problem("NotSupportedError", `${who}: there is no ${what} ${JSON.stringify(String(name))}; there ${names.length > 1 ? "are" : "is"} ${list(names)}`);
  };
  const nameOf = algorithm => typeof algorithm === "object" && algorithm !== null ? algorithm.name : algorithm;
  const hashOf = algorithm => {
    if (algorithm.hash === undefined) throw new TypeError("crypto.subtle: the algorithm needs a hash, such as { hash: \"SHA-256\" }");
    return named(Hashes, nameOf(algorithm.hash), "hash");
  };
  const bytes = (v, what) => bytesOf(v, `crypto.subtle: ${what}`);

  const algorithmOf = (algorithm, who, does = () => true) => {
    const name = named(Object.keys(Algorithms).filter(does), nameOf(algorithm), "algorithm", `crypto.subtle.${who}`);
    return { name, kind: Algorithms[name], given: Object(algorithm) };
  };
  const allowed = (key, name, usage) => {
    if (!(key instanceof CryptoKey)) throw new TypeError(`crypto.subtle.${usage}: the key must be a CryptoKey`);
    if (key.algorithm.name !== name) problem("InvalidAccessError", `crypto.subtle.${usage}: the key is one of ${key.algorithm.name}, not of ${name}`);
    if (!key.usages.includes(usage)) problem("InvalidAccessError", `crypto.subtle.${usage}: the key was made for ${list(key.usages) || "nothing"}; name "${usage}" among its usages`);
    return materialOf(key);
  };
  const newKey = (material, type, extractable, algorithm, usages, kind) => {
    usages = [...new Set(usages)];
    const good = kind[type], wrong = usages.find(u => !good.includes(u));
    if (wrong !== undefined) problem("SyntaxError", `crypto.subtle: a ${type} key of ${algorithm.name} is for ${list(good)}, not for ${JSON.stringify(wrong)}`);
    if (type !== "public" && usages.length === 0) problem("SyntaxError", `crypto.subtle: a ${type} key needs usages: ${list(good)}`);
    return new CryptoKey(made, material, type, type === "public" || Boolean(extractable), algorithm, usages);
  };

  // Secrets are bytes.
  const secretOf = (name, given, raw) => {
    if (name === "HMAC") {
      const length = given.length ?? raw.length * 8;
      if (raw.length === 0 || length > raw.length * 8 || length <= raw.length * 8 - 8) problem("DataError", `crypto.subtle.importKey: an HMAC key of ${raw.length} bytes has not ${length} bits`);
      return { name, hash: { name: hashOf(given) }, length };
    }
    if (name === "AES-GCM") {
      if (![16, 24, 32].includes(raw.length)) problem("DataError", `crypto.subtle.importKey: an AES key has 16, 24 or 32 bytes, not ${raw.length}`);
      return { name, length: raw.length * 8 };
    }
    return { name };
  };
  const importSecret = (format, data, { name, kind, given }, extractable, usages) => {
    let raw;
    if (format === "raw") raw = bytes(data, "the key").slice();
    else {
      checkJWK(data, "oct", usages, extractable);
      raw = new Uint8Array(call("crypto.base64url", String(data.k ?? "")));
    }
    if ((name === "PBKDF2" || name === "HKDF") && extractable) problem("SyntaxError", `crypto.subtle.importKey: a key of ${name} cannot be extractable`);
    return newKey(raw, "secret", extractable, secretOf(name, given, raw), usages, kind);
  };
  const checkJWK = (jwk, type, usages, extractable) => {
    if (jwk === null || typeof jwk !== "object") throw new TypeError("crypto.subtle.importKey: a JWK is an object");
    if (jwk.kty !== type) problem("DataError", `crypto.subtle.importKey: the JWK's kty is ${JSON.stringify(jwk.kty)}, not "${type}"`);
    if (jwk.key_ops !== undefined && !usages.every(u => jwk.key_ops.includes(u))) problem("DataError", `crypto.subtle.importKey: the JWK is for ${list(jwk.key_ops)}, not for ${list(usages)}`);
    if (jwk.ext === false && extractable) problem("DataError", "crypto.subtle.importKey: the JWK says that it is not extractable");
  };

  // Pairs are what Go has made of them: JSON that is good for Go, and what is to be known of the key.
  const importPair = (format, data, { name, kind, given }, extractable, usages) => {
    const curve = kind.curve ? named(Curves, given.namedCurve, "curve") : "";
    if (format === "jwk") checkJWK(data, { RS: "RSA", EC: "EC", Ed: "OKP" }[name.slice(0, 2)], usages, extractable);
    const text = call("crypto.import", format, name, curve, format === "jwk" ? JSON.stringify(data) : bytes(data, "the key"));
    return keyOf(text, name, kind, kind.hash ? hashOf(given) : undefined, extractable, usages);
  };
  const keyOf = (text, name, kind, hash, extractable, usages) => {
    const { type, curve, bits, exponent } = JSON.parse(text), algorithm = { name };
    if (bits > 0) Object.assign(algorithm, { modulusLength: bits, publicExponent: new Uint8Array(call("crypto.base64url", exponent)), hash: { name: hash } });
    if (kind.curve) algorithm.namedCurve = curve;
    return newKey(text, type, extractable, algorithm, usages, kind);
  };

  const signature = (name, given, key) => [name, key.algorithm.hash?.name ?? (name === "ECDSA" ? hashOf(given) : ""), name === "RSA-PSS" ? String(given.saltLength) : ""];
  const derived = (given, length, name, key) => {
    if (length === null || length === undefined || length % 8 !== 0) problem("OperationError", "crypto.subtle.deriveBits: the length must be a number of bits that makes whole bytes");
    const hash = hashOf(given), salt = bytes(given.salt, "the salt");
    return name === "HKDF" ? call("crypto.hkdf", hash, key, salt, bytes(given.info, "the info"), String(length / 8)) : call("crypto.pbkdf2", hash, key, salt, String(given.iterations), String(length / 8));
  };
  const sealing = given => [bytes(given.iv, "the iv"), given.additionalData === undefined ? "" : bytes(given.additionalData, "additionalData"), String(given.tagLength ?? 128)];
  const isSigner = n => Algorithms[n].public !== undefined || n === "HMAC", isDeriver = n => n === "PBKDF2" || n === "HKDF", isCipher = n => n === "AES-GCM";

  class SubtleCrypto {
    constructor(by) { if (by !== made) throw new TypeError("SubtleCrypto: there is no constructor; use crypto.subtle"); }
    async digest(algorithm, data) { return call("crypto.digest", named(Hashes, nameOf(algorithm), "hash"), bytes(data, "the data")); }
    async importKey(format, data, algorithm, extractable, usages) {
      const a = algorithmOf(algorithm, "importKey");
      if (!a.kind.formats.includes(format)) problem("NotSupportedError", `crypto.subtle.importKey: keys of ${a.name} are imported as ${list(a.kind.formats)}, not as ${JSON.stringify(String(format))}`);
      return (a.kind.secret ? importSecret : importPair)(format, data, a, extractable, [...usages]);
    }
    async exportKey(format, key) {
      if (!(key instanceof CryptoKey)) throw new TypeError("crypto.subtle.exportKey: the key must be a CryptoKey");
      const { formats, secret } = Algorithms[key.algorithm.name];
      if (!formats.includes(format)) problem("NotSupportedError", `crypto.subtle.exportKey: keys of ${key.algorithm.name} are exported as ${list(formats)}, not as ${JSON.stringify(String(format))}`);
      if (!key.extractable) problem("InvalidAccessError", "crypto.subtle.exportKey: the key is not extractable; import it with extractable = true");
      const more = { key_ops: [...key.usages], ext: key.extractable };
      if (!secret) {
        const out = call("crypto.export", format, materialOf(key));
        return format === "jwk" ? { ...JSON.parse(out), ...more } : out;
      }
      if (format === "raw") return materialOf(key).slice().buffer;
      const { name, hash, length } = key.algorithm;
      return { kty: "oct", k: call("crypto.base64url.text", materialOf(key)), alg: name === "HMAC" ? "HS" + hash.name.slice(4) : `A${length}GCM`, ...more };
    }
    async generateKey(algorithm, extractable, usages) {
      const { name, kind, given } = algorithmOf(algorithm, "generateKey", n => !isDeriver(n) && !n.startsWith("RSA"));
      usages = [...usages];
      if (kind.secret) {
        const blocks = { "SHA-384": 1024, "SHA-512": 1024 };
        const length = given.length ?? (name === "HMAC" ? blocks[hashOf(given)] ?? 512 : NaN);
        if (!(length >= 8 && length <= 65536 && length % 8 === 0)) problem("OperationError", "crypto.subtle.generateKey: the length must be a number of bits that makes whole bytes");
        const raw = new Uint8Array(call("crypto.random", String(length / 8)));
        return newKey(raw, "secret", extractable, secretOf(name, { ...given, length: undefined }, raw), usages, kind);
      }
      const pair = JSON.parse(call("crypto.generate", name, kind.curve ? named(Curves, given.namedCurve, "curve") : ""));
      const one = (text, type) => keyOf(text, name, kind, undefined, extractable, usages.filter(u => kind[type].includes(u)));
      const wrong = usages.find(u => !signs.includes(u));
      if (wrong !== undefined) problem("SyntaxError", `crypto.subtle.generateKey: keys of ${name} are for ${list(signs)}, not for ${JSON.stringify(wrong)}`);
      return { publicKey: one(pair.public, "public"), privateKey: one(pair.private, "private") };
    }
    async sign(algorithm, key, data) {
      const { name, given } = algorithmOf(algorithm, "sign", isSigner), material = allowed(key, name, "sign");
      return call("crypto.sign", ...signature(name, given, key), material, bytes(data, "the data"));
    }
    async verify(algorithm, key, signed, data) {
      const { name, given } = algorithmOf(algorithm, "verify", isSigner), material = allowed(key, name, "verify");
      return call("crypto.verify", ...signature(name, given, key), material, bytes(data, "the data"), bytes(signed, "the signature")) === "true";
    }
    async encrypt(algorithm, key, data) {
      const { name, given } = algorithmOf(algorithm, "encrypt", isCipher), material = allowed(key, name, "encrypt");
      return call("crypto.seal", material, ...sealing(given), bytes(data, "the data"));
    }
    async decrypt(algorithm, key, data) {
      const { name, given } = algorithmOf(algorithm, "decrypt", isCipher), material = allowed(key, name, "decrypt");
      return call("crypto.open", material, ...sealing(given), bytes(data, "the data"));
    }
    async deriveBits(algorithm, key, length) {
      const { name, given } = algorithmOf(algorithm, "deriveBits", isDeriver);
      return derived(given, length, name, allowed(key, name, "deriveBits"));
    }
    async deriveKey(algorithm, key, to, extractable, usages) {
      const { name, given } = algorithmOf(algorithm, "deriveKey", isDeriver), material = allowed(key, name, "deriveKey");
      const target = algorithmOf(to, "deriveKey", n => Algorithms[n].secret !== undefined);
      const length = target.given.length ?? (target.name === "HMAC" ? { "SHA-384": 1024, "SHA-512": 1024 }[hashOf(target.given)] ?? 512 : 256);
      return this.importKey("raw", derived(given, length, name, material), to, extractable, usages);
    }
    async wrapKey() { problem("NotSupportedError", "crypto.subtle.wrapKey: it is not there; export the key and encrypt it"); }
    async unwrapKey() { problem("NotSupportedError", "crypto.subtle.unwrapKey: it is not there; decrypt the key and import it"); }
  }

  const integers = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array];
  class Crypto {
    #subtle = new SubtleCrypto(made);
    constructor(by) { if (by !== made) throw new TypeError("Crypto: there is no constructor; use crypto"); }
    get subtle() { return this.#subtle; }
    getRandomValues(array) {
      if (!integers.some(kind => array instanceof kind)) {
        if (!ArrayBuffer.isView(array)) throw new TypeError("crypto.getRandomValues: its argument must be a typed array");
        problem("TypeMismatchError", "crypto.getRandomValues: the array must be one of integers");
      }
      if (array.byteLength > 65536) problem("QuotaExceededError", `crypto.getRandomValues: it gives 65536 bytes at most, not ${array.byteLength}; call it again for more`);
      bytesOf(array).set(new Uint8Array(call("crypto.random", String(array.byteLength))));
      return array;
    }
    randomUUID() { return call("crypto.uuid"); }
  }

  return { ...interfaces({ Crypto, CryptoKey, SubtleCrypto }), crypto: new Crypto(made) };
})
