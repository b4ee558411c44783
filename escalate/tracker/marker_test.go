package tracker

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	testInstallation = "0123456789abcdef0123456789abcdef"
	testIncident     = "fedcba9876543210fedcba9876543210"
)

var testMarker = Marker{Installation: testInstallation, Project: "odilo", Incident: testIncident, Seq: 3}

func TestMarkerString(t *testing.T) {
	require.Equal(t, "<!-- adfbot:v1 installation=0123456789abcdef0123456789abcdef project=odilo seq=3 incident=fedcba9876543210fedcba9876543210 -->",
		testMarker.String())
	require.True(t, Marker{}.IsZero())
	for _, m := range []Marker{
		testMarker,
		{Installation: testIncident, Project: "digital-twins_2.x--y", Incident: testInstallation, Seq: 0},
		{Installation: testIncident, Project: strings.Repeat("p", 128), Incident: testInstallation, Seq: 1 << 40},
	} {
		got, ok := ParseMarker("text\n\n" + m.String())
		require.True(t, ok, m)
		require.Equal(t, m, got)
		require.False(t, m.IsZero())
	}
}

// An earlier version must not take the issue for that of a pause, see [Marker.String].
func TestSilentMarker(t *testing.T) {
	m := testMarker
	m.Silent = true
	require.Equal(t, "<!-- adfbot:silent-v1 installation=0123456789abcdef0123456789abcdef project=odilo seq=3 incident=fedcba9876543210fedcba9876543210 -->", m.String())
	got, ok := ParseMarker("text\n\n" + m.String())
	require.True(t, ok)
	require.Equal(t, m, got)
	_, members := ParseMarkers(PartStart + "\n" + m.String() + "\n" + PartEnd + "\n\n" + testMarker.String())
	require.Empty(t, members, "no other issue carries it")
}

func TestParseMarker(t *testing.T) {
	other := Marker{Installation: testInstallation, Project: "other", Incident: testInstallation, Seq: 9}
	line := testMarker.String()
	for name, c := range map[string]struct {
		body string
		want Marker
	}{
		"alone":                           {line, testMarker},
		"CRLF":                            {"a\r\n" + line + "\r\n", testMarker},
		"trailing blanks":                 {"a\n" + line + " \t\n", testMarker},
		"text was added below":            {line + "\n\nI looked at it.\n", testMarker},
		"the last of two":                 {other.String() + "\n" + line + "\n", testMarker},
		"indented":                        {" " + line, Marker{}},
		"quoted":                          {"> " + line, Marker{}},
		"text after it":                   {line + " x", Marker{}},
		"in a code span":                  {"`" + line + "`", Marker{}},
		"empty":                           {"", Marker{}},
		"only newlines":                   {"\n\n\n", Marker{}},
		"broken over two lines":           {strings.Replace(line, " seq", "\nseq", 1), Marker{}},
		"two blanks":                      {strings.Replace(line, " seq", "  seq", 1), Marker{}},
		"upper-case id":                   {strings.Replace(line, "abcdef", "ABCDEF", 1), Marker{}},
		"short id":                        {strings.Replace(line, "fedcba", "fedcb", 1), Marker{}},
		"bad project":                     {strings.Replace(line, "odilo", "../odilo", 1), Marker{}},
		"no project":                      {strings.Replace(line, "odilo", "", 1), Marker{}},
		"hidden project":                  {strings.Replace(line, "odilo", ".odilo", 1), Marker{}},
		"negative number":                 {strings.Replace(line, "seq=3", "seq=-3", 1), Marker{}},
		"leading zero":                    {strings.Replace(line, "seq=3", "seq=03", 1), Marker{}},
		"plus sign":                       {strings.Replace(line, "seq=3", "seq=+3", 1), Marker{}},
		"no number":                       {strings.Replace(line, "seq=3", "seq=", 1), Marker{}},
		"number too long":                 {strings.Replace(line, "seq=3", "seq=99999999999999999999", 1), Marker{}},
		"largest number twice":            {strings.Replace(line, "seq=3", "seq=3 seq=9223372036854775807", 1), Marker{}},
		"other order":                     {strings.Replace(line, "project=odilo seq=3", "seq=3 project=odilo", 1), Marker{}},
		"an additional field":             {strings.Replace(line, " -->", " x=y -->", 1), Marker{}},
		"a missing field":                 {strings.Replace(line, " seq=3", "", 1), Marker{}},
		"another version":                 {strings.Replace(line, "v1", "v2", 1), Marker{}},
		"a valid one above a broken last": {line + "\n" + strings.Replace(line, "seq=3", "seq=x", 1), testMarker},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := ParseMarker(c.body)
			require.Equal(t, !c.want.IsZero(), ok)
			require.Equal(t, c.want, got)
		})
	}
}

func TestCountBoxes(t *testing.T) {
	const list = PartStart + "\ntext\n\n- [x] `atlas`, …\n- [ ] `bravo`, …\n- [X] `carol`, …\n- [ ] `delta`, …\n- [ ] `echo`, …\n- [ ] a line of somebody's own\n"
	outputs := "\n" + HiddenStart + "evidence -->\n- [x] printed by a job\n- [ ] likewise\n" + HiddenStart + "evidence -->\n"
	end := testMarker.String() + "\n" + PartEnd
	for body, want := range map[string][2]int{
		"":                                    {},
		"- [x] mine":                          {},
		list:                                  {}, // it has no end
		list + "\n" + end:                     {2, 3},
		list + outputs + end:                  {2, 3},
		list + outputs + end + "\n- [x] mine": {2, 3},
		"- [x] mine\n" + list + end:           {2, 3},
		strings.ReplaceAll(list+outputs+end, "\n", "\r\n"): {2, 3},
	} {
		ticked, unticked := CountBoxes(body)
		require.Equal(t, want, [2]int{ticked, unticked}, body)
	}
}

