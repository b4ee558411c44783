package config

import (
	"slices"
	"strings"
)

// nearest returns the name that an unknown key most likely means, or "".
func nearest(key string, names []string) string {
	best, limit := "", 3 // at most two edits, one for a short key
	if len(key) < 4 {
		limit = 2
	}
	k := normalize(key)
	for _, n := range names {
		if d := editDistance(k, n, limit); d < limit {
			best, limit = n, d
		}
	}
	if best != "" {
		return best
	}
	for _, n := range names {
		if short := min(len(k), len(n)); short >= 4 && k[:short] == n[:short] {
			return n // for pause_directory, or proj
		}
	}
	return ""
}

// normalize returns pause_dir for pause-dir and Pause-Dir.
func normalize(key string) string {
	return strings.ToLower(strings.ReplaceAll(key, "-", "_"))
}

// editDistance returns the Levenshtein distance in bytes, or any number from limit on if it is not below limit.
func editDistance(a, b string, limit int) int {
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

// namesSecret reports whether an unknown key seems to hold a secret itself.
func namesSecret(key string) bool {
	k := strings.ReplaceAll(normalize(key), "_", "")
	if strings.HasSuffix(k, "file") || strings.HasSuffix(k, "env") {
		return false
	}
	words := []string{"token", "secret", "password", "passwd", "passphrase", "apikey", "privatekey", "credential"}
	return k == "pass" || k == "pw" || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(k, w) })
}
