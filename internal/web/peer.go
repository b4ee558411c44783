package web

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

type peerKey struct{}

// peer is the user at the other end of a connection to the Unix socket.
type peer struct {
	uid   uint32
	known bool
}

// peerContext is the ConnContext for the http.Server at the Unix socket. It stores the user whose process has connected, as the
// kernel reports it (SO_PEERCRED), so it cannot be forged.
func peerContext(ctx context.Context, c net.Conn) context.Context {
	var p peer
	if u, ok := c.(*net.UnixConn); ok {
		if raw, err := u.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
					p = peer{cred.Uid, true}
				}
			})
		}
	}
	return context.WithValue(ctx, peerKey{}, p)
}

// peerCaller returns the caller at the socket. Root and the daemon's own user may do everything, as they could without the daemon.
// Other users may do what projects[].users allows them, by name or by number.
func (r *request) peerCaller() caller {
	p, _ := r.Context().Value(peerKey{}).(peer)
	if !p.known {
		return caller{}
	}
	number := strconv.FormatUint(uint64(p.uid), 10)
	c := caller{known: true, local: true, cfg: r.cfg, name: "uid " + number, admin: p.uid == 0 || int(p.uid) == os.Geteuid()}
	names := []string{number}
	if u, err := user.LookupId(number); err == nil {
		if _, err := strconv.Atoi(u.Username); err != nil { // a number is always a uid
			names = append(names, u.Username)
		}
		c.name = fmt.Sprintf("%s (uid %s)", u.Username, number)
	}
	for _, entry := range r.cfg.Projects {
		if slices.ContainsFunc(entry.Users, func(name string) bool { return slices.Contains(names, name) }) {
			c.entries = append(c.entries, entry.Name())
		}
	}
	return c
}
