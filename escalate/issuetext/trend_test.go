package issuetext

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/escalate/incident"
)

func TestTrendText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		trend incident.Trend
		want  string
	}{
		{incident.Trend{}, ""},
		{incident.Trend{Nth: 1}, ""},
		{incident.Trend{Nth: 2}, "2nd incident in 7 days"},
		{incident.Trend{Nth: 12}, "12th incident in 7 days"},
		{incident.Trend{Nth: 21}, "More than 20 incidents in 7 days"},
		{incident.Trend{Nth: 1, Same: 1, As: "odilo#2"}, "The same error as `odilo#2`"},
		{incident.Trend{Nth: 1, Same: 2, As: "odilo#2"}, "The last two incidents had the same error as `odilo#2`"},
		{incident.Trend{Nth: 2, Same: 1, As: "odilo#2"}, "2nd incident in 7 days, with the same error as `odilo#2`"},
		{incident.Trend{Nth: 3, Same: 2, As: "odilo#2"}, "3rd incident in 7 days; the last two with the same error as `odilo#2`"},
		{incident.Trend{Nth: 13, Same: 12, As: "odilo#2"}, "13th incident in 7 days; the last 12 with the same error as `odilo#2`"},
	} {
		require.Equal(t, tt.want, trend(tt.trend))
	}
	d := testData()
	d.Incident.Trend = incident.Trend{Nth: 3, Same: 2, As: "odilo#2"}
	body, _ := compose(t, "").Body(d)

	golden(t, "issue-trend.md", body)
	own, problem := compose(t, "{{.Trend}}").Body(d)
	require.Empty(t, problem)
	require.Contains(t, own, "3rd incident in 7 days")
}
