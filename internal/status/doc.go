// Package status is what users are shown: by `adfbot status`, the page, the API, /readyz, the metrics, and `/adf
// status` in Gitea.
//
// A [Reader] reads the state, the spool, the pause directory and the report of the last sweep, which the state keeps as
// JSON under [SweepKey]. Where several hosts share the state, it also reads what they report, and which flags they lack. What it reads of
// the state costs the same number of queries however many projects and hosts there are. It writes nothing, takes no locks and makes no request to Gitea, so a crash leaves nothing
// behind and a result may be outdated a moment later. What cannot be read is reported as unknown, never as fine.
package status
