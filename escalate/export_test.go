package escalate

// Options lets tests change a Reconciler's options after the fact.
func (r *Reconciler) Options() *Options { return &r.opt }

// ParseCommands is parseCommands.
var ParseCommands = parseCommands
