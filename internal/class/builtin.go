package class

import "sync"

// Classes of the built-in rules.
const (
	Quota       = "quota"       // what was paid for is used up: it takes hours or money
	Credentials = "credentials" // the key or the login is not accepted
	RateLimit   = "rate-limit"  // too much in a short time
	Overloaded  = "overloaded"  // the provider has no capacity
	Network     = "network"     // the provider cannot be reached
)

// BuiltinNames are the classes of the built-in rules.
func BuiltinNames() []string { return []string{Quota, Credentials, RateLimit, Overloaded, Network} }

// BuiltinOrigin is how the origin of a built-in rule begins; the tool follows.
const BuiltinOrigin = "built-in, "

// Builtin returns the built-in rules. Each knows what one tool prints, in words that are hardly printed for another reason; its test has
// the lines that it was written from, with their sources. A tool also passes on what the provider's API says, so that its line may be
// matched by the rule of another tool. Quotas come first: they are reported as rate limits (429) and as refusals (403), too.
var Builtin = sync.OnceValue(func() []Rule {
	var rules []Rule
	for _, b := range builtin {
		rule := Rule{Name: b.class, Outcome: Failure, Origin: BuiltinOrigin + b.tool}
		for _, expression := range b.output {
			rule.Output = append(rule.Output, mustExpression(expression))
		}
		rules = append(rules, rule)
	}
	return rules
})

// The expressions respect case and begin with fixed text, where the search is fastest.
var builtin = []struct {
	class, tool string
	output      []string
}{
	{Quota, "claude", []string{`Claude( AI)? usage limit reached`, `You've hit your (\w+ )?limit ·`, `-hour limit reached`, `Weekly limit reached ·`, `Credit balance is too low`}},
	{Quota, "codex", []string{`You['’]ve hit your usage limit`, `Quota exceeded\. Check your plan and billing details`}},
	{Quota, "gemini", []string{`You have exhausted your daily quota`, `You have reached your daily .*quota limit`,
		`You have exhausted your capacity on this model\. Your quota will reset after \d+h`}},
	{Quota, "opencode", []string{`usage limit has been reached`, `usage limit reached\. It will reset`, `402 (Payment Required|Insufficient Balance)`, `Insufficient balance\. Manage your billing here`, `insufficient_quota`}},
	{Quota, "aider", []string{`You exceeded your current quota`}},
	{Quota, "kimi", []string{`You've reached your ([\w()-]+ )*usage limit`, `exceeded_current_quota_error`}},

	{Credentials, "claude", []string{`Invalid API key · Please run /login`, `Not logged in · Please run /login`, `"authentication_error"`}},
	{Credentials, "codex", []string{`unexpected status 401 Unauthorized`, `last status: 401 Unauthorized`, `Failed to refresh token: 401`, `Your access token could not be refreshed`}},
	{Credentials, "gemini", []string{`API key not valid\. Please pass a valid API key`}},
	{Credentials, "opencode", []string{`Token refresh failed: 40[01]`}},
	{Credentials, "aider", []string{`The API provider is not able to authenticate you`, `litellm\.AuthenticationError`}},
	{Credentials, "kimi", []string{`Authorization failed, please check your API key`, `'type': 'invalid_authentication_error'`}},

	{Overloaded, "claude", []string{`"overloaded_error"`, `API Error: (Repeated )?529 Overloaded`}},
	{Overloaded, "codex", []string{`Selected model is at capacity`, `We're currently experiencing high demand, which may cause temporary errors`}},
	{Overloaded, "gemini", []string{`The model is overloaded\. Please try`}},
	{Overloaded, "opencode", []string{`Provider is overloaded`}},
	{Overloaded, "aider", []string{`The API provider's servers are down or overloaded`, `litellm\.InternalServerError: AnthropicException - Overloaded`}},
	{Overloaded, "kimi", []string{`engine is currently overloaded`, `engine_overloaded_error`}},

	{RateLimit, "claude", []string{`API Error: Request rejected \(429\)`, `would exceed your (organization|account)'s rate limit`, `"rate_limit_error"`}},
	{RateLimit, "codex", []string{`last status: 429 Too Many Requests`, `tream disconnected before completion: Rate limit `}},
	{RateLimit, "gemini", []string{`You have exhausted your capacity on this model`, `Resource has been exhausted \(e\.g\. check quota\)`, `"message": "Resource exhausted\. Please try again later`, `"status": ?"RESOURCE_EXHAUSTED"`}},
	{RateLimit, "opencode", []string{`API error \(429\)`, `Error from provider .*: Rate limit exceeded`}},
	{RateLimit, "aider", []string{`The API provider has rate limited you`}},
	{RateLimit, "kimi", []string{`rate_limit_reached_error`, `We're receiving too many requests at the moment`}},

	{Network, "claude", []string{`API Error: Unable to connect to API`, `API Error \(Connection error\.\)`, `API Error(: | \()Request timed out`}},
	{Network, "codex", []string{`stream disconnected before completion: error sending request`}},
	{Network, "gemini", []string{`TypeError: fetch failed sending request`}},
	{Network, "opencode", []string{`Unable to connect\. Is the computer able to access the url`, `Cannot connect to API: `}},
	{Network, "aider", []string{`The API provider timed out without returning a response`, `litellm\.API(Connection)?Error: API(Connection)?Error: \w+ - Connection error`}},
	{Network, "kimi", []string{`LLM provider error: Connection error`}},
}
