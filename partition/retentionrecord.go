package partition

import "github.com/evoke-run/evoke/wire"

// The records of retention: the leader decides by its clock what has had its time, apply removes it.
const (
	kindExpire kind = 10
	kindLapse  kind = 11
	kindTrim   kind = 12
)

// expireRecord removes the oldest events of topics from the topic index.
type expireRecord struct {
	noEvents
	topics []expiredTopic
}

// expiredTopic says that the events of a topic below an offset have had their time.
type expiredTopic struct {
	namespace, topic string
	before           uint64
}

func (*expireRecord) kind() kind { return kindExpire }
func (e *expireRecord) append(b []byte) []byte {
	b = wire.AppendUvarint(b, uint64(len(e.topics)))
	for _, t := range e.topics {
		b = wire.AppendBytes(wire.AppendBytes(b, t.namespace), t.topic)
		b = wire.AppendUvarint(b, t.before)
	}
	return b
}

func readExpire(r *wire.Reader) *expireRecord {
	return &expireRecord{topics: readList(r, func(r *wire.Reader) expiredTopic {
		return expiredTopic{namespace: r.String(), topic: r.String(), before: r.Uvarint()}
	})}
}

// lapseRecord makes dead letters of pending events that are older than their topic keeps them.
type lapseRecord struct {
	noEvents
	reason  string
	letters []letter
}

func (*lapseRecord) kind() kind { return kindLapse }
func (l *lapseRecord) append(b []byte) []byte {
	return appendLetters(wire.AppendBytes(b, l.reason), l.letters)
}

// trimRecord says that nothing needs the log below an offset any more.
type trimRecord struct {
	noEvents
	before uint64
}

func (*trimRecord) kind() kind               { return kindTrim }
func (t *trimRecord) append(b []byte) []byte { return wire.AppendUvarint(b, t.before) }
