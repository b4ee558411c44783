package page

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/status"
)

// listed returns the ids on a front page by section, e.g. "paused: a b, well: c".
func listed(address string, s status.Status) (indexView, string) {
	v := newIndex(s, newVisit(httptest.NewRequest("GET", address, nil)))
	var out []string
	for _, g := range v.Groups {
		var ids []string
		for _, c := range g.Cards {
			if ids = append(ids, c.ID); c.Storm != "" {
				ids[len(ids)-1] += fmt.Sprintf("(%s)", c.Storm)
			}
		}
		for _, r := range g.Rows {
			ids = append(ids, r.ID)
		}
		out = append(out, string(g.Group)+": "+strings.Join(ids, " "))
	}
	return v, strings.Join(out, ", ")
}

func mixed() status.Status {
	taken, fresh, older := paused("taken", "---", sampleIssue), paused("fresh", "---", sampleIssue), paused("older", "---", sampleIssue)
	fresh.Incident.TakenAt, older.Incident.TakenAt = time.Time{}, time.Time{}
	since := before(time.Hour)
	fresh.Since = &since
	fresh.LastRuns[0].Class, fresh.Incident.Class = "quota", "quota"
	failing, noted, unsure := running("failing", "--+"), running("noted", "++"), running("unsure", "+")
	failing.Failures, unsure.Paused = 2, status.Unknown
	noted.Warnings = []string{"something"}
	well, early := running("b-well", "++"), running("a-well", "+++")
	early.LastRuns[0].Finished = before(10 * time.Hour)
	return sampleStatus(well, noted, held("byhand", "+"), failing, taken, older, unsure, fresh, early, running("idle", ""))
}

func TestListOfProjects(t *testing.T) {
	for address, want := range map[string]string{
		"/":                         "paused: fresh older taken byhand, unknown: unsure, look: failing noted, well: b-well a-well idle",
		"/?sort=name":               "paused: byhand fresh older taken, unknown: unsure, look: failing noted, well: a-well b-well idle",
		"/?sort=oldest&show=well":   "well: idle a-well b-well",
		"/?sort=latest&show=well":   "well: b-well a-well idle",
		"/?sort=failures&show=look": "look: failing noted",
		"/?sort=nonsense&show=no":   "paused: fresh older taken byhand, unknown: unsure, look: failing noted, well: b-well a-well idle",
		"/?show=unknown":            "unknown: unsure",
		"/?find=WELL":               "well: b-well a-well",
		"/?find=*-well":             "well: b-well a-well",
		"/?find=*well":              "well: b-well a-well",
		"/?find=well*":              "",
		"/?find=a[*":                "",
		"/?find=quota":              "paused: fresh",
		"/?find=no+space+LEFT":      "paused: fresh older taken",
		"/?find=database":           "paused: byhand",
		"/?find=zzz":                "",
		"/?find=well&show=paused":   "",
	} {
		_, got := listed(address, mixed())
		require.Equal(t, want, got, address)
	}
}

// The headline is about all projects, whatever the list is.
func TestHeadlineIsAboutAll(t *testing.T) {
	v, _ := listed("/?find=zzz", mixed())
	require.Equal(t, "4 of 10 projects are paused", v.Headline)
	require.Equal(t, []string{"fresh", "older", "taken"}, []string{v.SubNames[0].ID, v.SubNames[1].ID, v.SubNames[2].ID}, "the most urgent ones")
	require.Equal(t, " and 1 more. 1 more unknown", v.SubMore)
	require.Equal(t, "No project fits. ", v.Nothing)
}

