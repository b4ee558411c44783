// Package sqlite keeps a state in one SQLite file.
package sqlite
