package store

import "database/sql"

// SetBeforeCommit has f called before each transaction's commit; its error takes the place of the commit. The result puts
// things back.
func SetBeforeCommit(f func() error) (restore func()) {
	old := beforeCommit
	beforeCommit = f
	return func() { beforeCommit = old }
}

// Outputs are the outputs in the history, the oldest first.
func (s *Store) Outputs() []string {
	return s.texts(`SELECT output FROM result WHERE output IS NOT NULL ORDER BY id`)
}

func (s *Store) texts(query string) []string {
	rows, err := s.db.Query(query)
	list, err := collect(rows, err, func(rows *sql.Rows) (v string, err error) { return v, rows.Scan(&v) })
	if err != nil {
		panic(err)
	}
	return list
}
