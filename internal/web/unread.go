package web

import (
	"slices"
	"sync"
)

const (
	// maxUnread limits the bytes of large answers that wait for their clients. One of 10,000 projects has 10 MB.
	maxUnread = 64 << 20

	// leastUnread is the length from which on an answer counts. A smaller one fits into the buffers of its connection.
	leastUnread = 256 << 10
)

// unread holds the large answers that their clients have not read yet. Each is in memory until then, with what its buffer has to spare.
// When they are too many, the oldest ones are cut: whoever reads at once is done before that.
type unread struct {
	most int

	mu   sync.Mutex
	list []*unreadAnswer // the oldest first
}

type unreadAnswer struct {
	body []byte
	cut  func() // makes the write of it fail
}

// add adds an answer that is to be written now; cut may be called until done is. An answer that several clients get counts once.
func (u *unread) add(body []byte, cut func()) (done func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	one := &unreadAnswer{body, cut}
	u.list = append(u.list, one)
	for len(u.list) > 1 && u.used() > u.most {
		u.list[0].cut()
		u.list = slices.Delete(u.list, 0, 1)
	}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.list = slices.DeleteFunc(u.list, func(a *unreadAnswer) bool { return a == one })
	}
}

// size returns how many bytes there are.
func (u *unread) size() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.used()
}

func (u *unread) used() (n int) {
	seen := map[*byte]bool{}
	for _, a := range u.list {
		if first := &a.body[0]; !seen[first] {
			seen[first] = true
			n += cap(a.body)
		}
	}
	return n
}
