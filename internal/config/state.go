package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/terraphim/adfbot/internal/class"
)

// ListenOff is the value of state_listen with which nobody listens to the state.
const ListenOff = "off"

// Fleet configures a host of several that share a state.
type Fleet struct {
	Host        string        // what people call this host; "": its host name
	Poll        time.Duration // how often it looks at the state
	AwayAfter   time.Duration // a host that was not heard of for this long is away, and
	ForgetAfter time.Duration // after this long it is retired
}

// Bounds of the keys below fleet.
const (
	minPoll, maxPoll     = 100 * time.Millisecond, time.Minute
	minAway, maxAway     = time.Second, 24 * time.Hour
	minForget, maxForget = time.Hour, forever
)

// stateKeys are the keys that say how to reach the state. A command that only has to record a result can do without them: see [LoadFor].
var stateKeys = []string{"state", "state_password_file", "state_listen"}

// localDirOf returns the default of local_dir for an SQLite file.
func localDirOf(state string) string { return state + ".d" }

// Shared reports whether the state is PostgreSQL's, which several hosts may share.
func (c *Config) Shared() bool { return isStateURL(c.State) }

// OwnPath returns the path that belongs to the bot's user: the SQLite file, which may not be there yet, or local_dir.
func (c *Config) OwnPath() string {
	if c.Shared() || c.StateErr != nil {
		return c.LocalDir
	}
	return c.State
}

// OwnDir returns the directory that belongs to the bot's user: the one of the SQLite file, or local_dir.
func (c *Config) OwnDir() string {
	if path := c.OwnPath(); path == c.LocalDir {
		return path
	}
	return filepath.Dir(c.State)
}

// CheckStateURL returns what is wrong with the URL of a state in PostgreSQL that somebody gives to a command. passwordFile is what names
// the file with the password there.
func CheckStateURL(place, passwordFile string) error {
	f := faultf(fixStateURL, "must begin with postgres://")
	if isPostgres(place) {
		_, f = stateURL(place)
	}
	if f == nil {
		return nil
	}
	what := "URL: " + f.what
	if f.fix != "" {
		what += ": " + strings.ReplaceAll(f.fix, "state_password_file", passwordFile)
	}
	return errors.New(what)
}

// StateNames returns the role and the database that the URL of a state in PostgreSQL names.
func StateNames(place string) (role, database string) {
	u, err := url.Parse(place)
	if err != nil {
		return "", ""
	}
	q := u.Query()
	return cmp.Or(q.Get("user"), u.User.Username()), cmp.Or(q.Get("dbname"), strings.TrimPrefix(u.Path, "/"))
}

// SharedHash returns hashes of the keys that should have the same values on all hosts of a fleet. [SharedDiffers] compares them.
func (c *Config) SharedHash() string {
	shared := struct {
		Gitea          Gitea
		Breaker        Breaker
		Escalation     Escalation
		Operators      []string
		OnIssueClosed  string
		Sweep          Sweep
		Fleet          Fleet
		Keep           time.Duration
		Classes        []class.Rule
		BuiltinClasses bool
		Projects       []Project
	}{c.Gitea, c.Breaker, c.Escalation, c.Operators, c.OnIssueClosed, c.Sweep, c.Fleet, c.History.Keep, c.Classes, c.BuiltinClasses, slices.Clone(c.Projects)}
	// Where files are, who may use them, and what a host is called, is its own.
	shared.Gitea.TokenFile, shared.Gitea.TokenEnv, shared.Gitea.CAFile, shared.Gitea.Timeout = "", "", "", 0
	shared.Escalation.Template, shared.Escalation.RedactEnv, shared.Fleet.Host = "", nil, ""
	shared.Escalation.Steps = slices.Clone(shared.Escalation.Steps)
	for i := range shared.Escalation.Steps {
		if s := &shared.Escalation.Steps[i]; s.WebhookFile != "" {
			s.WebhookFile = "some file"
		}
	}
	for i := range shared.Projects {
		p := &shared.Projects[i]
		p.Users, p.TokenFile = nil, ""
		p.Labels, p.Assignees, p.IgnoreExitCodes = slices.Sorted(slices.Values(p.Labels)), slices.Sorted(slices.Values(p.Assignees)), slices.Sorted(slices.Values(p.IgnoreExitCodes))
	}
	// The order of ids says nothing, that of patterns does.
	slices.SortStableFunc(shared.Projects, func(a, b Project) int { return strings.Compare(a.ID, b.ID) })
	text, err := json.Marshal(shared)
	if err != nil {
		return "" // it cannot fail
	}
	values := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &values); err != nil {
		return "" // likewise
	}
	var out []string
	for name, value := range values {
		key := strings.ToLower(wordEnd().ReplaceAllString(name, "${1}_${2}"))
		if name == "Keep" {
			key = "history.keep"
		}
		field, _ := reflect.TypeOf(shared).FieldByName(name)
		out = append(out, key+"/"+shortHash([]byte(shape(field.Type)))+"="+shortHash(value))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func shortHash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

// shape names all keys below one. Those of another version may be others, and then the same configuration has another hash there.
func shape(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return shape(t.Elem())
	case reflect.Struct:
		var fields []string
		for n := range t.NumField() {
			if f := t.Field(n); f.IsExported() {
				fields = append(fields, f.Name+" "+shape(f.Type))
			}
		}
		return "(" + strings.Join(fields, ", ") + ")"
	default:
		return t.Kind().String()
	}
}

