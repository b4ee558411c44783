// Package status tells people how things stand: what `adfbot status` prints, the page and the API show, /readyz and the
// metrics report, and `/adf status` answers in Gitea.
//
// A [Reader] reads the state, the pause directory and the report of the last sweep. It makes no request to Gitea and writes
// nothing, so it takes no locks: what it returns may be outdated a moment later. What can't be read is reported as unknown,
// never as fine.
package status
