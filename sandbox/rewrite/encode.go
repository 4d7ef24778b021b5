package rewrite

// encode writes the module with what was added. Code comes first: it decides which types and functions are needed.
func (w *rewriter) encode(bodies []byte, o *outside) []byte {
	m := w.module
	out := make([]byte, 0, len(bodies)+len(bodies)/8+1<<12)
	out = append(out, preamble...)
	out = appendSection(out, secType, len(m.types)+len(w.extra), w.typeSection())
	out = appendSection(out, secImport, len(m.imports)+2, w.importSection())
	out = appendSection(out, secFunction, len(m.bodies)+len(w.added), w.functionSection())
	out = appendSection(out, secTable, len(m.tables)-int(m.importTables), w.tableSection())
	if m.memory != nil {
		// Without a maximum the host's allocator decides alone, and a reset can shrink what grew.
		out = appendSection(out, secMemory, 1, appendU([]byte{0}, m.memory.min))
	}
	out = appendSection(out, secGlobal, len(m.globals)-int(m.importGlobals)+2, w.globalSection())
	exports, n := o.exportSection(m)
	out = appendSection(out, secExport, n, exports)
	var elems []byte
	for _, e := range m.elems {
		elems = m.appendElement(elems, e)
	}
	out = appendSection(out, secElement, len(m.elems), elems)
	if m.counted {
		count := appendU(nil, uint32(len(m.data)))
		out = append(appendU(append(out, secDataCount), uint32(len(count))), count...)
	}
	for _, f := range w.added {
		bodies = appendName(bodies, f.code)
	}
	out = appendSection(out, secCode, len(m.bodies)+len(w.added), bodies)
	data, n := o.dataSection(m)
	out = appendSection(out, secData, n, data)
	out = m.appendNames(out, w.added)
	for _, c := range m.customs {
		out = appendName(append(out, secCustom), c)
	}
	return out
}

func (w *rewriter) typeSection() (b []byte) {
	for _, list := range [][]signature{w.module.types, w.extra} {
		for _, s := range list {
			b = append(b, 0x60)
			for _, values := range [][]ValueType{s.params, s.results} {
				b = appendU(b, uint32(len(values)))
				for _, v := range values {
					b = append(b, byte(v))
				}
			}
		}
	}
	return b
}

func (w *rewriter) importSection() (b []byte) {
	for _, i := range w.imports {
		b = append(b, i...)
	}
	void := w.typeOf(signature{})
	for _, name := range []string{Yield, Overflow} {
		b = appendName(appendName(b, HostModule), name)
		b = appendU(append(b, kindFunc), void)
	}
	return b
}

func (w *rewriter) functionSection() (b []byte) {
	for _, t := range w.funcs[w.importFuncs:] {
		b = appendU(b, t)
	}
	for _, f := range w.added {
		b = appendU(b, f.typ)
	}
	return b
}

func (w *rewriter) tableSection() (b []byte) {
	for _, t := range w.tables[w.importTables:] {
		b = appendU(appendU(append(b, byte(t.typ), 1), t.min), t.max)
	}
	return b
}

func (w *rewriter) globalSection() (b []byte) {
	for _, g := range w.globals[w.importGlobals:] {
		b = append(b, byte(g.typ), 0)
		if g.mutable {
			b[len(b)-1] = 1
		}
		b = w.appendExpr(b, g.init)
	}
	b = append(b, byte(I64), 1, opI64Const, 0, opEnd)
	b = appendS(append(b, byte(I32), 1, opI32Const), int64(w.limits.MaxStackBytes))
	return append(b, opEnd)
}
