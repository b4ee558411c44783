package postgres

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// defaults are set where the URL does not set them. Some are what would apply anyway, if it did not depend on the environment and the
// home of who runs the program.
var defaults = map[string]string{
	"target_session_attrs": "read-write",
	"connect_timeout":      "2",
	"application_name":     "adfbot",
	"sslmode":              "prefer",
	"sslrootcert":          "",
	"sslcert":              "",
	"sslkey":               "",
	"passfile":             "",
}

// keepAlive has a connection to a server that is gone fail within a minute, even if nothing is sent.
const keepAlive = 10 * time.Second

// parseURL returns the settings of connections.
func parseURL(raw string) (*pgconn.Config, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err // without the URL, in which there may be a password
		}
		return nil, fmt.Errorf("the URL of the state: %w", err)
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, fmt.Errorf("the URL of the state begins with %q, and not with postgres://", u.Scheme+"://")
	}
	q := u.Query()
	if _, set := u.User.Password(); set || q.Has("password") {
		return nil, errors.New("the URL of the state holds a password, which others can read: write it into a file and name that in `state_password_file`")
	}
	for key, value := range defaults {
		if !q.Has(key) {
			q.Set(key, value)
		}
	}
	alive, err := keepAlives(q)
	if err != nil {
		return nil, err
	}
	if u.Host != "" && u.Port() == "" && !q.Has("port") && !strings.Contains(u.Host, ",") {
		q.Set("port", "5432")
	}
	u.RawQuery = q.Encode()
	config, err := pgconn.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("the URL of the state: %w", err)
	}
	config.Password = "" // $PGPASSWORD
	for _, name := range []string{"options", "timezone"} {
		if !q.Has(name) {
			delete(config.RuntimeParams, name)
		}
	}
	dialer := net.Dialer{KeepAlive: -1, KeepAliveConfig: alive}
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, addr)
	}
	return config, nil
}

// unverified reports whether connections may lead to a server on another machine whose certificate is not verified.
func unverified(config *pgconn.Config) bool {
	verified := func(host string, c *tls.Config) bool {
		ip, err := netip.ParseAddr(host)
		return strings.HasPrefix(host, "/") || host == "localhost" || err == nil && ip.IsLoopback() ||
			c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil || c.VerifyConnection != nil)
	}
	return !verified(config.Host, config.TLSConfig) ||
		slices.ContainsFunc(config.Fallbacks, func(f *pgconn.FallbackConfig) bool { return !verified(f.Host, f.TLSConfig) })
}

// keepAlives takes the settings of libpq about keepalives out of a query.
func keepAlives(q url.Values) (net.KeepAliveConfig, error) {
	c := net.KeepAliveConfig{Enable: q.Get("keepalives") != "0", Idle: keepAlive, Interval: keepAlive, Count: 3}
	for key, to := range map[string]*time.Duration{"keepalives_idle": &c.Idle, "keepalives_interval": &c.Interval} {
		n, err := strconv.Atoi(cmp.Or(q.Get(key), "0"))
		if err != nil {
			return c, fmt.Errorf("the URL of the state: %s is %q, and not a number of seconds", key, q.Get(key))
		}
		if n > 0 {
			*to = time.Duration(n) * time.Second
		}
	}
	n, err := strconv.Atoi(cmp.Or(q.Get("keepalives_count"), "0"))
	if err != nil {
		return c, fmt.Errorf("the URL of the state: keepalives_count is %q, and not a number", q.Get("keepalives_count"))
	}
	if n > 0 {
		c.Count = n
	}
	for _, key := range []string{"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"} {
		q.Del(key)
	}
	return c, nil
}