// wordEnd is where a word in the name of a field ends.
var wordEnd = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`([a-z])([A-Z])`) })

// SharedDiffers returns the keys whose values differ between two hosts, by their [Config.SharedHash]. Keys that only one version of adfbot
// has, or below which it has others, are none of them, and earlier versions told no keys.
func SharedDiffers(a, b string) (keys []string) {
	hashes := map[string]string{}
	for part := range strings.FieldsSeq(a) {
		key, hash, _ := strings.Cut(part, "=")
		hashes[key] = hash
	}
	for part := range strings.FieldsSeq(b) {
		key, hash, _ := strings.Cut(part, "=")
		if other, known := hashes[key]; known && other != hash {
			name, _, _ := strings.Cut(key, "/")
			keys = append(keys, name)
		}
	}
	return keys
}

// checkState checks the keys that depend on the kind of state, and fills in local_dir.
func (r *reader) checkState(c *Config) {
	given := c.LocalDir != ""
	if !c.Shared() {
		c.LocalDir = cmp.Or(c.LocalDir, localDirOf(c.State))
		for _, key := range []struct{ name, value string }{{"state_password_file", c.StatePasswordFile}, {"state_listen", c.StateListen}} {
			if key.value != "" && !concerned(r.problems, "state") {
				r.report(r.lines[key.name], key.name, faultf("remove it, or set state to postgres://…", "is for a state in PostgreSQL, and this one is a file"))
			}
		}
	} else if c.LocalDir == "" {
		r.missing("local_dir", "with a state in PostgreSQL, name a directory on this host's own disk, e.g. /var/lib/adfbot")
	}
	if given {
		r.checkOutsidePauseDir(c, "local_dir", c.LocalDir)
	}
	r.localDir = given && !concerned(r.problems, "local_dir")
	f := &c.Fleet
	line := max(r.lines["fleet.poll"], r.lines["fleet.away_after"], r.lines["fleet.forget_after"])
	switch {
	case f.AwayAfter < 3*f.Poll:
		r.report(line, "fleet.away_after", faultf("", "must be at least three times fleet.poll (%s), not %s", written(f.Poll), written(f.AwayAfter)))
	case f.ForgetAfter < f.AwayAfter:
		r.report(line, "fleet.forget_after", faultf("", "must be at least fleet.away_after (%s), not %s", written(f.AwayAfter), written(f.ForgetAfter)))
	}
}

// isStateURL reports whether a value of state is meant as a URL, and not as a path.
func isStateURL(s string) bool {
	scheme, _, ok := strings.Cut(s, ":")
	return ok && !strings.Contains(scheme, "/")
}

func isPostgres(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}

// statePlace accepts the path of a file or the URL of a database.
func statePlace(s string) (string, *fault) {
	if isStateURL(s) {
		return stateURL(s)
	}
	return filePath(s)
}

// listenPlace accepts what statePlace does of URLs, and off.
func listenPlace(s string) (string, *fault) {
	if s == ListenOff || isStateURL(s) {
		return oneOfOr(s, stateURL, ListenOff)
	}
	return "", faultf(`write postgres://…, "off", or "" for that of state`, "must be a URL of PostgreSQL, not %s", quote(s))
}

