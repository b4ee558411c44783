// Package redact makes text from outside safe to store and to show: it removes control characters and terminal escape
// sequences ([Clean], [Line]), masks secrets ([Redactor]), and keeps a bounded head and tail of a stream ([Capture]).
//
// Text passes through in this order: clean, mask, cut. A cut never comes before masking, because half a secret would no
// longer be recognized. Everything is safe for concurrent use unless it says otherwise; nothing is stored on disk.
package redact
