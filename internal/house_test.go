package internal

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/terraphim/adfbot"

// allowed are the packages of this module that each of its packages may import, tests left out. Imports go one way.
var allowed = map[string][]string{
	module:                     {}, // the example, at the top level
	"breaker":                  {},
	"pause":                    {},
	"internal/text":            {},
	"internal/fault":           {},
	"internal/redact":          {"internal/text"},
	"internal/markdown":        {"internal/redact"},
	"escalate/tracker":         {"pause"},
	"escalate/gitea":           {"internal/redact", "escalate/tracker"},
	"escalate/incident":        {"internal/redact", "escalate/tracker"},
	"escalate/plan":            {"internal/text", "internal/class", "escalate/tracker", "escalate/incident"},
	"escalate/issuetext":       {"pause", "internal/text", "internal/class", "internal/redact", "internal/markdown", "escalate/tracker", "escalate/incident"},
	"escalate":                 {"breaker", "pause", "internal/text", "internal/fault", "internal/redact", "internal/markdown", "escalate/tracker", "escalate/incident", "escalate/plan", "escalate/issuetext"},
	"escalate/giteatest":       {},
	"internal/testhost":        {},
	"internal/testworld":       {"escalate/giteatest"},
	"internal/yardstick":       {},
	"internal/pager":           {"internal/redact"},
	"internal/exposition":      {},
	"internal/proc":            {},
	"internal/hostlocal":       {"pause", "internal/text", "internal/class", "escalate/incident", "internal/store"},
	"internal/class":           {},
	"internal/config":          {"pause", "internal/text", "internal/class"},
	"internal/store":           {"breaker", "pause", "internal/class", "escalate/tracker", "escalate/incident"},
	"internal/store/sqlstore":  {"breaker", "pause", "escalate/tracker", "escalate/incident", "internal/store"},
	"internal/store/sqlite":    {"pause", "internal/fault", "escalate/incident", "internal/store", "internal/store/sqlstore", "internal/hostlocal"},
	"internal/store/postgres":  {"pause", "internal/fault", "escalate/tracker", "escalate/incident", "internal/store", "internal/store/sqlstore"},
	"internal/store/migrate":   {"pause", "internal/fault", "internal/text", "internal/store", "internal/store/sqlstore", "internal/store/sqlite", "internal/store/postgres", "internal/hostlocal"},
	"internal/testpg":          {"pause", "internal/testhost"},
	"internal/store/storetest": {"breaker", "pause", "escalate/tracker", "escalate/incident", "internal/store"},
	"internal/status":          {"pause", "internal/text", "internal/class", "internal/redact", "internal/markdown", "escalate/incident", "escalate/issuetext", "escalate", "internal/config", "internal/store", "internal/hostlocal", "internal/setup"},
	"internal/bot":             {"breaker", "pause", "internal/text", "internal/fault", "internal/redact", "internal/markdown", "escalate/tracker", "escalate/gitea", "escalate/incident", "escalate/plan", "escalate/issuetext", "escalate", "internal/proc", "internal/pager", "internal/class", "internal/config", "internal/store", "internal/status", "internal/hostlocal", "internal/store/sqlite", "internal/store/postgres"},
	"internal/setup":           {"pause", "internal/text", "internal/fault", "internal/config"},
	"internal/client":          {"internal/text", "escalate/incident", "internal/store", "internal/status", "internal/hostlocal"},
	"internal/web/page":        {"pause", "internal/text", "internal/class", "escalate/tracker", "escalate/incident", "internal/config", "internal/store", "internal/status"},
	"internal/web/browsertest": {},
	"internal/web":             {"breaker", "pause", "internal/text", "internal/class", "internal/fault", "internal/redact", "internal/markdown", "escalate/tracker", "escalate/gitea", "escalate/incident", "escalate/plan", "escalate/issuetext", "escalate", "internal/exposition", "internal/config", "internal/store", "internal/status", "internal/bot", "internal/web/page", "internal/hostlocal"},
}

// imports lists what every package imports, without its tests, by its path in the module.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	require.NoError(t, err)
	list := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		list[strings.TrimPrefix(f[0], module+"/")] = f[1:]
	}
	return list
}

func TestImportsGoOneWay(t *testing.T) {
	for pkg, list := range imports(t) {
		if pkg == "internal" || pkg == "cmd/adfbot" {
			continue // this test, and the command, which may import any
		}
		may, known := allowed[pkg]
		require.True(t, known, "package %s has no rule here: add one", pkg)
		for _, path := range list {
			if own, ok := strings.CutPrefix(path, module+"/"); ok {
				require.Contains(t, may, own, "%s must not import %s", pkg, own)
			}
		}
	}
}

func TestBreakerAndPauseUseTheStandardLibraryOnly(t *testing.T) {
	list := imports(t)
	for _, pkg := range []string{"breaker", "pause", "escalate/giteatest"} {
		for _, path := range list[pkg] {
			first, _, _ := strings.Cut(path, "/")
			require.NotContains(t, first, ".", "%s imports %s", pkg, path)
		}
	}
}

func TestTheSDKIsImportedByOnePackage(t *testing.T) {
	for pkg, list := range imports(t) {
		require.Equal(t, pkg == "escalate/gitea", slices.Contains(list, "code.gitea.io/sdk/gitea"), pkg)
	}
}

func TestTheDriverOfPostgreSQLIsImportedByOnePackage(t *testing.T) {
	for pkg, list := range imports(t) {
		imported := slices.ContainsFunc(list, func(path string) bool { return strings.HasPrefix(path, "github.com/jackc/") })
		require.Equal(t, pkg == "internal/store/postgres" || pkg == "internal/testpg", imported, pkg) // the second one is for tests
	}
}

// files returns the paths of the project's files. It skips the test outside of a git checkout.
func files(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("no git checkout: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// The go command packs no module, and Windows checks out no repository, with other names.
func TestFileNamesWorkEverywhere(t *testing.T) {
	for _, file := range files(t) {
		require.Regexp(t, `^[A-Za-z0-9._/+-]+$`, file)
	}
}

func TestTheTopLevelHoldsWhatItMayAndNothingElse(t *testing.T) {
	may := []string{"go.mod", "go.sum", "cmd", "escalate", "breaker", "pause", "config.example.yaml", "example.go", "testdata", "README.md", "internal", ".ci"}
	for _, file := range files(t) {
		top, _, _ := strings.Cut(file, "/")
		if strings.HasPrefix(top, ".") && top != ".ci" {
			continue // dotfiles
		}
		require.True(t, slices.Contains(may, top), "%s at the top level", top)
	}
}