func TestFinder(t *testing.T) {
	v, _ := listed("/?find=x&sort=name&show=look&page=3&refresh=off", mixed())
	var tabs []string
	for _, one := range v.Finder.Tabs {
		tabs = append(tabs, fmt.Sprint(one.Text, one.Number, one.Here, one.Link))
	}
	require.Equal(t, []string{
		"All10 false?find=x&refresh=off&sort=name", "Paused4 false?find=x&refresh=off&show=paused&sort=name", "Unknown1 false?find=x&refresh=off&show=unknown&sort=name",
		"May run, but look2 true?find=x&refresh=off&show=look&sort=name", "May run3 false?find=x&refresh=off&show=well&sort=name",
	}, tabs)
	few, _ := listed("/", sampleStatus(running("a", "+"), running("b", "+")))
	require.Nil(t, few.Finder, "two projects need none")
	few, _ = listed("/?show=paused", sampleStatus(running("a", "+"), running("b", "+")))
	require.NotNil(t, few.Finder, "but a way back")
	require.Len(t, []rune(newVisit(httptest.NewRequest("GET", "/?find="+strings.Repeat("%C3%A4", 300), nil)).list.Find), maxFind)
}

func TestPagesOfProjects(t *testing.T) {
	seen := map[string]bool{}
	address := "/"
	for n := range 4 {
		v, ids := listed(address, sampleMany(1000))
		for _, id := range strings.Fields(ids) {
			seen[strings.Trim(id, ",")] = true
		}
		for _, g := range v.Groups {
			for _, c := range g.Cards {
				for _, m := range c.Members {
					seen[m.ID] = true
				}
			}
		}
		require.Equal(t, n == 0, v.Pager.First == "")
		require.Equal(t, n == 3, v.Pager.Next == "", v.Pager.Text)
		address = "/" + v.Pager.Next
	}
	for n := range 1000 {
		id := fmt.Sprintf("project-%04d", n)
		if n == 120 {
			continue // the storm's card bears its number
		}
		require.True(t, seen[id], id)
	}
	v, _ := listed("/?page=99", sampleMany(1000))
	require.Equal(t, "901 to 1000 of 1000 projects", v.Pager.Text, "behind the last page is the last page")
	v, _ = listed("/", sampleMany(maxListed))
	require.Nil(t, v.Pager)
}

func TestStormIsOneCard(t *testing.T) {
	v, ids := listed("/", sampleStorm())
	require.Equal(t, "paused: twins-0(7 projects) odilo, well: fleet", ids)
	require.Len(t, v.Groups[0].Cards[0].Members, 7)
	require.Zero(t, v.Groups[0].Cards[0].More)

	v, ids = listed("/?find=twins-3", sampleStorm())
	require.Equal(t, "paused: twins-3(7 projects)", ids)
	require.Equal(t, 6, v.Groups[0].Cards[0].More)

	resumed := sampleStorm()
	resumed.Projects[2] = running("twins-2", "---++")
	v, ids = listed("/", resumed)
	require.Equal(t, "paused: twins-0(6 projects) odilo, look: twins-2, well: fleet", ids, "one has been resumed")
	require.Zero(t, v.Groups[0].Cards[0].More)
	for n := range 6 {
		resumed.Projects[n+1] = running(fmt.Sprintf("twins-%d", n+1), "+---++")
	}
	_, ids = listed("/", resumed)
	require.Equal(t, "paused: twins-0 odilo, well: twins-1 twins-2 twins-3 twins-4 twins-5 twins-6 fleet", ids, "all but one")

	var many []status.Project
	for n := range 250 {
		many = append(many, paused(fmt.Sprintf("p%03d", n), "---", sampleIssue))
	}
	v, ids = listed("/", sampleStatus(append(inStorm(many), running("fleet", "+"))...))
	require.Equal(t, "paused: p000(250 projects), well: fleet", ids)
	require.Len(t, v.Groups[0].Cards[0].Named(), maxMembers)
	require.Equal(t, 150, v.Groups[0].Cards[0].More)

	var alone []status.Project
	for n := range 30 {
		alone = append(alone, paused(fmt.Sprintf("p%02d", n), "---", sampleIssue))
	}
	v, _ = listed("/", sampleStatus(alone...))
	require.Len(t, v.Groups[0].Cards, maxCards)
	require.Len(t, v.Groups[0].Rows, 30-maxCards, "the rest are rows")
}
