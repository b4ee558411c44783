package redact

import (
	"strings"
	"sync"
)

// keyKind says what the name of a key reveals about its value.
type keyKind int

const (
	notSecret keyKind = iota
	isPassword
	isToken         // also in prose: "unexpected token: foo"
	isPass          // short for password, or a number of tests
	isPwd           // password, or a working directory
	isSignature     // only in the query of a URL
	isBasic         // "auth" in files of docker and npm
	isCookie        // the value is the rest of the line
	isAuthorization // the value is a scheme and credentials
	isKey           // only if its value looks random
	isCommand       // the last word of a command that takes a secret
	isSeed          // only if its value is the words of a wallet's seed
)

// maxKey is how many bytes of a key are examined.
const maxKey = 64

// keyEnd is the end of keys of one kind.
type keyEnd struct {
	end   string
	kind  keyKind
	whole bool // it must be the whole key
}

// keyEnds lists the ends of secret keys by their last letter. The first match counts.
var keyEnds = ['z' + 1][]keyEnd{
	'c': {{"mnemonic", isSeed, false}},
	'e': {
		{"passphrase", isPassword, false}, {"phrase", isSeed, false}, {"passcode", isPassword, false}, {"secretkeybase", isPassword, false}, {"cookie", isCookie, true}, {"erlangcookie", isPassword, false},
		{"setcookie", isCookie, false}, {"httpcookie", isCookie, true}, {"keysbase", isToken, true}, {"passe", isPassword, true}, {"obscure", isCommand, true}, {"write", isCommand, true}, {"signature", isSignature, false},
	},
	'a': {{"keydata", isKey, false}, {"senha", isPassword, false}},
	'b': {{"unsealkeysb", isToken, true}, {"recoverykeysb", isToken, true}}, // …_b64
	'x': {{"unsealkeyshex", isToken, true}, {"recoverykeyshex", isToken, true}},
	'g': {{"encryptstring", isCommand, true}, {"sig", isSignature, false}, {"secretstring", isPassword, false}, {"converttosecurestring", isPassword, true}},
	'k': {{"unlock", isCommand, true}, {"authtok", isPassword, false}, {"psk", isToken, false}, {"addmask", isPassword, true}},
	'd': {{"add", isCommand, true}, {"secretid", isKey, true}, {"jsessionid", isKey, true}, {"phpsessid", isKey, true}, {"connectsid", isKey, true}, {"updatepassword", notSecret, true}, {"password", isPassword, false}, {"nopasswd", notSecret, false}, {"passwd", isPassword, false}, {"pwd", isPwd, false}, {"seed", isSeed, false}},
	'm': {{"passwordconfirm", isPassword, false}},
	'h': {{"patch", isCommand, true}, {"rediscliauth", isPassword, true}, {"auth", isBasic, true}, {"masterauth", isPassword, true}, {"auth", isKey, false}},
	'r': {{"bearer", isKey, false}, {"codeverifier", isKey, false}, {"adduser", isCommand, true}, {"authenticateuser", isCommand, true}},
	'l': {{"unseal", isCommand, true}, {"loadcredential", notSecret, false}, {"importcredential", notSecret, false}, {"credential", isToken, false}},
	'n': {{"login", isCommand, true}, {"sonarlogin", isKey, false}, {"passwordconfirmation", isPassword, false}, {"passwordagain", isPassword, false}, {"bwsession", isPassword, true}, {"authorization", isAuthorization, false}, {"pagetoken", notSecret, false}, {"invalidauthenticitytoken", notSecret, true}, {"continuationtoken", notSecret, false},
		{"token", isToken, false}, {"dockerconfigjson", isToken, true}},
	'w': {
		{"cpsw", notSecret, false}, {"psw", isPassword, false}, {"pw", isPwd, true}, {"dbpw", isPwd, false}, {"bindpw", isPwd, false}, {"rootpw", isPwd, false},
		{"userpw", isPwd, false}, {"adminpw", isPwd, false},
	},
	'p': {{"eap", isCommand, true}, {"expdp", isCommand, true}, {"impdp", isCommand, true}},
	's': {
		{"sqlplus", isCommand, true},
		{"passwords", isPassword, false}, {"dbpass", isPassword, false}, {"masterpass", isPassword, false}, {"adminpass", isPassword, false}, {"mailpass", isPassword, false}, {"userpass", isPassword, false}, {"remotepass", isPassword, true},
		{"storepass", isPassword, false}, {"keypass", isPassword, false}, {"credentials", isToken, false}, {"creds", isKey, false}, {"tokens", isKey, false}, {"apikeys", isKey, false},
		{"requirepass", isPassword, true}, {"askpass", notSecret, false}, {"pass", isPass, false}, {"words", isSeed, false},
	},
	't': {
		{"passwordrepeat", isPassword, false}, {"passwort", isPassword, false}, {"kennwort", isPassword, false}, {"set", isCommand, true}, {"smbclient", isCommand, true}, {"put", isCommand, true},
		{"existingsecret", notSecret, false}, {"pullsecret", notSecret, false}, {"secret", isPassword, false}, {"authsalt", isPassword, true}, {"noncesalt", isPassword, true}, {"loggedinsalt", isPassword, true},
		{"jwt", isKey, false}, {"githubpat", isKey, true}, {"ghpat", isKey, true}, {"azurepat", isKey, true}, {"azuredevopsextpat", isKey, true}, {"devopspat", isKey, false}, {"azdopat", isKey, true}, {"adopat", isKey, true},
	},
	'y': {
		{"apikey", isToken, false}, {"accesskey", isToken, false}, {"secretkey", isToken, false}, {"privatekey", isToken, false},
		{"signingkey", isToken, false}, {"encryptionkey", isToken, false}, {"accountkey", isToken, false},
		{"masterkey", isToken, false}, {"noncekey", isToken, true}, {"loggedinkey", isToken, true}, {"authkey", isToken, false}, {"sessionkey", isToken, false}, {"sharedkey", isToken, false},
		{"key", isKey, false}, {"secretbinary", isPassword, false}, {"community", isCommand, true},
	},
}

