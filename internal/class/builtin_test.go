package class_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/class"
	"github.com/terraphim/adfbot/internal/redact"
)

// samples are lines that users of the tools have reported, or that the tools' sources contain. Each expression of each built-in rule was
// written from one of them.
var samples = []struct{ class, tool, line string }{
	// https://github.com/anthropics/claude-code/issues/11429
	{class.Quota, "claude", `Claude AI usage limit reached|1762952400`},
	// https://github.com/anthropics/claude-code/issues/2087
	{class.Quota, "claude", `Claude usage limit reached. Your limit will reset at 1pm (Etc/GMT+5).`},
	// https://github.com/anthropics/claude-code/issues/74079
	{class.Quota, "claude", `You've hit your session limit · resets 12:50am (America/Los_Angeles)`},
	// https://github.com/anthropics/claude-code/issues/18078
	{class.Quota, "claude", `You've hit your limit · resets Jan 18, 11:30am (Asia/Calcutta)`},
	// https://github.com/anthropics/claude-code/issues/6392
	{class.Quota, "claude", `5-hour limit reached ∙ resets 5am`},
	// https://github.com/anthropics/claude-code/issues/55469
	{class.Quota, "claude", `Credit balance is too low`},
	// https://github.com/anthropics/claude-code/issues/12789
	{class.Quota, "claude", `  ⎿  Weekly limit reached · resets 10am (Asia/Seoul) · /upgrade to Max or turn on /extra-usage`},
	// https://github.com/openai/codex/issues/3124
	{class.Quota, "codex", `You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing) or try again in 2 days 17 hours 14 minutes.`},
	// https://github.com/openai/codex/issues/47047
	{class.Quota, "codex", `■ You’ve hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit`},
	// https://github.com/openai/codex/blob/001cb8e233f250c7086c791c51390286c087faea/codex-rs/core/src/error.rs
	{class.Quota, "codex", `Quota exceeded. Check your plan and billing details.`},
	// https://github.com/google-gemini/gemini-cli/issues/15576
	{class.Quota, "gemini", `✕ [API Error: You have exhausted your daily quota on this model.]`},
	// https://github.com/google-gemini/gemini-cli/issues/11461
	{class.Quota, "gemini", `⚡ You have reached your daily gemini-2.5-pro quota limit.`},
	// https://github.com/google-gemini/gemini-cli/issues/3796
	{class.Quota, "gemini", `⚡ You have reached your daily quota limit.`},
	// https://github.com/google-gemini/gemini-cli/issues/13004
	{class.Quota, "gemini", `✕ [API Error: [{ "error": { "code": 429, "message": "You have exhausted your capacity on this model. Your quota will reset after 8h44m7s.", "errors": [ {`},
	// https://github.com/google-gemini/gemini-cli/issues/25103
	{class.Quota, "gemini", `[Backend Error] You have exhausted your capacity on this model. Your quota will reset after 4h28m20s. (HTTP 429)`},
	// https://github.com/anomalyco/opencode/issues/38208
	{class.Quota, "opencode", `Error: Insufficient balance. Manage your billing here: https://opencode.ai/workspace/wrk_01KQQVJT5RC4ATRDWFBZVCFJ92/billing`},
	// the same in the colours of a terminal
	{class.Quota, "opencode", "\x1b[91m\x1b[1mError: \x1b[0mInsufficient balance. Manage your billing here: https://opencode.ai/workspace/wrk_01KQQVJT5RC4ATRDWFBZVCFJ92/billing"},
	// https://github.com/anomalyco/opencode/issues/47239
	{class.Quota, "opencode", `The usage limit has been reached`},
	// https://github.com/anomalyco/opencode/issues/49170
	{class.Quota, "opencode", `weekly usage limit reached. It will reset in 5 days 10 hours. To continue using this model now, enable usage from your available balance -`},
	// https://github.com/anomalyco/opencode/issues/27593
	{class.Quota, "opencode", `HTTP response error from OpenCode's API: status 402 Payment Required - "{\"error\":{\"message\":\"Insufficient Balance\",\"type\":\"unknown_error\",\"param\":null,\"code\":\"invalid_request_error\"}}"`},
	// https://github.com/anomalyco/opencode/issues/27593
	{class.Quota, "opencode", `Error: 402 Insufficient Balance`},
	// https://github.com/anomalyco/opencode/issues/12346
	{class.Quota, "opencode", `{"type":"error","sequence_number":2,"error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.","param":null}}`},
	// https://github.com/Aider-AI/aider/issues/1686
	{class.Quota, "aider", `429 - {'error': {'message': 'You exceeded your current quota, please `},
	// https://github.com/MoonshotAI/kimi-code/issues/3014
	{class.Quota, "kimi", `Error: [provider.auth_error] 403 You've reached your usage limit for this billing cycle. Your quota will be`},
	// https://github.com/openclaw/openclaw/pull/142656
	{class.Quota, "kimi", `{"error":{"message":"You've reached your weekly (7-day) usage limit. Your quota will reset when the current 7-day window ends. To continue now, purchase extra usage or upgrade your plan: https://www.kimi.com/membership/subscription?tab=quota","type":"access_terminated_error"}}`},
	// https://github.com/MoonshotAI/Kimi-K2/issues/5
	{class.Quota, "kimi", `403 {"error":{"message":"Your account xx> is not active, organization <xx> exceeded current quota, please check your plan and billing details","type":"exceeded_current_quota_error"}}`},

	// https://github.com/anthropics/claude-code/issues/6331
	{class.Credentials, "claude", `Invalid API key · Please run /login`},
	// https://github.com/anthropics/claude-code/issues/94529
	{class.Credentials, "claude", `Not logged in · Please run /login`},
	// https://github.com/anthropics/claude-code/issues/3245
	{class.Credentials, "claude", `API Error: 401 {"type":"error","error":{"type":"authentication_error","message":"Invalid OAuth token. The provided token was not found or is malformed."}}`},
	// https://github.com/openai/codex/issues/26497
	{class.Credentials, "codex", `unexpected status 401 Unauthorized: {"detail":"Unauthorized"}, url: https://chatgpt.com/backend-api/codex/responses, cf-ray:`},
	// https://github.com/openai/codex/issues/3002
	{class.Credentials, "codex", `⚠  stream error: exceeded retry limit, last status: 401 Unauthorized; retrying 1/5 in 214ms…`},
	// https://github.com/openai/codex/issues/6028
	{class.Credentials, "codex", `■ Failed to refresh token: 401 Unauthorized: Your refresh token has already been used to generate a new access`},
	// https://github.com/zhishile/codex-auth-helper/issues/53
	{class.Credentials, "codex", `Your access token could not be refreshed. Please log out and sign in again.`},
	// https://github.com/google-gemini/gemini-cli/issues/4690
	{class.Credentials, "gemini", `✕ [API Error: API key not valid. Please pass a valid API key. (Status: INVALID_ARGUMENT)]`},
	// https://github.com/anomalyco/opencode/issues/10909
	{class.Credentials, "opencode", `Error: Token refresh failed: 401`},
	// https://github.com/Aider-AI/aider/issues/3802
	{class.Credentials, "aider", `litellm.AuthenticationError: AuthenticationError: OpenrouterException - {"error":{"message":"No auth credentials found","code":401}}`},
	// https://github.com/Aider-AI/aider/issues/3802
	{class.Credentials, "aider", `The API provider is not able to authenticate you. Check your API key.`},
	// https://github.com/MoonshotAI/kimi-cli/issues/290
	{class.Credentials, "kimi", `Authorization failed, please check your API key`},
	// https://github.com/MoonshotAI/kimi-cli/issues/1824
	{class.Credentials, "kimi", `Error code: 401 - {'error': {'message': 'Invalid Authentication', 'type': 'invalid_authentication_error'}}`},
	// https://github.com/MoonshotAI/kimi-cli/issues/1088
	{class.Credentials, "kimi", `Error code: 401 - {'error': {'message': 'The API Key appears to be invalid or may have expired. Please verify your credentials and try again.', 'type': 'invalid_authentication_error'}}`},

	// https://github.com/anthropics/claude-code/issues/4070
	{class.Overloaded, "claude", `API Error (529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}) · Retrying in 19 seconds… (attempt 5/10)`},
	// https://github.com/lbjlaq/Antigravity-Manager/issues/112
	{class.Overloaded, "claude", `  ⎿  API Error: Repeated 529 Overloaded errors`},
	// https://github.com/anthropics/claude-code/issues/81327
	{class.Overloaded, "claude", `⏺ API Error: 529 Overloaded. This is a server-side issue, usually temporary — try again in a moment. If it persists, check https://status.claude.com.`},
	// https://github.com/openai/codex/issues/19446
	{class.Overloaded, "codex", `Selected model is at capacity. Please try a different model.`},
	// https://github.com/openai/codex/blob/001cb8e233f250c7086c791c51390286c087faea/codex-rs/core/src/error.rs
	{class.Overloaded, "codex", `We're currently experiencing high demand, which may cause temporary errors.`},
	// https://github.com/google-gemini/gemini-cli/issues/4597
	{class.Overloaded, "gemini", `[API Error: got status: UNAVAILABLE. {"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}]`},
	// https://github.com/anomalyco/opencode/issues/2096
	{class.Overloaded, "claude", `{"type":"overloaded_error","message":"Overloaded"}`},
	// https://github.com/griffinmartin/opencode-claude-auth/issues/228
	{class.Overloaded, "opencode", `Provider is overloaded`},
	// https://github.com/Aider-AI/aider/blob/01ca552174cdad53aeab9d6eb7e99e0c0b464a22/aider/exceptions.py
	{class.Overloaded, "aider", `The API provider's servers are down or overloaded.`},
	// https://github.com/Aider-AI/aider/issues/957
	{class.Overloaded, "aider", "Unexpected error: litellm.InternalServerError: AnthropicException - Overloaded. Handle with `litellm.InternalServerError`."},
	// https://github.com/MoonshotAI/kimi-cli/issues/2209
	{class.Overloaded, "kimi", `LLM provider error: Error code: 429 - {'error': {'message': 'The engine is currently overloaded, please try again later', 'type': 'engine_overloaded_error'}}`},

	// https://github.com/anthropics/claude-code/issues/69023
	{class.RateLimit, "claude", `API Error: Request rejected (429) · Rate limited. Please try again later.`},
	// https://github.com/anthropics/claude-code-security-review/issues/96
	{class.RateLimit, "claude", `API Error: Request rejected (429) · This request would exceed your organization's rate limit of 10,000 input tokens per minute`},
	// https://github.com/continuedev/continue/issues/10425
	{class.RateLimit, "claude", `{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 50,000 input tokens per minute (org: f427910e-3b38-4559-b0a8-1ab041e6cbca, model: claude-haiku-4-5-20251001).`},
	// https://github.com/openai/codex/issues/10550
	{class.RateLimit, "codex", `exceeded retry limit, last status: 429 Too Many Requests, request id: 9c84b52ce87fbe62-SJC`},
	// https://github.com/openai/codex/issues/10062
	{class.RateLimit, "codex", `■ stream disconnected before completion: Rate limit reached for organization org-BOvpEHVcDPTe8h4lZnwMO5Ly on tokens per min (TPM): Limit 250000, Used 250000, Requested`},
	// https://github.com/openai/codex/issues/10055
	{class.RateLimit, "codex", `  └ Stream disconnected before completion: Rate limit reached for organization org-BOvpEHVcDPTe8h4lZnwMO5Ly on tokens per min (TPM): Limit 250000, Used 250000, Requested 58487.`},
	// https://github.com/openai/codex/issues/3764
	{class.RateLimit, "codex", `■ stream disconnected before completion: Rate limit is exceeded. Try again in 11 seconds.`},
	// https://github.com/google-gemini/gemini-cli/issues/22107
	{class.RateLimit, "gemini", `Attempt 1 failed: You have exhausted your capacity on this model. Your quota will reset after 5s.. Retrying after 6173ms...`},
	// https://github.com/google-gemini/gemini-cli/issues/19976
	{class.RateLimit, "gemini", `[API Error: Resource has been exhausted (e.g. check quota).]`},
	// https://github.com/google-gemini/gemini-cli/issues/14811
	{class.RateLimit, "gemini", `      "message": "Resource exhausted. Please try again later. Please refer to`},
	// https://github.com/google-gemini/gemini-cli/issues/14811
	{class.RateLimit, "gemini", `      "status": "RESOURCE_EXHAUSTED"`},
	// https://github.com/anomalyco/opencode/issues/47747
	{class.RateLimit, "opencode", `Error: OpenAI API error (429): {"param":null,"code":"rate_limit_exceeded","type":"rate_limit_error","message":"Error from provider (Console Go): Upstream`},
	// https://github.com/anomalyco/opencode/issues/48711
	{class.RateLimit, "opencode", `Error from provider (Console): Rate limit exceeded. Please try again later.`},
	// https://github.com/Aider-AI/aider/blob/01ca552174cdad53aeab9d6eb7e99e0c0b464a22/aider/exceptions.py
	{class.RateLimit, "aider", `The API provider has rate limited you. Try again later or check your quotas.`},
	// https://github.com/MoonshotAI/kimi-cli/issues/901
	{class.RateLimit, "kimi", `LLM provider error: Error code: 429 - {'error': {'message': "We're receiving too many requests at the moment. Please wait a moment and try again.", 'type': 'rate_limit_reached_error'}}`},

	// https://github.com/anthropics/claude-code/issues/42949
	{class.Network, "claude", `API Error: Unable to connect to API (ECONNRESET)`},
	// https://github.com/anthropics/claude-code/issues/6596
	{class.Network, "claude", `  ⎿  API Error (Connection error.) · Retrying in 40 seconds… (attempt 10/10)`},
	// https://github.com/anthropics/claude-code/issues/2728
	{class.Network, "claude", `  ⎿  API Error: Request timed out.`},
	// https://github.com/anthropics/claude-code/issues/4966
	{class.Network, "claude", `API Error (Request timed out)`},
	// https://github.com/openai/codex/issues/12207
	{class.Network, "codex", `stream disconnected before completion: error sending request for url (https://chatgpt.com/backend-api/codex/responses)`},
	// https://github.com/google-gemini/gemini-cli/issues/5471
	{class.Network, "gemini", `✕ [API Error: exception TypeError: fetch failed sending request]`},
	// https://github.com/anomalyco/opencode/issues/5945
	{class.Network, "opencode", `Error: Unable to connect. Is the computer able to access the url?`},
	// https://github.com/anomalyco/opencode/issues/50576
	{class.Network, "opencode", `Cannot connect to API: Connect Timeout Error (attempted addresses: 172.65.90.20:443, 172.65.90.21:443, 172.65.90.23:443, 172.65.90.22:443, timeout: 10000ms)`},
	// https://github.com/Aider-AI/aider/issues/2812
	{class.Network, "aider", `litellm.APIError: APIError: OpenAIException - Connection error.`},
	// https://github.com/Aider-AI/aider/blob/01ca552174cdad53aeab9d6eb7e99e0c0b464a22/aider/exceptions.py
	{class.Network, "aider", `The API provider timed out without returning a response. They may be down or overloaded.`},
	// https://github.com/MoonshotAI/kimi-cli/issues/1227
	{class.Network, "kimi", `LLM provider error: Connection error.`},
}

