package redact

import "strings"

// commandSecret says where commands take a secret: as the n-th argument after an option or a word.
type commandSecret struct {
	after    string // a word is in lower case, without signs
	commands string // separated by bars
	place    int    // 0 is the last argument
	sign     string // the secret follows this sign in the argument, if there is one
}

// passwordOptions are options whose argument is a secret.
var passwordOptions = []commandSecret{
	{"-p", " login |sshpass |mongo|cqlsh |twine upload |poetry publish |useradd |usermod |security unlock|beeline |steghide |snowsql ", 1, ""},
	{"-P", "zip |sqlcmd |bcp |ipmitool |ssh-keygen |mosquitto_|security import ", 1, ""},
	{"-N", "ssh-keygen ", 1, ""},
	{"-a", "redis-cli ", 1, ""},
	{"-w", "ldap|-internet-password |-generic-password ", 1, ""},
	{"-s", "ldappasswd ", 1, ""},
	{"-k", "openssl enc |nuget push ", 1, ""}, {"-K", "openssl enc ", 1, ""}, {"-hmac", "openssl dgst ", 1, ""},
	{"-a", "-A bearer ", 1, ""}, {"--plaintext", "caddy hash-password ", 1, ""},
	{"-t", "influx |doctl ", 1, ""},
	{"-c", "snmp", 1, ""}, {"-A", "snmp", 1, ""}, {"-X", "snmp", 1, ""},
	{"--from-literal", "create secret ", 1, "="},
	{"--oauth2-bearer", "curl", 1, ""},
	{"-pw", "plink |pscp ", 1, ""}, {"-ap", "swaks ", 1, ""}, {"-xp", "sendemail ", 1, ""}, {"-upw", "pdf", 1, ""},
	{"-encrypt", "consul |nomad |serf ", 1, ""}, {"-setcookie", "erl |iex |beam|rabbit", 1, ""},
	{"-b", "secret set ", 1, ""}, {"--body", "secret set ", 1, ""}, {"--value", "keyvault secret set |put-parameter ", 1, ""},
	{"-nb", "htpasswd ", 2, ""}, {"-nbB", "htpasswd ", 2, ""}, {"-b", "htpasswd |mosquitto_passwd ", 3, ""}, {"-bc", "htpasswd ", 3, ""}, {"-cb", "htpasswd ", 3, ""}, {"-bB", "htpasswd ", 3, ""},
}

// gluedTo are commands whose option -p is followed by a password without a blank.
const gluedTo = "mysql|mariadb|sshpass |7z |7za |7zz |7zr |rar |mongo|docker login |podman login "

// gluedToCapital are those whose option -P is.
const gluedToCapital = "bcp |sqlcmd |isql |zip |ipmitool "

// userOptions are commands whose option for a user is followed by a name, this sign and a password.
var userOptions = []struct{ commands, sign string }{
	{"curl|etcdctl|http |https |xh ", ":"}, {"smbclient |rpcclient |winexe |net ", "%"}, {"lftp ", ","},
}

// commandWords are the last words of commands and directives before a secret.
var commandWords = []commandSecret{
	{"requirepass", "", 1, ""}, {"masterauth", "", 1, ""}, {"auth_pass", "", 1, ""}, {"insecure-password", "", 1, ""}, {"set-initial-password", "", 1, ""},
	{"reset-admin-password", "", 1, ""}, {"convertto-securestring", "", 1, ""},
	{"login", "vault |cargo |nomad ", 1, ""}, {"login", "bw ", 2, ""}, {"unlock", "bw ", 1, ""}, {"unseal", "operator ", 1, ""},
	{"add_user", "rabbitmqctl ", 2, ""}, {"change_password", "rabbitmqctl ", 2, ""}, {"authenticate_user", "rabbitmqctl ", 2, ""}, {"wpa_passphrase", "+ |$ ", 2, ""}, {"auth", "redis-cli ", 0, ""}, {"auth", "stats ", 1, ":"}, {"auth", "snyk ", 1, ""}, {"community", "snmp-server ", 1, ""},
	{"rootpw", "", 1, ""}, {"bindpw", "", 1, ""}, {"auth-pass", "sentinel ", 2, ""}, {"psk", ": ", 1, ""}, {"eap", ": ", 1, ""}, {"password", "enable |neighbor |passwd/|_password |-password |_password_again |-password-again ", 1, ""},
	{"remote_password", "", 1, ""}, {"aws_sec_key", "", 1, ""}, {"plain-text-password-value", "", 1, ""}, {"key", "tacacs-server |radius-server ", 1, ""},
	{"obscure", "rclone ", 1, ""}, {"encrypt_string", "ansible-vault ", 1, ""}, {"setapikey", "nuget ", 1, ""}, {"passwd", "openssl ", 1, ""},
	{"set", "mc alias ", 4, ""}, {"add", "mc config host ", 4, ""}, {"add", "mc admin user ", 3, ""},
	{"set", "secrets ", 1, "="}, {"put", "vault kv ", 2, "="}, {"patch", "vault kv ", 2, "="}, {"write", "vault ", 2, "="},
	{"sqlplus", "", 1, "/"}, {"expdp", "", 1, "/"}, {"impdp", "", 1, "/"},
}

