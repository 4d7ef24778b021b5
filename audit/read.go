package audit

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/evoke-run/evoke/api"
)

// Read answers the newest changes, at most limit of them and none before since, the oldest first. damaged counts the lines that could not be read.
func (l *Log) Read(since time.Time, limit int) (changes []api.Audit, damaged int, err error) {
	files, err := l.files()
	if err != nil {
		return nil, 0, err
	}
	r := reader{outcomes: map[string]outcome{}}
	for _, file := range slices.Backward(files) {
		if len(r.changes) >= limit || r.older {
			break
		}
		if err := r.file(file, since); err != nil {
			return nil, 0, err
		}
	}
	return r.changes[max(0, len(r.changes)-limit):], r.damaged, nil
}

// reader goes back from file to file: the outcome of a change may be in the file behind it.
type reader struct {
	changes  []api.Audit
	outcomes map[string]outcome
	damaged  int
	older    bool // a change before since was seen
}

func (r *reader) file(path string, since time.Time) error {
	var here []api.Audit
	err := lines(path, func(line []byte) {
		var l struct {
			api.Audit
			Of string `json:"of"`
		}
		switch err := json.Unmarshal(line, &l); {
		case len(line) == 0:
		case err != nil || (l.ID == "") == (l.Of == ""):
			r.damaged++
		case l.Of != "":
			r.outcomes[l.Of] = outcome{l.Of, l.Status, l.Problem}
		case l.Time.Before(since):
			r.older = true
		default:
			here = append(here, l.Audit)
		}
	})
	for i := range here {
		if o, ok := r.outcomes[here[i].ID]; ok {
			here[i].Status, here[i].Problem = o.Status, o.Problem
		}
	}
	r.changes = append(here, r.changes...)
	return err
}
