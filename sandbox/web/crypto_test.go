package web

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func do(op string, arguments ...string) (string, error) {
	c := &Call{Stop: func() bool { return false }, Event: true}
	for _, a := range arguments {
		c.Arguments = append(c.Arguments, []byte(a))
	}
	r, err := c.Do(op)
	return string(r.Bytes), err
}

func must(t *testing.T, op string, arguments ...string) string {
	t.Helper()
	out, err := do(op, arguments...)
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	return out
}

func unhex(text string) string {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func unbase64(text string) string {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Keys and signatures of RFC 7515, A.2 and A.3, RFC 8037, A.1 and A.4.
const (
	keyRS256 = `{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`
	dataRS   = `eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ`
	signedRS = `cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw`
	keyES256 = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`
	dataES   = `eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ`
	signedES = `DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`
	keyEd    = `{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	dataEd   = `eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc`
	signedEd = `hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg`
)

func TestSignaturesOfOthersHold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ algorithm, hash, curve, key, data, signature string }{
		{"RSASSA-PKCS1-v1_5", "SHA-256", "", keyRS256, dataRS, signedRS},
		{"ECDSA", "SHA-256", "P-256", withoutD(keyES256), dataES, signedES},
		{"Ed25519", "", "", withoutD(keyEd), dataEd, signedEd},
	} {
		key := must(t, "crypto.import", "jwk", c.algorithm, c.curve, c.key)
		if got := must(t, "crypto.verify", c.algorithm, c.hash, "", key, c.data, unbase64(c.signature)); got != "true" {
			t.Errorf("%s: %s", c.algorithm, got)
		}
		for what, signature := range map[string]string{"changed": "x" + unbase64(c.signature)[1:], "short": unbase64(c.signature)[1:], "none": ""} {
			if got := must(t, "crypto.verify", c.algorithm, c.hash, "", key, c.data, signature); got != "false" {
				t.Errorf("%s, %s: %s", c.algorithm, what, got)
			}
		}
		if got := must(t, "crypto.verify", c.algorithm, c.hash, "", key, c.data+"x", unbase64(c.signature)); got != "false" {
			t.Errorf("%s, other data: %s", c.algorithm, got)
		}
		if _, err := do("crypto.sign", c.algorithm, c.hash, "", key, c.data); err == nil || err.Error() != "InvalidAccessError: the key is not one to sign with" {
			t.Errorf("%s: signed with a public key: %v", c.algorithm, err)
		}
	}
	key := must(t, "crypto.import", "jwk", "Ed25519", "", keyEd)
	if got := must(t, "crypto.sign", "Ed25519", "", "", key, dataEd); got != unbase64(signedEd) {
		t.Errorf("Ed25519 signed %x", got)
	}
}

func withoutD(key string) string {
	var k jwk
	if err := json.Unmarshal([]byte(key), &k); err != nil {
		panic(err)
	}
	k.D = ""
	b, err := json.Marshal(k)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// The figures are those of RFC 5869 (A.1), RFC 6070, RFC 7914 (section 11), RFC 4231 (4.3), and test case 4 of the GCM specification.
func TestVectors(t *testing.T) {
	t.Parallel()
	gcmKey, gcmIV, gcmMore := unhex("feffe9928665731c6d6a8f9467308308"), unhex("cafebabefacedbaddecaf888"), unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
	plain := unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
	sealed := "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"
	for _, c := range []struct {
		op        string
		arguments []string
		want      string
	}{
		{"crypto.hkdf", []string{"SHA-256", strings.Repeat("\x0b", 22), unhex("000102030405060708090a0b0c"), unhex("f0f1f2f3f4f5f6f7f8f9"), "42"}, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
		{"crypto.pbkdf2", []string{"SHA-1", "password", "salt", "4096", "20"}, "4b007901b765489abead49d926f721d065a429c1"},
		{"crypto.pbkdf2", []string{"SHA-1", "passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", "4096", "25"}, "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"},
		{"crypto.pbkdf2", []string{"SHA-256", "passwd", "salt", "1", "64"}, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"},
		{"crypto.pbkdf2", []string{"SHA-256", "p", "s", "1", "0"}, ""},
		{"crypto.sign", []string{"HMAC", "SHA-256", "", "Jefe", "what do ya want for nothing?"}, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
		{"crypto.sign", []string{"HMAC", "SHA-512", "", "Jefe", "what do ya want for nothing?"}, "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
		{"crypto.seal", []string{gcmKey, gcmIV, gcmMore, "128", plain}, sealed},
		{"crypto.seal", []string{gcmKey, gcmIV, gcmMore, "96", plain}, sealed[:len(sealed)-8]},
		{"crypto.open", []string{gcmKey, gcmIV, gcmMore, "128", unhex(sealed)}, hex.EncodeToString([]byte(plain))},
	} {
		if got := must(t, c.op, c.arguments...); hex.EncodeToString([]byte(got)) != c.want {
			t.Errorf("%s %.40q: %x, want %s", c.op, c.arguments, got, c.want)
		}
	}
}

func TestCryptoRefuses(t *testing.T) {
	t.Parallel()
	other, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(other.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	forged, err := json.Marshal(material{Type: "public", DER: der})
	if err != nil {
		t.Fatal(err)
	}
	ed := must(t, "crypto.import", "jwk", "Ed25519", "", keyEd)
	for _, c := range []struct {
		op        string
		arguments []string
		want      string
	}{
		{"crypto.digest", []string{strings.Repeat("\x00", 1<<20), "x"}, `NotSupportedError: there is no hash "`},
		{"crypto.random", []string{strings.Repeat("9", 1<<20)}, `OperationError: what is drawn is a whole number`},
		{"crypto.generate", []string{strings.Repeat("\x00", 1<<20), ""}, "NotSupportedError: keys of "},
		{"crypto.export", []string{strings.Repeat("\x00", 1<<20), ed}, "InvalidAccessError: a private key cannot be exported as "},
		{"text.decode", []string{"x", strings.Repeat("\x00", 1<<20)}, "NotSupportedError: no decoder of "},
		{"form.parts", []string{"x", strings.Repeat("\x00", 1<<20)}, "SyntaxError: the boundary "},
		{"crypto.nothing", nil, `NotSupportedError: the host does not know "crypto.nothing"`},
		{"crypto.random", []string{"65537"}, `OperationError: what is drawn is a whole number from 0 to 65536, not "65537"`},
		{"crypto.random", []string{"-1"}, `not "-1"`},
		{"crypto.import", []string{"spki", "Ed25519", "", string(der)}, "DataError: the key is not one of Ed25519"},
		{"crypto.import", []string{"spki", "", "", string(der)}, "DataError: the key is not one of "},
		{"crypto.import", []string{"pkcs8", "RSA-PSS", "", strings.Repeat("x", maxKeySize+1)}, "DataError: crypto.subtle.importKey: a key has 16384 bytes at most, not 16385"},
		{"crypto.import", []string{"der", "RSA-PSS", "", "x"}, `there is no format "der"`},
		{"crypto.import", []string{"jwk", "RSA-PSS", "", keyEd}, "DataError: the key is not one of RSA-PSS"},
		{"crypto.import", []string{"jwk", "ECDSA", "P-384", keyES256}, "the key is on the curve P-256, not on P-384"},
		{"crypto.import", []string{"jwk", "Ed25519", "", strings.Replace(keyEd, "11qY", "21qY", 1)}, "its d does not belong to its x"},
		{"crypto.import", []string{"jwk", "ECDSA", "P-256", strings.Replace(keyES256, "jpsQ", "kpsQ", 1)}, "its d does not belong to its x and y"},
		{"crypto.import", []string{"jwk", "ECDSA", "P-256", strings.Replace(keyES256, "f83O", "g83O", 1)}, "it is not a key as jwk"}, // not on the curve
		{"crypto.import", []string{"jwk", "RSA-PSS", "", strings.Replace(keyRS256, `"n":"`, `"n":"`+strings.Repeat("_", 1000), 1)}, "the limits are 4096 and 31"},
		{"crypto.import", []string{"jwk", "RSA-PSS", "", strings.Replace(keyRS256, "AQAB", "____________", 1)}, "the limits are 4096 and 31"},
		{"crypto.import", []string{"jwk", "RSA-PSS", "", `{"kty":"RSA","n":"__8","e":"AQAB"}`}, "NotSupportedError: a key of 16 bits is less than the 1024 that protect anything"},
		{"crypto.import", []string{"jwk", "RSA-PSS", "", strings.Replace(keyRS256, "AQAB", "Ag", 1)}, "DataError: the exponent 2 is not one of RSA"},
		{"crypto.import", []string{"jwk", "RSA-PSS", "", `{"kty":"oct","k":"AQ"}`}, `its kty is "oct"`},
		{"crypto.import", []string{"jwk", "RSA-PSS", "", strings.Replace(keyRS256, "AQAB", "=!", 1)}, `its "e" is not base64url`},
		{"crypto.import", []string{"raw", "Ed25519", "", "short"}, "a public key of Ed25519 has 32 bytes, not 5"},
		{"crypto.export", []string{"jwk", string(forged)}, "the key is damaged: it is a *ecdh.PublicKey"},
		{"crypto.export", []string{"jwk", "{"}, "the key is damaged: unexpected end of JSON input"},
		{"crypto.export", []string{"spki", ed}, "InvalidAccessError: a private key cannot be exported as spki"},
		{"crypto.export", []string{"raw", ed}, "InvalidAccessError: a private key cannot be exported as raw"},
		{"crypto.verify", []string{"Ed25519", "", "", string(forged), "", ""}, "the key is damaged"},
		{"crypto.sign", []string{"HMAC", "MD5", "", "k", "d"}, `NotSupportedError: there is no hash "MD5"`},
		{"crypto.sign", []string{"RSA-PSS", "SHA-256", "0", "k", "d"}, "signatures without salt are not there"},
		{"crypto.sign", []string{"Ed25519", "", "", ed, strings.Repeat("x", maxSealed+1)}, "16777217 bytes are more than the 16777216 that Ed25519 signs in one piece"},
		{"crypto.seal", []string{"short", "iv", "", "128", "x"}, "OperationError: crypto/aes: invalid key size 5"},
		{"crypto.seal", []string{strings.Repeat("k", 16), "", "", "128", "x"}, "the iv is empty; it has 12 bytes that were never used with the key"},
		{"crypto.seal", []string{strings.Repeat("k", 16), "iv", "", "96", "x"}, "a tagLength of 96 with an iv of 2 bytes is not there; take 128"},
		{"crypto.seal", []string{strings.Repeat("k", 16), "iv", "", "128", strings.Repeat("x", maxSealed+1)}, "are more than the 16777216 that are encrypted in one piece"},
		{"crypto.open", []string{strings.Repeat("k", 16), "iv", "", "128", "x"}, "OperationError: it cannot be decrypted"},
		{"crypto.hkdf", []string{"SHA-1", "k", "s", "i", "5101"}, "OperationError"}, // 255 times the hash, RFC 5869
		{"crypto.hkdf", []string{"SHA-1", "k", "s", strings.Repeat("i", maxMixedIn+1), "64"}, "OperationError: the info has 65537 bytes, the limit is 65536"},
		{"crypto.pbkdf2", []string{"SHA-1", "p", strings.Repeat("s", maxMixedIn+1), "1", "64"}, "OperationError: the salt has 65537 bytes, the limit is 65536"},
		{"crypto.seal", []string{strings.Repeat("k", 16), "iv", strings.Repeat("a", maxSealed), "128", "x"}, "are more than the 16777216 that are encrypted in one piece"},
		{"crypto.pbkdf2", []string{"SHA-1", "p", "s", "0", "1"}, "OperationError: iterations is a number from 1 on"},
		{"crypto.pbkdf2", []string{"SHA-1", "p", "s", "1", "65537"}, `the length in bytes is a whole number from 0 to 65536, not "65537"`},
		{"crypto.generate", []string{"RSA-PSS", ""}, "keys of RSA-PSS are not generated here"},
		{"crypto.generate", []string{"ECDSA", "P-224"}, `there is no curve "P-224"`},
		{"crypto.base64url", []string{"a!"}, "DataError: it is not base64url"},
	} {
		out, err := do(c.op, c.arguments...)
		var e *Exception
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 1000 {
			t.Errorf("%s %.60q: %q %.200v, want %s", c.op, c.arguments, out, err, c.want)
		}
	}
}

// A script whose time is over gets no more work out of the host than one piece.
func TestCryptoStops(t *testing.T) {
	t.Parallel()
	for op, arguments := range map[string][]string{
		"crypto.pbkdf2": {"SHA-512", "p", "s", "2147483647", "65536"},
		"crypto.digest": {"SHA-512", strings.Repeat("x", 8<<20)},
	} {
		looks := 0
		c := &Call{Stop: func() bool { looks++; return looks > 1 }}
		for _, a := range arguments {
			c.Arguments = append(c.Arguments, []byte(a))
		}
		if _, err := c.Do(op); err != nil || looks > 3 { // a test that went on would not end today
			t.Errorf("%s: looked %d times; %v", op, looks, err)
		}
	}
}

// What is imported can be exported again and is the same key; nothing that is not one panics.
func FuzzImportKey(f *testing.F) {
	f.Add("jwk", "RSASSA-PKCS1-v1_5", "", []byte(keyRS256))
	f.Add("jwk", "ECDSA", "P-256", []byte(keyES256))
	f.Add("jwk", "Ed25519", "", []byte(keyEd))
	f.Add("raw", "Ed25519", "", bytes.Repeat([]byte{1}, 32))
	for _, k := range []struct{ algorithm, curve, key string }{{"ECDSA", "P-256", keyES256}, {"Ed25519", "", keyEd}} {
		m, err := do("crypto.import", "jwk", k.algorithm, k.curve, k.key)
		if err != nil {
			f.Fatal(err)
		}
		der, err := do("crypto.export", "pkcs8", m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("pkcs8", k.algorithm, k.curve, []byte(der))
	}
	f.Fuzz(func(t *testing.T, format, algorithm, curve string, key []byte) {
		m, err := do("crypto.import", format, algorithm, curve, string(key))
		if err != nil {
			if e := (*Exception)(nil); !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		exported := 0
		for _, format := range []string{"jwk", "spki", "pkcs8", "raw"} {
			out, err := do("crypto.export", format, m)
			if err != nil {
				continue
			}
			exported++
			if again, err := do("crypto.import", format, algorithm, curve, out); err != nil || again != m {
				t.Errorf("%s of it: %s %v, not %s", format, again, err, m)
			}
		}
		if exported < 2 {
			t.Errorf("%s is exported in %d formats", m, exported)
		}
	})
}

// Whatever a script says to the host, the host answers or throws.
func FuzzCrypto(f *testing.F) {
	f.Add("crypto.sign", "HMAC", "SHA-256", "32", []byte("key"), []byte("data"), []byte(""))
	f.Add("crypto.verify", "Ed25519", "", "", []byte(`{"type":"public","der":"MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}`), []byte(dataEd), []byte(unbase64(signedEd)))
	f.Add("crypto.seal", "0123456789abcdef", "0123456789ab", "", []byte("128"), []byte("data"), []byte(""))
	f.Add("crypto.pbkdf2", "SHA-1", "password", "salt", []byte("2"), []byte("20"), []byte(""))
	f.Add("crypto.export", "jwk", "{}", "", []byte(""), []byte(""), []byte(""))
	f.Fuzz(func(t *testing.T, op, a, b, c string, d, e, g []byte) {
		looks := 0
		call := &Call{Arguments: [][]byte{[]byte(a), []byte(b), []byte(c), d, e, g}, Event: true, Stop: func() bool { looks++; return looks > 4 }}
		if _, err := call.Do(op); err != nil {
			if e := (*Exception)(nil); !errors.As(err, &e) {
				t.Fatalf("%T %v", err, err)
			}
		}
	})
}