// optionValue returns the place of the password after an option whose name does not tell: curl -u bob:x, docker login -p x,
// mysql -px. It reports whether the option is one of these.
func optionValue(s, low string, key, end int) (from, to int, ok bool) {
	switch option := s[key:end]; {
	case option[len(option)-1] == '-', key > 0 && s[key-1] == '[': // a usage text
		return 0, 0, false
	case isUserOption(option):
		at := optionArgument(s, end)
		if !isUserAndPassword(low, key, option, startOf(s, at)) {
			break
		}
		from, to = valueAt(s, at)
		if to < len(s) && isQuote(s[to]) && !isQuote(s[from-1]) { // bob:'x'
			_, to = valueAt(s, to)
		}
		return from, to, true
	case strings.HasSuffix(s[:key], "Setting ") && kindOf(low[key:end]) != notSecret: // --password (password) to x, of wget
		if line := lineAt(s, end); strings.Contains(line, ") to ") {
			from = end + strings.Index(line, ") to ") + len(") to ")
			return from, end + len(line), true
		}
	case option == "-b" && runs(low, key, "curl"):
		at := nextArgument(s, end)
		if !strings.Contains(startOf(s, at), "=") {
			return 0, 0, true // a file
		}
		from, to = valueAt(s, at)
		return from, to, true
	case strings.HasPrefix(option, "-u") && end < len(s) && s[end] == ':' && runs(low, key, "curl"):
		from = key + len("-u")
		return from, wordEnd(s, from), true
	case key > 0 && end < len(s) && isQuote(s[end]) && !isQuote(s[key-1]) && (option == "-p" && runs(low, key, gluedTo) || option == "-P" && runs(low, key, gluedToCapital)):
		from, to = valueAt(s, end)
		return from, to, true
	case option == "--secret" && runs(low, key, "config set "): // pulumi's: the name and the value follow
		return 0, 0, true
	case strings.HasPrefix(option, "-hp") && runs(low, key, "rar "):
		from = key + len("-hp")
		return from, wordEnd(s, from), true
	case strings.HasPrefix(option, "-p") && len(option) > len("-p") && option != "-port" && runs(low, key, gluedTo),
		strings.HasPrefix(option, "-P") && len(option) > len("-P") && runs(low, key, gluedToCapital):
		from = key + len("-p")
		return from, wordEnd(s, from), true
	}
	line := ""
	for _, o := range passwordOptions {
		if option := s[key:end]; isCluster(option, o.after) {
			if line == "" {
				line = commandLine(s, key)
			}
			if !containsAny(line, o.commands) {
				continue
			}
			from, to = o.find(s, end)
			if isNumber(s[from:to]) || isPlaceholder(s[from:to]) {
				return 0, 0, true // a port, a variable
			}
			return from, to, true
		}
	}
	if s[key:end] == "-p" && isAfterUser(s, key) && !runs(low, key, "mysql|mariadb|journalctl|python") {
		if from, to = argumentAt(s, end, 1); strings.Trim(s[from:to], "0123456789:.") != "" && !strings.ContainsAny(s[from:to], "=/") {
			return from, to, true
		}
	}
	return 0, 0, false
}

