package class

import (
	"regexp"
	"slices"
)

// generic are the last lines of tools that run others, and of summaries: they say that something failed, and not what. Failures of
// different causes have them in common.
var generic = []*regexp.Regexp{
	regexp.MustCompile(`make(\[\d+\])?: \*\*\* `),
	regexp.MustCompile(`ninja: build stopped: `),
	regexp.MustCompile(`ERROR: Job failed: (exit (code|status)|command terminated)`),                           // GitLab
	regexp.MustCompile(`Process completed with exit code \d`),                                                  // GitHub and Gitea
	regexp.MustCompile(`(?i)((exited|terminated|finished) with (exit )?|failed with exit )(code|status) -?\d`), // bun, npm, yarn, systemd
	regexp.MustCompile(`(?i)returned (a )?non-zero (exit )?(code|status)`),                                     // docker, Python
	regexp.MustCompile(`ELIFECYCLE`),                                                                           // npm, pnpm
	regexp.MustCompile(`A complete log of this run can be found in`),                                           // npm
	regexp.MustCompile(`for documentation about this command`),                                                 // yarn
	regexp.MustCompile(`Traceback \(most recent call last\):$`),
	regexp.MustCompile(`FAILED \((failures|errors|skipped|expected failures|unexpected successes)=\d`), // unittest
	regexp.MustCompile(`^=+ .*\d (failed|passed|errors?)\b.* =+$`),                                     // pytest
	regexp.MustCompile(`^(Tests|Test Suites):? .*\d (failed|total)`),                                   // jest, vitest
	regexp.MustCompile(`^Ran all test suites`),
	regexp.MustCompile(`FAILURE: Build failed with an exception`), // Gradle
	regexp.MustCompile(`^BUILD FAIL(ED|URE)\b`),
	regexp.MustCompile(`\[Help \d\] https?://`),             // Maven
	regexp.MustCompile(`error: test failed, to rerun pass`), // cargo
}

func isGeneric(line string) bool {
	return slices.ContainsFunc(generic, func(e *regexp.Regexp) bool { return e.MatchString(line) })
}