// kindOf returns the kind of a lower-case key, by its end: db_password2, clientsecret, x-api-key.
func kindOf(key string) keyKind {
	first, last := max(len(key)-maxKey, 0), len(key)
	for last > first && !isLetter(key[last-1]) {
		last--
	}
	if last == first {
		return notSecret
	}
	ends := keyEnds[key[last-1]]
	if !mayEnd(key[first:last-1], key[last-1]) {
		return notSecret
	}
	var buf [maxKey]byte
	k := buf[:0]
	for i := first; i < last; i++ {
		if isAlnum(key[i]) {
			k = append(k, key[i])
		}
	}
	for _, e := range ends {
		rest := len(k) - len(e.end)
		if rest == 0 || rest > 0 && !e.whole {
			if string(k[rest:]) == e.end {
				return e.kind
			}
		}
	}
	return notSecret
}

// lettersBefore has a bit for each letter that stands before the last one in keyEnds.
var lettersBefore = sync.OnceValue(func() *[len(keyEnds)]uint32 {
	var before [len(keyEnds)]uint32
	for last, ends := range keyEnds {
		for _, e := range ends {
			before[last] |= 1 << (e.end[len(e.end)-2] - 'a')
		}
	}
	return &before
})

// mayEnd reports whether a key can have one of keyEnds, by its last two letters. This rules out most words of a text.
func mayEnd(key string, last byte) bool {
	n := len(key) - 1
	for n >= 0 && !isAlnum(key[n]) {
		n--
	}
	return n >= 0 && isLetter(key[n]) && lettersBefore()[last]>>(key[n]-'a')&1 != 0
}

// kindOfName is [kindOf] for a name in lower case of which a word inside it may be that of a secret, or the last one short.
func kindOfName(name string) keyKind {
	kind := kindOf(name)
	switch last := name[len(name)-1]; {
	case kind != notSecret:
	case last == 't' && isPATName(name), hasSecretPart(name):
		return isKey
	case last == 'w' && len(name) > len("_pw") && strings.HasSuffix(name, "pw") && strings.IndexByte("_-.", name[len(name)-len("_pw")]) >= 0:
		return isPwd
	}
	return kind
}

// otherKeys are what stands before "key" in names of things that are no secrets, though they may look random.
var otherKeys = []string{
	"cache", "column", "dedup", "event", "file", "foreign", "group", "hash", "host", "idempotency", "index", "item", "job", "lookup", "map", "message",
	"node", "object", "partition", "path", "primary", "pub", "public", "record", "redis", "request", "restore", "routing", "row", "s3", "shard", "sort",
	"storage", "trace",
}

// otherEnds end the names of things about a secret, which are none.
var otherEnds = []string{"name", "names", "file", "path", "id", "url", "uri", "arn", "type", "version", "count", "ref", "hash", "length", "size", "limit", "at", "key_id", "expiry", "expires", "expiration", "algorithm", "encoder", "encryption", "format", "hasher", "method", "policy", "scheme"}

// isPATName reports whether a lower-case key is that of a personal access token: my_pat. Words end like this, too.
func isPATName(key string) bool {
	name, ok := strings.CutSuffix(key, "pat")
	return ok && (name == "" || strings.IndexByte("_-.", name[len(name)-1]) >= 0)
}

// hasSecretPart reports whether a lower-case key is that of a secret, with something after it: github_token_ci.
func hasSecretPart(key string) bool {
	if len(key) < len("token_") || strings.IndexByte(key, '_') < 0 && strings.IndexByte(key, '-') < 0 && strings.IndexByte(key, '.') < 0 {
		return false
	}
	for _, p := range [...]string{"token", "secret", "password", "passwd", "apikey", "api_key", "_pass"} {
		if i := strings.Index(key, p); i >= 0 {
			rest := strings.Trim(key[i+len(p):], "_-.")
			for _, e := range otherEnds {
				if strings.HasSuffix(rest, e) {
					return false
				}
			}
			return len(rest) < len(key[i+len(p):]) // it begins a word
		}
	}
	return false
}

// isRandomKey reports whether the value of the key in [key, end), which has not the name of a secret, is one because it
// looks random. low is the text in lower case.
func isRandomKey(low string, key, end int, value string) bool {
	const near = 32
	name, isKey := strings.CutSuffix(strings.TrimRight(low[key:end], "0123456789"), "key")
	if isKey {
		name = strings.TrimRight(name, "-_.")
		for _, o := range otherKeys {
			isAzure := (o == "primary" || o == "redis") && len(value) > 32 && value[len(value)-1] == '='
			isPagerDuty := o == "routing" && len(value) == 32 && strings.IndexFunc(value, func(r rune) bool { return r >= 0x80 || !isAlnum(byte(r)) }) < 0
			if strings.HasSuffix(name, o) && !((isAzure || isPagerDuty) && isRandom(value)) {
				return false
			}
		}
		if name == "" && (strings.Contains(value, "-") || strings.Contains(low[max(key-near, 0):key], "cache")) {
			return false
		}
	}
	return isRandom(value) && (!strings.Contains(value, "/") || strings.ContainsAny(value, "+="))
}
