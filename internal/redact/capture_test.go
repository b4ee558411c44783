package redact

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/terraphim/adfbot/internal/testhost"
)

func capture(limit int, r *Redactor, pieces ...string) string {
	c := NewCapture(limit, r)
	for _, p := range pieces {
		_, _ = c.Write([]byte(p))
	}
	return c.Text()
}

func TestCaptureFits(t *testing.T) {
	require.Equal(t, "", capture(100, nil))
	require.Equal(t, "a\nb\n", capture(4, nil, "a\n", "b\n"))
	require.Equal(t, "error: x", capture(8, nil, "\x1b[31merr", "or\x1b[0m: x"))
	require.Equal(t, "100%\ndone", capture(10, nil, strings.Repeat("50%\r", 100_000), "100%\ndo", "ne"))
	s := strings.Repeat("0123456789\n", 30_000)
	require.Equal(t, s, capture(len(s), nil, s))
	require.Equal(t, "ü", capture(10, nil, "\xc3", "\xbc"))
	require.Equal(t, "\uFFFD", capture(10, nil, "\xc3"))
	require.Equal(t, "password=[masked]", capture(17, nil, "password=", strings.Repeat("x", 500)), "the limit is for the masked text")
}

func TestCaptureLimitZero(t *testing.T) {
	c := NewCapture(0, nil)
	n, err := c.Write([]byte("text"))
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.Empty(t, c.Text())
	require.Empty(t, capture(-5, nil, "text"))
}

func TestCaptureLongStream(t *testing.T) {
	var in strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&in, "line %06d\n", i)
	}
	for _, size := range []int{1, 7, 4096, 200_000, in.Len()} {
		c := NewCapture(8192, nil)
		for p := []byte(in.String()); len(p) > 0; p = p[min(size, len(p)):] {
			_, _ = c.Write(p[:min(size, len(p))])
		}
		text := c.Text()
		require.LessOrEqual(t, len(text), 8192)
		require.Greater(t, len(text), 8192-GapRoom-4)
		head, tail, ok := strings.Cut(text, "\n… 1.2 MB left out …\n")
		require.True(t, ok, text[:1200])
		require.Len(t, head, 1024)
		require.True(t, strings.HasPrefix(in.String(), head))
		require.True(t, strings.HasSuffix(in.String(), tail))
		require.Equal(t, text, c.Text(), "asking again")
	}
}

func TestCaptureLimit(t *testing.T) {
	for _, in := range []string{strings.Repeat("é", 4000), strings.Repeat("a=1 token=abcdefgh1\n", 9000), testhost.Noise(300_000), strings.Repeat("x\r", 200_000) + "y",
		strings.Repeat("x", 300_000) + "\rlast\n"} {
		for _, limit := range []int{0, 1, 2, 3, 4, 5, 60, minSplit - 1, minSplit, minSplit + 1, 200, 501, 699} {
			text := capture(limit, nil, in)
			require.LessOrEqual(t, len(text), limit)
			requireClean(t, text)
		}
	}
	require.Equal(t, "last\n", capture(5, nil, strings.Repeat("x", 300_000)+"\rlast\n"))
	require.Equal(t, strings.Repeat("é", 8)+"\n… 66 bytes left out …\n"+strings.Repeat("é", 24), capture(minSplit, nil, strings.Repeat("é", 65)), "a rune is not halved")
}

func TestCaptureCutsNoSecret(t *testing.T) {
	const secret = "Sup3rS3cretV4lue"
	r := New(secret)
	const limit = 400
	for _, total := range []int{700, 3000, overlap + limit + 100, 3 * (overlap + slack)} {
		filler := strings.Repeat(".", total)
		near := map[int]bool{}
		for _, edge := range []int{0, limit / 8, limit, total - limit, total - limit/2, total, overlap, overlap + limit/8, overlap + limit, total - overlap - limit,
			total - overlap - limit - slack, total - overlap} {
			for d := -len(secret) - 40; d <= 40; d++ {
				if at := edge + d; at >= 0 && at <= total {
					near[at] = true
				}
			}
		}
		for at := range near {
			if at%13 == 0 || testhost.Full() {
				requireNoPart(t, capture(limit, r, filler[:at]+secret+filler[at:]), secret)
			}
			if at%17 == 0 {
				requireNoPart(t, capture(limit, r, filler[:at]+secret[:3], secret[3:]+filler[at:]), secret)
				requireNoPart(t, capture(limit, r, filler[:at]+secret[:3]+"\x1b[0m"+secret[3:]+filler[at:]), secret)
				requireNoPart(t, capture(limit, nil, filler[:at]+" password="+secret+" "+filler[at:]), secret)
			}
		}
	}
}

func TestCaptureMostlyMasked(t *testing.T) {
	const secret = "Sup3rS3cretV4lue"
	r := New(secret)
	// Nearly everything is masked, so the rest of the kept part is smaller than the limit.
	long := "password=" + strings.Repeat("x", 3000) + "\n"
	in := strings.Repeat("start\n", 20_000) + strings.Repeat(secret, 20_000) + strings.Repeat(long, 100) + "end\n"
	for cut := range 60 {
		text := capture(8192, r, in[cut*1007:])
		requireNoPart(t, text, secret)
		require.True(t, strings.HasSuffix(text, "end\n"))
	}
}

func requireNoPart(t testing.TB, text, secret string) {
	t.Helper()
	for i := 0; i+4 <= len(secret); i++ {
		require.NotContains(t, text, secret[i:i+4])
	}
}

func TestCaptureHeadlessKey(t *testing.T) {
	key := strings.Repeat(strings.Repeat("MIIEabcd", 8)+"\n", 2000)
	text := capture(4096, nil, "-----BEGIN RSA PRIVATE KEY-----\n"+key+"abc=\n-----END RSA PRIVATE KEY-----\ndone\n")
	require.NotContains(t, text, "MIIE")
	require.True(t, strings.HasSuffix(text, "[masked]\ndone\n"), text)
}

func TestCaptureConcurrent(t *testing.T) {
	c := NewCapture(2000, New("secret-value"))
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 500 {
				_, _ = fmt.Fprintf(c, "writer %d line %d secret-value\n", w, i)
				if i%100 == 0 {
					_ = c.Text()
				}
			}
		})
	}
	wg.Wait()
	text := c.Text()
	require.LessOrEqual(t, len(text), 2000)
	require.NotContains(t, text, "secret-value")
	require.Contains(t, text, "left out …")
}

func TestCaptureMemory(t *testing.T) {
	const limit = 8192
	c := NewCapture(limit, nil)
	in := []byte(testhost.Noise(20 << 20))
	start := time.Now()
	for p := in; len(p) > 0; p = p[min(32<<10, len(p)):] {
		_, _ = c.Write(p[:min(32<<10, len(p))])
	}
	text := c.Text()
	t.Log(time.Since(start))
	require.LessOrEqual(t, len(text), limit)
	require.Contains(t, text, "… 21.0 MB left out …")
	require.LessOrEqual(t, cap(c.kept.head)+cap(c.kept.tail), 2*limit+300<<10)
	runtime.KeepAlive(in)
}

func BenchmarkCapture(b *testing.B) {
	for name, in := range map[string]string{"binary": testhost.Noise(1 << 20), "text": strings.Repeat("a line of an ordinary log, with numbers 12345\n", 23_000)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				c := NewCapture(8192, nil)
				_, _ = bytes.NewBufferString(in).WriteTo(c)
				_ = c.Text()
			}
		})
	}
}
