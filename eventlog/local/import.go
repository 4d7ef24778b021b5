package local

import (
	"fmt"

	"github.com/evoke-run/evoke/eventlog"
)

var _ eventlog.Importer = (*Log)(nil)

// Import implements eventlog.Importer. Records with gaps between them become groups of their own.
func (l *Log) Import(partition int, records []eventlog.Record) error {
	if err := l.users.enter(); err != nil {
		return fmt.Errorf("import into partition %d: %w", partition, err)
	}
	defer l.users.leave()
	if partition < 0 || partition >= len(l.parts) {
		return fmt.Errorf("import into partition %d: the log has %d partitions", partition, len(l.parts))
	}
	p := l.parts[partition]
	for len(records) > 0 {
		n, end, err := p.group(records)
		if err != nil {
			return fmt.Errorf("import into partition %d: %w", partition, err)
		}
		if err := l.store([]chunk{{p, records[:n]}}); err != nil {
			return fmt.Errorf("import into partition %d: %w", partition, err)
		}
		if err := l.failure.err(); err != nil {
			return err
		}
		p.next = end
		p.durable.Store(end)
		records = records[n:]
	}
	return nil
}

// group is how many of the records follow each other without a gap and fit in a group, and the offset behind them.
func (p *partition) group(records []eventlog.Record) (n int, end uint64, err error) {
	end, size := records[0].Offset, 0
	if end < p.next || end == 0 {
		return 0, 0, fmt.Errorf("offset %d comes when those below %d are taken", end, p.next)
	}
	for _, r := range records {
		if r.Span == 0 || len(r.Data) > eventlog.MaxRecord || r.Offset+uint64(r.Span) < r.Offset {
			return 0, 0, fmt.Errorf("the record at offset %d has span %d and %d bytes", r.Offset, r.Span, len(r.Data))
		}
		if r.Offset != end || n > 0 && size+len(r.Data) > maxGroup {
			break
		}
		end, size = end+uint64(r.Span), size+len(r.Data)
		n++
	}
	return n, end, nil
}
