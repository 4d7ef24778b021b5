package registry

import "errors"

var (
	// ErrNotFound: there is no such function, topic, secret or module.
	ErrNotFound = errors.New("not found")
	// ErrConflict: someone else holds what was to be changed, or changed it at the same time.
	ErrConflict = errors.New("conflict")
	// ErrInUse: something needs what was to be removed.
	ErrInUse = errors.New("in use")
	// ErrDigest: a digest has the wrong form, or bytes do not hash to it.
	ErrDigest = errors.New("digest does not match")
	// ErrTooLarge: a module is over the limit.
	ErrTooLarge = errors.New("too large")
)
