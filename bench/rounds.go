package main

import "context"

// roundCase is one or more rows that are measured together. All cases take turns, round by round.
type roundCase interface {
	round(context.Context) error
	rows() []row
}

// inRounds measures cases in turn.
func (s *session) inRounds(ctx context.Context, cases []roundCase) (rows []row, err error) {
	for round := range s.rounds {
		s.say("round %d of %d", round+1, s.rounds)
		for _, c := range cases {
			if err := c.round(ctx); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range cases {
		rows = append(rows, c.rows()...)
	}
	return rows, nil
}
