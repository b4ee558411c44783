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

// PeerContext is the ConnContext for the http.Server at the Unix socket. It stores the user whose process has connected, as the
// kernel reports it (SO_PEERCRED), so it cannot be forged.
func PeerContext(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	if raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }) != nil || err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, cred.Uid)
}

// peer returns the caller at the socket. Root and the daemon's own user may do everything, as they could without the daemon.
// Other users may do what projects[].users allows them, by name or by number.
func (r *request) peer() caller {
	uid, ok := r.Context().Value(peerKey{}).(uint32)
	if !ok {
		return caller{}
	}
	number := strconv.FormatUint(uint64(uid), 10)
	c := caller{known: true, name: "uid " + number, admin: uid == 0 || int(uid) == os.Geteuid()}
	names := []string{number}
	if u, err := user.LookupId(number); err == nil {
		if _, err := strconv.Atoi(u.Username); err != nil { // a number is always a uid
			names = append(names, u.Username)
		}
		c.name = fmt.Sprintf("%s (uid %s)", u.Username, number)
	}
	for _, project := range r.cfg.Projects {
		if slices.ContainsFunc(project.Users, func(name string) bool { return slices.Contains(names, name) }) {
			c.projects = append(c.projects, project.ID)
		}
	}
	return c
}
