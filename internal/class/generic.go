package class

import (
	"regexp"
	"slices"
	"sync"
)

// generic returns what matches the last lines of tools that run others, and of summaries: they say that something failed, and not what.
// Failures of different causes have them in common. They are compiled at their first use, as most processes classify nothing.
var generic = sync.OnceValue(func() (all []*regexp.Regexp) {
	for _, expression := range []string{
		`make(\[\d+\])?: \*\*\* `,
		`ninja: build stopped: `,
		`ERROR: Job failed: (exit (code|status)|command terminated)`, // GitLab
		`Process completed with exit code \d`,                        // GitHub and Gitea
		`(?i)((exited|terminated|finished) with (exit )?|failed with exit )(code|status) -?\d`, // bun, npm, yarn, systemd
		`(?i)returned (a )?non-zero (exit )?(code|status)`,                                     // docker, Python
		`ELIFECYCLE`, // npm, pnpm
		`A complete log of this run can be found in`, // npm
		`for documentation about this command`,       // yarn
		`Traceback \(most recent call last\):$`,
		`FAILED \((failures|errors|skipped|expected failures|unexpected successes)=\d`, // unittest
		`^=+ .*\d (failed|passed|errors?)\b.* =+$`,                                     // pytest
		`^(Tests|Test Suites):? .*\d (failed|total)`,                                   // jest, vitest
		`^Ran all test suites`,
		`FAILURE: Build failed with an exception`, // Gradle
		`^BUILD FAIL(ED|URE)\b`,
		`\[Help \d\] https?://`,             // Maven
		`error: test failed, to rerun pass`, // cargo
		`For further information visit https?://errors\.pydantic\.dev/`,
	} {
		all = append(all, regexp.MustCompile(expression))
	}
	return all
})

func isGeneric(line string) bool {
	return slices.ContainsFunc(generic(), func(e *regexp.Regexp) bool { return e.MatchString(line) })
}
