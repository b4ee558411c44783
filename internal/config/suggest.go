package config

import "strings"

// nearest gives the name that key most likely means, or "".
func nearest(key string, names []string) string {
	best, at := "", 3 // two edits are a slip, three another word
	if len(key) < 4 {
		at = 2
	}
	k := normal(key)
	for _, n := range names {
		if d := distance(k, n, at); d < at {
			best, at = n, d
		}
	}
	if best != "" {
		return best
	}
	for _, n := range names {
		if short := min(len(k), len(n)); short >= 4 && k[:short] == n[:short] {
			return n // pause_directory, proj
		}
	}
	return ""
}

// normal makes pause-dir and pauseDir comparable with pause_dir.
func normal(key string) string {
	return strings.ToLower(strings.ReplaceAll(key, "-", "_"))
}

// distance is the Levenshtein distance in bytes, or some number of at least limit where it is no smaller than that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d++
			}
			diagonal = row[j+1]
			row[j+1] = min(d, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// secretish reports whether a key that does not exist would hold a secret.
func secretish(key string) bool {
	k := strings.ReplaceAll(normal(key), "_", "")
	if strings.HasSuffix(k, "file") || strings.HasSuffix(k, "env") {
		return false
	}
	for _, word := range []string{"token", "secret", "password", "passwd", "passphrase", "apikey", "privatekey", "credential"} {
		if strings.Contains(k, word) {
			return true
		}
	}
	return k == "pass" || k == "pw"
}
