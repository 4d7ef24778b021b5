package auth

import (
	"regexp"
	"strings"
	"testing"
)

func TestSecretsLookAsPromised(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^ev[tk]_[a-z2-7]{16}_[a-z2-7]{52}$`)
	seen := map[string]bool{}
	for range 100 {
		for _, prefix := range []string{TokenPrefix, KeyPrefix} {
			text, id := NewSecret(prefix)
			if !form.MatchString(text) || !strings.HasPrefix(text, prefix) || seen[text] || seen[id] {
				t.Fatalf("secret %q", text)
			}
			seen[text], seen[id] = true, true
			if got, ok := SecretID(prefix, text); !ok || got != id {
				t.Errorf("id of %q is %q, %v", text, got, ok)
			}
			if !Matches(text, Hash(text)) || Matches(text+"a", Hash(text)) || Matches(text, nil) {
				t.Errorf("%q does not match its hash, or another does", text)
			}
		}
	}
}

func TestWhatIsNoSecret(t *testing.T) {
	t.Parallel()
	key, _ := NewSecret(KeyPrefix)
	for _, text := range []string{"", "evk_", key[:len(key)-1], key + "a", strings.ToUpper(key), strings.Replace(key, "_", "-", 2), "evt_" + key[4:], strings.Repeat("a", 1<<20)} {
		if id, ok := SecretID(KeyPrefix, text); ok {
			t.Errorf("%.80q has the id %q", text, id)
		}
	}
}

func FuzzSecretID(f *testing.F) {
	key, _ := NewSecret(KeyPrefix)
	f.Add(key)
	f.Add("evk_")
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := SecretID(KeyPrefix, text)
		if ok && (len(id) != idLength || !strings.HasPrefix(text, KeyPrefix+id+"_")) {
			t.Errorf("%q: id %q", text, id)
		}
	})
}