// oneOfOr accepts words, and what passes the rule.
func oneOfOr(s string, check rule, words ...string) (string, *fault) {
	if slices.Contains(words, s) {
		return s, nil
	}
	return check(s)
}

// stateURL accepts the URL of a database of PostgreSQL. It must name all that a program of another user could take from its
// environment instead. Other values are not shown: they may contain a password.
func stateURL(s string) (string, *fault) {
	const fix = fixStateURL
	if !isPostgres(s) {
		return "", faultf(fix, "must be the path of a file, or begin with postgres://")
	}
	_, rest, _ := strings.Cut(s, "://")
	authority, _, _ := strings.Cut(rest, "?")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 && strings.Contains(authority[:at], ":") {
		return "", faultf(fixPassword, "contains a password, which every user may read here")
	}
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }) {
		return "", faultf(fix+"; a port belongs to each host or to none, other characters than letters and digits are written as %XX", "is not a URL")
	}
	q, err := url.ParseQuery(u.RawQuery)
	switch {
	case err != nil || strings.Contains(s, "#"):
		return "", faultf(fix, "is not a URL")
	case q.Has("password") || q.Has("sslpassword"):
		return "", faultf(fixPassword, "contains a password, which every user may read here")
	}
	if f := parameterFault(q); f != nil {
		return "", f
	}
	switch {
	case u.User.Username() == "" && q.Get("user") == "":
		return "", faultf(fix, "names no role of the database")
	case u.Host == "" && q.Get("host") == "":
		return "", faultf(fix+", or postgres://adfbot@/adfbot?host=/run/postgresql for a socket", "names no host")
	case strings.Trim(u.Path, "/") == "" && q.Get("dbname") == "":
		return "", faultf(fix, "names no database")
	}
	return s, nil
}

const fixStateURL = "write it like postgres://adfbot@db.example.org/adfbot?sslmode=verify-full"

const fixPassword = "write the password to a file of its own, name that in state_password_file, and take it out of the URL; replace it if others could read it"

// parameters are the parameters that a URL of the state may have, each with what its value must be. Those are libpq's that the driver
// understands. It would send any other one to the server, where a misspelled one goes unnoticed, or fails.
func parameters() map[string]rule {
	return map[string]rule{
		"host":                 anyText,
		"port":                 anyText,
		"user":                 anyText,
		"dbname":               anyText,
		"application_name":     anyText,
		"connect_timeout":      seconds,
		"keepalives":           oneOf("0", "1"),
		"keepalives_idle":      seconds,
		"keepalives_interval":  seconds,
		"keepalives_count":     seconds,
		"target_session_attrs": oneOf("read-write", "primary", "any"),
		"sslmode":              oneOf("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
		"sslnegotiation":       oneOf("postgres", "direct"),
		"sslsni":               oneOf("0", "1"),
		"sslrootcert":          func(s string) (string, *fault) { return oneOfOr(s, filePath, "system") },
		"sslcert":              filePath,
		"sslkey":               filePath,
		"krbsrvname":           anyText,
		"krbspn":               anyText,
		"channel_binding":      oneOf("disable", "prefer", "require"),
		"require_auth":         anyText,
		"min_protocol_version": anyText,
		"max_protocol_version": anyText,
	}
}

func anyText(s string) (string, *fault) { return s, nil }

func seconds(s string) (string, *fault) {
	if n, err := strconv.Atoi(s); err != nil || n < 0 {
		return "", faultf("", "must be a whole number, not %s", quote(s))
	}
	return s, nil
}

// parameterFault returns what is wrong with the parameters of a URL.
func parameterFault(q url.Values) *fault {
	rules := parameters()
	names := slices.Sorted(maps.Keys(rules))
	for _, name := range slices.Sorted(maps.Keys(q)) {
		check, known := rules[name]
		if !known && namesSecret(name) {
			return faultf(fixPassword, "contains a secret, which every user may read here")
		}
		if !known {
			fix := "the parameters are " + strings.Join(names, ", ")
			if near := nearest(name, names); near != "" {
				fix = "did you mean " + near + "?"
			}
			return faultf(fix, "has the unknown parameter %s", quoteKey(name))
		}
		if len(q[name]) > 1 {
			return faultf("keep one", "has the parameter %s twice", name)
		}
		if _, f := check(q.Get(name)); f != nil {
			return faultf(f.fix, "%s %s", name, f.what)
		}
	}
	return nil
}
