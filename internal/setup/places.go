package setup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/terraphim/adfbot/internal/config"
)

// unitDir has the units that an administrator makes, and the drop-ins for all.
const unitDir = "/etc/systemd/system"

// Places are where an installation is.
type Places struct {
	User     string // whose service it is; "": of whoever runs this process, and no owner is set
	Config   string
	Token    string // the file with the token
	State    string // a file, or the URL of a database
	Local    string // the directory of the host, if State is a URL
	PauseDir string
	Unit     string // the file of the systemd unit; "": none
	UserUnit bool   // it is one of a user's own systemd
	Program  string // that the unit starts

	CredentialNames []string // of the files beside Config that systemd hands to the service
	Credentials     string   // their directory, if the token is one of them: a command by hand needs it in $CREDENTIALS_DIRECTORY
}

// System returns the places of a service of the whole machine.
func System(user, configPath, program string) Places {
	p := Places{
		User: user, Config: configPath, Token: filepath.Join(filepath.Dir(configPath), "gitea-token"),
		Program: program,
	}
	p.State, p.PauseDir = config.DefaultPlaces()
	if !HasSystemd() {
		return p
	}
	p.Unit = unitDir + "/adfbot.service"
	if packaged := "/usr/lib/systemd/system/adfbot.service"; exists(packaged) && !exists(p.Unit) {
		p.Unit = packaged
	}
	return p
}

// Own returns the places of a person's own installation, below the directories that XDG names.
func Own(configPath, program string, getenv func(string) string) (Places, error) {
	dir := func(name, below string) string {
		if s := getenv(name); filepath.IsAbs(s) { // as XDG wants: another one is ignored
			return s
		}
		return filepath.Join(getenv("HOME"), below)
	}
	if !filepath.IsAbs(getenv("HOME")) && (!filepath.IsAbs(getenv("XDG_CONFIG_HOME")) || !filepath.IsAbs(getenv("XDG_DATA_HOME"))) {
		return Places{}, errors.New("$HOME is not set: set it, or run this as root for a service of the machine")
	}
	settings, data := dir("XDG_CONFIG_HOME", ".config"), filepath.Join(dir("XDG_DATA_HOME", ".local/share"), "adfbot")
	if configPath == "" {
		configPath = filepath.Join(settings, "adfbot", "config.yaml")
	}
	p := Places{
		Config: configPath, Token: filepath.Join(filepath.Dir(configPath), "gitea-token"), Program: program,
		State: filepath.Join(data, "adfbot.db"), PauseDir: filepath.Join(data, "pause"), UserUnit: true,
	}
	if HasSystemd() {
		p.Unit = filepath.Join(settings, "systemd/user/adfbot.service")
	}
	return p, nil
}

// OwnDir returns the directory of the state, or of the host if that is a database.
func (p Places) OwnDir() string {
	if p.Local != "" {
		return p.Local
	}
	return filepath.Dir(p.State)
}

// UnitName is what systemctl calls the unit.
func (p Places) UnitName() string { return strings.TrimSuffix(filepath.Base(p.Unit), ".service") }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// HasSystemd reports whether systemd runs this machine, see sd_booted(3).
func HasSystemd() bool {
	info, err := os.Lstat("/run/systemd/system")
	return err == nil && info.IsDir()
}
