package hostlocal

import (
	"context"
	"path/filepath"
	"time"
)

var (
	Offset  = offset
	Explain = explain

	ReserveName = reserveName
)

// Locks are the locks of a directory without the rest.
type Locks struct{ locks }

func NewLocks(dir string) *Locks { return &Locks{locks{filepath.Join(dir, "locks")}} }

func (l *Locks) Create() error { return l.create() }

func (l *Locks) Upgrade(ctx context.Context, wait time.Duration) error { return l.upgrade(ctx, wait) }
