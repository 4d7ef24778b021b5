package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/evoke-run/evoke/api"
	"github.com/evoke-run/evoke/rules"
)

// checkIssuers refuses those that this node would not ask for their keys.
func (s *Server) checkIssuers(app api.App) error {
	check := func(path string, a *api.Auth) error {
		if a == nil {
			return nil
		}
		for _, rule := range a.Any {
			if rule.JWT == nil {
				continue
			}
			if err := s.verifier.CheckRule(rule.JWT); err != nil {
				return &rules.InvalidError{Faults: []api.Fault{{Field: path + ".auth", Problem: err.Error()}}}
			}
		}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(app.Topics)) {
		if err := check("topics."+name, app.Topics[name].Auth); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(app.Functions)) {
		for i, t := range app.Functions[name].Triggers {
			if t.HTTP == nil {
				continue
			}
			if err := check(fmt.Sprintf("functions.%s.on[%d].http", name, i), t.HTTP.Auth); err != nil {
				return err
			}
		}
	}
	return nil
}

// askTimeout is how long a deploy waits for issuers, all together.
const askTimeout = 3 * time.Second

// askIssuers fetches the keys of those that functions name, so that the first call does not wait for them, and a name that is wrong is seen at once. That it is
// down now is no reason to refuse a deploy.
func (s *Server) askIssuers(ctx context.Context, app api.App, deployed *api.Deployed) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTimeout, errors.New("issuers take too long"))
	defer cancel()
	for i := range deployed.Functions {
		f := &deployed.Functions[i]
		for _, t := range app.Functions[f.Name].Triggers {
			if t.HTTP == nil || t.HTTP.Auth == nil {
				continue
			}
			for _, rule := range t.HTTP.Auth.Any {
				if rule.JWT != nil && s.verifier.Fetch(ctx, rule.JWT) != nil {
					f.Warnings = append(f.Warnings, "the keys of issuer "+rule.JWT.Issuer+" cannot be fetched now, and until they can, its tokens get 503; the server's log says why")
				}
			}
		}
	}
}
