package redact

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a tool has printed, as it stands in the log of an agent, a container, a test or an editor.
func TestTextsInTexts(t *testing.T) {
	inJSON := func(s string) string {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		require.NoError(t, e.Encode(map[string]string{"type": "tool_result", "content": s}))
		return b.String()
	}
	prefixed := func(prefix string) func(string) string {
		return func(s string) string { return prefix + strings.ReplaceAll(s, "\n", "\n"+prefix) }
	}
	in := map[string]func(string) string{
		"JSON": inJSON, "JSON in JSON": func(s string) string { return inJSON(inJSON(s)) }, "Go": strconv.Quote,
		"Python": func(s string) string {
			return "AssertionError: '" + strings.NewReplacer("\n", `\n`, "'", `\'`, `\`, `\\`).Replace(s) + "'"
		},
		"Python, bytes":  func(s string) string { return "b'" + strings.NewReplacer("\n", `\n`, "'", `\'`).Replace(s) + "'" },
		"docker compose": prefixed("web-1  | "), "times": prefixed("2026-11-30T10:00:00.123Z "), "syslog": prefixed("Nov 30 10:00:00 host agent[123]: "),
		"pytest": prefixed("E       "), "an addition": prefixed("+"), "a quotation": prefixed("> "), "grep": prefixed(".env.yaml:12:"),
		"concurrently": prefixed("[web] "), "act": prefixed("[CI/build]   | "), "docker build": prefixed("#12 0.345 "), "turbo": prefixed("web:dev: "),
		"numbers": func(s string) string {
			lines := strings.Split(s, "\n")
			for n := range lines {
				lines[n] = fmt.Sprintf("%6d\t%s", n+1, lines[n])
			}
			return strings.Join(lines, "\n")
		},
		"a frame": func(s string) string {
			lines := strings.Split(s, "\n")
			for n := range lines {
				lines[n] = fmt.Sprintf("│ %-40s │", lines[n])
			}
			return strings.Join(lines, "\n")
		},
	}
	for name, text := range map[string]string{
		"Kubernetes":        "- name: DB_PASSWORD\n  value: \"hunter2\"\n- name: A\n  value: b",
		"a Secret":          "kind: Secret\ndata:\n  config: hunter2",
		"JSON":              "{\n  \"name\": \"DB_PASSWORD\",\n  \"value\": \"hunter2\"\n}",
		"terraform":         "  + token = {\n      + id = 5\n      + value = \"hunter2\"\n    }",
		"Rust":              "token: Token {\n    id: 5,\n    value: \"hunter2\",\n}",
		"a map":             "passwords:\n  bob: hunter2\n  amy: hunter2",
		"a block":           "password: >-\n  hunter2\nx: y",
		"XML":               "<add key=\"ApiToken\"\n  value=\"hunter2\"/>",
		"a trace":           "+ echo hunter2\n  + docker login --password-stdin",
		"a .netrc":          "machine h\n  login bob\n  password hunter2",
		"a table":           "| user | password |\n|------|----------|\n| bob  | hunter2  |\n  (1 row)",
		"a list of options": "command:\n  - redis-server\n  - --requirepass\n  - hunter2",
	} {
		for where, put := range in {
			t.Run(name+" in "+where, func(t *testing.T) {
				want := strings.ReplaceAll(put(text), "hunter2", masked)
				require.NotEqual(t, want, put(text))
				got := New().Redact(put(text))
				require.Equal(t, want, got)
				require.Equal(t, got, New().Redact(got), "masking twice")
			})
		}
	}
}

// A difference changes a line that belongs to one that both sides have, and grep shows lines beside the one that it has found.
func TestBesideChangedLines(t *testing.T) {
	for name, text := range map[string]string{
		"a diff":                "@@ -1,3 +1,3 @@\n   - name: DB_PASSWORD\n-    value: hunter2\n+    value: hunter2\n     x: y\n",
		"a diff of a map":       " passwords:\n-  bob: hunter2\n+  bob: hunter2\n",
		"a diff of JSON":        " {\n   \"name\": \"DB_PASSWORD\",\n-  \"value\": \"hunter2\"\n+  \"value\": \"hunter2\"\n }\n",
		"a diff of options":     "   - --requirepass\n-  - hunter2\n+  - hunter2\n",
		"in JSON":               `{"content":"   - name: DB_PASSWORD\n-    value: hunter2\n+    value: hunter2\n"}`,
		"grep -n -A1":           "9:        - name: DB_PASSWORD\n10-          value: hunter2\n",
		"grep -rn -A1":          "k8s/a.yaml:9:        - name: DB_PASSWORD\nk8s/a.yaml-10-          value: hunter2\n",
		"grep -r -A1":           "k8s/a.yaml:        - name: DB_PASSWORD\nk8s/a.yaml-          value: hunter2\nk8s/a.yaml-        - name: A\n",
		"grep -r -A1, a folder": "services/worker-1-eu/a.yaml:        - name: DB_PASSWORD\nservices/worker-1-eu/a.yaml-          value: hunter2\n",
		"grep -r -B2":           "k8s/a.yaml-        - name: DB_PASSWORD\nk8s/a.yaml-          value: hunter2\nk8s/a.yaml:        - name: A\n",
		"grep -r":               "k8s/a.yaml:        - name: DB_PASSWORD\nk8s/a.yaml:          value: hunter2\nk8s/b.yaml:        - name: A\n",
		"grep -rn -B1":          "b.yaml:3:x\n--\nk8s/a.yaml-9-        - name: DB_PASSWORD\nk8s/a.yaml:10:          value: hunter2\n",
		"grep, a folder":        "services/worker-1-eu/2026-11-30-a/a.yaml:9:        - name: DB_PASSWORD\nservices/worker-1-eu/2026-11-30-a/a.yaml-10-          value: hunter2\n",
		"grep, a file":          "worker-1-eu-2-x-1-:9:        - name: DB_PASSWORD\nworker-1-eu-2-x-1--10-          value: hunter2\n",
		"grep, a long path":     strings.Repeat("folder/", 20) + "a:9:        - name: DB_PASSWORD\n" + strings.Repeat("folder/", 20) + "a-10-          value: hunter2\n",
		"grep, many lines":      "a.yaml:99:  password: >-\na.yaml-100-    hunter2\na.yaml-101-  x: y\n--\nb.yaml:1:  - name: DB_PASSWORD\nb.yaml-2-    value: hunter2\n",
		"a list of lines":       `{"structuredPatch":[{"oldStart":1,"lines":["       - name: DB_PASSWORD","-          value: hunter2","+          value: hunter2","         x: \"y\""]}]}`,
		"a list below itself":   "[\n  \"   - name: DB_PASSWORD\",\n  \"-    value: hunter2\",\n  \"+    value: hunter2\"\n]",
		"no line end":           "   - name: DB_PASSWORD\n-    value: hunter2\n\\ No newline at end of file\n+    value: hunter2\n\\ No newline at end of file\n",
		"an empty line":         "   - name: DB_PASSWORD\n\n-    value: hunter2\n+    value: hunter2\n",
		"lines with their bar":  "  2 |   - name: DB_PASSWORD\n  3 |     value: hunter2\n",
	} {
		t.Run(name, func(t *testing.T) {
			want := strings.ReplaceAll(text, "hunter2", masked)
			got := New().Redact(text)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
			requireNoPanic(t, text)
		})
	}
}

// A text that holds another one says no more than that.
func TestTextsInTextsWithoutSecret(t *testing.T) {
	for _, text := range []string{
		`{"content":"the token\n  is expired\n","path":"C:\\Users\\bob"}`, `{"a":"Cookie","b":"x\ny"}`, `'don\'t' "password" 'x\n'`, `{"key":"password","n":"\u001b[31mvalue\u001b[0m: \"x\""}`,
		"web-1  | password:\nweb-1  |   is wrong\n", "a.go:12:5: token\na.go:13:  abc1def\n", "│ token │\n│ abc1def2 │\n",
		`["password","- required1","+ name1"]`, "a.go-12-token:\nb.go-13-  abc1def\n", "a: token\nb-  c: value3\n",
		"2026-11-30T10:00:00Z INFO token\n2026-11-30T10:00:01Z   value=3\n",
	} {
		require.Equal(t, text, New().Redact(text))
		requireNoPanic(t, text)
	}
}