// kept returns an output as the bot keeps it: masking must leave what the rules look for.
func kept(t testing.TB, output string, limit int) string {
	t.Helper()
	c := redact.NewCapture(limit, redact.New())
	_, err := c.Write([]byte(output))
	require.NoError(t, err)
	return c.Text()
}

func TestBuiltinKnowsWhatToolsPrint(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, s := range samples {
		run := class.Run{Agent: "project-meta", ExitCode: 1, Output: kept(t, "Reading the plan …\n"+s.line+"\n\n", 8192)}
		require.Equal(t, class.Decision{Class: s.class, Outcome: class.Failure}, class.Decide(class.Builtin(), run), s.line)
		own := false
		for _, v := range class.Explain(class.Builtin(), run) {
			if v.Matches && v.Rule.Name == s.class && v.Rule.Origin == "built-in, "+s.tool {
				own = true
				for _, e := range v.Rule.Output {
					used[e.String()] = used[e.String()] || e.Compile().MatchString(run.Output)
				}
			}
		}
		require.True(t, own, "the rule for %s has no expression for: %s", s.tool, s.line)
	}
	for _, rule := range class.Builtin() {
		require.Equal(t, class.Failure, rule.Outcome, "a built-in rule never changes the outcome")
		require.Contains(t, class.BuiltinNames(), rule.Name)
		for _, e := range rule.Output {
			require.True(t, used[e.String()], "%s: no line for %s", rule.Origin, e)
		}
	}
	for _, tool := range []string{"claude", "codex", "gemini", "opencode", "aider", "kimi"} {
		for _, name := range class.BuiltinNames() {
			require.True(t, slicesHas(class.Builtin(), name, "built-in, "+tool), "%s of %s", name, tool)
		}
	}
}

