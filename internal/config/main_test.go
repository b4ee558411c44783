package config

import (
	"testing"

	"github.com/terraphim/adfbot/internal/testhost"
)

func TestMain(m *testing.M) { testhost.Main(m, nil) }
