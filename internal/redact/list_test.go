package redact

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// All items of a list are secret if the first one is.
func TestLists(t *testing.T) {
	for in, want := range map[string]string{
		`passwords: [hunter2, hunter3]`:                                                      `passwords: [[masked], [masked]]`,
		`"tokens": ["hunter2", "hunter3"], "x": ["y"]`:                                       `"tokens": ["[masked]", "[masked]"], "x": ["y"]`,
		`{\"passwords\": [\"hunter2\", \"hunter3\"]}`:                                        `{\"passwords\": [\"[masked]\", \"[masked]\"]}`,
		"\"api_keys\": [\n  \"hunter2\",\n  \"hunter3\"\n],\n\"x\"":                          "\"api_keys\": [\n  \"[masked]\",\n  \"[masked]\"\n],\n\"x\"",
		"passwords:\n  - hunter2\n  - 'hunter 3'\nusers:\n  - bob":                           "passwords:\n  - [masked]\n  - '[masked]'\nusers:\n  - bob",
		`"Set-Cookie":["a=hunter2; Path=/","b=hunter3"]`:                                     `"Set-Cookie":["[masked]","[masked]"]`,
		"- --password\n- hunter2\n- plain":                                                   "- --password\n- [masked]\n- plain",
		"passwords:\n- hunter2\n- name: x":                                                   "passwords:\n- [masked]\n- name: x",
		"passwords:\n- name: x1\n- name: y1":                                                 "passwords:\n- name: x1\n- name: y1",
		"password: hunter2\nusers: [a, b]":                                                   "password: [masked]\nusers: [a, b]",
		`"tokens": ["Hello", "world"]`:                                                       `"tokens": ["Hello", "world"]`,
		`tokens: []token{0x7fc00001, 0x7fc00002}`:                                            `tokens: []token{0x7fc00001, 0x7fc00002}`,
		"\"removeRepoFromSecret\": [\n  \"DELETE /orgs/{secret}/x\"\n]":                      "\"removeRepoFromSecret\": [\n  \"DELETE /orgs/{secret}/x\"\n]",
		"\"output_token\": [\n  \"NextName\",\n  \"NextType\"\n]":                            "\"output_token\": [\n  \"NextName\",\n  \"NextType\"\n]",
		"`a_token`=[A_TOKEN]`, where `[A_TOKEN]`":                                            "`a_token`=[A_TOKEN]`, where `[A_TOKEN]`",
		`tokens: [1, 2, 3]`:                                                                  `tokens: [1, 2, 3]`,
		`"api_keys": {"ci": "hunter2", "x": "y"}, "z": "plain1"`:                             `"api_keys": {"ci": "[masked]", "x": "y"}, "z": "plain1"`,
		"tokens:\n  ci: hunter2\n  \"x\": 'hunter3'\ny: plain1":                              "tokens:\n  ci: [masked]\n  \"x\": '[masked]'\ny: plain1",
		"secrets:\n  db2:\n    file: ./secrets/db1\n    name: db_password2\n  x:\n    x: y1": "secrets:\n  db2:\n    file: ./secrets/db1\n    name: db_password2\n  x:\n    x: y1",
		"imagePullSecrets:\n  - name: regcred1":                                              "imagePullSecrets:\n  - name: regcred1",
		`"max_tokens": {"gpt4": "8192"}, "tokens": {"prompt": 12}`:                           `"max_tokens": {"gpt4": "8192"}, "tokens": {"prompt": 12}`,
		"imagePullSecrets:\n- name: regcred1":                                                "imagePullSecrets:\n- name: regcred1",
		"secrets:\n  - db_password2":                                                         "secrets:\n  - db_password2",
		"failed to create secret: Post \"https://x.example/y\": EOF":                         "failed to create secret: Post \"https://x.example/y\": EOF",
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
		})
	}
}

// All data of a Secret of Kubernetes is secret.
func TestKubernetesSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"data:\n  user: Ym9i\n  a.yaml: \"YQ==\"\nkind: Secret\nmetadata:\n  name: x":   "data:\n  user: [masked]\n  a.yaml: \"[masked]\"\nkind: Secret\nmetadata:\n  name: x",
		"kind: Secret\nmetadata:\n  name: x\ndata:\n  user: Ym9i\n---\ndata:\n  x: y\n": "kind: Secret\nmetadata:\n  name: x\ndata:\n  user: [masked]\n---\ndata:\n  x: y\n",
		"kind: Secret\nstringData:\n  a: bob b\n  b: |\n    c: d\n    e\ntype: Opaque":  "kind: Secret\nstringData:\n  a: [masked]\n  b: |\n    c: [masked]\n    [masked]\ntype: Opaque",
		"- data:\n    x: y\n  kind: ConfigMap\n- data:\n    x: Ym9i\n  kind: Secret\n":  "- data:\n    x: y\n  kind: ConfigMap\n- data:\n    x: [masked]\n  kind: Secret\n",
		`{"data":{"url":"eA==","z":"Ym9i"},"kind":"Secret","metadata":{"name":"x"}}`:    `{"data":{"url":"[masked]","z":"[masked]"},"kind":"Secret","metadata":{"name":"x"}}`,
		"\"data\": {\n  \"a\": \"eA==\",\n  \"b\": \"Ym9i\"\n},\n\"kind\": \"Secret\"":  "\"data\": {\n  \"a\": \"[masked]\",\n  \"b\": \"[masked]\"\n},\n\"kind\": \"Secret\"",
		`"{\"data\":{\"url\":\"eA==\"},\"kind\":\"Secret\"}\n"`:                         `"{\"data\":{\"url\":\"[masked]\"},\"kind\":\"Secret\"}\n"`,
		"kind: SecretStore\ndata:\n  x: y":                                              "kind: SecretStore\ndata:\n  x: y",
		"kind: Secret\ndata:\nerror: it failed":                                         "kind: Secret\ndata:\nerror: it failed",
		"Data\n====\npassword:  7 bytes\n":                                              "Data\n====\npassword:  7 bytes\n",
	} {
		t.Run(in, func(t *testing.T) {
			got := New().Redact(in)
			require.Equal(t, want, got)
			require.Equal(t, got, New().Redact(got), "masking twice")
		})
	}
}
