package hostlocal

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/pause"
)

// hostFile holds the id of this host and, after a blank, the hash of the id of the machine that it was made on.
const hostFile = "host"

// The lock of whoever writes the host's id.
const (
	hostLock = "host"
	hostWait = 5 * time.Second
)

// machineIDFile holds the id of the machine, which differs between a machine and one with a copy of its disk.
const machineIDFile = "/etc/machine-id"

// HostID returns the id of this host in its fleet. The first call makes it, and so does the first one on another machine, since the
// directory was copied there. When it returns, the id is on disk.
func (d *Dir) HostID(ctx context.Context) (string, error) {
	return d.hostID(ctx, machineHash(machineIDFile), func(h host, machine string) bool { return h.id != "" && h.isOn(machine) })
}

// NewHostID replaces the id of this host, which was retired from its fleet, unless another process has done so. It returns the new one.
func (d *Dir) NewHostID(ctx context.Context, retired string) (string, error) {
	return d.hostID(ctx, machineHash(machineIDFile), func(h host, machine string) bool {
		return h.id != "" && h.isOn(machine) && h.id != retired
	})
}

// KnownHostID returns the id of this host, "" if it has none yet. It writes nothing.
func (d *Dir) KnownHostID() (string, error) {
	h, err := d.readHost()
	if err != nil || !h.isOn(machineHash(machineIDFile)) {
		return "", err
	}
	return h.id, nil
}

// HasHostID reports whether the directory has the id of a host, or a damaged one.
func (d *Dir) HasHostID() bool {
	_, err := os.Lstat(d.folder(hostFile))
	return err == nil
}

// LacksHostID reports whether the directory has no id of a host. Who may not see into it knows neither.
func (d *Dir) LacksHostID() bool {
	_, err := os.Lstat(d.folder(hostFile))
	return errors.Is(err, fs.ErrNotExist)
}

// host is the content of hostFile.
type host struct{ id, machine string }

// isOn reports whether the id was made on a machine, as far as that is known.
func (h host) isOn(machine string) bool {
	return h.machine == "" || machine == "" || h.machine == machine
}

// hostID returns the id in the file if it is good, else a new one.
func (d *Dir) hostID(ctx context.Context, machine string, good func(h host, machine string) bool) (string, error) {
	// An id without a machine is bound to this one.
	current := func(h host) bool { return good(h, machine) && (h.machine != "" || machine == "") }
	h, err := d.readHost()
	if err != nil || current(h) {
		return h.id, err
	}
	unlock, err := d.LockHere(ctx, hostLock, hostWait)
	if err != nil {
		return "", fmt.Errorf("make the id of this host: %w", err)
	}
	defer unlock()
	if h, err = d.readHost(); err != nil || current(h) {
		return h.id, err
	}
	if !good(h, machine) {
		h.id = pause.NewRandomID()
	}
	dir, err := openDir(d.path)
	if err != nil {
		return "", store.FileError(d.path, err)
	}
	defer func() { _ = dir.Close() }()
	if err := pause.WriteFileDurable(dir, hostFile, []byte(strings.TrimSpace(h.id+" "+machine)+"\n"), 0o644); err != nil {
		return "", store.Unusable(d.folder(hostFile), "", err)
	}
	return h.id, nil
}

// readHost returns the zero host if there is no file.
func (d *Dir) readHost() (h host, err error) {
	path := d.folder(hostFile)
	f, err := openRegular(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, store.Unusable(path, "", err)
	}
	defer func() { _ = f.Close() }()
	content := make([]byte, 200)
	n, _ := f.Read(content)
	fields := strings.Fields(string(content[:n]))
	if len(fields) == 0 || len(fields) > 2 || !pause.IsRandomID(fields[0]) || len(fields) == 2 && !pause.IsRandomID(fields[1]) {
		return h, store.Unusable(path, "it is damaged: remove it, and `.adfbot.host` in pause_dir, and this host becomes a new one", fmt.Errorf("it holds %.60q", content[:n]))
	}
	h.id = fields[0]
	if len(fields) == 2 {
		h.machine = fields[1]
	}
	return h, nil
}

// machineHash returns a hash of the machine's id, which itself must not be shown to others, or "" if the machine has none.
func machineHash(path string) string {
	content, err := os.ReadFile(path)
	id := strings.TrimSpace(string(content))
	if key, decodeErr := hex.DecodeString(id); err == nil && decodeErr == nil && len(key) == 16 {
		h := hmac.New(sha256.New, key)
		h.Write([]byte("adfbot host"))
		return hex.EncodeToString(h.Sum(nil))[:32]
	}
	return ""
}