func slicesHas(rules []class.Rule, name, origin string) bool {
	for _, r := range rules {
		if r.Name == name && r.Origin == origin {
			return true
		}
	}
	return false
}

// What agents and their tasks print about such things themselves.
func TestBuiltinLeavesOrdinaryOutput(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"I added a rate limit of 10 requests a second, and the server answers 429 Too Many Requests.",
		"--- FAIL: TestQuotaExceeded (0.01s)",
		"error: function overloaded by a template; the call is ambiguous",
		"HTTP 401 Unauthorized: GET /api/v1/user",
		"connect: connection refused",
		"Error: connect ECONNREFUSED 127.0.0.1:5432",
		"The user's usage limit is stored in limits.yaml.",
		"docs: say what happens once the quota limit is reached",
		"fatal: Authentication failed for 'https://git.example.org/odilo.git/'",
		"authentication_error is a type of error of the API",
		"error: could not compile `odilo`",
		"Error: insufficient balance: account 4711 has 3.20 EUR",
		"invalid_authentication_error is a type of error of the API",
		"the client says: Not logged in, please log in first",
		"Error: Request timed out after 30s: GET http://localhost:8080/",
	} {
		require.Equal(t, class.Unknown, class.Decide(class.Builtin(), class.Run{ExitCode: 1, Output: line}).Class, line)
	}
}

// BenchmarkDecide looks at the longest output that can be kept, and at more, with all built-in rules of which none matches: as 64 KB of
// ordinary lines, and as one line.
func BenchmarkDecide(b *testing.B) {
	line := "2026-11-23T07:04:05Z INFO compiling crate number 17 of 240, an ordinary line of a log You API Error\n"
	ordinary := strings.Repeat(line, 64<<10/len(line))
	for _, x := range []struct {
		name, output string
		anywhere     bool
	}{
		{"last lines", ordinary, false},
		{"anywhere", ordinary, true},
		{"one line", strings.ReplaceAll(ordinary, "\n", " "), false},
	} {
		rules := class.Builtin()
		if x.anywhere {
			rules = nil
			for _, r := range class.Builtin() {
				r.Anywhere = true
				rules = append(rules, r)
			}
		}
		b.Run(fmt.Sprintf("%s/%d rules", x.name, len(rules)), func(b *testing.B) {
			b.SetBytes(int64(len(x.output)))
			for b.Loop() {
				if d := class.Decide(rules, class.Run{Agent: "project-meta", ExitCode: 1, Output: x.output}); d.Class != class.Unknown {
					b.Fatal(d)
				}
			}
		})
	}
}