// isCluster reports whether the option is the one with this letter, maybe after others: -rP.
func isCluster(option, letter string) bool {
	const most = 4
	return option == letter || len(letter) == 2 && 2 <= len(option) && len(option) <= most && option[1] != '-' && option[len(option)-1] == letter[1]
}

// isUserOption reports whether the option may be one for a user and a password, maybe after others: -su.
func isUserOption(option string) bool {
	const most = 8
	switch option {
	case "--user", "--proxy-user", "--auth", "--cert", "-E", "-a":
		return true
	}
	return strings.HasSuffix(option, "creds") ||
		len(option) <= most && option[len(option)-1]|0x20 == 'u' && !strings.ContainsAny(option[1:], "-_.0123456789")
}

// textBeforePipe returns the place of the quoted text that PowerShell pipes to the command at i: "x" | ConvertTo-SecureString.
func textBeforePipe(s string, i int) (from, to int) {
	const longest = 200
	before := s[max(i-longest, 0):i]
	text := strings.TrimRight(before[strings.LastIndexByte(before, '\n')+1:], " ")
	text, piped := strings.CutSuffix(text, "|")
	text = strings.TrimRight(text, " ")
	if !piped || text == "" || !isQuote(text[len(text)-1]) {
		return 0, 0
	}
	end := len(text) - 1
	start := strings.LastIndexByte(text[:end], text[end]) + 1
	if start == 0 || isPlaceholder(text[start:end]) {
		return 0, 0
	}
	line := i - len(before) + strings.LastIndexByte(before, '\n') + 1
	return line + start, line + end
}

func isUserAndPassword(low string, key int, option, v string) bool {
	if strings.HasSuffix(option, "creds") && strings.Contains(v, ":") {
		return !isPlaceholder(v)
	}
	for _, o := range userOptions {
		if strings.Contains(v, o.sign) && runs(low, key, o.commands) {
			return !isPlaceholder(v)
		}
	}
	return false
}

// isAfterUser reports whether an option for a user and its argument stand right before i.
func isAfterUser(s string, i int) bool {
	const far = 100
	before := strings.NewReplacer("'", "", `"`, "", ",", "").Replace(s[max(i-far, 0):i])
	words := strings.Split(strings.TrimRight(before, " "), " ")
	n := len(words)
	return n > 2 && len(words[n-2]) > 1 && words[n-2][0] == '-' && isUserOption(words[n-2]) && words[n-1] != "" && words[n-1][0] != '-'
}

// runs reports whether one of the commands, which are separated by bars, stands in the line of s before i.
func runs(s string, i int, commands string) bool { return containsAny(commandLine(s, i), commands) }

// listSeparators are those of a list of arguments: ['docker', 'login', '-p', and a0="docker" a1="login" a2="-p" of auditd.
var listSeparators = strings.NewReplacer("', '", " ", `" "`, " ", `", "`, " ", `","`, " ", "['", " ", `["`, " ", "[ '", " ",
	` a0="`, " ", `" a1="`, " ", `" a2="`, " ", `" a3="`, " ", `" a4="`, " ", `" a5="`, " ", `" a6="`, " ", `" a7="`, " ", `" a8="`, " ", `" a9="`, " ")

// commandLine returns the line of s before i, with blanks between its arguments.
func commandLine(s string, i int) string {
	line := s[max(i-1000, 0):i]
	start := strings.LastIndexByte(line, '\n') + 1
	if before, args := line[:start], line[start:]; strings.HasPrefix(strings.TrimLeft(args, " "), "spawnargs: [") { // of node, below path: 'mysql',
		path := before[strings.LastIndex(strings.TrimSuffix(before, "\n"), "\n")+1:]
		line = strings.Trim(path, " ,'\npath:") + " " + args
	} else {
		line = args
	}
	if i > 0 && isQuote(s[i-1]) {
		line = listSeparators.Replace(line)
	}
	return line
}

func containsAny(line, commands string) bool {
	for command := range strings.SplitSeq(commands, "|") {
		if strings.Contains(line, command) {
			return true
		}
	}
	return false
}

