package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

// TestDocsClientsOfPing runs the clients in the help topic, as far as this machine has what they need.
func TestDocsClientsOfPing(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	clients := map[string]string{}
	for _, b := range blocksIn(topic(t, "ping")) {
		clients[b.language] = b.text
	}
	m := newMachine(t)
	const key = "the-key-of-odilo-in-this-test"
	run := func(m *machine, script string) string {
		m.Helper()
		out, failed := m.bash(script)
		require.Empty(m, failed, out)
		return out
	}
	run(m, `mkdir -p /etc/adfbot; echo `+docsToken+` >/etc/adfbot/gitea-token; echo `+key+` >/etc/adfbot/odilo-token; chmod 600 /etc/adfbot/*-token
cat >/etc/adfbot/config.yaml <<end
{pause_dir: /opt/ai-dark-factory/data/pause, state: /var/lib/adfbot/adfbot.db, breaker: {threshold: 9},
 gitea: {url: https://git.example.org, token_file: /etc/adfbot/gitea-token, owner: terraphim, repo: adf-fleet},
 http: {listen: "127.0.0.1:0"}, projects: [{id: odilo, token_file: /etc/adfbot/odilo-token}]}
end
echo ExecStart=/usr/local/bin/adfbot serve >/etc/systemd/system/adfbot.service
systemctl enable --now adfbot; journalctl -u adfbot`)
	var at []string
	require.Eventually(t, func() bool {
		at = regexp.MustCompile(`msg="serving HTTP" listen=(\S+)`).FindStringSubmatch(document(t, m.root+"/log"))
		return at != nil
	}, testhost.Patience, time.Millisecond)
	// runitor waits 1 s, 2 s and so on before it tries again, whatever Retry-After says: a turn may be a minute away, see docs/http.md.
	retries := regexp.MustCompile(`-api-retries (\d+) `).FindStringSubmatch(clients["runitor"])
	require.NotNil(t, retries, "by default, runitor gives up after 3 s")
	n, err := strconv.Atoi(retries[1])
	require.NoError(t, err)
	require.Greater(t, n*(n+1)/2, 60)

	here := strings.NewReplacer("127.0.0.1:9753", at[1], "KEY", key).Replace
	failures := func(m *machine, want, client string) {
		m.Helper()
		shown := run(m, "adfbot status")
		require.Contains(m, shown, want+"/9", client)
		require.NotContains(m, shown, "in progress", client)
	}

	cron := regexp.MustCompile(`(?m)^(?:\S+ ){5}(.*)$`).ReplaceAllString(here(clients["cron"]), "sh -c '$1'")
	run(m, "export "+cron)
	failures(m, "1", "cron")
	run(m, here(regexp.MustCompile(`(?m)^project-meta.*$`).ReplaceAllString(clients["sh"], "{ trap - ERR; $0; }")))
	failures(m, "2", "sh")
	step := regexp.MustCompile(`(?m)^  run: (.*)$`).FindStringSubmatch(clients["actions"])
	run(m, here("export PING=http://127.0.0.1:9753/ping/KEY/odilo RESULT=fail; ")+step[1])
	failures(m, "3", "a step in Actions")

	agent := func(script string) {
		require.NoError(t, os.WriteFile(m.root+"/bin/project-meta", []byte("#!/usr/bin/env bash\n"+script+"\n"), 0o755))
	}
	others := map[string]func(){
		"too long an output": func() { agent("head -c 17000000 /dev/zero; exit 1") }, // the daemon refuses it
		"not found":          func() { require.NoError(t, os.Remove(m.root+"/bin/project-meta")) },
	}
	for how, other := range others {
		other()
		run(m, "adfbot record --project odilo --success; trap - ERR; export "+cron)
		failures(m, "1", "cron, "+how)
		run(m, "adfbot record --project odilo --success; trap - ERR\n"+here(clients["sh"]))
		failures(m, "1", "sh, "+how)
	}
	agent(standIns["project-meta"])

	for _, c := range []struct{ program, script string }{
		{"python3", "python3 - <<'end' || true\n" + here(clients["python"]) + "\nend"},
		{"runitor", strings.TrimSpace(here(clients["runitor"])) + " || true"},
		{"pwsh", "pwsh -NoProfile -Command - <<'end' || true\n" + here(clients["powershell"]) + "\nend"},
	} {
		t.Run(c.program, func(t *testing.T) {
			m := *m
			m.T = t
			path, err := exec.LookPath(c.program)
			if err != nil {
				t.Skip("no " + c.program + " here")
			}
			if _, err := os.Stat("/usr/bin/" + c.program); err != nil {
				require.NoError(t, os.Symlink(path, m.root+"/bin/"+c.program))
			}
			run(&m, "adfbot record --project odilo --success; "+c.script)
			failures(&m, "1", c.program)
			for how, other := range others {
				other()
				run(&m, "adfbot record --project odilo --success; trap - ERR; "+c.script)
				failures(&m, "1", c.program+", "+how)
			}
			agent(standIns["project-meta"])
		})
	}
	require.NotContains(t, document(t, m.root+"/log"), key)
}
