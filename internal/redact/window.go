package redact

// window keeps the first headMax bytes of a text and at least its last tailMax ones.
type window struct {
	headMax, tailMax int
	head, tail       []byte
	n                int  // length of the text so far, kept or not
	line             int  // where its last line begins
	torn             bool // the tail lost its start
}

func (w *window) whole() bool { return len(w.head)+len(w.tail) == w.n }

func (w *window) put(p []byte) {
	w.n += len(p)
	if room := w.headMax - len(w.head); room > 0 && len(w.tail) == 0 {
		k := min(room, len(p))
		w.head = append(w.head, p[:k]...)
		p = p[k:]
	}
	if len(p) == 0 {
		return
	}
	if len(p) > w.tailMax {
		p = p[len(p)-w.tailMax:]
		w.tail, w.torn = w.tail[:0], true
	} else if over := len(w.tail) + len(p) - w.tailMax; over > slack {
		w.tail, w.torn = w.tail[:copy(w.tail, w.tail[over:])], true
	}
	w.tail = append(w.tail, p...)
}

// rewind removes the last line.
func (w *window) rewind() {
	switch back := w.n - w.line; {
	case back < len(w.tail):
		w.tail = w.tail[:len(w.tail)-back]
	default: // the line began in the head, or in the discarded part
		w.tail, w.torn = w.tail[:0], false
		w.head = w.head[:min(w.line, len(w.head))]
	}
	w.n = w.line
}
