package quickjs

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

func TestTheEngineIsTheOneThatIsNamed(t *testing.T) {
	t.Parallel()
	if sum := sha256.Sum256(Wasm); hex.EncodeToString(sum[:]) != Digest {
		t.Errorf("quickjs.wasm is %x and should be %s; run go generate ./sandbox/quickjs", sum, Digest)
	}
}
