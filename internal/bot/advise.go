package bot

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/terraphim/adfbot/internal/config"
	"github.com/terraphim/adfbot/internal/hostlocal"
	"github.com/terraphim/adfbot/internal/status"
	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/text"
	"github.com/terraphim/adfbot/pause"
)

// AdvisePause adds to an error of [Bot.Pause], or of [Open] before it, what pauses the project while the state is not usable.
func AdvisePause(ctx context.Context, cfg *config.Config, project string, err error) error {
	flag, there := flagWithoutState(ctx, cfg, project, err)
	switch {
	case flag == "":
		return err
	case there:
		return fmt.Errorf("%s is paused (%s), but that cannot be stored: %w", project, flag, err)
	}
	return fmt.Errorf("%s is NOT paused: %w\nto pause it now: touch %s", project, err, text.ShellQuote(flag))
}

// AdviseResume adds to an error of [Bot.Resume], or of [Open] before it, what resumes the project while the state is not usable.
func AdviseResume(ctx context.Context, cfg *config.Config, project string, err error) error {
	flag, there := flagWithoutState(ctx, cfg, project, err)
	switch {
	case flag == "":
		return err
	case there && cfg.Shared() && hostlocal.At(cfg.LocalDir).LacksHostID(): // once it joins as a new host, it would write the flag again
		return fmt.Errorf("%s is still paused: %w", project, err)
	case there:
		return fmt.Errorf("%s is still paused: %w\nto resume it now: %s", project, err, removal(flag))
	}
	return fmt.Errorf("%s has no pause flag and may run, but that cannot be stored; a later sweep does it: %w", project, err)
}

// removal returns the command that removes a flag by hand, whatever is in its place.
func removal(flag string) string {
	path := text.ShellQuote(flag)
	remove := "rm " + path
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, flag, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &st) != nil {
		return remove
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		remove = "rm -r " + path
	}
	switch has := st.Attributes & st.Attributes_mask; {
	case has&unix.STATX_ATTR_MOUNT_ROOT != 0:
		return "umount " + path + " && " + remove
	case has&unix.STATX_ATTR_IMMUTABLE != 0:
		return "chattr -i " + path + " && " + remove
	}
	return remove
}

// flagWithoutState returns the path of a project's flag and whether it exists, if err means that the state is not usable and the pause
// directory is.
func flagWithoutState(ctx context.Context, cfg *config.Config, project string, err error) (path string, there bool) {
	if !errors.Is(err, store.ErrUnusable) {
		return "", false
	}
	dir := pause.New(cfg.PauseDir)
	flag, lookErr := lookInTime(ctx, dir, project)
	if lookErr != nil || mayNotHelp(cfg, err) {
		return "", false
	}
	return dir.FlagPath(project), flag.Present
}

// mayNotHelp reports whether this user may neither use the state nor write flags. The error says who may.
func mayNotHelp(cfg *config.Config, err error) bool {
	return errors.Is(err, store.ErrDenied) && status.Installation(cfg).DirWritable(cfg.PauseDir) != nil
}
