package api

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// Position is a place in a topic as people write it. The zero value is the head: "latest".
type Position struct {
	Earliest bool
	Time     time.Time     // when events were stored; UTC
	Back     time.Duration // so long before now, above zero
	Token    *Token
}

// ParsePosition reads "latest", "earliest", a time like 2026-01-31T12:00:00Z, a time span back from now like -2h, or a token of `fnctl topic tail`. "" is latest.
func ParsePosition(s string) (Position, error) {
	switch {
	case s == "" || s == "latest":
		return Position{}, nil
	case s == "earliest":
		return Position{Earliest: true}, nil
	case strings.HasPrefix(s, "-"):
		d, err := ParseDuration(s[1:])
		if err != nil || d == 0 {
			return Position{}, fmt.Errorf("%q is not a time span back from now; try -2h or -7d", s)
		}
		return Position{Back: d}, nil
	case strings.HasPrefix(s, tokenPrefix):
		t, err := ParseToken(s)
		return Position{Token: &t}, err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return Position{}, fmt.Errorf("%q is no position; it is latest, earliest, a time like 2026-01-31T12:00:00Z, a time span back from now like -2h, or a token of fnctl topic tail -o wide", s)
	}
	return Position{Time: t.UTC()}, nil
}

// Resolve is the position as text that means the same for ever: a time span back becomes a time, latest becomes "".
func (p Position) Resolve(now time.Time) string {
	switch {
	case p.Earliest:
		return "earliest"
	case p.Token != nil:
		return p.Token.String()
	case p.Back > 0:
		return now.Add(-p.Back).UTC().Format(time.RFC3339Nano)
	case !p.Time.IsZero():
		return p.Time.Format(time.RFC3339Nano)
	}
	return ""
}

// Token is an exact position in a topic, between two of its events. It is good in the data directory that made it and in restored copies of that.
type Token struct {
	Directory        uint64 // that it is of
	Namespace, Topic string
	Offsets          []uint64 // by partition: the next offset
}

const (
	tokenPrefix  = "pos"
	tokenVersion = "1"
)

// String is letters, digits, - and _, about 100 characters: the version, and in base64 the fields and their checksum.
func (t Token) String() string {
	b := binary.BigEndian.AppendUint64(nil, t.Directory)
	for _, s := range [...]string{t.Namespace, t.Topic} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	b = binary.AppendUvarint(b, uint64(len(t.Offsets)))
	for _, offset := range t.Offsets {
		b = binary.AppendUvarint(b, offset)
	}
	b = binary.BigEndian.AppendUint32(b, tokenSum(b))
	return tokenPrefix + tokenVersion + "-" + base64.RawURLEncoding.EncodeToString(b)
}

func tokenSum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// ParseToken reads what String writes. It cannot know whether the token fits a topic or a data directory.
func ParseToken(s string) (Token, error) {
	version, text, ok := strings.Cut(strings.TrimPrefix(s, tokenPrefix), "-")
	if n, err := strconv.Atoi(version); !ok || err != nil || n < 1 {
		return Token{}, fmt.Errorf("%q is not a token; copy one from fnctl topic tail -o wide", clipped(s))
	}
	if version != tokenVersion {
		return Token{}, fmt.Errorf("the token %q has version %s, this program reads %s: a newer one made it", clipped(s), version, tokenVersion)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") || len(b) < 4 || tokenSum(b[:len(b)-4]) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return Token{}, fmt.Errorf("the token %q is cut or has a wrong character; copy it whole", clipped(s))
	}
	t, err := readToken(b[:len(b)-4])
	if err != nil {
		return Token{}, fmt.Errorf("the token %q: %w", clipped(s), err)
	}
	return t, nil
}

func readToken(b []byte) (t Token, err error) {
	if len(b) < 8 {
		return Token{}, errShortToken
	}
	t.Directory, b = binary.BigEndian.Uint64(b), b[8:]
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			err, b = errShortToken, nil
			return 0
		}
		b = b[n:]
		return v
	}
	text := func() string {
		n := number()
		if n > uint64(len(b)) {
			err, b = errShortToken, nil
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	t.Namespace, t.Topic = text(), text()
	for n := number(); n > 0 && err == nil; n-- {
		t.Offsets = append(t.Offsets, number())
	}
	if err == nil && len(b) > 0 {
		err = errors.New("has more in it than a token")
	}
	if err != nil {
		return Token{}, err
	}
	return t, nil
}

var errShortToken = errors.New("has less in it than a token")

func clipped(s string) string {
	const limit = 24
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}

// Replay is a replay that was asked for: the newest of its trigger.
type Replay struct {
	// ID grows with each replay of the trigger.
	ID uint64 `json:"id"`
	// From and To are positions, a To of "" is where the trigger was when it was asked for.
	From string `json:"from"`
	To   string `json:"to,omitempty"`
}

// ReplayRequest asks for a replay: POST /api/v1/ns/{ns}/triggers/{trigger}/replay.
type ReplayRequest struct {
	// From is a position: "earliest", a time, a time span back from now like "-2h", or a token.
	From string `json:"from"`
	// To is one too, "" for now; what is stored at it or later is not handed out.
	To string `json:"to,omitempty"`
	// DryRun only counts.
	DryRun bool `json:"dryRun,omitempty"`
}

// Replayed answers a replay.
type Replayed struct {
	Trigger string `json:"trigger"`
	From    string `json:"from"` // resolved: a time span has become a time
	To      string `json:"to,omitempty"`
	DryRun  bool   `json:"dryRun,omitempty"`
	// Events were handed to the trigger again, or would be.
	Events int `json:"events"`
	// Pending and DeadLetters of the range are left alone; only a dry run counts them.
	Pending     int `json:"pending,omitempty"`
	DeadLetters int `json:"deadLetters,omitempty"`
	// Finished says that the whole range was looked through. If not, it goes on, also after a restart, and Events is what there was so far.
	Finished bool `json:"finished"`
}

// Paused answers a pause or resume.
type Paused struct {
	Triggers []PausedTrigger `json:"triggers"`
}

// PausedTrigger is a trigger as it is after a pause or resume.
type PausedTrigger struct {
	Name string `json:"name"`
	// PausedSince is when it was paused; absent when it is not.
	PausedSince time.Time `json:"pausedSince,omitzero"`
	// Changed is false for one that had been so before.
	Changed bool `json:"changed"`
	// Pending events wait in it.
	Pending int `json:"pending"`
}
