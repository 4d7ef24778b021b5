package web

import "fmt"

// Exception is what a script finds thrown: a DOMException of that name.
type Exception struct{ Name, Message string }

func (e *Exception) Error() string { return e.Name + ": " + e.Message }

func fail(name, format string, arguments ...any) *Exception {
	return &Exception{name, fmt.Sprintf(format, arguments...)}
}

// Call is one call of a file of this package into Go.
type Call struct {
	Arguments [][]byte    // strings and bytes; good until Do returns
	Stop      func() bool // says that the script's time is over; what takes long asks now and then
	Event     bool        // there is an event: what is drawn at random is not for a snapshot
}

// argument is the nth, nil when there is none.
func (c *Call) argument(n int) []byte {
	if n < len(c.Arguments) {
		return c.Arguments[n]
	}
	return nil
}

func (c *Call) text(n int) string { return string(c.argument(n)) }

// word is an argument that names something: as much of it as any name has, so that what is said of one that is none does not grow with it.
func (c *Call) word(n int) string {
	const longest = 64
	b := c.argument(n)
	return string(b[:min(len(b), longest)])
}

// Result is what comes of a call: text when Text is set, else bytes.
type Result struct {
	Bytes []byte
	Text  bool
}

// calls are what there is to call, by name. What fails does so by an *Exception.
var calls = map[string]func(*Call) (Result, error){
	"text.encode": encodeText,
	"text.decode": decodeText,
	"url.parse":   parseURL,
	"url.set":     setURL,
	"url.decode":  decodeURLPart,
	"form.parts":  formParts,

	"crypto.random":         cryptoRandom,
	"crypto.uuid":           cryptoUUID,
	"crypto.digest":         cryptoDigest,
	"crypto.base64url":      decodeBase64URL,
	"crypto.base64url.text": encodeBase64URL,
	"crypto.import":         importKey,
	"crypto.export":         exportKey,
	"crypto.generate":       generateKey,
	"crypto.sign":           cryptoSign,
	"crypto.verify":         cryptoVerify,
	"crypto.seal":           cryptoSeal,
	"crypto.open":           cryptoOpen,
	"crypto.hkdf":           cryptoHKDF,
	"crypto.pbkdf2":         cryptoPBKDF2,
}

// Do does what a call named op asks for.
func (c *Call) Do(op string) (Result, error) {
	f := calls[op]
	if f == nil {
		return Result{}, fail("NotSupportedError", "the host does not know %q", op)
	}
	return f(c)
}
