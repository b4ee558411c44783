package setup

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/terraphim/adfbot/internal/config"
)

// Unit returns the text of the systemd unit.
func Unit(p Places) string {
	command := word(p.Program) + " serve"
	if p.Config != config.DefaultPath {
		command += " --config " + word(p.Config)
	}
	if p.UserUnit {
		return `[Unit]
Description=adfbot: pauses failing projects and opens their [ADF] issues

[Service]
Type=exec
ExecStart=` + command + `
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=10
KillMode=mixed
NoNewPrivileges=yes
MemoryMax=512M

[Install]
WantedBy=default.target
`
	}
	return `[Unit]
Description=adfbot: pauses failing projects and opens their [ADF] issues
Wants=network-online.target
After=network-online.target
RequiresMountsFor=` + word(p.OwnDir()) + " " + word(p.PauseDir) + `

[Service]
Type=exec
User=` + p.User + `
` + p.load() + `ExecStart=` + command + `
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=10
KillMode=mixed
NoNewPrivileges=yes
ProtectSystem=full
` + p.protection() + `RuntimeDirectory=adfbot
RuntimeDirectoryPreserve=yes
MemoryMax=512M

[Install]
WantedBy=multi-user.target
`
}

// UnitIsOthers reports whether the unit that is there starts adfbot with another configuration, as far as its text says.
func (p Places) UnitIsOthers() bool {
	b, err := os.ReadFile(p.Unit)
	return err == nil && isOthers(string(b), p.Config)
}

func isOthers(unit, configPath string) bool {
	if strings.Contains(unit, configPath) || strings.Contains(unit, word(configPath)) || strings.Contains(unit, "EnvironmentFile=") {
		return false
	}
	named := strings.Contains(unit, "--config") || strings.Contains(unit, "ADFBOT_CONFIG")
	return named || configPath != config.DefaultPath
}

// serves matches a unit of the daemon, not one of a job, such as adfbot-odilo.service.
var serves = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^ExecStart=(.*\\\n)*.*\bserve\b`) })

// UnitUser returns the user of the machine's unit that runs serve with a configuration, as far as the text of the unit and its drop-ins says.
// It is "" if there is no such unit.
func UnitUser(configPath string) string {
	units, _ := filepath.Glob(unitDir + "/adfbot?*.service") // init proposes adfbot-2.service for a second one
	if first := System("", configPath, "").Unit; first != "" {
		units = slices.Insert(units, 0, first)
	}
	for _, unit := range units {
		files, _ := filepath.Glob(filepath.Join(unitDir, filepath.Base(unit)+".d", "*.conf"))
		var text strings.Builder
		name := "root"
		for _, file := range slices.Insert(files, 0, unit) {
			b, _ := os.ReadFile(file)
			for line := range strings.Lines(string(b)) {
				line = strings.TrimSpace(line)
				if line == "" || line[0] == '#' || line[0] == ';' {
					continue
				}
				text.WriteString(line + "\n")
				if value, ok := strings.CutPrefix(line, "User="); ok {
					name = cmp.Or(value, "root")
				}
			}
		}
		if serves().MatchString(text.String()) && !isOthers(text.String(), configPath) {
			return name
		}
	}
	return ""
}

// load returns the lines of the unit for what systemd hands to the service.
func (p Places) load() (lines string) {
	for _, name := range p.CredentialNames {
		lines += "LoadCredential=" + word(name+":"+filepath.Join(filepath.Dir(p.Config), name)) + "\n"
	}
	return lines
}

// protection returns the lines of the unit that protect directories in which people may have put something of this installation: what is not
// hidden from the service, or must be written in spite of ProtectSystem=.
func (p Places) protection() (lines string) {
	written := []string{p.OwnDir(), p.PauseDir}
	all := append([]string{p.Config, p.Token}, written...)
	below := func(paths []string, dirs ...string) (out []string) {
		for _, path := range paths {
			if slices.ContainsFunc(dirs, func(dir string) bool { return strings.HasPrefix(path+"/", dir) }) {
				out = append(out, word("-"+path)) // a directory that is missing does not keep the daemon from starting
			}
		}
		return out
	}
	if len(below(all, "/home/", "/root/", "/run/user/")) == 0 {
		lines += "ProtectHome=yes\n"
	}
	if len(below(all, "/tmp/", "/var/tmp/")) == 0 {
		lines += "PrivateTmp=yes\n"
	}
	if paths := below(written, "/usr/", "/etc/", "/boot/", "/efi/"); len(paths) > 0 {
		lines += "ReadWritePaths=" + strings.Join(paths, " ") + "\n"
	}
	return lines
}

var plainWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_./@:+-]+$`) })

// word returns a path for a unit: systemd expands % and $, and splits at blanks.
func word(s string) string {
	if plainWord().MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(s) + `"`
}
