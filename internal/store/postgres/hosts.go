package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/terraphim/adfbot/internal/store"
	"github.com/terraphim/adfbot/internal/store/sqlstore"
)

var _ store.Fleet = (*Store)(nil)

// retired returns the error of a host that was retired, nil for another one.
func (s *Store) retired(is bool) error {
	if !is {
		return nil
	}
	return store.Unusable(s.path, "restart the daemon on this host, or wait for its next result: it joins the fleet again as a new host", store.ErrRetired)
}

// checkHost returns why this host may not write the state.
func (s *Store) checkHost(ctx context.Context) (err error) {
	var is bool
	err = sqlstore.First(ctx, s.database(), `SELECT EXISTS (SELECT FROM adfbot.host WHERE id = ? AND retired_at IS NOT NULL)`, s.host).Scan(&is)
	return cmp.Or(err, s.retired(is))
}

type asHostKey struct{}

// asHost has a transaction keep its host from being retired before it ends.
func asHost(ctx context.Context) context.Context { return context.WithValue(ctx, asHostKey{}, true) }

func isAsHost(ctx context.Context) bool { return ctx.Value(asHostKey{}) != nil }

// lockHost waits for [Store.Retire]. It does not get in the way of [Store.Beat].
const lockHost = `SELECT retired_at IS NOT NULL FROM adfbot.host WHERE id = ? FOR KEY SHARE`

func (s *Store) checkRetired(r *pgconn.Result) error {
	return s.retired(len(r.Rows) > 0 && r.Rows[0][0][0] != 0)
}

// BeginRun implements [store.RunStore]. A run must not begin unseen by who retires its host.
func (s *Store) BeginRun(ctx context.Context, r store.Run) (store.Run, error) {
	return s.State.BeginRun(asHost(ctx), r)
}

// idShared is the key of when another machine was found to report under the id of a host, in milliseconds since 1970.
const idShared = "id_shared"

// Beat implements [store.Fleet]. A machine has one boot as long as this process runs: where it finds another one than it has stored,
// another machine reports under the id of this host.
func (s *Store) Beat(ctx context.Context, h store.Host) error {
	var at sqlstore.Time
	asked := time.Now()
	err := s.tx(ctx, func(ctx context.Context, tx sqlstore.Tx) error {
		var was string
		err := sqlstore.First(ctx, tx, `WITH was AS (SELECT boot FROM adfbot.host WHERE id = ?) INSERT INTO adfbot.host AS h
			(id, name, boot, version, config, offset_ms, spooled, dir_error, can_issue, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, clock_timestamp())
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, boot = excluded.boot, version = excluded.version, config = excluded.config,
			offset_ms = excluded.offset_ms, spooled = excluded.spooled, dir_error = excluded.dir_error, can_issue = excluded.can_issue, seen_at = excluded.seen_at
			WHERE h.retired_at IS NULL RETURNING seen_at, coalesce((SELECT boot FROM was), '')`,
			s.host, s.host, h.Name, h.Boot, h.Version, h.Config, h.Offset.Milliseconds(), h.Spooled, h.DirError, h.CanIssue).Scan(&at, &was)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return s.retired(true)
		case err == nil && s.beaten.Load() && was != "" && h.Boot != "" && was != h.Boot:
			return tx.Exec(ctx, `INSERT INTO adfbot.meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
				store.HostKey(idShared, s.host), strconv.FormatInt(at.UnixMilli(), 10))
		}
		return err
	})
	if err == nil {
		s.beaten.Store(h.Boot != "")
		s.pool.clock.told(at.Time, asked)
	}
	return err
}

// Hosts implements [store.Fleet].
func (s *Store) Hosts(ctx context.Context) ([]store.Host, error) {
	hosts, err := sqlstore.List(ctx, s.database(), func(row sqlstore.Row) (h store.Host, err error) {
		var seen, retired sqlstore.Time
		var offset int64
		var shared string
		err = row.Scan(&h.ID, &h.Name, &h.Boot, &h.Version, &h.Config, &seen, &offset, &h.Spooled, &h.DirError, &h.CanIssue, &retired, &shared)
		if ms, err := strconv.ParseInt(shared, 10, 64); err == nil {
			h.IDShared = time.UnixMilli(ms).UTC()
		}
		h.Seen, h.Retired, h.Offset = seen.Time, retired.Time, time.Duration(offset)*time.Millisecond
		return h, err
	}, `SELECT id, name, boot, version, config, seen_at, offset_ms, spooled, dir_error, can_issue, retired_at,
		coalesce((SELECT value FROM adfbot.meta WHERE key = ? || '/' || host.id), '')
		FROM adfbot.host ORDER BY retired_at IS NOT NULL, name, id`, idShared)
	return hosts, s.Wrap(err)
}

// Retire implements [store.Fleet]. It locks the host, then the projects of its runs, and last its confirmations: those who change one lock
// its project first.
func (s *Store) Retire(ctx context.Context, id string) (was bool, err error) {
	err = s.tx(ctx, func(ctx context.Context, tx sqlstore.Tx) error {
		err := sqlstore.First(ctx, tx, `SELECT retired_at IS NULL FROM adfbot.host WHERE id = ? FOR UPDATE`, id).Scan(&was)
		if errors.Is(err, sql.ErrNoRows) {
			was, err = false, nil
		}
		if err != nil || !was {
			return err
		}
		if err := tx.Exec(ctx, `UPDATE adfbot.host SET retired_at = clock_timestamp() WHERE id = ?`, id); err != nil {
			return err
		}
		if err := s.EndRunsOf(ctx, tx, id, store.DetailHostGone); err != nil {
			return err
		}
		if err := s.notify(ctx, tx); err != nil { // its daemon, if it runs, is to join again as a new host
			return err
		}
		return tx.Exec(ctx, `DELETE FROM adfbot.host_flag WHERE host = ?`, id)
	})
	return was && err == nil, err
}

// MissingFlags implements [store.Fleet].
func (s *Store) MissingFlags(ctx context.Context) ([]store.MissingFlag, error) {
	found, err := s.readAtOnce(ctx, s.statement(missingFlags))
	if err != nil {
		return nil, s.Wrap(err)
	}
	missing, err := sqlstore.Collect(found[0], func(row sqlstore.Row) (m store.MissingFlag, err error) {
		var since sqlstore.Time
		err = row.Scan(&m.Host, &m.Project, &m.Pause, &since, &m.Error)
		m.Since = since.Time
		return m, err
	})
	return missing, s.Wrap(err)
}

const missingFlags = `SELECT host.id, project.id, project.pause, coalesce(incident.opened_at, project.paused_at), coalesce(flag.error, '')
		FROM adfbot.project CROSS JOIN adfbot.host LEFT JOIN adfbot.incident ON incident.id = project.incident
		LEFT JOIN adfbot.host_flag AS flag ON flag.host = host.id AND flag.project = project.id AND flag.pause = project.pause
		WHERE project.pause IS NOT NULL AND host.retired_at IS NULL AND coalesce(flag.kind, 'failed') IN ('failed', 'removed')
		ORDER BY project.id, host.name, host.id`
