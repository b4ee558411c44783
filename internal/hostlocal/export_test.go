package hostlocal

var (
	Offset  = offset
	Explain = explain
)
