package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version [--json]",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				version, revision := build()
				return a.printJSON(versionJSON{version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH})
			}
			a.printVersion()
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

// versionJSON is the answer of `version --json`.
type versionJSON struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // "" if unknown
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func (a *app) printVersion() {
	version, revision := build()
	if revision != "" {
		revision = " " + revision
	}
	a.printf("adfbot %s%s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// build returns the version and revision of this program; the revision is "" if unknown.
func build() (version, revision string) {
	version = "devel"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value[:min(12, len(s.Value))]
		}
	}
	return version, revision
}
