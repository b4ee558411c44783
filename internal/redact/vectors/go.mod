module github.com/terraphim/adfbot/internal/redact/vectors

go 1.26.0