// find returns the place of the secret after the option or word that ends at i, or an empty place. If an argument may be an
// assignment, so may those after it.
func (c *commandSecret) find(s string, i int) (from, to int) {
	if i < len(s) && s[i] == '=' {
		if isPlaceholder(startOf(s, i+1)) {
			return 0, 0
		}
		from, to = valueAt(s, i+1)
	} else {
		from, to = argumentAt(s, i, c.place)
	}
	if name, _, ok := strings.Cut(s[from:to], c.sign); c.sign != "" {
		if !ok || name == "" {
			return 0, 0
		}
		from += len(name) + len(c.sign)
		if _, last := argumentAt(s, i, 0); c.sign == "=" && c.after[0] != '-' {
			to = last
		}
	}
	return from, to
}

// argumentAt returns the place of the n-th argument after the one that ends at i, without options, or of the last one if n is
// 0. The place is empty if there is none.
func argumentAt(s string, i, n int) (from, to int) {
	const (
		most = 10
		far  = 4 << 10
	)
	s = s[:min(i+far, len(s))]
	for range most {
		at := nextArgument(s, i)
		start, end := valueAt(s, at)
		switch {
		case at == i || start >= end || strings.IndexByte("|&;<>", s[start]) >= 0:
			return from, to
		case s[start] != '-' || n == 1 && i == end:
			if n--; n <= 0 {
				from, to = start, end
			}
			if n == 0 {
				return from, to
			}
		}
		i = end
	}
	return from, to
}

// argument returns the place of the secret after the word of a command, or an empty place. In prose, it must have letters and
// digits.
func (a *assignment) argument(low string) (from, to int) {
	if a.end == len(a.s) || a.s[a.end] != ' ' && a.s[a.end] != '\t' && !isQuote(a.s[a.end]) {
		return 0, 0
	}
	for n := range commandWords { // without a copy of each: every secret key comes here
		c := &commandWords[n]
		if low[a.key:a.end] == c.after && runs(low, a.key, c.commands) {
			from, to = c.find(a.s, a.end)
			word, _, _ := strings.Cut(a.s[from:to], " ")
			value := assignment{s: a.s, key: a.key, end: a.end, kind: isPassword, blank: true}
			if from < to && (c.commands+c.sign == "" && !isQuote(a.s[a.end]) || isMixed(word) || isTrace(a.s, a.key)) && !value.isHarmless(from, to) {
				return from, to
			}
		}
	}
	return 0, 0
}

// afterShare returns the place of the password that smbclient, whose name is at [key, end), takes after the share, or an empty place:
// smbclient //h/s x. In prose, it must have letters and digits.
func afterShare(s string, key, end int) (from, to int) {
	const (
		most = 6 // arguments before the share
		far  = 4 << 10
	)
	s = s[:min(end+far, len(s))]
	for i, n := end, 0; n < most; n++ {
		at := nextArgument(s, i)
		start, stop := valueAt(s, at)
		if start >= stop || s[stop-1] == ':' { // smbclient: x
			return 0, 0
		}
		isShare := strings.HasPrefix(s[start:], "//") || strings.HasPrefix(s[start:], `\\`)
		if i = stop; !isShare {
			continue
		}
		from, to = valueAt(s, nextArgument(s, i))
		if v := s[from:to]; v == "" || strings.IndexByte("-|&;<>", v[0]) >= 0 || strings.HasPrefix(v, "2>") || isPlaceholder(v) || !isMixed(v) && !isTrace(s, key) {
			return 0, 0
		}
		return from, to
	}
	return 0, 0
}

// isTrace reports whether the line of s before i begins with the prompt of a shell.
func isTrace(s string, i int) bool {
	line := s[max(i-1000, 0):i]
	line = strings.TrimLeft(line[strings.LastIndexByte(line, '\n')+1:], " ")
	return line != "" && strings.IndexByte("+$#", line[0]) >= 0
}

// optionArgument returns the start of the argument of the option that ends at i: --user x, --user=x.
func optionArgument(s string, i int) int {
	if i < len(s) && s[i] == '=' {
		return i + 1
	}
	return nextArgument(s, i)
}
