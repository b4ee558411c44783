package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// panel is what Grafana needs of a panel.
type panel struct {
	ID          int
	Type, Title string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr, LegendFormat, RefID string }
}

func dashboardPanels(t *testing.T) []panel {
	t.Helper()
	var d struct{ Panels []panel }
	require.NoError(t, json.Unmarshal([]byte(dashboard), &d))
	return d.Panels
}

type alertRule struct {
	Alert, Expr, For string
	Labels           map[string]string
	Annotations      map[string]string
}

func alertGroups(t *testing.T) map[string][]alertRule {
	t.Helper()
	var f struct {
		Groups []struct {
			Name  string
			Rules []alertRule
		}
	}
	in := yaml.NewDecoder(strings.NewReader(alerts))
	in.KnownFields(true)
	require.NoError(t, in.Decode(&f))
	groups := map[string][]alertRule{}
	for _, g := range f.Groups {
		groups[g.Name] = g.Rules
	}
	return groups
}

// expressions are those of the dashboard and the alerts, each with the labels that its texts use.
func expressions(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, p := range dashboardPanels(t) {
		for _, x := range p.Targets {
			all[x.Expr] = submatches(`{{(\w+)}}`, x.LegendFormat)
		}
	}
	for _, rules := range alertGroups(t) {
		for _, r := range rules {
			all[r.Expr] = submatches(`\$labels\.(\w+)`, r.Annotations["summary"])
		}
	}
	for _, query := range submatches(`"query": ?"(label_values.*)"`, dashboard) {
		query = strings.ReplaceAll(query, `\"`, `"`)
		m := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(query)
		require.NotNil(t, m, query)
		all[m[1]] = []string{m[2]}
	}
	return all
}

// servedSeries returns the labels of each name in a scrape, parts of histograms included.
func servedSeries(page string) map[string]map[string]bool {
	served := map[string]map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z_]\w*)(?:{(.*)})? \S+$`).FindAllStringSubmatch(page, -1) {
		labels := served[m[1]]
		if labels == nil { // what Prometheus adds
			labels = map[string]bool{"job": true, "instance": true}
			served[m[1]] = labels
		}
		for _, l := range submatches(`(?:^|,)(\w+)="`, m[2]) {
			labels[l] = true
		}
	}
	served["up"] = map[string]bool{"job": true, "instance": true} // Prometheus's own
	return served
}

var (
	promString   = expression(`"[^"]*"`)
	promSelector = expression(`(\w+)\{([^}]*)\}`)
	promGrouping = expression(`\b(by|on|without|ignoring)\s*\(([^)]*)\)`)
	promRange    = expression(`\[[^\]]*\]`)
	promName     = expression(`\b([a-z_]\w*)\b(\s*\()?`)
	promWords    = []string{"and", "or", "unless", "bool", "offset"}
)

// metricsOf returns the metrics that an expression of PromQL names, with the labels that it selects by, and the labels by which it
// groups and matches. It knows as much of the language as dashboard and alerts use.
func metricsOf(expr string) (selected map[string][]string, grouped []string) {
	selected = map[string][]string{}
	expr = promString().ReplaceAllString(expr, "")
	for _, m := range promSelector().FindAllStringSubmatch(expr, -1) {
		selected[m[1]] = append(selected[m[1]], submatches(`(\w+)\s*[!=]`, m[2])...)
	}
	expr = promSelector().ReplaceAllString(expr, "")
	for _, m := range promGrouping().FindAllStringSubmatch(expr, -1) {
		grouped = append(grouped, submatches(`(\w+)`, m[2])...)
	}
	expr = promRange().ReplaceAllString(promGrouping().ReplaceAllString(expr, ""), "")
	for _, m := range promName().FindAllStringSubmatch(expr, -1) {
		if m[2] == "" && !slices.Contains(promWords, m[1]) { // else a function or an operator
			selected[m[1]] = append(selected[m[1]], []string{}...)
		}
	}
	return selected, grouped
}

func TestMetricsOf(t *testing.T) {
	selected, grouped := metricsOf(`histogram_quantile(0.99, sum by (le, op) (rate(a_bucket{job=~"x{y}",code!="5.."}[5m]))) > 2e3 unless on (project) b == 1 or vector(0)`)
	require.Equal(t, []string{"a_bucket", "b"}, slices.Sorted(maps.Keys(selected)))
	require.Equal(t, []string{"code", "job"}, selected["a_bucket"])
	require.Equal(t, []string{"le", "op", "project"}, grouped)
}

