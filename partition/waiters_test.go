package partition

import (
	"context"
	"errors"
	"testing"
)

func TestWaitersGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	var w waiters
	a, b, c := w.add(7), w.add(8), w.add(9)
	w.answer(6, result{count: 6}) // of an earlier one, again
	w.answer(7, result{count: 7})
	w.answer(7, result{count: 70}) // the driver delivers a record twice
	w.answer(9, result{count: 9})
	w.answer(10, result{count: 10}) // nobody waits
	if got := <-a; got.count != 7 {
		t.Errorf("the first got %+v", got)
	}
	if got := <-c; got.count != 9 {
		t.Errorf("the third got %+v", got)
	}
	w.answer(8, result{count: 8})
	if got := <-b; got.count != 8 {
		t.Errorf("the second got %+v", got)
	}
	if len(w.line) != 0 {
		t.Errorf("%d are left", len(w.line))
	}
}

func TestWaitersAreToldOfTheEnd(t *testing.T) {
	t.Parallel()
	p := &partition{}
	a, b := p.waiters.add(1), p.waiters.add(2)
	p.waiters.answer(1, result{count: 1})
	p.waiters.end(result{closed: true})
	if got, err := p.wait(context.Background(), a); err != nil || got.count != 1 {
		t.Errorf("what was answered before: %+v, %v", got, err)
	}
	if _, err := p.wait(t.Context(), b); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := p.wait(t.Context(), p.waiters.add(3)); !errors.Is(err, ErrClosed) {
		t.Errorf("who comes later: %v", err)
	}
}

func TestWaiterWhoGivesUpLeavesNothingForTheNext(t *testing.T) {
	t.Parallel()
	p := &partition{}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.wait(gone, p.waiters.add(1)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	next := p.waiters.add(2)
	p.waiters.answer(1, result{count: 1})
	p.waiters.answer(2, result{count: 2})
	if got, err := p.wait(t.Context(), next); err != nil || got.count != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}
