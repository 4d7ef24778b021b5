package scheduler

import (
	"time"

	"github.com/evoke-run/evoke/partition"
	"github.com/evoke-run/evoke/registry"
)

// retentionOf is how long things stay according to the registry.
func retentionOf(snap *registry.Snapshot) partition.Retention {
	r := partition.Retention{Topics: map[partition.TopicName]partition.TopicRetention{}, DeadLetters: map[uint64]time.Duration{}}
	for _, t := range snap.Topics("") {
		r.Topics[partition.TopicName{Namespace: t.Namespace, Name: t.Name}] = partition.TopicRetention{
			Keep: time.Duration(t.Spec.Retention), DeadLetter: t.Spec.Unsettled == "deadletter",
		}
	}
	for _, f := range snap.Functions("") {
		if f.Spec.DeadLetter == nil {
			continue
		}
		for _, t := range f.Triggers {
			r.DeadLetters[t.ID] = time.Duration(f.Spec.DeadLetter.Keep)
		}
	}
	return r
}
