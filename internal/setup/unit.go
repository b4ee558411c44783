package setup

import (
	"regexp"
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
ExecStart=` + command + `
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=10
KillMode=mixed
NoNewPrivileges=yes
ProtectSystem=full
ProtectHome=yes
PrivateTmp=yes
RuntimeDirectory=adfbot
MemoryMax=512M

[Install]
WantedBy=multi-user.target
`
}

var plainWord = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_./@:+-]+$`) })

// word returns a path for a unit: systemd expands % and $, and splits at blanks.
func word(s string) string {
	if plainWord().MatchString(s) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(s) + `"`
}
