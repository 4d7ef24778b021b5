package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// payload is one webhook and what must come of it.
type payload struct {
	event    string // the X-GitHub-Event header
	delivery string // the X-GitHub-Delivery header, a UUID
	body     []byte

	typ     string // of the CloudEvent
	subject string
	broken  bool // the first revision of audit fails for it
}

// loadPayloads reads the payloads of the example. The order is the same every time, and mixed. The ones that audit fails for come in the middle, so
// that their retries are under way when the runtime is killed.
func loadPayloads(example string) ([]payload, error) {
	files, err := filepath.Glob(filepath.Join(example, "payloads", "*.jsonl"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no payloads in %s; run the demo at the top of the repository, or say -example", filepath.Join(example, "payloads"))
	}
	var good, broken []payload
	for _, file := range files {
		lines, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		event := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		for line := range bytes.Lines(lines) {
			p, err := newPayload(event, bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				return nil, fmt.Errorf("payload in %s: %w", file, err)
			}
			if p.broken {
				broken = append(broken, p)
			} else {
				good = append(good, p)
			}
		}
	}
	slices.SortFunc(good, func(a, b payload) int { return strings.Compare(a.delivery, b.delivery) }) // a hash: as good as a shuffle
	return slices.Insert(good, len(good)/2, broken...), nil
}

// newPayload works out what the functions of the example must make of a payload, without their code.
func newPayload(event string, body []byte) (payload, error) {
	var b struct {
		Action     string
		Repository *struct {
			FullName string `json:"full_name"`
		}
		Organization *struct{ Login string }
		HeadCommit   json.RawMessage `json:"head_commit"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return payload{}, err
	}
	p := payload{event: event, delivery: uuid(event, body), body: body, typ: "com.github." + event, subject: "github"}
	if b.Action != "" {
		p.typ += "." + b.Action
	}
	if b.Organization != nil {
		p.subject = b.Organization.Login
	}
	if b.Repository != nil {
		p.subject = b.Repository.FullName
	}
	p.broken = event == "push" && (b.HeadCommit == nil || string(b.HeadCommit) == "null")
	return p, nil
}

// uuid is the same for the same payload, and looks like the ones of GitHub.
func uuid(event string, body []byte) string {
	h := sha256.Sum256(slices.Concat([]byte(event), []byte{'\n'}, body))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
