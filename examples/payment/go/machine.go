package main

import (
	"errors"
	"fmt"
	"slices"
)

// status is where a payment is.
//
//	         authorize             capture              refund of all
//	created ───────────► authorized ───────► captured ───────────────► refunded
//	   │                     │                  └─┘ refund of a part
//	   └─────────► cancelled ◄┘ cancel
type status string

const (
	none       status = "none" // before it is created
	created    status = "created"
	authorized status = "authorized"
	captured   status = "captured"
	refunded   status = "refunded"
	cancelled  status = "cancelled"
)

// payment is the state that is kept of one, and with Last left out the data of an event on payments.events.
type payment struct {
	Status   status `json:"status"`
	Currency string `json:"currency"`
	Cents    int    `json:"cents"` // what was asked for; once captured, what was captured
	Refunded int    `json:"refunded"`
	Version  int    `json:"version"` // counts the changes
	// Last are the ids of the newest commands that were obeyed.
	Last []string `json:"last,omitempty"`
}

// command is the data of one. Which fields it has its kind says.
type command struct {
	Currency string `json:"currency"`
	Cents    int    `json:"cents"` // of capture and refund 0 is all that is left
}

// rule says from where a command leads on, and how.
type rule struct {
	from  []status
	apply func(p *payment, c command) error
}

// rules are the whole machine.
var rules = map[string]rule{
	"create":    {[]status{none}, (*payment).create},
	"authorize": {[]status{created}, func(p *payment, _ command) error { p.Status = authorized; return nil }},
	"capture":   {[]status{authorized}, (*payment).capture},
	"refund":    {[]status{captured}, (*payment).refund},
	"cancel":    {[]status{created, authorized}, func(p *payment, _ command) error { p.Status = cancelled; return nil }},
}

// obey changes the payment as a command of a kind asks for, or says why that cannot be.
func (p *payment) obey(kind string, c command) error {
	r, known := rules[kind]
	switch {
	case !known:
		return fmt.Errorf("nobody can %s a payment", kind)
	case !slices.Contains(r.from, p.Status) && p.Status == none:
		return fmt.Errorf("cannot %s a payment that does not exist", kind)
	case !slices.Contains(r.from, p.Status):
		return fmt.Errorf("cannot %s a payment that is %s", kind, p.Status)
	}
	if err := r.apply(p, c); err != nil {
		return err
	}
	p.Version++
	return nil
}

func (p *payment) create(c command) error {
	if c.Cents <= 0 || len(c.Currency) != 3 {
		return errors.New("a payment needs cents above 0 and a currency like EUR")
	}
	p.Status, p.Cents, p.Currency = created, c.Cents, c.Currency
	return nil
}

func (p *payment) capture(c command) error {
	cents, err := part(c.Cents, p.Cents, "authorized")
	if err != nil {
		return err
	}
	p.Status, p.Cents = captured, cents
	return nil
}

func (p *payment) refund(c command) error {
	cents, err := part(c.Cents, p.Cents-p.Refunded, "left")
	if err != nil {
		return err
	}
	if p.Refunded += cents; p.Refunded == p.Cents {
		p.Status = refunded
	}
	return nil
}

// part is a part of an amount; 0 stands for all of it.
func part(cents, of int, what string) (int, error) {
	switch {
	case cents == 0:
		return of, nil
	case cents < 0 || cents > of:
		return 0, fmt.Errorf("%d cents are not within the %d that are %s", cents, of, what)
	}
	return cents, nil
}
