package filter

import (
	"slices"
	"strings"

	cesql "github.com/cloudevents/sdk-go/sql/v2"
	"github.com/cloudevents/sdk-go/sql/v2/utils"
	ce "github.com/cloudevents/sdk-go/v2/event"
)

// like is LIKE of CESQL. That of the SDK goes back in the text for each character of the pattern, and CONCAT makes texts of megabytes: seconds for one event.
type like struct {
	of     cesql.Expression
	pieces []piece // between the % of the pattern; the first begins the text, the last ends it
}

var _ cesql.Expression = (*like)(nil)

func newLike(of cesql.Expression, pattern string) *like {
	l := &like{of: of}
	var text []byte
	var open []int
	for i := 0; i <= len(pattern); i++ {
		switch {
		case i == len(pattern), pattern[i] == '%':
			l.pieces = append(l.pieces, newPiece(string(text), open))
			text, open = text[:0], nil
			continue
		case pattern[i] == '_':
			open = append(open, len(text))
		case pattern[i] == '\\' && i+1 < len(pattern) && (pattern[i+1] == '%' || pattern[i+1] == '_'):
			i++
		}
		text = append(text, pattern[i])
	}
	return l
}

// Evaluate is that of the SDK.
func (l *like) Evaluate(e ce.Event) (any, error) {
	v, err := l.of.Evaluate(e)
	if err == nil {
		v, err = utils.Cast(v, cesql.StringType)
	}
	if err != nil {
		return false, err
	}
	return l.match(v.(string)), nil
}

func (l *like) match(text string) bool {
	first, rest := &l.pieces[0], l.pieces[1:]
	if len(text) < len(first.text) || !first.at(text) {
		return false
	}
	text = text[len(first.text):]
	if len(rest) == 0 {
		return text == ""
	}
	for i := range rest[:len(rest)-1] {
		end := rest[i].find(text)
		if end < 0 {
			return false
		}
		text = text[end:]
	}
	last := &rest[len(rest)-1]
	return len(text) >= len(last.text) && last.at(text[len(text)-len(last.text):])
}

// piece is a part of a pattern, which a part of a text of the same length fits.
type piece struct {
	text string
	open []int // the bytes of it that are a _, which any byte of a text fits

	// Of one with a _: the bits of the bytes of it that a byte of a text fits; others fit the open ones alone.
	fits   map[byte][]uint64
	others []uint64
}

func newPiece(text string, open []int) piece {
	p := piece{text: text, open: open}
	if open == nil {
		return p
	}
	p.others, p.fits = make([]uint64, (len(text)+63)/64), map[byte][]uint64{}
	for _, i := range open {
		p.others[i/64] |= 1 << (i % 64)
	}
	for i := range len(text) {
		if len(open) > 0 && open[0] == i {
			open = open[1:]
			continue
		}
		c := text[i]
		if p.fits[c] == nil {
			p.fits[c] = slices.Clone(p.others)
		}
		p.fits[c][i/64] |= 1 << (i % 64)
	}
	return p
}

// at says whether a text, which is long enough, begins with the piece.
func (p *piece) at(text string) bool {
	from := 0
	for _, i := range p.open {
		if text[from:i] != p.text[from:i] {
			return false
		}
		from = i + 1
	}
	return text[from:len(p.text)] == p.text[from:]
}

// find is the end of the first part of a text that fits, −1 for none. With a _ in it, all places of the piece are looked at together, a bit each (shift-and).
func (p *piece) find(text string) int {
	if p.open == nil {
		if i := strings.Index(text, p.text); i >= 0 {
			return i + len(p.text)
		}
		return -1
	}
	last := len(p.text) - 1
	state := make([]uint64, len(p.others))
	for i := range len(text) {
		fits := p.fits[text[i]]
		if fits == nil {
			fits = p.others
		}
		carry := uint64(1)
		for w, bits := range state {
			state[w] = (bits<<1 | carry) & fits[w]
			carry = bits >> 63
		}
		if state[last/64]>>(last%64)&1 != 0 {
			return i + 1
		}
	}
	return -1
}
