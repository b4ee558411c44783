package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tokenOf makes a token of a form of the shape, with n bytes after its prefix.
func (sh *shape) tokenOf(prefix string, n int) string {
	fill := func(alphabet string, n int) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			if c := "a1Z9f2E5d7Q3"[i%12]; inAlphabet(alphabet, c) {
				b.WriteByte(c)
			}
		}
		return b.String()
	}
	body := fill(sh.body, n)
	for i := range sh.dots {
		body = body[:5*(i+1)] + "." + body[5*(i+1)+1:]
	}
	return fill(sh.before, sh.least) + prefix + body
}

func TestShapes(t *testing.T) {
	for _, sh := range shapes {
		forms := expand(sh.prefix)
		for _, prefix := range []string{forms[0], forms[len(forms)/2], forms[len(forms)-1]} {
			for _, n := range []int{max(sh.min, 16*min(sh.min, 1)), max(sh.max, sh.min)} {
				token := sh.tokenOf(prefix, max(n, sh.dots*8))
				for _, format := range []string{"it said %s and went on", `\n%s`, `["%s"]`, "?a=%s&b=c", "%s"} {
					in := strings.ReplaceAll(format, "%s", token)
					got := New().Redact(in)
					require.NotContains(t, got, token[len(token)/2:], in)
					require.Equal(t, got, New().Redact(got), "masking twice")
				}
			}
		}
	}
}

// services are what the tokens of services look like that agents and their jobs use.
var services = map[string][]string{
	"1Password": {`ops_eyJ[0-9A-Za-z+/]{250}`, `A3-[0-9A-Z]{6}-[0-9A-Z]{11}-[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{5}`}, "AWS": {`(AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}`},
	"Anthropic": {`sk-ant-(api03|admin01)-[\w-]{93}AA`}, "Azure AD": {`[\w.]{3}[0-9]Q~[\w.-]{31}`}, "Bedrock": {`ABSK[0-9A-Za-z+/]{109}=`},
	"Buildkite": {`bkua_[0-9a-z]{40}`}, "Cloudflare": {`cf[au]t_[0-9A-Za-z]{48}`, `v1\.0-[0-9a-f]{24}-[0-9a-f]{146}`}, "Databricks": {`dapi[0-9a-f]{32}`},
	"DigitalOcean": {`do[opr]_v1_[0-9a-f]{64}`}, "Discord": {`MTI[0-9A-Za-z]{21}\.[\w-]{6}\.[\w-]{38}`}, "Docker": {`SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}`, `dckr_[op]at_[\w-]{27}`},
	"Figma": {`figd_[\w-]{40}`}, "Fly": {`fm2_[0-9A-Za-z+/]{100}`, `fo1_[\w-]{43}`}, "Gemini": {`AQ\.Ab8[\w-]{47}`}, "GitHub": {`gh[pousr]_[0-9A-Za-z]{36}`, `github_pat_\w{82}`},
	"GitLab":  {`gl(pat|dt|rt|rtr|cbt|ptt|soat|ffct|ft|imt|wt|agent|oas)-[0-9a-f]{64}`, `GR1348941[\w-]{20}`},
	"Grafana": {`glsa_[0-9A-Za-z]{32}_[0-9a-f]{8}`, `glc_[0-9A-Za-z+/]{60}=`}, "Groq": {`gsk_[0-9A-Za-z]{52}`}, "Hugging Face": {`(hf|api_org)_[a-zA-Z]{34}`},
	"LangSmith": {`lsv2_[ps][tk]_[0-9a-f]{32}_[0-9a-f]{10}`}, "Linear": {`lin_api_[0-9A-Za-z]{40}`}, "NVIDIA": {`nvapi-[\w-]{64}`}, "Neon": {`napi_[0-9a-z]{64}`},
	"Notion": {`ntn_[0-9]{11}[0-9A-Za-z]{35}`}, "OpenAI": {`sk-proj-[\w-]{20}A1b2c3d4e5f6g7h8T3BlbkFJ[\w-]{20}`}, "Perplexity": {`pplx-[0-9A-Za-z]{48}`},
	"PlanetScale": {`pscale_(tkn|pw|oauth)_[\w.=-]{43}`}, "Postman": {`PMAK-[0-9a-f]{24}-[0-9a-f]{34}`}, "Pulumi": {`pul-[0-9a-f]{40}`}, "Replicate": {`r8_[0-9A-Za-z]{37}`},
	"RubyGems": {`rubygems_[0-9a-f]{48}`}, "Sentry": {`sntry[su]_[0-9a-f]{64}`}, "Shopify": {`shp(at|ca|pa|ss)_[0-9a-fA-F]{32}`}, "Stripe": {`[rs]k_(live|test|prod)_[0-9A-Za-z]{24}`},
	"Supabase": {`sbp_[0-9a-f]{40}`, `sb_secret_[\w-]{31}`}, "Tailscale": {`tskey-(auth|api|client)-[0-9A-Za-z]{12}-[0-9A-Za-z]{32}`}, "Telegram": {`[0-9]{10}:AA[\w-]{33}`},
	"Terraform": {`[0-9A-Za-z]{14}\.atlasv1\.[\w-]{67}`}, "Together": {`tgp_v1_[\w-]{43}`}, "Vault": {`hv[sb]\.CAESI[0-9A-Za-z]{16}[\w-]{120}`}, "Vercel": {`vc[kpiar]_[\w-]{56}`},
	"E2B": {`e2b_[0-9a-f]{40}`}, "Jina": {`jina_[0-9a-f]{32}[0-9A-Za-z]{28}`}, "Netlify": {`nfp_[0-9A-Za-z]{36}`}, "Snyk": {`snyk_(uat|sat)\.[0-9a-f]{8}\.[0-9A-Za-z_-]{60}`},
	"Weights & Biases": {`wandb_v1_\w{77}`}, "xAI": {`xai-[0-9A-Za-z]{80}`},
}

func TestServices(t *testing.T) {
	for service, forms := range services {
		t.Run(service, func(t *testing.T) {
			for _, form := range forms {
				for n := range 20 {
					secret := rule{id: service, expr: form}.secret(t, n)
					got := New().Redact("it said (" + secret + ") twice")
					require.Equal(t, "it said ([masked]) twice", got, secret)
				}
			}
		})
	}
}

func TestShapesAreWords(t *testing.T) {
	for _, s := range []string{
		"task-0123456789abcdefghijkl", "sk-learn-model-version-2", "desk-" + alnum[:20], "api-v2-users-list", "glpat", "hf_transformers", "rubygems_version",
		"v1.0-alpha.1", "secret_manager_client_library_for_python_v2", "pul-request", "key-value-store-for-the-2nd-region", "dapi_service", "cog_build", "sl.config",
		"csk-", "tss_listener_port_8080_is_open", "prf_total_bytes_sent_in_the_last_10_minutes", "polar_at_sea", "pina_colada_recipe_no_1",
		"SKU0123456789abcdef0123456789abcde", "sha256:" + strings.Repeat("0123456789abcdef", 4), "12:AAAA", "a==:b", "x-PRD-1", "TestShapes/ghp_", "::AA:12",
		"fig_legend_position", "do_v1_migration", "waka_time", "eyJhbGciOiJIUzI1NiJ9", "AKIAFOO", "Mxx.yyy.zzz", "MTIz.abc.def", "EXOPLANETARYOBSERVATIONS1",
	} {
		require.Equal(t, s, New().Redact(s))
	}
}
