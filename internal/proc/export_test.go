package proc

import "os"

// Send lets a signal come in.
func (s *Signals) Send(sig os.Signal) { s.c <- sig }