func TestCommentMarker(t *testing.T) {
	key := testIncident + "/reopened/2"
	body := "text\r\n\r\n" + CommentMarker(key) + " \r\n"
	require.Equal(t, "<!-- adfbot:comment "+key+" -->", CommentMarker(key))
	require.True(t, HasCommentMarker(body, key))
	require.False(t, HasCommentMarker(body, testIncident+"/reopened/1"))
	require.False(t, HasCommentMarker(body, testIncident+"/reopened/22"))
	require.False(t, HasCommentMarker("> "+CommentMarker(key), key))
	require.False(t, HasCommentMarker("", key))

	// A key cannot end its comment.
	key = "a --> <b>\n<!-- adfbot:v1"
	require.Equal(t, 1, strings.Count(CommentMarker(key), "-->"))
	require.NotContains(t, CommentMarker(key), "\n")
	require.True(t, HasCommentMarker(CommentMarker(key), key))
}

func FuzzParseMarker(f *testing.F) {
	f.Add(testMarker.String())
	f.Add("x\r\n" + testMarker.String() + " \r\n\r\ny")
	f.Add(strings.Replace(testMarker.String(), "seq=3", "seq=03", 1))
	f.Fuzz(func(t *testing.T, body string) {
		m, ok := ParseMarker(body)
		if !ok {
			require.True(t, m.IsZero())
			return
		}
		require.Contains(t, body, m.String())
		again, ok := ParseMarker(m.String())
		require.True(t, ok)
		require.Equal(t, m, again)
		_, ok = ParseMarker(BreakMarkers(body))
		require.False(t, ok)
	})
}

// An issue that carries several incidents names the others in the bot's part; its last line names the one that leads.
func TestParseMarkers(t *testing.T) {
	marker := func(project string, id string) Marker {
		return Marker{Installation: testInstallation, Project: project, Incident: strings.Repeat(id, 32), Seq: 1}
	}
	twins, atlas := marker("twins", "a"), marker("atlas", "b")
	strange := atlas
	strange.Installation = strings.Repeat("c", 32)
	part := func(ms ...Marker) string {
		s := PartStart + "\n- [ ] twins\n"
		for _, m := range ms {
			s += m.String() + "\n"
		}
		return s + PartEnd + "\n"
	}
	end := "\ntext\n\n" + testMarker.String()
	for name, c := range map[string]struct {
		body string
		want []Marker
	}{
		"alone":                    {"text" + end, nil},
		"two others":               {part(twins, atlas) + end, []Marker{twins, atlas}},
		"CRLF":                     {strings.ReplaceAll(part(twins, atlas)+end, "\n", "\r\n"), []Marker{twins, atlas}},
		"text was put above":       {"I am on it.\n" + part(twins) + end, []Marker{twins}},
		"twice":                    {part(twins, twins) + end, []Marker{twins}},
		"the lead itself":          {part(twins, testMarker) + end, []Marker{twins}},
		"another installation":     {part(twins, strange) + end, []Marker{twins}},
		"outside of the part":      {part(twins) + atlas.String() + "\n" + end, []Marker{twins}},
		"the part has no end":      {strings.Replace(part(twins), PartEnd, "", 1) + end, nil},
		"the part has no start":    {strings.Replace(part(twins), PartStart, "", 1) + end, nil},
		"a hidden line in a quote": {"> " + part(twins) + end, nil},
	} {
		lead, members := ParseMarkers(c.body)
		require.Equal(t, testMarker, lead, name)
		require.Equal(t, c.want, members, name)
	}
	lead, members := ParseMarkers(part(twins, atlas))
	require.Equal(t, atlas, lead, "whoever cuts the last line leaves a lead")
	require.Equal(t, []Marker{twins}, members)

	i := Issue{Marker: testMarker, Members: []Marker{twins}}
	require.True(t, i.Carries(testIncident))
	require.True(t, i.Carries(twins.Incident))
	require.False(t, i.Carries(atlas.Incident))
	require.False(t, Issue{}.Carries(""))
	m, ok := i.MarkerOf(twins.Incident)
	require.True(t, ok)
	require.Equal(t, twins, m)
}

func TestSplitPart(t *testing.T) {
	before, part, after := SplitPart("a\n" + PartStart + "\nb\n" + PartEnd + "\nc")
	require.Equal(t, []string{"a\n", PartStart + "\nb\n" + PartEnd, "\nc"}, []string{before, part, after})
	for _, body := range []string{"", "a", PartStart, PartEnd + "\n" + PartStart, "x " + PartStart + "\n" + PartEnd, PartStart + " x\n" + PartEnd} {
		before, part, after = SplitPart(body)
		require.Equal(t, []string{"", "", body}, []string{before, part, after})
	}
	require.NotContains(t, BreakMarkers(PartStart+PartEnd), HiddenStart)
}
