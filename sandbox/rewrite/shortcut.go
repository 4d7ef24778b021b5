package rewrite

// Go's compiler makes of every function that jumps one loop around a br_table: a jump writes the number of a place into a local and branches back to
// the loop's head, which branches to the place.
//
//	loop block block block
//	  local.get n
//	  br_table 0 1 2
//	end …0… end …1… i32.const 2 local.set n br $loop … end …2…
//
// takeShortcuts lets such a branch go to its place itself, if that lies ahead: the block that ends there is open then. Nothing else changes. The local is
// written as before, whoever comes by the head finds it, and the bill is the same, with what the head would have cost.
func (b *body) takeShortcuts() {
	b.opened = b.opened[:0]
	for i := range b.points {
		p := &b.points[i]
		switch int(p.op) {
		case opLoop:
			b.readDispatch(i)
			b.opened = append(b.opened, int32(i))
		case opBlock, opIf:
			b.opened = append(b.opened, int32(i))
		case opEnd:
			b.opened = b.opened[:max(len(b.opened)-1, 0)] // the last one is the function's
		case opBr:
			if label, ok := b.shortcut(i); ok {
				p.imm, p.short = label, true
				b.points[b.opened[len(b.opened)-1-int(label)]].joined = true
			}
		}
	}
}

// shortcut is the label of the place to which a branch back is sent on.
func (b *body) shortcut(i int) (label uint32, ok bool) {
	loop := len(b.opened) - 1 - int(b.points[i].imm)
	if loop < 0 || i < 2 {
		return 0, false
	}
	d, ok := b.heads[b.opened[loop]]
	number, local := b.points[i-2], b.points[i-1]
	if !ok || number.op != opI32Const || local.op != opLocalSet || local.imm != d.local {
		return 0, false
	}
	sent := d.labels[min(uint64(number.imm), uint64(len(d.labels)-1))]
	if sent >= d.blocks { // to the loop itself, or out of it
		return 0, false
	}
	place, opener := loop+int(d.blocks-sent), b.opened[loop]+int32(d.blocks-sent)
	if place >= len(b.opened) || b.opened[place] != opener {
		return 0, false // it lies behind
	}
	return uint32(len(b.opened) - 1 - place), true
}

// dispatch is the head of a loop that branches by a local.
type dispatch struct {
	local  uint32
	blocks uint32   // opened between the loop and the br_table
	labels []uint32 // the default last
}

// dispatchCost is what a head costs: it gets the local and branches.
const dispatchCost = 2

// readDispatch remembers the loop at a point if it has such a head.
func (b *body) readDispatch(loop int) {
	i := loop + 1
	for i < len(b.points) && b.bare(i) && b.points[i].op == opBlock {
		i++
	}
	if !b.bare(loop) || i == loop+1 || i+1 >= len(b.points) || b.points[i].op != opLocalGet || b.points[i+1].op != opBrTable {
		return
	}
	d := dispatch{local: b.points[i].imm, blocks: uint32(i - loop - 1)}
	for label := range b.targets(b.points[i+1]) {
		d.labels = append(d.labels, label)
	}
	if b.heads == nil {
		b.heads = map[int32]dispatch{}
	}
	b.heads[int32(loop)] = d
}

// bare says that a construct has neither parameters nor results.
func (b *body) bare(i int) bool { return b.b[b.points[i].start+1] == 0x40 }