// checkExpressions holds the dashboard and the alerts against a scrape. Expressions with a metric in other are left out.
func checkExpressions(t *testing.T, page string, other map[string]metricRow) {
	t.Helper()
	served := servedSeries(page)
	checked := 0
	for expr, shown := range expressions(t) {
		selected, grouped := metricsOf(expr)
		require.NotEmpty(t, selected, expr)
		if slices.ContainsFunc(slices.Collect(maps.Keys(selected)), func(name string) bool {
			return other[strings.TrimSuffix(name, "_bucket")] != (metricRow{})
		}) {
			continue
		}
		any := map[string]bool{}
		for name, labels := range selected {
			require.NotNil(t, served[name], "there is no metric %s: %s", name, expr)
			for _, l := range labels {
				require.True(t, served[name][l], "%s has no label %s: %s", name, l, expr)
			}
			maps.Copy(any, served[name])
		}
		for _, l := range append(grouped, shown...) {
			require.True(t, any[l], "no label %s: %s", l, expr)
		}
		checked++
	}
	require.Greater(t, checked, 40)
}

func TestDashboardForm(t *testing.T) {
	type cell struct{ x, y int }
	taken, ids := map[cell]string{}, map[int]string{}
	for _, p := range dashboardPanels(t) {
		require.Empty(t, ids[p.ID], p.Title)
		ids[p.ID] = p.Title
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := cell{p.GridPos.X + x, p.GridPos.Y + y}
				require.Empty(t, taken[at], "%s covers it", p.Title)
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		require.Regexp(t, `\.$`, p.Description, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		refs := map[string]bool{}
		for _, x := range p.Targets {
			require.False(t, refs[x.RefID], p.Title)
			refs[x.RefID] = true
		}
	}
	require.NotContains(t, dashboard, `"uid": "prometheus"`, "people choose the data source")
}

// What Grafana needs of a dashboard, so that it imports it as it is.
func TestDashboardStructure(t *testing.T) {
	type source struct{ Type, UID string }
	var d struct {
		UID, Title, Timezone string
		ID                   any
		SchemaVersion        int
		Templating           struct {
			List []struct {
				Name, Type string
				Query      any
				Definition string
				AllValue   string
				Datasource *source
			}
		}
		Panels []struct {
			ID          int
			Type, Title string
			Datasource  *source
			GridPos     struct{ X, Y, W, H int }
			Targets     []struct {
				Expr, RefID string
				Datasource  *source
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(dashboard), &d))
	require.Nil(t, d.ID, "Grafana gives it")
	require.Regexp(t, `^[A-Za-z0-9_-]{1,40}$`, d.UID)
	require.NotEmpty(t, d.Title)
	require.GreaterOrEqual(t, d.SchemaVersion, 36, "since then a data source is an object")
	chosen := &source{"prometheus", "${datasource}"}

	known := []string{"__rate_interval", "__range", "__all", "__interval"} // Grafana's own
	for _, v := range d.Templating.List {
		require.NotContains(t, known, v.Name)
		known = append(known, v.Name)
		if v.Name == "datasource" {
			require.Equal(t, []any{"datasource", "prometheus"}, []any{v.Type, v.Query})
			continue
		}
		require.Equal(t, chosen, v.Datasource, v.Name)
		require.Equal(t, "query", v.Type, v.Name)
		require.Equal(t, v.Definition, v.Query.(map[string]any)["query"], "%s: one is shown, the other is done", v.Name)
		require.False(t, v.Name == "job" && v.AllValue != "", "all are those of adfbot: other programs have some of the metrics, too")
	}
	require.Contains(t, known, "datasource")
	for _, name := range submatches(`\$\{?(\w+)`, dashboard) {
		require.Contains(t, known, name, "a variable that is not defined")
	}
	for _, p := range d.Panels {
		require.Positive(t, p.ID, p.Title)
		require.NotEmpty(t, p.Title)
		require.Contains(t, []string{"row", "stat", "state-timeline", "timeseries"}, p.Type, p.Title)
		require.GreaterOrEqual(t, min(p.GridPos.X, p.GridPos.Y), 0, p.Title)
		require.Positive(t, min(p.GridPos.W, p.GridPos.H), p.Title)
		if p.Type == "row" {
			require.Equal(t, 24, p.GridPos.W, p.Title)
			continue
		}
		require.Equal(t, chosen, p.Datasource, p.Title)
		for _, x := range p.Targets {
			require.Equal(t, chosen, x.Datasource, p.Title)
			require.Regexp(t, `^[A-Z]$`, x.RefID, p.Title)
			require.Contains(t, x.Expr, `job=~"$job"`, "%s: it is about the chosen bots only", p.Title)
		}
	}
}

// Brackets and quotes fit, and no operator stands alone.
func TestExpressionsParse(t *testing.T) {
	for expr := range expressions(t) {
		require.NoError(t, promSyntax(expr), expr)
	}
	for _, wrong := range []string{
		"sum(x", "sum x)", `x{a="b}`, `x{a=}`, "x[5m", "x +", "* x", "x == and y", "sum by (a (x)", "x{a='b'}}", "rate(x[five])", "x ; y", "()",
	} {
		require.Error(t, promSyntax(wrong), wrong)
	}
}

// promSyntax finds the mistakes that are made when an expression is edited. It is no parser of PromQL.
func promSyntax(expr string) error {
	const number = `\d+(?:\.\d+)?(?:e\d+)?`
	steps := []struct{ is, becomes string }{ // each makes an expression shorter, until one name is left
		{`"[^"]*"|'[^']*'`, `S`},
		{`\{\s*(?:\w+\s*(?:=~|!~|!=|=)\s*S\s*,?\s*)*\}`, ``},
		{`\[(?:\d+[smhdw]|\$\w+)(?::\d*[smhdw]?)?\]`, ``},
		{`\boffset \d+[smhdw]`, ``},
		{`\b(?:by|without)\s*\([\w\s,]*\)`, ``},
		{`\b(?:on|ignoring)\s*\([\w\s,]*\)(?:\s*group_(?:left|right)(?:\s*\([\w\s,]*\))?)?`, ``},
		{`\bbool\b`, ``},
		{`\b` + number + `\b`, `x`},
		{`\b(?:and|or|unless)\b|==|!=|<=|>=|[-+*/%^<>]`, `+`},
	}
	for _, s := range steps {
		expr = regexp.MustCompile(s.is).ReplaceAllString(expr, s.becomes)
	}
	expr = strings.Join(strings.Fields(expr), " ")
	expr = regexp.MustCompile(`[A-Za-z_]\w*`).ReplaceAllString(expr, "x")
	for {
		shorter := expr
		for _, s := range []struct{ is, becomes string }{
			{`x ?\( ?x ?(?:, ?x ?)*\)`, `x`}, {`x ?\( ?\)`, `x`}, {`(^|[(,+] ?)\( ?x ?\)`, `${1}x`}, {`x ?\+ ?x`, `x`},
		} {
			shorter = regexp.MustCompile(s.is).ReplaceAllString(shorter, s.becomes)
		}
		if shorter == expr {
			break
		}
		expr = shorter
	}
	if strings.TrimSpace(expr) != "x" {
		return fmt.Errorf("this is left over: %s", expr)
	}
	return nil
}

// Of a series that has just begun, a range has only what there is: an alert that tells of a whole day has to see that the day is there.
func TestAlertsOfARange(t *testing.T) {
	found := 0
	for _, rules := range alertGroups(t) {
		for _, r := range rules {
			for _, span := range submatches(`_over_time\([^)]*\[(\w+)\]\)`, r.Expr) {
				require.Contains(t, r.Expr, " offset "+span+")", r.Alert)
				found++
			}
		}
	}
	require.Positive(t, found)
}

// A nightly job that takes some minutes longer than the night before has had no result for a day, and is in order.
func TestAlertsOfNightlyJobs(t *testing.T) {
	found := 0
	for _, rules := range alertGroups(t) {
		for _, r := range rules {
			if strings.Contains(r.Expr+" ", "> 86400 ") {
				limit, err := time.ParseDuration(r.For)
				require.NoError(t, err, r.Alert)
				require.GreaterOrEqual(t, limit, time.Hour, r.Alert)
				found++
			}
		}
	}
	require.Equal(t, 2, found)
}

// Every alert says what is wrong, and its topic what to do.
func TestAlertsAreDocumented(t *testing.T) {
	text := topic(t, "metrics")
	names := map[string]bool{}
	for group, rules := range alertGroups(t) {
		for _, r := range rules {
			require.False(t, names[r.Alert], r.Alert)
			names[r.Alert] = true
			require.Regexp(t, "(?m)^\\| `"+r.Alert+"` \\|", text, group)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			require.Contains(t, []string{"warning", "critical"}, r.Labels["severity"], r.Alert)
		}
	}
	for path, text := range documents(t) {
		for _, name := range submatches("`(Adfbot[A-Z]\\w+)`", text) {
			require.True(t, names[name], "%s: there is no alert %s", path, name)
		}
	}
}
