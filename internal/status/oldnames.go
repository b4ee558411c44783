package status

import "encoding/json"

// Until the next release, JSON also has the names that it had before each thing had one name everywhere. The API's description marks them as
// deprecated. To end that, delete this file.

func (v ResultView) MarshalJSON() ([]byte, error) {
	type plain ResultView
	return json.Marshal(struct {
		plain
		OldFailures int  `json:"consecutive_failures"`
		OldPaused   bool `json:"paused"`
	}{plain(v), v.Failures, v.Paused == Yes})
}

// UnmarshalJSON also reads the answer of a daemon of an earlier version.
func (v *ResultView) UnmarshalJSON(b []byte) error {
	type plain ResultView
	old := struct {
		*plain
		OldFailures *int  `json:"consecutive_failures"`
		OldPaused   *bool `json:"paused"`
	}{plain: (*plain)(v)}
	err := json.Unmarshal(b, &old)
	if old.OldFailures != nil {
		v.Failures = *old.OldFailures
	}
	if v.Paused == "" && old.OldPaused != nil {
		v.Paused = YesOrNo(*old.OldPaused)
	}
	return err
}

func (v SpooledView) MarshalJSON() ([]byte, error) {
	type plain SpooledView
	return json.Marshal(struct {
		plain
		OldPaused bool `json:"paused"`
	}{plain(v), v.Paused == Yes})
}

func (p Project) MarshalJSON() ([]byte, error) {
	type plain Project
	return json.Marshal(struct {
		plain
		OldPaused string `json:"paused"`
	}{plain(p), p.Paused})
}

func (n IncidentName) MarshalJSON() ([]byte, error) {
	type plain IncidentName
	return json.Marshal(struct {
		plain
		OldIssue string `json:"issue"`
	}{plain(n), n.Issue})
}

// UnmarshalJSON is like that of [ResultView].
func (n *IncidentName) UnmarshalJSON(b []byte) error {
	type plain IncidentName
	old := struct {
		*plain
		OldIssue *string `json:"issue"`
	}{plain: (*plain)(n)}
	err := json.Unmarshal(b, &old)
	if old.OldIssue != nil {
		n.Issue = *old.OldIssue
	}
	return err
}

func (i Incident) MarshalJSON() ([]byte, error) {
	type plain Incident
	return json.Marshal(struct {
		plain
		OldIssue string `json:"issue"`
		OldLead  string `json:"lead,omitempty"`
	}{plain(i), i.Issue, i.Lead})
}

func (s Silence) MarshalJSON() ([]byte, error) {
	type plain Silence
	return json.Marshal(struct {
		plain
		OldIssue string `json:"issue"`
	}{plain(s), s.Issue})
}

func (h Webhook) MarshalJSON() ([]byte, error) {
	type plain Webhook
	return json.Marshal(struct {
		plain
		OldID string `json:"event"`
	}{plain(h), h.ID})
}

func (i ListedIncident) MarshalJSON() ([]byte, error) {
	type plain ListedIncident
	return json.Marshal(struct {
		plain
		OldFailures int    `json:"consecutive_failures"`
		OldLead     string `json:"lead,omitempty"`
	}{plain(i), i.Failures, i.Lead})
}
